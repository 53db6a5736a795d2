//! Keys from a profile of tccli, the vendor's command line: `~/.tccli/<profile>.credential`.
//!
//! Read and never written: a login is renewed by whoever logs in again, and the file is read anew to see whether
//! somebody has (tccli 3.1.189, `action_caller.py`, `sso.py`, `oauth.py`).

mod configure;
mod entry;
mod fields;
mod place;

use jiff::Timestamp;

pub use self::configure::{Configure, Setting, configure, must_exist};
pub use self::entry::{Entry, Login};
use self::place::Place;
use super::file::{self, Looked, wrong};
use super::instance::InstanceRole;
use super::keyring::RENEW_BELOW;
use super::role::AssumedRole;
use super::{Credentials, CredentialsError, Environment, Fetching, Found, Source, sdk_file};
use crate::cloud::signed::ServiceClock;
use crate::cloud::sts::StsClient;
use crate::format::shown_path;

/// A profile that says where keys come from.
pub struct Profile {
    place: Place,
    /// Who put the keys there, where it was a login.
    login: Option<Login>,
    /// What it says.
    pub entry: Entry,
}

/// Keys of the profile, or the source that it asks for.
pub fn find(environment: &Environment<'_>, sts: &StsClient) -> Found {
    let Some(profile) = read(environment)? else { return Ok(None) };
    sdk_file::warn_if_passed_over(environment, &profile.place.credential());
    let file = profile.place.credential();
    let source = FromProfile { renews: profile.may_change(), place: profile.place };
    Ok(Some(match profile.entry {
        Entry::InstanceRole => Box::new(InstanceRole::asked_for_by(environment, &file)?),
        // a role of the environment takes the place of the profile's, as it does for tccli
        Entry::AssumeRole { role_arn, role_session_name, .. }
            if environment.role_of_environment().is_none() =>
        {
            Box::new(AssumedRole::new(Box::new(source), role_arn, role_session_name, sts.clone()))
        }
        Entry::Keys(_) | Entry::AssumeRole { .. } => Box::new(source),
    }))
}

/// The profile that was asked for, else the default one; none where it has no keys and nobody asked for it. Keys
/// that are about to expire are an error.
pub fn read(environment: &Environment<'_>) -> Result<Option<Profile>, CredentialsError> {
    let Some(place) = Place::of(environment)? else { return Ok(None) };
    let path = place.credential();
    let text = match file::read(&path)? {
        Looked::Text(text) => text,
        Looked::Nothing(why) => {
            if place.was_demanded() || !place.exists() {
                place.demand(why)?;
            }
            environment.looked_at(format!("{} ({why})", shown_path(&path)));
            return Ok(None);
        }
    };
    file::warn_if_exposed(&path, environment);
    let Some((login, entry)) = entry::parse(&place, &text)? else {
        if place.was_demanded() {
            return Err(place.without_keys());
        }
        environment.looked_at(format!("{} (without keys)", shown_path(&path)));
        return Ok(None);
    };
    let profile = Profile { place, login, entry };
    profile.check_time_left(ServiceClock::default().now())?;
    Ok(Some(profile))
}

impl Profile {
    /// The keys that stand in the file itself.
    fn keys(&self) -> Option<&Credentials> {
        match &self.entry {
            Entry::Keys(keys) | Entry::AssumeRole { base: keys, .. } => Some(keys),
            Entry::InstanceRole => None,
        }
    }

    /// True for temporary keys, which somebody will replace.
    fn may_change(&self) -> bool {
        self.keys().is_some_and(|keys| keys.token().is_some() || keys.expires().is_some())
    }

    /// Refuses keys that would expire soon after the run began. `now` is in Unix seconds.
    fn check_time_left(&self, now: i64) -> Result<(), CredentialsError> {
        let Some(expires) = self.keys().and_then(Credentials::expires) else { return Ok(()) };
        let left = expires.saturating_sub(now);
        if left > RENEW_BELOW {
            return Ok(());
        }
        let when = Timestamp::from_second(expires).map_or_else(|_| expires.to_string(), |at| at.to_string());
        let what = if left > 0 {
            format!("expire at {when}, within {} minutes", RENEW_BELOW / 60)
        } else {
            format!("expired at {when}")
        };
        let remedy = match self.login {
            Some(login) => format!("run {}", self.place.command(login.command())),
            None => "have fresh ones written there".to_owned(),
        };
        let told = format!("the keys of this profile {what}: {remedy}, then the same command again");
        Err(wrong(&self.place.credential(), told))
    }
}

/// The keys that stand in a profile at the moment; for a role to assume, those that ask for it.
struct FromProfile {
    place: Place,
    renews: bool,
}

impl FromProfile {
    /// Reads the file again, since somebody may have logged in meanwhile.
    fn read_again(place: Place, now: i64) -> Result<Credentials, CredentialsError> {
        let path = place.credential();
        let entry = match file::read(&path)? {
            Looked::Text(text) => entry::parse(&place, &text)?,
            Looked::Nothing(_) => None,
        };
        let Some((login, entry)) = entry else { return Err(place.without_keys()) };
        let profile = Profile { place, login, entry };
        profile.check_time_left(now)?;
        match profile.entry {
            Entry::Keys(keys) | Entry::AssumeRole { base: keys, .. } => Ok(keys),
            Entry::InstanceRole => {
                let what =
                    "asks for the role of this instance since the run began: run the same command again";
                Err(wrong(&path, what))
            }
        }
    }
}

impl Source for FromProfile {
    fn name(&self) -> String {
        format!("tccli's profile {} ({})", self.place.name, shown_path(&self.place.credential()))
    }

    fn fetch<'a>(&'a self, clock: &'a ServiceClock) -> Fetching<'a> {
        let (place, now) = (self.place.clone(), clock.now());
        Box::pin(async move {
            // a home directory on a network that hangs must not hold up everything else
            let read = tokio::task::spawn_blocking(move || Self::read_again(place, now)).await;
            read.unwrap_or_else(|error| {
                let told = format!("could not be read: {error}: run the same command again");
                Err(wrong(&self.place.credential(), told))
            })
        })
    }

    fn renews(&self) -> bool {
        self.renews
    }
}

#[cfg(test)]
mod role_tests;
#[cfg(test)]
mod tests;
