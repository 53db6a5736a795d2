//! What `<profile>.credential` says: keys, or where to get some.

use zeroize::Zeroizing;

use super::fields::Fields;
use super::place::Place;
use crate::cloud::credentials::file::wrong;
use crate::cloud::credentials::value::checked;
use crate::cloud::credentials::{Credentials, CredentialsError};
use crate::format::shown_path;

/// What a profile asks for.
pub enum Entry {
    /// Keys that stand in the file, for good or for a while.
    Keys(Credentials),
    /// The role that is bound to the instance this runs on.
    InstanceRole,
    /// A role, to be assumed with keys that stand in the file.
    AssumeRole {
        /// The keys that ask for the role.
        base: Credentials,
        /// `RoleArn`
        role_arn: String,
        /// `RoleSessionName`
        role_session_name: String,
    },
}

/// How somebody logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Through an organisation's single sign-on.
    Sso,
    /// With an account, in a browser.
    Oauth,
}

impl Login {
    /// The command of tccli that logs in again.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Sso => "sso login",
            Self::Oauth => "auth login",
        }
    }
}

/// Reads the text of the file; none where it has neither keys nor anything else to ask for.
pub(super) fn parse(place: &Place, text: &str) -> Result<Option<(Option<Login>, Entry)>, CredentialsError> {
    let path = place.credential();
    let fields = Fields::of(&path, text)?;
    let kind = fields.text("type")?;
    let kind = kind.as_ref().map_or("", |kind| kind.as_str());
    if kind == "cvm-role" {
        return Ok(Some((None, Entry::InstanceRole)));
    }
    let login = match kind {
        "sso" => Some(Login::Sso),
        "oauth" => Some(Login::Oauth),
        _ => None,
    };
    let role = (fields.text("role-arn")?, fields.text("role-session-name")?);
    let Some(keys) = keys(place, &fields)? else {
        // `tccli sso configure` leaves the address of the login, and nothing else
        let unfinished = login.or_else(|| fields.has("sso").then_some(Login::Sso));
        if let Some(login) = unfinished {
            let told = format!("nobody has logged in yet: run {}", place.command(login.command()));
            return Err(wrong(&path, told));
        }
        return without_keys(place, kind, role == (None, None)).map_or(Ok(None), Err);
    };
    let entry = match role {
        (None, None) => Entry::Keys(keys),
        (Some(role_arn), Some(name)) => Entry::AssumeRole {
            base: keys,
            role_arn: role_arn.to_string(),
            role_session_name: name.to_string(),
        },
        // tccli would go on with the keys alone, and so as somebody else than was meant
        (Some(_), None) => return Err(half(place, "role-arn", "role-session-name")),
        (None, Some(_)) => return Err(half(place, "role-session-name", "role-arn")),
    };
    Ok(Some((login, entry)))
}

/// What is wrong with a profile that has no keys, if anything.
fn without_keys(place: &Place, kind: &str, wants_no_role: bool) -> Option<CredentialsError> {
    match kind {
        "" | "default" if wants_no_role => None,
        "" | "default" => {
            Some(half(place, "a role to assume", "the secretId and secretKey that may assume it"))
        }
        _ => {
            let command = place.command("configure");
            let told = format!(
                "its type is none that is known here, and there are no keys: keep some with {command}"
            );
            Some(wrong(&place.credential(), told))
        }
    }
}

fn keys(place: &Place, fields: &Fields<'_>) -> Result<Option<Credentials>, CredentialsError> {
    let file = shown_path(&place.credential());
    let part = |name: &str| checked(&format!("{name} in {file}"), fields.text(name)?);
    let (id, key): (Option<Zeroizing<String>>, _) = (part("secretId")?, part("secretKey")?);
    let (id, key) = match (id, key) {
        (Some(id), Some(key)) => (id, key),
        (Some(_), None) => return Err(half(place, "secretId", "secretKey")),
        (None, Some(_)) => return Err(half(place, "secretKey", "secretId")),
        (None, None) => return Ok(None),
    };
    let keys = Credentials::new(id.to_string(), key, part("token")?);
    Ok(Some(match fields.moment("expiresAt")? {
        Some(moment) => keys.until(moment),
        None => keys,
    }))
}

fn half(place: &Place, present: &str, missing: &str) -> CredentialsError {
    let told = format!(
        "there is {present} and not {missing}: set both or neither, with {}",
        place.command("configure set")
    );
    wrong(&place.credential(), told)
}
