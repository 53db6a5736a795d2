//! Any bytes as a response: a result is accepted only if the body contains it.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::super::*;
use crate::cloud::engine::{EngineExecType, EngineGeneration};

const PAGE: EnginePage = EnginePage {
    kind: EngineKind {
        generation: EngineGeneration::Native,
        exec_type: EngineExecType::Batch,
        gateway: false,
    },
    offset: 100,
    limit: 2,
};

const VALID: [&str; 4] = [
    r#"{"Response":{"RequestId":"r-1"}}"#,
    r#"{"Response":{"Error":{"Code":"InternalError","Message":"m"},"RequestId":"r-2"}}"#,
    r#"{"Response":{"RequestId":"r","TotalCount":7,"DataEngines":[{"DataEngineId":"a","State":2,"ImageVersionId":"i"}]}}"#,
    r#"{"Response":{"RequestId":"r","ImageParentVersions":[{"ImageVersionId":"i","State":2,"EngineType":"t"}]}}"#,
];

const NAMES: [&str; 12] = [
    "Response",
    "RequestId",
    "Error",
    "Code",
    "Message",
    "DataEngines",
    "DataEngineId",
    "State",
    "ImageVersionId",
    "TotalCount",
    "ImageParentVersions",
    "Novelty",
];

/// Any JSON with the field names of responses.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let entry = (prop::sample::select(&NAMES), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(entry, 0..5).prop_map(|entries| {
                let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(entries.collect::<Map<_, _>>())
            }),
        ]
    })
}

/// The value with one object, by its number from the outside, replaced by the list of its values.
fn with_a_list(value: Value, number: &mut usize) -> Value {
    match value {
        Value::Object(object) if *number == 0 => {
            *number = usize::MAX;
            Value::Array(object.into_iter().map(|(_, value)| value).collect())
        }
        Value::Object(object) => {
            *number -= 1;
            let entries = object.into_iter().map(|(name, value)| (name, with_a_list(value, number)));
            Value::Object(entries.collect())
        }
        Value::Array(list) => list.into_iter().map(|value| with_a_list(value, number)).collect(),
        other => other,
    }
}

/// Any bytes, any JSON, any JSON in the envelope, valid responses with a list in place of an object or with a part
/// replaced.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let any_bytes = || prop::collection::vec(any::<u8>(), 0..60);
    let enveloped = |value: Value| serde_json::json!({ "Response": value }).to_string().into_bytes();
    prop_oneof![
        any_bytes(),
        json().prop_map(|value| value.to_string().into_bytes()),
        json().prop_map(enveloped),
        (prop::sample::select(&VALID), 0usize..3).prop_map(|(text, mut number)| {
            let value = serde_json::from_str(text).expect("JSON");
            with_a_list(value, &mut number).to_string().into_bytes()
        }),
        (prop::sample::select(&VALID), any::<prop::sample::Index>(), 0usize..30, any_bytes()).prop_map(
            |(text, at, removed, inserted)| {
                let mut bytes = text.as_bytes().to_vec();
                let at = at.index(bytes.len());
                let end = (at + removed).min(bytes.len());
                bytes.splice(at..end, inserted);
                bytes
            }
        ),
    ]
}

/// The object in the envelope, parsed in a second way.
fn response(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Value>(body).ok()?.get("Response")? {
        Value::Object(response) => Some(response.clone()),
        _ => None,
    }
}

/// True if the body contains what was parsed.
fn is_true<A>(body: &[u8], parsed: &Result<ApiResponse<A>, ResponseError>) -> bool {
    let response = response(body);
    let said = |name: &str| response.as_ref().and_then(|response| response.get(name));
    let error = said("Error").filter(|error| !error.is_null());
    match parsed {
        Ok(response) => {
            let id = said("RequestId").and_then(Value::as_str).unwrap_or_default();
            error.is_none() && !id.is_empty() && bounded(id) == response.request_id
        }
        Err(ResponseError::Refused(refusal)) => {
            let code = error.and_then(|error| error.get("Code")).and_then(Value::as_str).unwrap_or_default();
            !code.is_empty() && bounded(code) == refusal.code
        }
        Err(ResponseError::Unreadable(_)) => true,
    }
}

proptest! {
    #[test]
    fn a_switch_is_accepted_or_refused_only_if_the_body_says_so(body in body()) {
        prop_assert!(is_true(&body, &parse_response::<SwitchResponse>(&body)), "{}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn a_listing_contains_engines_with_ids_and_counts_them(body in body()) {
        let parsed = parse_response::<EnginesResponse>(&body);
        prop_assert!(is_true(&body, &parsed), "{}", String::from_utf8_lossy(&body));
        if let Ok(response) = parsed {
            let listing = response.body.into_listing(PAGE);
            let listed = u32::try_from(listing.engines.len()).expect("few");
            prop_assert!(listing.total >= PAGE.offset + listed);
            prop_assert!(listing.engines.iter().all(|engine| !engine.data_engine_id.as_str().is_empty()));
            prop_assert!(listing.engines.iter().all(|engine| engine.kind == Some(PAGE.kind)));
        }
    }

    #[test]
    fn a_list_of_images_contains_images_with_ids(body in body()) {
        let parsed = parse_response::<ImagesResponse>(&body);
        prop_assert!(is_true(&body, &parsed), "{}", String::from_utf8_lossy(&body));
        if let Ok(response) = parsed {
            let images = response.body.into_records();
            prop_assert!(images.iter().all(|image| !image.image_version_id.as_str().is_empty()));
        }
    }
}

#[test]
fn the_unchanged_responses_are_readable() {
    assert!(parse_response::<SwitchResponse>(VALID[0].as_bytes()).is_ok());
    assert!(matches!(parse_response::<SwitchResponse>(VALID[1].as_bytes()), Err(ResponseError::Refused(_))));
    assert!(parse_response::<EnginesResponse>(VALID[2].as_bytes()).is_ok());
    assert!(parse_response::<ImagesResponse>(VALID[3].as_bytes()).is_ok());
}
