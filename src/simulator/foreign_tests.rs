//! Requests out of any bytes: the simulator refuses them by a code or takes them for what they say.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::gateway::{self, Keys, Known, ServiceTime};
use super::service::Call;
use super::sts::Sessions;
use super::{Scenario, World, wire};
use crate::cloud::{LIST_ENGINES, LIST_IMAGES, SHOW_ENGINE, SWITCH};

const HEADERS: [&str; 9] = [
    "authorization",
    "content-type",
    "host",
    "x-tc-action",
    "x-tc-version",
    "x-tc-timestamp",
    "x-tc-region",
    "x-tc-token",
    "x-odd",
];

const VALUES: [&str; 10] = [
    "TC3-HMAC-SHA256 Credential=AKID/1970-01-01/dlc/tc3_request, SignedHeaders=content-type;host, Signature=00",
    "TC3-HMAC-SHA256 Credential=AKID/x, SignedHeaders=, Signature=",
    "TC3-HMAC-SHA256 ",
    "application/json",
    SWITCH,
    "2021-01-25",
    "0",
    "-9223372036854775808",
    "9223372036854775807",
    "ap-guangzhou",
];

/// Headers that lack nothing but the right signature.
const NEARLY: [(&str, &str); 6] = [
    ("authorization", VALUES[0]),
    ("content-type", "application/json"),
    ("host", "127.0.0.1"),
    ("x-tc-action", SWITCH),
    ("x-tc-version", "2021-01-25"),
    ("x-tc-timestamp", "0"),
];

/// These, with a few changed, more than once there, or added.
fn headers() -> impl Strategy<Value = HeaderMap> {
    let value = prop_oneof![
        prop::sample::select(&VALUES).prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..60)
    ];
    prop::collection::vec((prop::sample::select(&HEADERS), value, any::<bool>()), 0..4).prop_map(|changes| {
        let nearly =
            NEARLY.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers: HeaderMap = nearly.into_iter().collect();
        for (name, value, beside) in changes {
            let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
            let name = HeaderName::from_static(name);
            if beside {
                headers.append(name, value)
            } else {
                headers.insert(name, value).is_some()
            };
        }
        headers
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"DataEngineId\"",
        "\"NewImageVersionId\"",
        "\"Offset\"",
        "\"Limit\"",
        "\"Filters\"",
        "\"Name\"",
        "\"Values\"",
        "\"EngineType\"",
        "\"a\"",
        "null",
        "-1",
        "1e999",
        "99999999999999999999",
        "true",
    ]);
    let pieces = prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat().into_bytes());
    let number = || prop_oneof![any::<i64>(), -3i64..200];
    let page = (number(), number(), ".{0,4}").prop_map(|(offset, limit, id)| {
        let filters = serde_json::json!([{"Name": "engine-id", "Values": [id]}]);
        serde_json::json!({"Offset": offset, "Limit": limit, "Filters": filters}).to_string().into_bytes()
    });
    let switch = (".{0,4}", ".{0,4}").prop_map(|(engine, image)| {
        serde_json::json!({"DataEngineId": engine, "NewImageVersionId": image}).to_string().into_bytes()
    });
    prop_oneof![pieces, page, switch, prop::collection::vec(any::<u8>(), 0..60)]
}

proptest! {
    #[test]
    fn no_request_passes_the_gateway_without_a_signature(
        headers in headers(),
        body in body(),
        now in prop_oneof![any::<i64>(), Just(0), Just(i64::MAX)],
    ) {
        let keys = Keys::new("AKID", "key", None);
        let (sessions, scenario) = (Sessions::default(), Scenario::calm());
        let known = Known { keys: &keys, sessions: &sessions, scenario: &scenario };
        let refused = gateway::check(&headers, &body, known, ServiceTime { now, validity: 300 });
        prop_assert!(refused.is_err_and(|objection| !objection.code.is_empty()));
    }

    #[test]
    fn a_call_that_is_taken_names_what_its_action_needs(
        action in prop::sample::select(vec![SWITCH, LIST_ENGINES, SHOW_ENGINE, LIST_IMAGES]),
        region in prop_oneof![Just(Some("ap-a".to_owned())), prop::option::of("[a-z]{0,3}-[a-z0-9-]{0,8}|.{0,8}")],
        body in body(),
    ) {
        let engine = wire::engine_named(action, &body);
        let call = wire::call(action, region.as_deref(), &body);
        prop_assert!(call.is_err() || region.is_some_and(|region| !region.is_empty()));
        match call {
            Ok(Call::Engines(region, query)) => {
                let world = World::generated(1, 3, &region);
                let page = query.listing(&world, &region);
                prop_assert!(page.map_or_else(|objection| !objection.code.is_empty(), |page| page.rows.len() <= 3));
            }
            Ok(Call::Switch(key)) => prop_assert_eq!(Some(key.data_engine_id), engine),
            Ok(Call::Engine(..) | Call::Images(..) | Call::Identity(_) | Call::Role(_)) | Err(_) => {}
        }
    }
}
