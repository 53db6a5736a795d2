//! The JSON of requests and answers (documents 1342/86308, 1342/99266, 1342/99270, 1342/99274), turned into our nouns.

mod json;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::json::{List, Object};
use super::{EngineKind, EngineListing, EnginePage, EngineRecord, EngineState, ImageRecord, Refusal};
use crate::format::{cut, printable};
use crate::job::{DataEngineId, DataEngineName, ImageVersionId, JobKey};

/// Characters of an id, a name or a code that are kept.
const LONGEST_TEXT: usize = 256;

/// Characters of a message that are kept.
const LONGEST_MESSAGE: usize = 2_000;

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
    filters: Option<[FilterShape<'a>; 1]>,
    offset: u32,
    limit: u32,
    engine_generation: &'static str,
    engine_exec_type: &'static str,
    sort_by: &'static str,
    sorting: &'static str,
}

/// One of `Filters`. Without an operator the service looks at the first value alone.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FilterShape<'a> {
    name: &'static str,
    operator: &'static str,
    values: &'a [DataEngineId],
}

impl<'a> EnginesRequest<'a> {
    /// The direction is documented the wrong way round; all that paging needs is that it stays the same.
    pub(super) fn new(page: EnginePage) -> Self {
        Self {
            filters: None,
            offset: page.offset,
            limit: page.limit,
            engine_generation: page.kind.generation.as_str(),
            engine_exec_type: page.kind.exec_type.as_str(),
            sort_by: "create-time",
            sorting: "asc",
        }
    }

    /// Only the engines with these ids, all on one page.
    pub(super) fn by_id(page: EnginePage, ids: &'a [DataEngineId]) -> Self {
        let filter = FilterShape { name: "engine-id", operator: "IN", values: ids };
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

/// Answer of `SwitchDataEngineImage`: nothing beside the `RequestId`.
#[derive(Deserialize)]
pub(super) struct SwitchAnswer {}

/// Answer of `DescribeDataEngines`. Fields documented as nullable do arrive as `null`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EnginesAnswer {
    data_engines: Option<List<EngineShape>>,
    total_count: Option<u32>,
}

impl EnginesAnswer {
    /// The records of `page`. A full page counts as one of several whatever the count says: one that is too low, or
    /// left out, would hide the engines behind it.
    pub(super) fn into_listing(self, page: EnginePage) -> EngineListing {
        let shapes = self.data_engines.map_or_else(Vec::new, |list| list.0);
        let listed = u32::try_from(shapes.len()).unwrap_or(u32::MAX);
        let more = u32::from(listed > 0 && listed >= page.limit);
        let at_least = page.offset.saturating_add(listed).saturating_add(more);
        let total = self.total_count.unwrap_or(0).max(at_least);
        let engines = shapes.into_iter().filter_map(|shape| shape.into_record(Some(page.kind))).collect();
        EngineListing { engines, total }
    }
}

/// Answer of `DescribeDataEngine`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EngineAnswer {
    data_engine: Option<EngineShape>,
}

impl EngineAnswer {
    pub(super) fn into_record(self) -> Option<EngineRecord> {
        self.data_engine?.into_record(None)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EngineShape {
    data_engine_id: Option<String>,
    data_engine_name: Option<String>,
    state: Option<i64>,
    image_version_id: Option<String>,
    image_version_name: Option<String>,
    child_image_version_id: Option<String>,
    engine_type_detail: Option<String>,
}

impl EngineShape {
    /// Nothing can be done with an engine that has no identifier, so it is left out, with a warning.
    fn into_record(self, kind: Option<EngineKind>) -> Option<EngineRecord> {
        let name = filled(self.data_engine_name);
        let Some(data_engine_id) = filled(self.data_engine_id) else {
            tracing::warn!(name, "the service showed an engine without DataEngineId; it is left out");
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

/// Answer of `DescribeDataEngineImageVersions`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImagesAnswer {
    image_parent_versions: Option<List<ImageShape>>,
}

impl ImagesAnswer {
    pub(super) fn into_records(self) -> Vec<ImageRecord> {
        let shapes = self.image_parent_versions.map_or_else(Vec::new, |list| list.0);
        shapes.into_iter().filter_map(ImageShape::into_record).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageShape {
    image_version_id: Option<String>,
    image_version: Option<String>,
    state: Option<i64>,
    engine_type: Option<String>,
}

impl ImageShape {
    fn into_record(self) -> Option<ImageRecord> {
        let name = filled(self.image_version);
        let Some(image_version_id) = filled(self.image_version_id) else {
            tracing::warn!(name, "the service listed an image without ImageVersionId; it is left out");
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

/// An empty text says as little as an absent one.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| kept(&text))
}

/// What is kept of an id, a name or a code. A monstrous one is cut, because it goes into the ledger, whose lines are
/// bounded. What is cut or escaped equals no id of a plan: none is that long, and none holds a backslash.
fn kept(text: &str) -> String {
    cut(&printable(text), LONGEST_TEXT)
}

/// An answer that the service itself gave, and its number.
pub(super) struct Answered<A> {
    pub(super) answer: A,
    pub(super) request_id: String,
    /// Why it may not be the service's, in one clause. A body alone never tells.
    pub(super) problem: Option<String>,
}

/// Why a body brings no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The service said no.
    Refused(Refusal),
    /// This did not come from the service, or not whole.
    Unreadable {
        /// In which way, in a few words that repeat nothing of the body.
        why: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<R> {
    response: Object<R>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Head {
    error: Option<Object<ErrorShape>>,
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorShape {
    code: Option<String>,
    message: Option<String>,
}

/// Judges an answer by its body alone: status and content type do not tell what the service decided.
pub(super) fn judge<A: DeserializeOwned>(body: &[u8]) -> Result<Answered<A>, Unanswered> {
    if body.is_empty() {
        return Err(Unanswered::Unreadable { why: "the answer is empty" });
    }
    // the parser looks no closer at what nobody asks for, but a garbled answer is no answer wherever it is garbled
    let body = std::str::from_utf8(body)
        .map_err(|_| Unanswered::Unreadable { why: "the answer is not JSON, which is UTF-8" })?;
    let head: Head = open(body)?;
    let request_id = filled(head.request_id);
    if let Some(Object(error)) = head.error {
        let Some(code) = filled(error.code) else {
            return Err(Unanswered::Unreadable { why: "the answer is an error without a code" });
        };
        let message = cut(&printable(&error.message.unwrap_or_default()), LONGEST_MESSAGE);
        return Err(Unanswered::Refused(Refusal { code, message, request_id }));
    }
    // every processed request has one (document 1342/99266), so an answer without was not given by the service
    let Some(request_id) = request_id else {
        return Err(Unanswered::Unreadable { why: "the answer has no RequestId" });
    };
    Ok(Answered { answer: open(body)?, request_id, problem: None })
}

fn open<R: DeserializeOwned>(body: &str) -> Result<R, Unanswered> {
    let envelope: Result<Object<Envelope<R>>, _> = serde_json::from_str(body);
    envelope.map(|Object(envelope)| envelope.response.0).map_err(|error| {
        let why = match error.classify() {
            serde_json::error::Category::Eof => "the answer is cut short",
            serde_json::error::Category::Data => "the answer is not shaped as documented",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "the answer is not JSON",
        };
        Unanswered::Unreadable { why }
    })
}
