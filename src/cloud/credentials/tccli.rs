//! Keys, region and endpoint from a profile of tccli, the vendor's command line.
//!
//! `~/.tccli/<profile>.credential` contains keys or says where to get them, `<profile>.configure` the region and the
//! endpoints (tccli 3.1.189, `action_caller.py`, `configure.py`, `sso.py`, `oauth.py`). Both are read and never written:
//! a login is renewed with tccli, and the file is read again to use the renewed keys.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::CredentialsError;
use super::file::{self, Content};
use super::instance::InstanceRole;
use super::keyring::RENEW_BELOW;
use super::keys::{Credentials, KeyPart, from_parts};
use super::role::{AssumedRole, ROLE_ARNS};
use super::sdk_file;
use super::source::{Fetching, Found, Source};
use crate::cloud::json::Object;
use crate::cloud::service_clock::ServiceClock;
use crate::cloud::sts::StsClient;
use crate::format::{for_shell, is_printable, printable, quoted, shown_path};

/// Variables of the name of the profile: of tccli (`action_caller.py`), and of the vendor's Terraform provider, which
/// reads the same files. The first that is set is used.
const PROFILES: [&str; 2] = ["TCCLI_PROFILE", "TENCENTCLOUD_PROFILE"];

/// Variable of the directory of the profiles (vendor's Terraform provider).
const FOLDER: &str = "TENCENTCLOUD_SHARED_CREDENTIALS_DIR";

/// The profile if none is named (tccli, `action_caller.py`).
const DEFAULT_PROFILE: &str = "default";

/// Most profiles that an error lists.
const MAX_LISTED: usize = 12;

/// Region and endpoint of a profile.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProfileSettings {
    /// The default region.
    pub region: Option<Setting>,
    /// The host of DLC. tccli writes one for every service, so most profiles have one.
    pub endpoint: Option<Setting>,
}

/// A value, and the place it was read from.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The file and the field, the variable or the flag.
    pub place: String,
    /// The value.
    pub value: String,
}

/// The keys of the profile, or the source that it names.
pub(super) fn find(environment: &Environment<'_>, sts: &StsClient) -> Found {
    let Some((profile, entry)) = read(environment)? else { return Ok(None) };
    let file = profile.credential_file();
    sdk_file::warn_if_ignored(environment, &file);
    Ok(Some(match entry {
        Entry::InstanceRole => Box::new(InstanceRole::new(environment, Some(&file))?),
        Entry::Keys { keys, role } => {
            let renewable = keys.token().is_some() || keys.expires().is_some();
            let source = Box::new(ProfileKeys { profile, renewable });
            match role {
                // a role of the environment replaces that of the profile, as it does for tccli
                Some((arn, session_name)) if environment.first_without_profile(&ROLE_ARNS).is_none() => {
                    Box::new(AssumedRole::new(source, arn, session_name, sts.clone()))
                }
                _ => source,
            }
        }
    }))
}

/// Refuses a profile that was named on the command line and does not exist; the error lists the existing profiles.
pub fn check_profile_exists(environment: &Environment<'_>) -> Result<(), CredentialsError> {
    match Profile::of(environment)? {
        Some(profile) if profile.requested_by == RequestedBy::Flag && !profile.exists() => {
            Err(profile.missing("does not exist"))
        }
        _ => Ok(()),
    }
}

/// The settings of the named profile, else of the default one.
pub fn settings(environment: &Environment<'_>) -> Result<ProfileSettings, CredentialsError> {
    let Some(profile) = Profile::of(environment)? else { return Ok(ProfileSettings::default()) };
    let path = profile.folder.join(format!("{}.configure", profile.name));
    let Content::Text(text) = file::read(&path)? else { return Ok(ProfileSettings::default()) };
    let file: ConfigureFile = parse_json(&path, &text)?;
    let setting = |name: &str, value: Option<String>| {
        let value = value.filter(|value| !value.is_empty())?;
        Some(Setting { place: format!("{}: {name}", shown_path(&path)), value })
    };
    let region = file.sys_param.and_then(|Object(service)| service.region);
    let old_region = match file.region {
        Some(serde_json::Value::String(region)) => Some(region),
        _ => None,
    };
    Ok(ProfileSettings {
        region: setting("_sys_param.region", region).or_else(|| setting("region", old_region)),
        endpoint: setting("dlc.endpoint", file.dlc.and_then(|Object(service)| service.endpoint)),
    })
}

/// The fields of `<profile>.configure` that are used.
#[derive(Deserialize)]
struct ConfigureFile {
    #[serde(rename = "_sys_param")]
    sys_param: Option<Object<ServiceSettings>>,
    dlc: Option<Object<ServiceSettings>>,
    /// Very old versions of tccli keep the region here; newer ones keep an object for a service of this name.
    region: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ServiceSettings {
    region: Option<String>,
    endpoint: Option<String>,
}

/// The fields of `<profile>.credential` that are used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    secret_id: Option<Zeroizing<String>>,
    secret_key: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
    /// Unix seconds, in some versions with a fraction.
    expires_at: Option<serde_json::Number>,
    #[serde(rename = "role-arn")]
    role_arn: Option<String>,
    #[serde(rename = "role-session-name")]
    role_session_name: Option<String>,
    sso: Option<IgnoredAny>,
}

/// What a profile contains.
enum Entry {
    /// The role that is bound to this instance.
    InstanceRole,
    /// Keys, and the role to assume with them: its ARN and the name of its session.
    Keys { keys: Credentials, role: Option<(String, String)> },
}

/// What named the profile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RequestedBy {
    /// `--profile`: it must have keys.
    Flag,
    /// One of [`PROFILES`]: it must exist, and may have no keys.
    Variable(&'static str),
    /// Nothing: it is the default profile.
    Default,
}

/// A profile, and where its files are.
#[derive(Clone)]
struct Profile {
    name: String,
    requested_by: RequestedBy,
    folder: PathBuf,
}

/// The named profile, else the default one; `None` if the default profile has no keys. Keys that are about to expire are
/// an error.
fn read(environment: &Environment<'_>) -> Result<Option<(Profile, Entry)>, CredentialsError> {
    let Some(profile) = Profile::of(environment)? else { return Ok(None) };
    let path = profile.credential_file();
    let must_have_keys = profile.requested_by == RequestedBy::Flag;
    let reason = match file::read(&path)? {
        Content::Missing(reason) => {
            let must_exist = profile.requested_by != RequestedBy::Default && !profile.exists();
            if must_have_keys || must_exist {
                return Err(profile.missing(reason));
            }
            reason
        }
        Content::Text(text) => {
            file::warn_if_exposed(&path, environment);
            match profile.parse(&text, ServiceClock::default().now())? {
                Some(entry) => return Ok(Some((profile, entry))),
                None if must_have_keys => return Err(profile.without_keys()),
                None => "has no keys",
            }
        }
    };
    environment.note_searched(format!("{} ({reason})", shown_path(&path)));
    Ok(None)
}

impl Profile {
    /// The profile to use; `None` if there is no home directory and no profile was named.
    fn of(environment: &Environment<'_>) -> Result<Option<Self>, CredentialsError> {
        let (requested_by, name) = match (&environment.profile, environment.first_of(&PROFILES)) {
            (Some(name), _) => (RequestedBy::Flag, name.clone()),
            (None, Some((variable, name))) => (RequestedBy::Variable(variable), name),
            (None, None) => (RequestedBy::Default, DEFAULT_PROFILE.to_owned()),
        };
        let home = environment.home.as_ref().map(|home| home.join(".tccli"));
        let folder = environment.value_of(FOLDER).map(PathBuf::from).or(home);
        let has_folder = folder.is_some();
        let profile = Self { name, requested_by, folder: folder.unwrap_or_default() };
        let name = &profile.name;
        if name.is_empty() || name.chars().any(|letter| !is_printable(letter) || "/\\".contains(letter)) {
            return Err(profile.invalid("not the name of a profile: write one such as default"));
        }
        if has_folder {
            return Ok(Some(profile));
        }
        if requested_by != RequestedBy::Default {
            return Err(profile.invalid("the profile cannot be read without a home directory: set HOME"));
        }
        environment.note_searched("~/.tccli (no home directory: set HOME)");
        Ok(None)
    }

    fn credential_file(&self) -> PathBuf {
        self.folder.join(format!("{}.credential", self.name))
    }

    /// True if at least one of its files exists.
    fn exists(&self) -> bool {
        ["credential", "configure"]
            .iter()
            .any(|kind| self.folder.join(format!("{}.{kind}", self.name)).exists())
    }

    /// Reads the text of the credential file; `None` if it contains no keys and no role. `now` is in Unix seconds.
    fn parse(&self, text: &str, now: i64) -> Result<Option<Entry>, CredentialsError> {
        let path = self.credential_file();
        let file: CredentialFile = parse_json(&path, text)?;
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        let kind = set(file.kind);
        if kind.as_deref() == Some("cvm-role") {
            return Ok(Some(Entry::InstanceRole));
        }
        let login = match kind.as_deref() {
            Some("sso") => Some("sso login"),
            Some("oauth") => Some("auth login"),
            _ => None,
        };
        let place = |field: &str| format!("{field} in {}", shown_path(&path));
        let incomplete = |present: &str, missing: &str| {
            Err(CredentialsError::Incomplete { present: place(present), missing: place(missing) })
        };
        let part = |field: &str, value| KeyPart { place: place(field), value };
        let (id, key) = (part("secretId", file.secret_id), part("secretKey", file.secret_key));
        let role = (set(file.role_arn), set(file.role_session_name));
        let Some(keys) = from_parts(&id, &key, Some(&part("token", file.token)))? else {
            // `tccli sso configure` leaves the address of the login and nothing else
            if let Some(login) = login.or_else(|| file.sso.map(|_| "sso login")) {
                let problem = format!("the login is not complete: run {}", self.command(login));
                return Err(CredentialsError::in_file(&path, problem));
            }
            return match (kind.as_deref(), role) {
                (None | Some("default"), (None, None)) => Ok(None),
                (None | Some("default"), _) => incomplete("role-arn", "secretId"),
                (Some(_), _) => Err(CredentialsError::in_file(
                    &path,
                    format!("unknown type and no keys: store keys with {}", self.command("configure")),
                )),
            };
        };
        let role = match role {
            (None, None) => None,
            (Some(arn), Some(session_name)) => Some((arn, session_name)),
            // tccli would use the keys without the role, and so act as another caller
            (Some(_), None) => return incomplete("role-arn", "role-session-name"),
            (None, Some(_)) => return incomplete("role-session-name", "role-arn"),
        };
        let keys = match file.expires_at.map(|number| number.to_string()) {
            None => keys,
            Some(number) => match number.split('.').next().unwrap_or_default().parse() {
                Ok(0) => keys,
                Ok(expires) => keys.expiring_at(expires),
                Err(_) => {
                    return Err(CredentialsError::in_file(&path, "expiresAt is not a time in Unix seconds"));
                }
            },
        };
        self.check_expiry(&keys, login, now)?;
        Ok(Some(Entry::Keys { keys, role }))
    }

    /// Refuses keys that would expire soon after the run starts. `now` is in Unix seconds.
    fn check_expiry(
        &self,
        keys: &Credentials,
        login: Option<&'static str>,
        now: i64,
    ) -> Result<(), CredentialsError> {
        let Some(expires) = keys.expires() else { return Ok(()) };
        let left = expires.saturating_sub(now);
        if left > RENEW_BELOW {
            return Ok(());
        }
        let when = Timestamp::from_second(expires).map_or_else(|_| expires.to_string(), |at| at.to_string());
        let problem = if left > 0 {
            format!("the keys expire at {when}, within {} minutes", RENEW_BELOW / 60)
        } else {
            format!("the keys expired at {when}")
        };
        let remedy = match login {
            Some(login) => format!("run {}", self.command(login)),
            None => "write new keys to the file".to_owned(),
        };
        let problem = format!("{problem}: {remedy}, then run the same command again");
        Err(CredentialsError::in_file(&self.credential_file(), problem))
    }

    /// The error of a named profile whose credential file is missing for this reason.
    fn missing(&self, reason: &str) -> CredentialsError {
        self.invalid(&format!(
            "{} {reason}; {}create it with {}",
            shown_path(&self.credential_file()),
            self.others(),
            self.command("configure")
        ))
    }

    /// The error of a profile without keys.
    fn without_keys(&self) -> CredentialsError {
        let (configure, login) = (self.command("configure"), self.command("auth login"));
        let problem = format!("the profile has no keys: store keys with {configure}, or log in with {login}");
        CredentialsError::in_file(&self.credential_file(), problem)
    }

    fn invalid(&self, problem: &str) -> CredentialsError {
        let requested_by = match self.requested_by {
            RequestedBy::Flag => "--profile",
            RequestedBy::Variable(variable) => variable,
            RequestedBy::Default => PROFILES[0],
        };
        let place = format!("{requested_by} {}", quoted(&printable(&self.name), 80));
        CredentialsError::Invalid { place, problem: problem.to_owned() }
    }

    /// A command of tccli for this profile. It is always named: `login` does not read the variable (tccli,
    /// `plugins/auth/login.py`).
    fn command(&self, command: &str) -> String {
        match self.requested_by {
            RequestedBy::Default => format!("`tccli {command}`"),
            _ => format!("`tccli {command} --profile {}`", for_shell(&self.name)),
        }
    }

    /// The existing profiles that have keys, as the start of a remedy.
    fn others(&self) -> String {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".credential").map(printable))
            .collect();
        names.sort();
        let more = match names.len().saturating_sub(MAX_LISTED) {
            0 => String::new(),
            left => format!(" and {left} more"),
        };
        names.truncate(MAX_LISTED);
        match names.len() {
            0 => "tccli has no profiles with keys: ".to_owned(),
            1 => format!("tccli has the profile {}: use that, or ", names.concat()),
            _ => format!("tccli has the profiles {}{more}: use one of them, or ", names.join(", ")),
        }
    }
}

/// The keys of a profile. With a role in the profile, they are the keys that assume it.
struct ProfileKeys {
    profile: Profile,
    /// True for temporary keys, which tccli replaces.
    renewable: bool,
}

impl ProfileKeys {
    /// Reads the file again, since a login may have replaced the keys.
    fn read_again(profile: &Profile, now: i64) -> Result<Credentials, CredentialsError> {
        let path = profile.credential_file();
        let Content::Text(text) = file::read(&path)? else { return Err(profile.without_keys()) };
        match profile.parse(&text, now)? {
            None => Err(profile.without_keys()),
            Some(Entry::Keys { keys, .. }) => Ok(keys),
            Some(Entry::InstanceRole) => {
                let problem = "the profile was changed to the role of the instance during the run: run the same command again";
                Err(CredentialsError::in_file(&path, problem))
            }
        }
    }
}

impl Source for ProfileKeys {
    fn name(&self) -> String {
        format!("the tccli profile {} ({})", self.profile.name, shown_path(&self.profile.credential_file()))
    }

    fn fetch<'a>(&'a self, clock: &'a ServiceClock) -> Fetching<'a> {
        let (profile, now) = (self.profile.clone(), clock.now());
        Box::pin(async move {
            // a home directory on a network file system may block
            let read = tokio::task::spawn_blocking(move || Self::read_again(&profile, now)).await;
            read.unwrap_or_else(|error| {
                let problem = format!("cannot be read: {error}: run the same command again");
                Err(CredentialsError::in_file(&self.profile.credential_file(), problem))
            })
        })
    }

    fn is_renewable(&self) -> bool {
        self.renewable
    }
}

/// Parses a JSON object. The error gives line and column, and shows no values: they may be secrets.
fn parse_json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, CredentialsError> {
    let Object(fields) = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let problem = match error.classify() {
            Category::Data => "a field has the wrong type, or occurs twice".to_owned(),
            // the messages about syntax contain no values
            _ => format!("invalid JSON: {}", message.split(" at line ").next().unwrap_or_default()),
        };
        // `tccli configure` fails on a broken file as well
        let problem = format!(
            "line {}, column {}: {problem}: correct the file, or delete it and create it again with tccli",
            error.line(),
            error.column()
        );
        CredentialsError::in_file(path, problem)
    })?;
    Ok(fields)
}
