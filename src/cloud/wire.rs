//! The JSON of requests and responses (documents 1342/86308, 1342/99266, 1342/99270, 1342/99274).

#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::engine::{EngineKind, EngineListing, EnginePage, EngineRecord, EngineState, ImageRecord};
use super::error::Refusal;
use super::json::{List, Object};
use crate::format::{cut, printable};
use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey};

/// Most characters of an id, a name or a code.
const MAX_TEXT: usize = 256;

/// Most characters of a message.
const MAX_MESSAGE: usize = 2_000;

/// Body of `SwitchDataEngineImage`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SwitchRequest<'a> {
    data_engine_id: &'a DataEngineId,
    new_image_version_id: &'a ImageVersionId,
}

impl<'a> SwitchRequest<'a> {
    pub(super) fn new(key: &'a JobKey) -> Self {
        Self { data_engine_id: &key.data_engine_id, new_image_version_id: &key.new_image_version_id }
    }
}

/// Body of `DescribeDataEngines`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EnginesRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filters: Option<[Filter<'a>; 1]>,
    offset: u32,
    limit: u32,
    engine_generation: &'static str,
    engine_exec_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_type: Option<&'static str>,
    sort_by: &'static str,
    sorting: &'static str,
}

/// One of `Filters`. Without an operator the service uses only the first value.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter<'a> {
    name: &'static str,
    operator: &'static str,
    values: &'a [DataEngineId],
}

impl<'a> EnginesRequest<'a> {
    /// The documentation of `Sorting` swaps the two directions. Paging only needs the same one on every page.
    pub(super) fn new(page: EnginePage) -> Self {
        Self {
            filters: None,
            offset: page.offset,
            limit: page.limit,
            engine_generation: page.kind.generation.as_str(),
            engine_exec_type: page.kind.exec_type.as_str(),
            engine_type: page.kind.engine_type(),
            sort_by: "create-time",
            sorting: "asc",
        }
    }

    /// Only the engines with these ids, all on one page.
    pub(super) fn by_id(page: EnginePage, ids: &'a [DataEngineId]) -> Self {
        let filter = Filter { name: "engine-id", operator: "IN", values: ids };
        Self { filters: Some([filter]), ..Self::new(page) }
    }
}

/// Body of `DescribeDataEngine`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EngineRequest<'a> {
    pub(super) data_engine_name: &'a DataEngineName,
}

/// Body of `DescribeDataEngineImageVersions`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImagesRequest<'a> {
    pub(super) engine_type: &'a str,
}

/// Response to `SwitchDataEngineImage`: only the `RequestId`.
#[derive(Deserialize)]
pub(super) struct SwitchResponse {}

/// Response to `DescribeDataEngines`. Fields that are documented as nullable do arrive as `null`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EnginesResponse {
    data_engines: Option<List<EngineFields>>,
    total_count: Option<u32>,
}

impl EnginesResponse {
    /// The records of `page`. A full page is followed by another one even if `TotalCount` is too low or missing, so that
    /// no engines are left out.
    pub(super) fn into_listing(self, page: EnginePage) -> EngineListing {
        let shapes = self.data_engines.map_or_else(Vec::new, |list| list.0);
        let listed = u32::try_from(shapes.len()).unwrap_or(u32::MAX);
        let more = u32::from(listed > 0 && listed >= page.limit);
        let at_least = page.offset.saturating_add(listed).saturating_add(more);
        let total = self.total_count.unwrap_or(0).max(at_least);
        let engines = shapes.into_iter().filter_map(|fields| fields.into_record(Some(page.kind))).collect();
        EngineListing { engines, total }
    }
}

/// Response to `DescribeDataEngine`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EngineResponse {
    data_engine: Option<EngineFields>,
}

impl EngineResponse {
    pub(super) fn into_record(self) -> Option<EngineRecord> {
        self.data_engine?.into_record(None)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EngineFields {
    data_engine_id: Option<String>,
    data_engine_name: Option<String>,
    state: Option<i64>,
    image_version_id: Option<String>,
    image_version_name: Option<String>,
    child_image_version_id: Option<String>,
    engine_type_detail: Option<String>,
}

impl EngineFields {
    /// An engine without an id cannot be used, so it is left out with a warning.
    fn into_record(self, kind: Option<EngineKind>) -> Option<EngineRecord> {
        let name = filled(self.data_engine_name);
        let Some(data_engine_id) = filled(self.data_engine_id) else {
            tracing::warn!(name, "an engine without DataEngineId is left out");
            return None;
        };
        Some(EngineRecord {
            data_engine_id: DataEngineId::new(data_engine_id),
            name: name.map(DataEngineName::new),
            state: self.state.map(EngineState),
            image_version_id: filled(self.image_version_id).map(ImageVersionId::new),
            image_version_name: filled(self.image_version_name),
            child_image_version_id: filled(self.child_image_version_id),
            engine_type_detail: filled(self.engine_type_detail),
            kind,
        })
    }
}

/// Response to `DescribeDataEngineImageVersions`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImagesResponse {
    image_parent_versions: Option<List<ImageFields>>,
}

impl ImagesResponse {
    pub(super) fn into_records(self) -> Vec<ImageRecord> {
        let shapes = self.image_parent_versions.map_or_else(Vec::new, |list| list.0);
        shapes.into_iter().filter_map(ImageFields::into_record).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageFields {
    image_version_id: Option<String>,
    image_version: Option<String>,
    state: Option<i64>,
    engine_type: Option<String>,
}

impl ImageFields {
    fn into_record(self) -> Option<ImageRecord> {
        let name = filled(self.image_version);
        let Some(image_version_id) = filled(self.image_version_id) else {
            tracing::warn!(name, "an image version without ImageVersionId is left out");
            return None;
        };
        Some(ImageRecord {
            image_version_id: ImageVersionId::new(image_version_id),
            name,
            state: self.state,
            engine_type: filled(self.engine_type),
        })
    }
}

/// The text; an empty one counts as absent.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| bounded(&text))
}

/// An id, a name or a code, cut to a length that fits into a line of the ledger. A text that is cut or escaped equals
/// no id of a plan: none is that long or contains a backslash.
fn bounded(text: &str) -> String {
    cut(&printable(text), MAX_TEXT)
}

/// A response of the service, with its `RequestId`.
pub(super) struct ApiResponse<R> {
    pub(super) body: R,
    pub(super) request_id: String,
    /// Why the response may not be from the service, in one clause. The body alone never shows that.
    pub(super) problem: Option<String>,
}

/// Why a body is not a response to use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResponseError {
    /// The service refused the request.
    Refused(Refusal),
    /// The body is not from the service, or not complete, for this reason. The reason shows nothing of the body.
    Unreadable(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<R> {
    response: Object<R>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Head {
    error: Option<Object<ErrorFields>>,
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorFields {
    code: Option<String>,
    message: Option<String>,
}

/// Parses a response from its body alone: HTTP status and content type do not say what the service decided.
pub(super) fn parse_response<R: DeserializeOwned>(body: &[u8]) -> Result<ApiResponse<R>, ResponseError> {
    if body.is_empty() {
        return Err(ResponseError::Unreadable("the response is empty"));
    }
    // the parser does not check fields that are not used, but a damaged response is unreadable wherever the damage is
    let body = std::str::from_utf8(body)
        .map_err(|_| ResponseError::Unreadable("the response is not JSON, which is UTF-8"))?;
    let head: Head = open(body)?;
    let request_id = filled(head.request_id);
    if let Some(Object(error)) = head.error {
        let Some(code) = filled(error.code) else {
            return Err(ResponseError::Unreadable("the response is an error without a code"));
        };
        let message = cut(&printable(&error.message.unwrap_or_default()), MAX_MESSAGE);
        return Err(ResponseError::Refused(Refusal { code, message, request_id }));
    }
    // the service sends one for every processed request (document 1342/99266)
    let Some(request_id) = request_id else {
        return Err(ResponseError::Unreadable("the response has no RequestId"));
    };
    Ok(ApiResponse { body: open(body)?, request_id, problem: None })
}

/// The content of the envelope `Response`.
fn open<R: DeserializeOwned>(body: &str) -> Result<R, ResponseError> {
    let envelope: Result<Object<Envelope<R>>, _> = serde_json::from_str(body);
    envelope.map(|Object(envelope)| envelope.response.0).map_err(|error| {
        ResponseError::Unreadable(match error.classify() {
            serde_json::error::Category::Eof => "the response is incomplete",
            serde_json::error::Category::Data => "the response does not have the documented form",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                "the response is not JSON"
            }
        })
    })
}
