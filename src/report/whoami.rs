//! Whose keys there are: for people, and as one JSON document, schema `dlc-fleet.whoami/1`.
//!
//! Fields are only ever added within a schema version. A field that has nothing to say is `null`, never absent.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::document::to_json;
use super::{clock_note, style};
use crate::format;

const SCHEMA: &str = "dlc-fleet.whoami/1";

/// Whose keys there are. Nothing of the keys themselves.
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
    /// The account that the keys were made for.
    pub principal_id: Option<String>,
    /// What kind of caller it is, such as `CAMUser`.
    pub kind: Option<String>,
    /// For how long the keys are good.
    pub good_for: GoodFor,
    /// The region for rows that name none.
    pub region: Option<String>,
    /// Where requests for engines go.
    pub endpoint: String,
    /// Where it was asked who calls.
    pub sts_endpoint: String,
    /// Seconds by which the service's clock is known to be ahead.
    pub clock_ahead: i64,
}

/// For how long keys are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoodFor {
    /// Until somebody withdraws them.
    Ever,
    /// Not for ever; their source does not say for how long.
    Unknown,
    /// Until a moment.
    Until {
        /// In Unix seconds.
        until: i64,
        /// Seconds from now on, by the service's clock.
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
    /// True for keys that expire, known or not when.
    keys_are_temporary: bool,
    /// RFC 3339, by the service's clock.
    keys_expire: Option<String>,
    keys_seconds_left: Option<i64>,
    region: Option<&'a str>,
    endpoint: &'a str,
    sts_endpoint: &'a str,
    clock_ahead_seconds: i64,
}

/// One line for each thing that is known.
pub fn whoami(told: &Whoami) -> String {
    let kind = told.kind.as_ref().map_or_else(String::new, |kind| format!(" ({kind})"));
    let mut lines = vec![("account", told.account_id.clone()), ("caller", format!("{}{kind}", told.arn))];
    lines.extend(told.user_id.clone().map(|user| ("user", user)));
    let other = told.principal_id.clone().filter(|principal| Some(principal) != told.user_id.as_ref());
    lines.extend(other.map(|principal| ("made for", principal)));
    lines.extend([
        ("keys", told.source.clone()),
        ("good", good_for(told.good_for)),
        (
            "region",
            told.region.clone().unwrap_or_else(|| "none: the rows of a plan must name theirs".to_owned()),
        ),
        ("endpoint", told.endpoint.clone()),
    ]);
    if told.sts_endpoint != told.endpoint {
        lines.push(("asked at", told.sts_endpoint.clone()));
    }
    let mut text = String::new();
    for (label, value) in lines {
        let _ = writeln!(text, "{} {}", style::quiet(&format!("{label:>8}")), value);
    }
    if let Some(note) = clock_note(told.clock_ahead) {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn good_for(good_for: GoodFor) -> String {
    match good_for {
        GoodFor::Ever => "until somebody withdraws them".to_owned(),
        GoodFor::Unknown => "for a while: they are temporary, and nobody says until when".to_owned(),
        GoodFor::Until { until, left } => {
            let moment = moment(until);
            match u64::try_from(left) {
                Ok(left @ 1..) => {
                    format!("until {moment}, for {}", format::duration(Duration::from_secs(left)))
                }
                _ => format!("no more: they expired at {moment}"),
            }
        }
    }
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

/// The same as one JSON document with a final line break.
pub fn whoami_json(told: &Whoami) -> String {
    let (until, left) = match told.good_for {
        GoodFor::Until { until, left } => (Some(moment(until)), Some(left)),
        GoodFor::Ever | GoodFor::Unknown => (None, None),
    };
    to_json(&Document {
        schema: SCHEMA,
        source: &told.source,
        account_id: &told.account_id,
        arn: &told.arn,
        user_id: told.user_id.as_deref(),
        principal_id: told.principal_id.as_deref(),
        kind: told.kind.as_deref(),
        keys_are_temporary: told.good_for != GoodFor::Ever,
        keys_expire: until,
        keys_seconds_left: left,
        region: told.region.as_deref(),
        endpoint: &told.endpoint,
        sts_endpoint: &told.sts_endpoint,
        clock_ahead_seconds: told.clock_ahead,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> Whoami {
        Whoami {
            source: "the role qcs::cam::uin/100000000001:roleName/fleet, assumed with the keys of the environment \
                     (TENCENTCLOUD_SECRET_ID)"
                .into(),
            account_id: "100000000001".into(),
            arn: "qcs::sts:100000000001:assumed-role/4611686018427397919".into(),
            user_id: Some("4611686018427397919:night".into()),
            principal_id: Some("100000000007".into()),
            kind: Some("CAMRole".into()),
            good_for: GoodFor::Until { until: 1_790_000_000, left: 7_140 },
            region: Some("ap-guangzhou".into()),
            endpoint: "dlc.tencentcloudapi.com".into(),
            sts_endpoint: "sts.tencentcloudapi.com".into(),
            clock_ahead: 0,
        }
    }

    fn plain(told: &Whoami) -> String {
        anstream::adapter::strip_str(&whoami(told)).to_string()
    }

    #[test]
    fn a_role_is_told_with_its_account_its_maker_and_its_end() {
        insta::assert_snapshot!(plain(&role()));
        insta::assert_snapshot!(whoami_json(&role()));
    }

    #[test]
    fn keys_say_for_how_long_they_are_good_as_far_as_anybody_knows() {
        for (good_for, words, temporary) in [
            (GoodFor::Ever, "until somebody withdraws them", false),
            (GoodFor::Unknown, "nobody says until when", true),
            (GoodFor::Until { until: 0, left: 0 }, "they expired at 1970-01-01T00:00:00Z", true),
            (GoodFor::Until { until: i64::MAX, left: 60 }, "until 9223372036854775807, for 1 min", true),
        ] {
            let told = Whoami { good_for, ..role() };
            assert!(plain(&told).contains(words), "{}", plain(&told));
            let json = whoami_json(&told);
            assert!(json.contains(&format!("\"keys_are_temporary\": {temporary}")), "{json}");
        }
    }

    #[test]
    fn what_is_not_known_is_left_out_for_people_and_null_for_programs() {
        let bare = Whoami {
            user_id: None,
            principal_id: None,
            kind: None,
            region: None,
            good_for: GoodFor::Ever,
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
