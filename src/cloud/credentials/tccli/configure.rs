//! What `<profile>.configure` says of where to send requests.

use zeroize::Zeroizing;

use super::super::file::{self, Looked};
use super::super::{CredentialsError, Environment};
use super::fields::Fields;
use super::place::Place;
use crate::format::shown_path;

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

/// Refuses a profile that was asked for on the command line and does not exist, by the name of those that do.
pub fn must_exist(environment: &Environment<'_>) -> Result<(), CredentialsError> {
    match Place::of(environment)? {
        Some(place) if place.was_demanded() && !place.exists() => place.demand("not there"),
        _ => Ok(()),
    }
}

/// Reads the settings of the profile that was asked for, else of the default one.
pub fn configure(environment: &Environment<'_>) -> Result<Configure, CredentialsError> {
    let Some(place) = Place::of(environment)? else { return Ok(Configure::default()) };
    let path = place.configure();
    let text = match file::read(&path)? {
        Looked::Text(text) => text,
        Looked::Nothing(_) => return Ok(Configure::default()),
    };
    let whole = Fields::of(&path, &text)?;
    let inside = |object, name: &str| match whole.object(object)? {
        Some(fields) => fields.text(name),
        None => Ok(None),
    };
    let setting = |name: &str, value: Option<Zeroizing<String>>| {
        value.map(|value| Setting {
            place: format!("{}: {name}", shown_path(&path)),
            value: value.to_string(),
        })
    };
    let region = setting("_sys_param.region", inside("_sys_param.", "region")?);
    // very old versions of tccli kept it at the top, where newer ones keep a service of that name (`configure.py`)
    let old_region = setting("region", whole.text_unless_object("region")?);
    let endpoint = setting("dlc.endpoint", inside("dlc.", "endpoint")?);
    Ok(Configure { region: region.or(old_region), endpoint })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read from the default profile with this text, place and value.
    fn read(text: &str) -> Result<[Option<(String, String)>; 2], CredentialsError> {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join(".tccli");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("default.configure"), text).expect("written");
        let read = configure(&Environment::new(&|_| None, Some(home.path().to_owned()), None))?;
        Ok([read.region, read.endpoint].map(|setting| {
            setting.map(|Setting { place, value }| {
                let file = format!("{}: ", folder.join("default.configure").display());
                (place.strip_prefix(&file).expect("the file").to_owned(), value)
            })
        }))
    }

    fn setting(place: &str, value: &str) -> (String, String) {
        (place.to_owned(), value.to_owned())
    }

    #[test]
    fn region_and_endpoint_are_read_as_every_version_of_tccli_wrote_them() {
        let endpoint = || Some(setting("dlc.endpoint", "dlc.intl.tencentcloudapi.com"));
        for (text, region) in [
            (
                r#"{"_sys_param": {"region": "ap-tokyo", "output": "json"}, "region": {"endpoint": "x"}, DLC}"#,
                Some(setting("_sys_param.region", "ap-tokyo")),
            ),
            (
                r#"{"_sys_param": {"region": "ap-tokyo"}, "region": "old", DLC}"#,
                Some(setting("_sys_param.region", "ap-tokyo")),
            ),
            ("\u{feff}{\r\n\"region\": \"ap-seoul\",\r\nDLC}", Some(setting("region", "ap-seoul"))),
            (r#"{"_sys_param": {"region": ""}, "region": {"endpoint": "x", "version": "y"}, DLC}"#, None),
            (r#"{"_sys_param": null, DLC}"#, None),
        ] {
            let dlc = r#""dlc": {"endpoint": "dlc.intl.tencentcloudapi.com", "version": "2021-01-25"}"#;
            assert_eq!(read(&text.replace("DLC", dlc)), Ok([region, endpoint()]), "{text}");
        }
        assert_eq!(read("{}"), Ok([None, None]));
        assert_eq!(read(r#"{"dlc": {"endpoint": "", "version": "x"}}"#), Ok([None, None]));
    }

    #[test]
    fn a_broken_file_is_told_by_place() {
        for (text, told) in [
            (
                "{\"_sys_param\": {\n \"region\": 7}}",
                "line 2, column 12: _sys_param.region is not a text in quotes",
            ),
            (r#"{"dlc": "x"}"#, "line 1, column 9: dlc is not an object in braces"),
            ("{", "line 1, column 1: this is not JSON"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains("default.configure: ") && error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_profile_that_was_asked_for_must_exist_and_may_be_there_for_its_keys_alone() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join(".tccli")).expect("a folder");
        std::fs::write(home.path().join(".tccli").join("prod.credential"), "{}").expect("written");
        let read = |flag: Option<&str>, variable: Option<&'static str>| {
            let lookup = |_: &str| variable.map(str::to_owned);
            let home = Some(home.path().to_owned());
            let environment = Environment::new(&lookup, home, flag.map(str::to_owned));
            must_exist(&environment).and_then(|()| configure(&environment))
        };
        assert_eq!(read(Some("prod"), None), Ok(Configure::default()));
        assert_eq!(read(None, None), Ok(Configure::default()));
        // its keys may come from elsewhere
        assert_eq!(read(None, Some("prd")), Ok(Configure::default()));
        let error = read(Some("prd"), None).expect_err("not there").to_string();
        assert!(error.contains("--profile: \"prd\"") && error.contains("the profile prod:"), "{error}");
    }
}
