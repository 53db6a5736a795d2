//! Requests are read or refused with the right code, also those of random bytes.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::super::authentication::{AcceptedKeys, Keys, ServiceTime, authenticate};
use super::super::scenario::Scenario;
use super::super::sts::{Sessions, owner};
use super::super::world::World;
use super::*;

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

/// Headers with a wrong signature, otherwise correct.
const CORRECT_EXCEPT_SIGNATURE: [(&str, &str); 6] = [
    ("authorization", VALUES[0]),
    ("content-type", "application/json"),
    ("host", "127.0.0.1"),
    ("x-tc-action", SWITCH),
    ("x-tc-version", "2021-01-25"),
    ("x-tc-timestamp", "0"),
];

/// These, with a few changed, repeated or added.
fn headers() -> impl Strategy<Value = HeaderMap> {
    let value = prop_oneof![
        prop::sample::select(&VALUES).prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..60)
    ];
    prop::collection::vec((prop::sample::select(&HEADERS), value, any::<bool>()), 0..4).prop_map(|changes| {
        let headers = CORRECT_EXCEPT_SIGNATURE
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers: HeaderMap = headers.into_iter().collect();
        for (name, value, repeated) in changes {
            let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
            let name = HeaderName::from_static(name);
            if repeated {
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
        let filters = serde_json::json!([{"Name": "engine-id", "Operator": "IN", "Values": [id]}]);
        serde_json::json!({"Offset": offset, "Limit": limit, "Filters": filters}).to_string().into_bytes()
    });
    let switch = (".{0,4}", ".{0,4}").prop_map(|(engine, image)| {
        serde_json::json!({"DataEngineId": engine, "NewImageVersionId": image}).to_string().into_bytes()
    });
    prop_oneof![pieces, page, switch, prop::collection::vec(any::<u8>(), 0..60)]
}

proptest! {
    #[test]
    fn no_request_is_authenticated_without_a_signature(
        headers in headers(),
        body in body(),
        now in prop_oneof![any::<i64>(), Just(0), Just(i64::MAX)],
    ) {
        let keys = Keys::new("AKID", "key", None);
        let (sessions, scenario) = (Sessions::default(), Scenario::default());
        let accepted = AcceptedKeys { keys: &keys, sessions: &sessions, scenario: &scenario };
        let caller = authenticate(&headers, &body, accepted, ServiceTime { now, validity: 300 });
        prop_assert!(caller.is_err_and(|refusal| !refusal.code.is_empty()));
    }

    #[test]
    fn a_request_that_is_accepted_has_the_parameters_of_its_action(
        action in prop::sample::select(vec![SWITCH, LIST_ENGINES, SHOW_ENGINE, LIST_IMAGES]),
        region in prop_oneof![Just(Some("ap-a".to_owned())), prop::option::of("[a-z]{0,3}-[a-z0-9-]{0,8}|.{0,8}")],
        body in body(),
    ) {
        let engine = engine_id(action, &body);
        let call = read(action, region.as_deref(), &body, owner(&Scenario::default()), 0);
        prop_assert!(call.is_err() || region.is_some_and(|region| !region.is_empty()));
        match call {
            Ok(Call::Engines(region, query)) => {
                let world = World::generated(1, 3, &region);
                let page = query.listing(&world, &region);
                prop_assert!(page.map_or_else(|refusal| !refusal.code.is_empty(), |page| page.engines.len() <= 3));
            }
            Ok(Call::Switch(key)) => prop_assert_eq!(Some(key.data_engine_id), engine),
            Ok(Call::Engine(..) | Call::Images(..) | Call::Identity(_) | Call::Role(_)) | Err(_) => {}
        }
    }
}

fn code(action: &str, region: &str, body: &str) -> String {
    let caller = owner(&Scenario::default());
    let call = read(action, Some(region), body.as_bytes(), caller, 0);
    call.map_or_else(|refusal| refusal.code, |_| "passed".to_owned())
}

#[test]
fn each_problem_of_a_parameter_has_its_own_code() {
    let switch = |body: &str| code(SWITCH, "ap-guangzhou", body);
    assert_eq!(switch(r#"{"DataEngineId":"a","NewImageVersionId":"b"}"#), "passed");
    assert_eq!(switch("{"), "InvalidParameter");
    assert_eq!(switch("[]"), "InvalidParameter");
    assert_eq!(switch(r#"{"DataEngineId":"a"}"#), "MissingParameter");
    assert_eq!(switch(r#"{"DataEngineId":"a","NewImageVersionId":null}"#), "MissingParameter");
    assert_eq!(switch(r#"{"DataEngineId":1,"NewImageVersionId":"b"}"#), "InvalidParameter");
    assert_eq!(switch(r#"{"DataEngineId":"a","NewImageVersionId":"b","DryRun":true}"#), "UnknownParameter");
    let list = |body: &str| code(LIST_ENGINES, "ap-guangzhou", body);
    assert_eq!(
        list(r#"{"Limit":100,"Filters":[{"Name":"engine-id","Operator":"IN","Values":["a"]}]}"#),
        "passed"
    );
    assert_eq!(list(r#"{"SortBy":"create-time","Sorting":"asc","EngineType":"kyuubi"}"#), "passed");
    assert_eq!(list(r#"{"ListHasListener":false}"#), "UnknownParameter");
    assert_eq!(list(r#"{"Limit":"100"}"#), "InvalidParameter");
    assert_eq!(list(r#"{"Filters":[{"Name":"engine-id"}]}"#), "InvalidParameter");
    assert_eq!(list(r#"{"EngineGeneration":"Old"}"#), "InvalidParameterValue");
    assert_eq!(list(r#"{"EngineExecType":"sql"}"#), "InvalidParameterValue");
    let many =
        serde_json::json!({"Filters": [{"Name": "engine-id", "Operator": "IN", "Values": vec!["a"; 51]}]});
    assert_eq!(list(&many.to_string()), "InvalidParameterValue");
    for unsupported in [
        r#"{"Filters":[{"Name":"engine-id","Values":["a"]}]}"#,
        r#"{"Filters":[{"Name":"engine-id","Operator":"EQ","Values":["a"]}]}"#,
        r#"{"Filters":[{"Name":"state","Operator":"IN","Values":["2"]}]}"#,
        r#"{"SortBy":"name"}"#,
        r#"{"Sorting":"desc"}"#,
    ] {
        assert_eq!(list(unsupported), "UnsupportedOperation", "{unsupported}");
    }
    let images = |body: &str| code(LIST_IMAGES, "ap-guangzhou", body);
    assert_eq!(images(r#"{"EngineType":"SparkSQL"}"#), "passed");
    assert_eq!(images("{}"), "MissingParameter");
    assert_eq!(images(r#"{"EngineType":"Kyuubi"}"#), "InvalidParameterValue");
    assert_eq!(images(r#"{"EngineType":"SparkSQL","Sort":"InsertTime"}"#), "UnknownParameter");
    assert_eq!(code("RestartDataEngine", "ap-guangzhou", "{}"), "InvalidAction");
    let show = |body: &str| code(SHOW_ENGINE, "ap-guangzhou", body);
    assert_eq!(show(r#"{"DataEngineName":"a"}"#), "passed");
    assert_eq!(show("{}"), "MissingParameter");
    assert_eq!(show(r#"{"DataEngineName":"a","DataEngineId":"b"}"#), "UnknownParameter");
}

#[test]
fn the_format_of_a_region_is_checked() {
    let region = |region: &str| code(LIST_ENGINES, region, "{}");
    for valid in ["ap-guangzhou", "ap-shanghai-fsi", "na-siliconvalley", "eu-frankfurt"] {
        assert_eq!(region(valid), "passed", "{valid}");
    }
    for wrong in ["guangzhou", "asia-guangzhou", "AP-guangzhou", "ap-", "ap_guangzhou", "ap--x"] {
        assert_eq!(region(wrong), "UnsupportedRegion", "{wrong}");
    }
    assert_eq!(region(""), "MissingParameter");
}
