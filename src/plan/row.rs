//! One engine of a plan as written, and the values that a plan states once for all engines.

use super::field::{Field, Value};
use super::source::Span;
use crate::job::{DataEngineId, DataEngineName, ImageVersionId, Job, JobKey, Region, Wave};

/// One engine of the plan, as written.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub wave: usize,
    pub engine: Value,
    pub target: Option<Value>,
    pub region: Option<Value>,
    pub expected: Option<Value>,
    pub name: Option<Value>,
    pub note: Option<String>,
}

/// A value that a plan states once for all its engines.
#[derive(Clone, Debug, Default)]
pub(super) enum Fallback {
    #[default]
    Absent,
    /// Written, but reported as wrong.
    Invalid,
    Given(String),
}

/// What must hold before any call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// The main account that the keys belong to.
    pub account: Option<String>,
    /// The region of every row.
    pub region: Option<Region>,
}

/// A plan as written, before its rows are compared.
#[derive(Default)]
pub(super) struct Draft {
    pub rows: Vec<Row>,
    /// The waves, in order; empty when the plan has none.
    pub waves: Vec<Wave>,
    pub region: Fallback,
    /// The region at the top of the plan, with its span.
    pub top_region: Option<Value>,
    pub target: Fallback,
    pub expect: Expect,
}

impl Row {
    /// A row without values.
    pub fn at(span: Span) -> Self {
        let engine = Value { text: String::new(), span };
        Self { wave: 0, engine, target: None, region: None, expected: None, name: None, note: None }
    }

    /// Takes the value of a field of one engine.
    pub fn set(&mut self, field: Field, value: Value) {
        match field {
            Field::DataEngineId => self.engine = value,
            Field::NewImageVersionId => self.target = Some(value),
            Field::Region => self.region = Some(value),
            Field::ExpectedImageVersionId => self.expected = Some(value),
            Field::DataEngineName => self.name = Some(value),
            Field::Note => self.note = Some(value.text).filter(|text| !text.is_empty()),
            // the wave is a number here; the others are not fields of an engine
            Field::Wave | Field::WaveName | Field::Soak | Field::From | Field::Account => {}
        }
    }

    /// The job, with the values of the plan where the row has none.
    pub fn into_job(self, region: &str, target: &str) -> Job {
        let or = |value: Option<Value>, fallback: &str| {
            value.map_or_else(|| fallback.to_owned(), |value| value.text)
        };
        Job {
            key: JobKey {
                region: Region::new(or(self.region, region)),
                data_engine_id: DataEngineId::new(self.engine.text),
                new_image_version_id: ImageVersionId::new(or(self.target, target)),
            },
            wave: self.wave,
            data_engine_name: self.name.map(|value| DataEngineName::new(value.text)),
            expected_image_version_id: self.expected.map(|value| ImageVersionId::new(value.text)),
            note: self.note,
        }
    }
}
