//! Tests of which jobs a read changes.

use std::time::Duration;

use super::*;
use crate::cloud::EngineKind;
use crate::run::fixtures::{job, view};

#[test]
fn a_read_that_does_not_cover_an_engine_does_not_change_its_job() {
    let options = RunOptions::default();
    let now = Instant::now();
    let ready_since = Some(now);
    let mut job_table =
        JobTable::new([job()].into(), vec![Past::default()], Waves::new([].into(), &[job()], &[], now));
    let converging = Phase::Converging { since: now, ready_since };
    job_table.commit(job_table.job_state(JobIndex(0)).to(converging, Vec::new()).job_state);
    let known = view("new", 2);
    let later = now + Duration::from_secs(1);
    let nothing = Snapshot { view: &FleetView::default(), started: later, finished: later };
    let other_kind = BTreeSet::from([Query::List(Region::new("ap-guangzhou"), EngineKind::ALL[1])]);
    assert!(job_table.on_observation(nothing, (None, None), &other_kind, &known, &options).is_empty());
    let own_kind = BTreeSet::from([Query::List(Region::new("ap-guangzhou"), EngineKind::ALL[0])]);
    assert!(
        job_table.on_observation(nothing, (None, None), &own_kind, &known, &options).is_empty(),
        "a listing can omit an engine"
    );
    let mut gone = FleetView::default();
    gone.mark_absent(&job().key.region, &job().key.data_engine_id);
    let changes = job_table.on_observation(
        Snapshot { view: &gone, ..nothing },
        (None, None),
        &own_kind,
        &known,
        &options,
    );
    assert_eq!(changes.len(), 1, "an engine that does not exist is not on its target");
}
