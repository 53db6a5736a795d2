//! Answers out of any bytes: what is believed says so itself, in every kind of answer.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::cloud::{EngineExecType, EngineGeneration};

const PAGE: EnginePage = EnginePage {
    kind: EngineKind { generation: EngineGeneration::Native, exec_type: EngineExecType::Batch },
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

/// Any JSON whose objects have the names that answers have.
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

/// The value with its object of this number, counted from the outside, as a list of what it holds.
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

/// Bytes of all sorts: any, any JSON, any JSON in its envelope, valid answers with a list in place of an object or
/// with a stretch replaced.
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

/// What the body says, read a second way: the object in the envelope, where there is one.
fn response(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Value>(body).ok()?.get("Response")? {
        Value::Object(response) => Some(response.clone()),
        _ => None,
    }
}

/// Whether a judgement is what the body itself says.
fn is_true<A>(body: &[u8], judged: &Result<Answered<A>, Unanswered>) -> bool {
    let response = response(body);
    let said = |name: &str| response.as_ref().and_then(|response| response.get(name));
    let error = said("Error").filter(|error| !error.is_null());
    match judged {
        Ok(answered) => {
            let id = said("RequestId").and_then(Value::as_str).unwrap_or_default();
            error.is_none() && !id.is_empty() && kept(id) == answered.request_id
        }
        Err(Unanswered::Refused(refusal)) => {
            let code = error.and_then(|error| error.get("Code")).and_then(Value::as_str).unwrap_or_default();
            !code.is_empty() && kept(code) == refusal.code
        }
        Err(Unanswered::Unreadable { .. }) => true,
    }
}

proptest! {
    #[test]
    fn a_switch_is_accepted_or_refused_only_where_the_body_says_so(body in body()) {
        prop_assert!(is_true(&body, &judge::<SwitchAnswer>(&body)), "{}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn a_listing_holds_named_engines_and_counts_what_it_lists(body in body()) {
        let judged = judge::<EnginesAnswer>(&body);
        prop_assert!(is_true(&body, &judged), "{}", String::from_utf8_lossy(&body));
        if let Ok(answered) = judged {
            let listing = answered.answer.into_listing(PAGE);
            let listed = u32::try_from(listing.engines.len()).expect("few");
            prop_assert!(listing.total >= PAGE.offset + listed);
            prop_assert!(listing.engines.iter().all(|engine| !engine.data_engine_id.as_str().is_empty()));
            prop_assert!(listing.engines.iter().all(|engine| engine.kind == Some(PAGE.kind)));
        }
    }

    #[test]
    fn a_list_of_images_holds_named_images(body in body()) {
        let judged = judge::<ImagesAnswer>(&body);
        prop_assert!(is_true(&body, &judged), "{}", String::from_utf8_lossy(&body));
        if let Ok(answered) = judged {
            let images = answered.answer.into_records();
            prop_assert!(images.iter().all(|image| !image.image_version_id.as_str().is_empty()));
        }
    }
}

#[test]
fn the_answers_that_are_changed_are_read_before() {
    assert!(judge::<SwitchAnswer>(VALID[0].as_bytes()).is_ok());
    assert!(matches!(judge::<SwitchAnswer>(VALID[1].as_bytes()), Err(Unanswered::Refused(_))));
    assert!(judge::<EnginesAnswer>(VALID[2].as_bytes()).is_ok());
    assert!(judge::<ImagesAnswer>(VALID[3].as_bytes()).is_ok());
}
