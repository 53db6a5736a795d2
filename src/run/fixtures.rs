//! Fixtures of unit tests: a job, a view of its engine, and what the ledger proves about it.

use super::fleet_view::FleetView;
use crate::cloud::{EngineKind, EngineRecord, EngineState};
use crate::job::{DataEngineId, ImageVersionId, Job, JobKey, Region};
use crate::ledger::{JobRecord, Past, Standing};

/// A job whose latest request was sent while its engine was on the image `old`.
pub(super) fn past(standing: Standing) -> Past {
    let image_before = Some(ImageVersionId::new("old"));
    let record = JobRecord {
        standing,
        image_before: image_before.clone(),
        request_id: None,
        last_error: None,
        needs_release: false,
    };
    Past { record: Some(record), image_before, is_latest: true, ..Past::default() }
}

/// A job that switches `DataEngine-1` to the image `new`.
pub(super) fn job() -> Job {
    Job {
        key: JobKey {
            region: Region::new("ap-guangzhou"),
            data_engine_id: DataEngineId::new("DataEngine-1"),
            new_image_version_id: ImageVersionId::new("new"),
        },
        wave: 0,
        data_engine_name: None,
        expected_image_version_id: None,
        note: None,
    }
}

/// A view that shows the engine of the job on this image in this state.
pub(super) fn view(image: &str, state: i64) -> FleetView {
    let record = EngineRecord {
        data_engine_id: DataEngineId::new("DataEngine-1"),
        name: None,
        state: Some(EngineState(state)),
        image_version_id: Some(ImageVersionId::new(image)),
        image_version_name: None,
        child_image_version_id: None,
        engine_type_detail: None,
        kind: Some(EngineKind::ALL[0]),
    };
    let mut view = FleetView::default();
    view.add_records(&Region::new("ap-guangzhou"), vec![record]);
    view
}
