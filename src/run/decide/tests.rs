//! Tests of the decision for one job, from the ledger and a view of the fleet.

use super::*;
use crate::job::DataEngineName;
use crate::ledger::LastError;
use crate::run::fixtures::{job, past, view};
use crate::run::query::Query;

/// Decides for a job as a run without `--skip-failed` and `--retry-moved` does.
fn decision_for(past: &Past, view: Option<&FleetView>) -> Decision {
    decide(&job(), past, view, Retry::default())
}

/// A view after a query by name whose response has this engine id.
fn view_by_name(id: &str) -> FleetView {
    let mut record = view("old", 2).engine(&job().key).expect("there").clone();
    record.data_engine_id = crate::job::DataEngineId::new(id);
    let mut job = job();
    job.data_engine_name = Some(DataEngineName::new("night"));
    let mut view = FleetView::by_name();
    view.add_named(&Query::by_name(&job).expect("a name"), Some(record));
    view
}

#[test]
fn an_initialising_engine_on_target_is_waited_for_and_a_suspended_one_is_up_to_date() {
    let on_target = |state| decision_for(&Past::default(), Some(&view("new", state)));
    assert!(matches!(on_target(0), Decision::Wait(reason) if reason.code == "engine-initialising"));
    assert_eq!(on_target(1), Decision::UpToDate);
}

#[test]
fn a_job_whose_engine_another_client_moved_stays_failed_until_it_is_released() {
    let reason = moved(&ImageVersionId::new("third"));
    assert!(reasons::recorded(&reason, None).needs_release);
    let mut failed_job = past(Standing::Failed);
    let record = failed_job.record.as_mut().expect("a record");
    record.needs_release = true;
    record.last_error =
        Some(LastError { code: Some(reason.code), message: reason.message, request_id: None });
    let failed = |decision: &Decision| matches!(decision, Decision::Keep { outcome: Outcome::Failed, .. });
    for (image, state) in [("third", 2), ("old", 2), ("third", 0), ("new", -1)] {
        let decision = decision_for(&failed_job, Some(&view(image, state)));
        assert!(failed(&decision) || matches!(decision, Decision::Fail(_)), "{image} {state}: {decision:?}");
    }
    assert!(failed(&decision_for(&failed_job, None)), "without a read, the ledger alone decides");
    assert_eq!(decision_for(&failed_job, Some(&view("new", 2))), Decision::UpToDate);
    let mut expecting = job();
    expecting.expected_image_version_id = Some(ImageVersionId::new("third"));
    let on = |image: &str| decide(&expecting, &failed_job, Some(&view(image, 2)), Retry::default());
    assert_eq!(on("third"), Decision::Verify { image_before: Some(ImageVersionId::new("third")) });
    assert!(failed(&on("old")));
    let moved = Retry { moved: true, ..Retry::default() };
    let released = decide(&job(), &failed_job, Some(&view("third", 2)), moved);
    assert!(matches!(released, Decision::Verify { .. }), "--retry-moved releases it: {released:?}");
}

#[test]
fn an_engine_without_a_state_is_recognised_on_its_target() {
    let on = |image: &str, expected: Option<&str>| {
        let mut job = job();
        job.expected_image_version_id = expected.map(ImageVersionId::new);
        let mut record = view(image, 2).engine(&job.key).expect("there").clone();
        record.state = None;
        let mut stateless = FleetView::default();
        stateless.add_records(&job.key.region, vec![record]);
        decide(&job, &Past::default(), Some(&stateless), Retry::default())
    };
    assert_eq!(on("new", None), Decision::UpToDate);
    assert!(matches!(on("old", None), Decision::Send { .. }));
    assert!(matches!(on("old", Some("another")), Decision::Fail(_)));
}

#[test]
fn no_request_is_sent_while_one_for_another_target_is_open() {
    let open = |image: &str, state| {
        let past = Past { open_elsewhere: Some(ImageVersionId::new("elsewhere")), ..Past::default() };
        decision_for(&past, Some(&view(image, state)))
    };
    assert!(matches!(open("old", 2), Decision::Fail(reason) if reason.code == "earlier-request-open"));
    assert!(matches!(open("elsewhere", 0), Decision::Fail(_)));
    assert!(matches!(open("elsewhere", 2), Decision::Send { .. }), "the open request has ended");
    assert_eq!(open("new", 2), Decision::UpToDate);
}

#[test]
fn a_switched_engine_that_is_no_longer_on_its_target_has_drifted() {
    let drift = |view: &FleetView| match decision_for(&past(Standing::Switched), Some(view)) {
        Decision::Keep { outcome: Outcome::Switched, drift, .. } => drift,
        other => panic!("{other:?}"),
    };
    assert_eq!(drift(&view("new", 2)), None);
    assert_eq!(drift(&view("old", 2)), Some("on old".into()));
    assert_eq!(drift(&view("new", -1)), Some("failed (State -1)".into()));
    assert_eq!(drift(&FleetView::default()), None, "a listing can omit an engine");
    let mut gone = FleetView::default();
    gone.mark_absent(&job().key.region, &job().key.data_engine_id);
    assert_eq!(drift(&gone), Some("not listed".into()));
}

#[test]
fn a_record_by_name_with_another_id_is_of_another_engine() {
    let decision_for_view = |view: &FleetView| decision_for(&Past::default(), Some(view));
    assert!(matches!(decision_for_view(&view_by_name("DataEngine-1")), Decision::Send { .. }));
    assert!(
        matches!(decision_for_view(&view_by_name("DataEngine-2")), Decision::Fail(reason) if reason.code == "wrong-name")
    );
    let mut known = view_by_name("DataEngine-1");
    known.merge(view_by_name("DataEngine-2"));
    assert!(matches!(decision_for_view(&known), Decision::Fail(_)), "the earlier record no longer counts");
    known.merge(view_by_name("DataEngine-1"));
    assert!(matches!(decision_for_view(&known), Decision::Send { .. }));
    let drift = |view: &FleetView| match decision_for(&past(Standing::Switched), Some(view)) {
        Decision::Keep { drift, .. } => drift,
        other => panic!("{other:?}"),
    };
    assert_eq!(drift(&view_by_name("DataEngine-1")), Some("on old".into()));
    assert_eq!(drift(&view_by_name("DataEngine-2")), None, "its image is not known");
}

#[test]
fn a_job_fails_if_the_listing_shows_another_name_for_its_engine() {
    let is_sent = |planned: Option<&str>, listed_name: Option<&str>| {
        let mut listed = view("old", 2);
        let mut record = listed.engine(&job().key).expect("there").clone();
        record.name = listed_name.map(DataEngineName::new);
        listed.add_records(&job().key.region, vec![record]);
        let job = Job { data_engine_name: planned.map(DataEngineName::new), ..job() };
        matches!(decide(&job, &Past::default(), Some(&listed), Retry::default()), Decision::Send { .. })
    };
    assert!(
        is_sent(Some("night"), Some("night")) && is_sent(Some("night"), None) && is_sent(None, Some("night"))
    );
    assert!(!is_sent(Some("night"), Some("Night")));
}
