//! The JSON of requests and answers.

use serde_json::{Map, Value, json};

use super::filter::Filter;
use super::gateway::missing;
use super::image_query::ImageQuery;
use super::query::EngineQuery;
use super::record;
use super::service::{Answer, Call, Payload};
use super::sts_wire;
use super::world::Objection;
use crate::cloud::{LIST_ENGINES, LIST_IMAGES, SHOW_ENGINE, SWITCH};
use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey, Region};

/// What a parameter holds.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Number,
    Flag,
    Texts,
    Objects,
}

/// Parameters of one action: name, shape, required.
pub(super) type Parameters = &'static [(&'static str, Shape, bool)];

const SWITCH_PARAMETERS: Parameters =
    &[("DataEngineId", Shape::Text, true), ("NewImageVersionId", Shape::Text, true)];

const IMAGE_PARAMETERS: Parameters =
    &[("EngineType", Shape::Text, true), ("Sort", Shape::Text, false), ("Asc", Shape::Flag, false)];

/// Document 1342/99274.
const ENGINE_PARAMETERS: Parameters = &[("DataEngineName", Shape::Text, true)];

/// Document 1342/86308.
const ENGINES_PARAMETERS: Parameters = &[
    ("Offset", Shape::Number, false),
    ("Limit", Shape::Number, false),
    ("Filters", Shape::Objects, false),
    ("SortBy", Shape::Text, false),
    ("Sorting", Shape::Text, false),
    ("DatasourceConnectionName", Shape::Text, false),
    ("ExcludePublicEngine", Shape::Flag, false),
    ("AccessTypes", Shape::Texts, false),
    ("EngineExecType", Shape::Text, false),
    ("EngineType", Shape::Text, false),
    ("DatasourceConnectionNameSet", Shape::Texts, false),
    ("EngineGeneration", Shape::Text, false),
    ("EngineTypeDetail", Shape::Text, false),
    ("ListHasListener", Shape::Flag, false),
];

const FILTER_PARAMETERS: Parameters =
    &[("Name", Shape::Text, true), ("Values", Shape::Texts, true), ("Operator", Shape::Text, false)];

/// The engine a switch names, as far as its body can be read.
pub(super) fn engine_named(action: &str, body: &[u8]) -> Option<DataEngineId> {
    let body: Value = serde_json::from_slice(body).ok().filter(|_| action == SWITCH)?;
    body["DataEngineId"].as_str().map(DataEngineId::new)
}

/// Reads what a call wants, or says what is wrong with its parameters.
pub(super) fn call(action: &str, region: Option<&str>, body: &[u8]) -> Result<Call, Objection> {
    let region = region.filter(|region| !region.is_empty()).ok_or_else(|| missing("X-TC-Region"))?;
    if !is_region(region) {
        return Err(Objection::new("UnsupportedRegion", format!("there is no region {region}")));
    }
    let region = Region::new(region);
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(Objection::new("InvalidParameter", "the body is not a JSON object"));
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    match action {
        LIST_ENGINES => {
            check(&body, ENGINES_PARAMETERS)?;
            Ok(Call::Engines(region, engine_query(&body)?))
        }
        SHOW_ENGINE => {
            check(&body, ENGINE_PARAMETERS)?;
            Ok(Call::Engine(region, DataEngineName::new(text("DataEngineName").unwrap_or_default())))
        }
        LIST_IMAGES => {
            check(&body, IMAGE_PARAMETERS)?;
            let query = ImageQuery {
                engine_type: text("EngineType").unwrap_or_default(),
                sort: text("Sort"),
                ascending: body.get("Asc").and_then(Value::as_bool).unwrap_or_default(),
            };
            Ok(Call::Images(region, query))
        }
        _ => {
            check(&body, SWITCH_PARAMETERS)?;
            Ok(Call::Switch(JobKey {
                region,
                data_engine_id: DataEngineId::new(text("DataEngineId").unwrap_or_default()),
                new_image_version_id: ImageVersionId::new(text("NewImageVersionId").unwrap_or_default()),
            }))
        }
    }
}

fn engine_query(body: &Map<String, Value>) -> Result<EngineQuery, Objection> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str, usual| body.get(name).and_then(Value::as_i64).unwrap_or(usual);
    Ok(EngineQuery {
        generation: text("EngineGeneration"),
        exec_type: text("EngineExecType"),
        engine_type: text("EngineType").filter(|text| !text.is_empty()),
        engine_type_detail: text("EngineTypeDetail").filter(|text| !text.is_empty()),
        filters: filters(body)?,
        sort_by: text("SortBy"),
        sorting: text("Sorting"),
        offset: number("Offset", 0),
        limit: number("Limit", 10),
    })
}

/// `ap-guangzhou`, `ap-shanghai-fsi`: the shape only, since the list of regions is not published whole.
pub(super) fn is_region(text: &str) -> bool {
    let mut labels = text.split('-');
    let area = labels.next().is_some_and(|area| area.len() == 2);
    let mut rest = labels.peekable();
    area && rest.peek().is_some()
        && rest.all(|label| !label.is_empty())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

pub(super) fn check(body: &Map<String, Value>, parameters: Parameters) -> Result<(), Objection> {
    if let Some(unknown) = body.keys().find(|key| !parameters.iter().any(|(name, ..)| name == key)) {
        return Err(Objection::new("UnknownParameter", format!("there is no parameter {unknown}")));
    }
    for (name, shape, required) in parameters {
        match body.get(*name).filter(|value| !value.is_null()) {
            None if *required => return Err(missing(name)),
            Some(value) if !shape.holds(value) => {
                return Err(Objection::new("InvalidParameter", format!("{name} is of the wrong type")));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Shape {
    fn holds(self, value: &Value) -> bool {
        let list = |of: fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(of));
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_i64(),
            Self::Flag => value.is_boolean(),
            Self::Texts => list(Value::is_string),
            Self::Objects => list(Value::is_object),
        }
    }
}

fn filters(body: &Map<String, Value>) -> Result<Vec<Filter>, Objection> {
    let list = body.get("Filters").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .map(|filter| {
            check(filter, FILTER_PARAMETERS)?;
            let text = |name: &str| filter.get(name).and_then(Value::as_str).map(str::to_owned);
            let values = filter.get("Values").and_then(Value::as_array);
            Ok(Filter {
                name: text("Name").unwrap_or_default(),
                values: values.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
                operator: text("Operator"),
            })
        })
        .collect()
}

/// The body of an answer.
pub(super) fn body(answer: &Answer) -> String {
    let mut response = match &answer.reply {
        Ok(Payload::Switched) => json!({}),
        Ok(Payload::Engines(listing)) => {
            let engines: Vec<Value> = listing.rows.iter().map(record::engine).collect();
            // the list is documented as nullable, and so is null when there is nothing in it
            let engines = if engines.is_empty() { Value::Null } else { Value::Array(engines) };
            json!({ "DataEngines": engines, "TotalCount": listing.total })
        }
        Ok(Payload::Engine(row)) => json!({ "DataEngine": record::engine(row) }),
        Ok(Payload::Images(images)) => {
            let images: Vec<Value> = images.iter().map(record::image).collect();
            json!({ "Total": images.len(), "ImageParentVersions": images })
        }
        Ok(Payload::Identity(identity)) => sts_wire::identity(identity),
        Ok(Payload::Session(session)) => sts_wire::session(session),
        Err(objection) => json!({ "Error": { "Code": objection.code, "Message": objection.message } }),
    };
    response["RequestId"] = Value::from(answer.request_id.as_str());
    json!({ "Response": response }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(action: &str, region: &str, body: &str) -> String {
        match call(action, Some(region), body.as_bytes()) {
            Ok(_) => "passed".to_owned(),
            Err(objection) => objection.code,
        }
    }

    #[test]
    fn parameters_are_refused_by_what_is_wrong_with_them() {
        let switch = |body: &str| code(SWITCH, "ap-guangzhou", body);
        assert_eq!(switch(r#"{"DataEngineId":"a","NewImageVersionId":"b"}"#), "passed");
        assert_eq!(switch("{"), "InvalidParameter");
        assert_eq!(switch("[]"), "InvalidParameter");
        assert_eq!(switch(r#"{"DataEngineId":"a"}"#), "MissingParameter");
        assert_eq!(switch(r#"{"DataEngineId":"a","NewImageVersionId":null}"#), "MissingParameter");
        assert_eq!(switch(r#"{"DataEngineId":1,"NewImageVersionId":"b"}"#), "InvalidParameter");
        assert_eq!(
            switch(r#"{"DataEngineId":"a","NewImageVersionId":"b","DryRun":true}"#),
            "UnknownParameter"
        );
        let list = |body: &str| code(LIST_ENGINES, "ap-guangzhou", body);
        assert_eq!(list(r#"{"Limit":100,"Filters":[{"Name":"engine-id","Values":["a"]}]}"#), "passed");
        assert_eq!(list(r#"{"ListHasListener":false}"#), "passed");
        assert_eq!(list(r#"{"Limit":"100"}"#), "InvalidParameter");
        assert_eq!(list(r#"{"Filters":[{"Name":"engine-id"}]}"#), "MissingParameter");
        assert_eq!(
            list(r#"{"Filters":[{"Name":"engine-id","Values":["a"],"Op":"IN"}]}"#),
            "UnknownParameter"
        );
        assert_eq!(code(LIST_IMAGES, "ap-guangzhou", "{}"), "MissingParameter");
        let show = |body: &str| code(SHOW_ENGINE, "ap-guangzhou", body);
        assert_eq!(show(r#"{"DataEngineName":"a"}"#), "passed");
        assert_eq!(show("{}"), "MissingParameter");
        assert_eq!(show(r#"{"DataEngineName":"a","DataEngineId":"b"}"#), "UnknownParameter");
    }

    #[test]
    fn regions_are_refused_by_shape_only() {
        let region = |region: &str| code(LIST_ENGINES, region, "{}");
        for good in ["ap-guangzhou", "ap-shanghai-fsi", "na-siliconvalley", "eu-frankfurt"] {
            assert_eq!(region(good), "passed", "{good}");
        }
        for wrong in ["guangzhou", "asia-guangzhou", "AP-guangzhou", "ap-", "ap_guangzhou", "ap--x"] {
            assert_eq!(region(wrong), "UnsupportedRegion", "{wrong}");
        }
        assert_eq!(region(""), "MissingParameter");
    }
}
