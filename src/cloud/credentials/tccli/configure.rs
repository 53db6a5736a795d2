//! What `<profile>.configure` says of where to send requests.

use zeroize::Zeroizing;

use super::super::file::{self, Looked, shown};
use super::super::{CredentialsError, Surroundings};
use super::fields::Fields;
use super::place::Place;

/// Region and endpoint of a profile, as they stand there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Configure {
    /// The region that commands go to where nothing else is said.
    pub region: Option<Setting>,
    /// The host of DLC. tccli writes one for every service, so there nearly always is one.
    pub endpoint: Option<Setting>,
}

/// A value, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The file, and the name in it.
    pub place: String,
    /// The value.
    pub value: String,
}

/// Reads the settings of the profile that was asked for, else of the default one. A profile that was asked for on
/// the command line and does not exist is an error.
pub fn configure(surroundings: &Surroundings<'_>) -> Result<Configure, CredentialsError> {
    let Some(place) = Place::of(surroundings)? else { return Ok(Configure::default()) };
    let path = place.configure();
    let text = match file::read(&path)? {
        Looked::Text(text) => text,
        Looked::Nothing(why) => {
            if place.was_demanded() && !place.exists() {
                place.demand(why)?;
            }
            return Ok(Configure::default());
        }
    };
    let whole = Fields::of(&path, &text)?;
    let inside = |object, name: &str| match whole.object(object)? {
        Some(fields) => fields.text(name),
        None => Ok(None),
    };
    let setting = |name: &str, value: Option<Zeroizing<String>>| {
        value.map(|value| Setting { place: format!("{}: {name}", shown(&path)), value: value.to_string() })
    };
    let region = setting("_sys_param.region", inside("_sys_param.", "region")?);
    // very old versions of tccli kept it at the top, where newer ones keep a service of that name (`configure.py`)
    let old_region = setting("region", whole.text_unless_object("region")?);
    let endpoint = setting("dlc.endpoint", inside("dlc.", "endpoint")?);
    Ok(Configure { region: region.or(old_region), endpoint })
}
