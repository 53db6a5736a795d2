//! Judgements before anything is sent in this run: what earlier runs left, and what the fleet shows.

use super::*;
use crate::job::Reason;
use crate::ledger::Refused;
use crate::run::sight::{Sight, moved, strayed};

#[test]
fn what_an_earlier_run_left_in_doubt_is_read_back_first() {
    let rules = Rules::default();
    let now = Instant::now();
    for standing in [Standing::Sent, Standing::Doubtful, Standing::Unconverged, Standing::Unknown] {
        let image_before = Some(ImageVersionId::new("old"));
        let forecast = Forecast::Settle { standing, image_before, request_id: None, trouble: None };
        let change = Track::new(JobIndex(0), &UNSENT).begin(forecast, now, &rules);
        assert!(matches!(change.track.phase, Phase::Doubtful { .. }), "{standing:?}");
        assert_eq!(change.steps.is_empty(), standing == Standing::Doubtful, "{standing:?}");
    }
}

#[test]
fn an_unconfirmed_refusal_of_an_earlier_run_keeps_its_code() {
    let begun = |standing, code: &str| {
        let refusal = Refusal { code: code.into(), message: "no".into(), request_id: None };
        let trouble = Some(reasons::recorded(&reasons::refused(&refusal), None));
        let forecast = Forecast::Settle { standing, image_before: None, request_id: None, trouble };
        let change = Track::new(JobIndex(0), &UNSENT).begin(forecast, Instant::now(), &Rules::default());
        assert!(change.steps.is_empty(), "the ledger keeps the code");
        assert_eq!(change.track.last_trouble().code, code);
        (matches!(change.track.phase, Phase::Doubtful { .. }), change.track.refused)
    };
    assert_eq!(begun(Standing::Doubtful, "InternalError"), (true, Some(Class::Transient)));
    assert!(begun(Standing::Doubtful, "Novelty").0);
}

#[test]
fn after_a_standstill_no_wait_ends_before_a_read() {
    let mut stage = Stage::in_flight(Rules::default());
    let hours = Duration::from_secs(7_200);
    stage.accept().look("old", 0).wait(1);
    stage.now += hours;
    stage.track.extend_wait(hours, stage.now);
    stage.wait(1_700);
    assert_eq!(stage.outcome(), None, "the time did not count, and there was no read");
    stage.look("new", 2).wait(10).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn an_engine_that_another_client_moved_stays_failed_until_the_plan_expects_it_there() {
    let trouble = || Some(reasons::recorded(&moved(&ImageVersionId::new("third")), None));
    assert!(trouble().expect("a reason").until_released);
    let held = || Work::Held {
        standing: Standing::Failed,
        released: false,
        image_before: Some(ImageVersionId::new("old")),
        trouble: trouble(),
    };
    let failed = |forecast: &Forecast| matches!(forecast, Forecast::Done { outcome: Outcome::Failed, .. });
    for (image, state) in [("third", 2), ("old", 2), ("third", 0), ("new", -1)] {
        let forecast = forecast(&job(), &held(), Some(&view(image, state)));
        assert!(failed(&forecast) || matches!(forecast, Forecast::Unfit(_)), "{image} {state}: {forecast:?}");
    }
    assert!(failed(&forecast(&job(), &held(), None)), "without a read, the ledger alone speaks");
    assert_eq!(forecast(&job(), &held(), Some(&view("new", 2))), Forecast::Already);
    let mut expects = job();
    expects.expected_image_version_id = Some(ImageVersionId::new("third"));
    let on_third = forecast(&expects, &held(), Some(&view("third", 2)));
    assert!(matches!(on_third, Forecast::Settle { standing: Standing::Failed, .. }), "{on_third:?}");
    assert!(failed(&forecast(&expects, &held(), Some(&view("old", 2)))));
}

#[test]
fn an_engine_that_was_moved_between_two_runs_is_not_taken_back() {
    let sent_from = Some(ImageVersionId::new("old"));
    let work = Work::Send { open_elsewhere: None, sent_before: true, image_before: sent_from };
    let on = |image: &str| forecast(&job(), &work, Some(&view(image, 2)));
    assert!(matches!(on("old"), Forecast::Switch { .. }));
    assert!(matches!(on("third"), Forecast::Unfit(reason) if reason.code == "moved-by-somebody-else"));
    let track = Track::new(JobIndex(0), &work);
    let change = track.reconsidered(&job(), &view("third", 2), Instant::now(), &Rules::default());
    assert!(
        matches!(change.steps[..], [Step::Failed(Refused { until_released: true, .. })]),
        "{:?}",
        change.steps
    );
}

#[test]
fn a_target_that_is_a_minor_version_is_compared_with_minor_versions() {
    let on = |image: &str, minor: &str, before: &str| {
        let mut record = view(image, 2).engine(&job().key).expect("there").clone();
        record.child_image_version_id = Some(minor.to_owned());
        let mut view = FleetView::default();
        view.take(&Region::new("ap-guangzhou"), vec![record]);
        view.sight(&job().key, Some(&ImageVersionId::new(before)))
    };
    assert!(matches!(on("parent", "new", "old"), Sight::Target { .. }));
    assert!(matches!(on("old", "minor-1", "old"), Sight::Old { .. }));
    assert!(matches!(on("old", "minor-2", "minor-1"), Sight::Third(_)), "moved within its major version");
    assert!(matches!(on("parent", "minor-1", "old"), Sight::Third(_)));
}

#[test]
fn a_request_of_an_earlier_run_that_is_applied_late_is_proven_and_not_called_already() {
    let work = Work::Settle {
        standing: Standing::Refused,
        image_before: Some(ImageVersionId::new("old")),
        request_id: None,
        trouble: None,
    };
    let now = Instant::now();
    let track = Track::new(JobIndex(0), &work);
    let change = track.reconsidered(&job(), &view("new", 2), now, &Rules::default());
    assert!(matches!(change.track.phase, Phase::Converging { .. }), "{:?}", change.track.phase);
}

#[test]
fn what_an_earlier_run_gave_up_on_is_given_up_on_again_and_not_called_unknown() {
    let (rules, now) = (Rules::default(), Instant::now());
    let (standing, request_id) = (Standing::Unconverged, Some("id".to_owned()));
    let forecast = Forecast::Settle { standing, image_before: None, request_id, trouble: None };
    let track = Track::new(JobIndex(0), &UNSENT).begin(forecast, now, &rules).track;
    let change = track.overdue(now + rules.longest_doubt(), &rules, None).expect("a change");
    let Phase::Settled(verdict) = change.track.phase else { panic!("{:?}", change.track.phase) };
    assert_eq!(verdict.outcome, Outcome::Unconverged);
    assert_eq!(verdict.reason.and_then(|reason| reason.request_id), Some("id".into()));
}

#[test]
fn an_engine_whose_state_is_not_told_is_still_recognised_on_its_target() {
    let on = |image: &str, expected: Option<&str>| {
        let mut job = job();
        job.expected_image_version_id = expected.map(ImageVersionId::new);
        let mut record = view(image, 2).engine(&job.key).expect("there").clone();
        record.state = None;
        let mut stateless = FleetView::default();
        stateless.take(&job.key.region, vec![record]);
        forecast(&job, &UNSENT, Some(&stateless))
    };
    assert_eq!(on("new", None), Forecast::Already);
    assert!(matches!(on("old", None), Forecast::Switch { .. }));
    assert!(matches!(on("old", Some("another")), Forecast::Unfit(_)));
}

#[test]
fn an_engine_with_a_request_to_another_target_still_open_is_not_sent() {
    let open = |image: &str, state| {
        let work = Work::Send {
            open_elsewhere: Some(ImageVersionId::new("elsewhere")),
            sent_before: false,
            image_before: None,
        };
        forecast(&job(), &work, Some(&view(image, state)))
    };
    assert!(matches!(open("old", 2), Forecast::Unfit(reason) if reason.code == "earlier-request-still-open"));
    assert!(matches!(open("elsewhere", 0), Forecast::Unfit(_)));
    assert!(matches!(open("elsewhere", 2), Forecast::Switch { .. }), "it has arrived there");
    assert_eq!(open("new", 2), Forecast::Already);
}

#[test]
fn an_engine_that_shows_its_target_but_initialises_is_watched_until_it_runs() {
    let rules = Rules::default();
    let mut stage = Stage::in_flight(rules);
    stage.track = Track::new(JobIndex(0), &UNSENT);
    stage.track.phase = Track::looking(stage.now);
    stage.look("new", 0);
    assert!(matches!(stage.track.phase, Phase::Looking { .. }));
    stage.wait(30).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Already));
    assert_eq!(forecast(&job(), &UNSENT, Some(&view("new", 0))), Forecast::Arriving);
    assert_eq!(forecast(&job(), &UNSENT, Some(&view("new", 1))), Forecast::Already, "suspended is at rest");
}

#[test]
fn an_engine_that_initialises_on_its_old_image_may_be_on_its_way_and_is_not_sent() {
    assert_eq!(forecast(&job(), &UNSENT, Some(&view("old", 0))), Forecast::Busy);
    let mut stage = Stage::in_flight(Rules::default());
    stage.track = Track::new(JobIndex(0), &UNSENT).begin(Forecast::Busy, stage.now, &stage.rules).track;
    stage.wait(30).look("old", 0);
    assert!(matches!(stage.track.phase, Phase::Looking { .. }));
    stage.wait(30).look("old", 2);
    assert_eq!(stage.track.phase, Phase::Ready, "it is at rest where it was");
}

#[test]
fn a_doubt_that_nobody_may_look_into_names_the_right_that_is_missing() {
    let (rules, now) = (Rules::default(), Instant::now());
    let late = now + rules.wait_timeout + rules.grace;
    let mut track = Track::new(JobIndex(0), &UNSENT);
    track.phase = Phase::Doubtful { since: now, quiet_since: None, accepted: false };
    let reason = |unread: Option<&Reason>| {
        let change = track.overdue(late, &rules, unread).expect("a change");
        let Phase::Settled(verdict) = change.track.phase else { panic!("{:?}", change.track.phase) };
        assert_eq!(verdict.outcome, Outcome::Unknown);
        verdict.reason.expect("a reason")
    };
    let refusal =
        |code: &str| Refusal { code: code.to_owned(), message: "it says so".to_owned(), request_id: None };
    let denied = reason(Some(&reasons::refused(&refusal("AuthFailure.UnauthorizedOperation"))));
    assert_eq!(denied.code, "read-back-denied");
    assert!(denied.remedy.contains("grant dlc:DescribeDataEngines"), "{}", denied.remedy);
    assert!(denied.message.expect("a message").contains("AuthFailure.UnauthorizedOperation: it says so"));
    let broken = reason(Some(&reasons::refused(&refusal("InternalError"))));
    assert!(broken.message.expect("a message").contains("the latest look failed: InternalError: it says so"));
    assert_eq!((broken.code.as_str(), reason(None).code.as_str()), ("not-read-back", "not-read-back"));
}

#[test]
fn an_engine_that_initialises_for_ever_ends_without_anything_sent() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.track = Track::new(JobIndex(0), &UNSENT);
    stage.track.phase = Track::looking(stage.now);
    for _ in 0..200 {
        stage.look("new", 0).wait(10);
    }
    assert_eq!(stage.outcome(), Some(Outcome::NotStarted));
}

#[test]
fn a_job_that_was_sent_before_is_never_called_already() {
    let sent_before = Work::Send { open_elsewhere: None, sent_before: true, image_before: None };
    let (rules, now) = (Rules::default(), Instant::now());
    let change = Track::new(JobIndex(0), &sent_before).begin(Forecast::Already, now, &rules);
    assert!(matches!(change.track.phase, Phase::Converging { .. }), "it is proven like any other");
}

#[test]
fn what_is_done_but_gone_from_its_target_has_strayed() {
    let done = Forecast::Done { outcome: Outcome::Switched, image_before: None, trouble: None };
    let where_is_it = |view: &FleetView| strayed(&job(), &done, view);
    assert_eq!(where_is_it(&view("new", 2)), None);
    assert_eq!(where_is_it(&view("old", 2)), Some("on old".into()));
    assert_eq!(where_is_it(&view("new", -1)), Some("failed (State -1)".into()));
    assert_eq!(where_is_it(&FleetView::default()), None, "a listing can leave an engine out");
    let mut gone = FleetView::default();
    gone.take_absent(&job().key.region, &job().key.data_engine_id);
    assert_eq!(where_is_it(&gone), Some("not listed".into()));
}

#[test]
fn an_engine_that_one_look_shows_in_two_ways_is_looked_at_again() {
    let job = job();
    let [on_target, on_old] =
        ["new", "old"].map(|image| view(image, 2).engine(&job.key).expect("there").clone());
    for records in [[on_target.clone(), on_old.clone()], [on_old.clone(), on_target]] {
        let mut view = FleetView::default();
        view.take(&job.key.region, records.to_vec());
        assert_eq!(forecast(&job, &UNSENT, Some(&view)), Forecast::Unclear);
        let now = Instant::now();
        let track = Track::new(JobIndex(0), &UNSENT).begin(Forecast::Unclear, now, &Rules::default()).track;
        assert!(matches!(track.phase, Phase::Looking { .. }));
        let mut newer = FleetView::default();
        newer.take(&job.key.region, vec![on_old.clone(), on_old.clone()]);
        view.absorb(newer);
        assert!(matches!(forecast(&job, &UNSENT, Some(&view)), Forecast::Switch { .. }), "a clear look");
    }
}
