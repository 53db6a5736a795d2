//! The output of `dlc-fleet whoami`: as text, and as one JSON document, schema `dlc-fleet.whoami/1`.
//!
//! Within a schema version, fields are only added. A field without a value is `null`, never absent.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::document::to_json;
use super::{clock_note, style};
use crate::format;

const SCHEMA: &str = "dlc-fleet.whoami/1";

/// The caller and the source of its keys; nothing of the keys themselves.
#[derive(Clone, Debug)]
pub struct Whoami {
    /// Where the keys come from.
    pub source: String,
    /// The main account.
    pub account_id: String,
    /// The caller's ARN.
    pub arn: String,
    /// The caller's id; of a role, its id and the name of the session.
    pub user_id: Option<String>,
    /// The account that the keys were issued to.
    pub principal_id: Option<String>,
    /// The type of the caller, such as `CAMUser`.
    pub kind: Option<String>,
    /// How long the keys are valid.
    pub validity: Validity,
    /// The region for rows that name none.
    pub region: Option<String>,
    /// The endpoint of DLC.
    pub endpoint: String,
    /// The endpoint of STS.
    pub sts_endpoint: String,
    /// Seconds by which the service's clock is ahead.
    pub clock_ahead: i64,
}

/// How long keys are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Until they are revoked.
    Permanent,
    /// Temporary keys of a source that does not say when they expire.
    Unknown,
    /// Until a time.
    Until {
        /// In Unix seconds.
        until: i64,
        /// Seconds left, by the service's clock.
        left: i64,
    },
}

/// The whole document.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    source: &'a str,
    account_id: &'a str,
    arn: &'a str,
    user_id: Option<&'a str>,
    principal_id: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    /// True for keys that expire.
    keys_are_temporary: bool,
    /// RFC 3339, by the service's clock.
    keys_expire: Option<String>,
    keys_seconds_left: Option<i64>,
    region: Option<&'a str>,
    endpoint: &'a str,
    sts_endpoint: &'a str,
    clock_ahead_seconds: i64,
}

/// One line for each known value.
pub fn whoami(caller: &Whoami) -> String {
    let kind = caller.kind.as_ref().map_or_else(String::new, |kind| format!(" ({kind})"));
    let mut lines = vec![("account", caller.account_id.clone()), ("caller", format!("{}{kind}", caller.arn))];
    lines.extend(caller.user_id.clone().map(|user| ("user", user)));
    let other = caller.principal_id.clone().filter(|principal| Some(principal) != caller.user_id.as_ref());
    lines.extend(other.map(|principal| ("issued to", principal)));
    lines.extend([
        ("keys", caller.source.clone()),
        ("valid", validity_text(caller.validity)),
        (
            "region",
            caller.region.clone().unwrap_or_else(|| "none: every row of a plan needs its own".to_owned()),
        ),
        ("endpoint", caller.endpoint.clone()),
    ]);
    if caller.sts_endpoint != caller.endpoint {
        lines.push(("sts", caller.sts_endpoint.clone()));
    }
    let mut text = String::new();
    for (label, value) in lines {
        let _ = writeln!(text, "{} {}", style::quiet(&format!("{label:>9}")), value);
    }
    if let Some(note) = clock_note(caller.clock_ahead) {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn validity_text(validity: Validity) -> String {
    match validity {
        Validity::Permanent => "until they are revoked".to_owned(),
        Validity::Unknown => "temporary, expiry unknown".to_owned(),
        Validity::Until { until, left } => {
            let moment = moment(until);
            match u64::try_from(left) {
                Ok(left @ 1..) => {
                    format!("until {moment} ({} left)", format::duration(Duration::from_secs(left)))
                }
                _ => format!("expired at {moment}"),
            }
        }
    }
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

/// The same as one JSON document with a final line break.
pub fn whoami_json(caller: &Whoami) -> String {
    let (until, left) = match caller.validity {
        Validity::Until { until, left } => (Some(moment(until)), Some(left)),
        Validity::Permanent | Validity::Unknown => (None, None),
    };
    to_json(&Document {
        schema: SCHEMA,
        source: &caller.source,
        account_id: &caller.account_id,
        arn: &caller.arn,
        user_id: caller.user_id.as_deref(),
        principal_id: caller.principal_id.as_deref(),
        kind: caller.kind.as_deref(),
        keys_are_temporary: caller.validity != Validity::Permanent,
        keys_expire: until,
        keys_seconds_left: left,
        region: caller.region.as_deref(),
        endpoint: &caller.endpoint,
        sts_endpoint: &caller.sts_endpoint,
        clock_ahead_seconds: caller.clock_ahead,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> Whoami {
        Whoami {
            source: "the role qcs::cam::uin/100000000001:roleName/fleet, with the keys of the environment \
                     (TENCENTCLOUD_SECRET_ID)"
                .into(),
            account_id: "100000000001".into(),
            arn: "qcs::sts:100000000001:assumed-role/4611686018427397919".into(),
            user_id: Some("4611686018427397919:night".into()),
            principal_id: Some("100000000007".into()),
            kind: Some("CAMRole".into()),
            validity: Validity::Until { until: 1_790_000_000, left: 7_140 },
            region: Some("ap-guangzhou".into()),
            endpoint: "dlc.tencentcloudapi.com".into(),
            sts_endpoint: "sts.tencentcloudapi.com".into(),
            clock_ahead: 0,
        }
    }

    fn plain(caller: &Whoami) -> String {
        anstream::adapter::strip_str(&whoami(caller)).to_string()
    }

    #[test]
    fn a_role_is_shown_with_its_account_issuer_and_expiry() {
        insta::assert_snapshot!(plain(&role()));
        insta::assert_snapshot!(whoami_json(&role()));
    }

    #[test]
    fn the_validity_of_the_keys_is_shown_as_far_as_it_is_known() {
        for (validity, words, temporary) in [
            (Validity::Permanent, "until they are revoked", false),
            (Validity::Unknown, "temporary, expiry unknown", true),
            (Validity::Until { until: 0, left: 0 }, "expired at 1970-01-01T00:00:00Z", true),
            (Validity::Until { until: i64::MAX, left: 60 }, "until 9223372036854775807 (1m left)", true),
        ] {
            let caller = Whoami { validity, ..role() };
            assert!(plain(&caller).contains(words), "{}", plain(&caller));
            let json = whoami_json(&caller);
            assert!(json.contains(&format!("\"keys_are_temporary\": {temporary}")), "{json}");
        }
    }

    #[test]
    fn unknown_values_are_left_out_of_the_text_and_null_in_json() {
        let bare = Whoami {
            user_id: None,
            principal_id: None,
            kind: None,
            region: None,
            validity: Validity::Permanent,
            endpoint: "http://127.0.0.1:8080".into(),
            sts_endpoint: "http://127.0.0.1:8080".into(),
            arn: "arn".into(),
            clock_ahead: 600,
            ..role()
        };
        insta::assert_snapshot!(plain(&bare));
        assert!(whoami_json(&bare).contains("\"user_id\": null"));
    }
}
