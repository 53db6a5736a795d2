//! Judgements where a look is forbidden, or did not cover the engine.

use super::*;
use crate::job::DataEngineName;

#[test]
fn without_read_back_nothing_in_doubt_is_sent_again() {
    let options = RunOptions { verify: false, wait: false, ..RunOptions::default() };
    let mut stage = Stage::in_flight(options);
    stage.lose_answer();
    assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Unknown), Some("verify-off")));
    let mut stage = Stage::in_flight(options);
    stage.refuse("InternalError");
    assert_eq!(stage.outcome(), Some(Outcome::Unknown));
    let mut stage = Stage::in_flight(options);
    stage.accept();
    assert_eq!(stage.outcome(), Some(Outcome::Accepted));
}

#[test]
fn a_sweep_that_did_not_cover_an_engine_says_nothing_about_it() {
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
    let elsewhere = BTreeSet::from([Query::List(Region::new("ap-guangzhou"), EngineKind::ALL[1])]);
    assert!(job_table.on_observation(nothing, (None, None), &elsewhere, &known, &options).is_empty());
    let here = BTreeSet::from([Query::List(Region::new("ap-guangzhou"), EngineKind::ALL[0])]);
    assert!(
        job_table.on_observation(nothing, (None, None), &here, &known, &options).is_empty(),
        "a listing can leave an engine out"
    );
    let mut gone = FleetView::default();
    gone.mark_absent(&job().key.region, &job().key.data_engine_id);
    let changes =
        job_table.on_observation(Snapshot { view: &gone, ..nothing }, (None, None), &here, &known, &options);
    assert_eq!(changes.len(), 1, "an engine that does not exist is not on its target");
}

/// Asks for the engine of the job by a name; what is shown has this id.
fn shown(id: &str) -> FleetView {
    let mut record = view("old", 2).engine(&job().key).expect("there").clone();
    record.data_engine_id = DataEngineId::new(id);
    let mut job = job();
    job.data_engine_name = Some(DataEngineName::new("night"));
    let mut shown = FleetView::by_name();
    shown.record_named(&Query::by_name(&job).expect("a name"), Some(record));
    shown
}

#[test]
fn an_engine_that_answers_to_a_name_with_another_id_is_another_engine() {
    let decision_for = |view: &FleetView| decided(&Past::default(), Some(view));
    assert!(matches!(decision_for(&shown("DataEngine-1")), Decision::Send { .. }));
    assert!(
        matches!(decision_for(&shown("DataEngine-2")), Decision::Fail(reason) if reason.code == "wrong-name")
    );
    let mut known = shown("DataEngine-1");
    known.merge(shown("DataEngine-2"));
    assert!(
        matches!(decision_for(&known), Decision::Fail(_)),
        "what was known before is not believed any more"
    );
    known.merge(shown("DataEngine-1"));
    assert!(matches!(decision_for(&known), Decision::Send { .. }));
    let drift = |view: &FleetView| match decided(&past(Standing::Switched), Some(view)) {
        Decision::Keep { drift, .. } => drift,
        other => panic!("{other:?}"),
    };
    assert_eq!(drift(&shown("DataEngine-1")), Some("on old".into()));
    assert_eq!(drift(&shown("DataEngine-2")), None, "it is not known where it is");
}

#[test]
fn a_listing_that_gives_an_engine_another_name_than_the_plan_contradicts_it() {
    let named = |ours: Option<&str>, theirs: Option<&str>| {
        let mut listed = view("old", 2);
        let mut record = listed.engine(&job().key).expect("there").clone();
        record.name = theirs.map(DataEngineName::new);
        listed.take(&job().key.region, vec![record]);
        let job = Job { data_engine_name: ours.map(DataEngineName::new), ..job() };
        matches!(decide(&job, &Past::default(), Some(&listed), Retry::default()), Decision::Send { .. })
    };
    assert!(named(Some("night"), Some("night")) && named(Some("night"), None) && named(None, Some("night")));
    assert!(!named(Some("night"), Some("Night")));
}
