//! Tests of the selection of notices.

use super::*;
use crate::event::StopReason;
use crate::report::fixtures::{self, SampleRun};
use crate::report::style::plain;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failures(
    notices: &mut Notices,
    state: &ProgressState,
    after: Duration,
    jobs: usize,
    code: &str,
) -> Vec<String> {
    (0..jobs).flat_map(|job| notices.take(after, state, &fixtures::failed(job, code))).collect()
}

/// All notices of a run, without colours.
fn notices_of(run: &SampleRun) -> Vec<String> {
    let (mut state, mut notices, mut shown) = (run.state(), Notices::default(), Vec::new());
    for (after, event) in &run.events {
        state.take(*after, event);
        shown.extend(notices.take(*after, &state, event).iter().map(|text| plain(text)));
        state.shown(event);
    }
    shown
}

#[test]
fn a_thousand_failures_in_one_second_are_summarized() {
    let state = fixtures::fleet(1000).state();
    let mut notices = Notices::default();
    let shown = failures(&mut notices, &state, at(1), 1000, "InternalError");
    assert_eq!(shown.len(), 3);
    let at_the_tick = notices.take(at(11), &state, &Event::Tick);
    assert_eq!(at_the_tick.len(), 1);
    assert!(plain(&at_the_tick[0]).ends_with("(and 996 more)"), "{at_the_tick:?}");
}

#[test]
fn a_minute_of_the_same_failure_gives_one_line_every_ten_seconds() {
    let state = fixtures::fleet(20).state();
    let mut notices = Notices::default();
    let mut shown = 0;
    for second in 1..=60 {
        shown += failures(&mut notices, &state, at(second), 20, "InternalError").len();
        shown += notices.take(at(second), &state, &Event::Tick).len();
    }
    assert!((8..=9).contains(&shown), "{shown} lines");
}

#[test]
fn another_error_code_is_shown_at_once() {
    let state = fixtures::fleet(1000).state();
    let mut notices = Notices::default();
    failures(&mut notices, &state, at(1), 100, "InternalError");
    let other = failures(&mut notices, &state, at(1), 1, "InvalidParameter");
    assert_eq!(other.len(), 1);
    let retry = |code: &str| Event::WillRetry {
        job: JobIndex(0),
        attempt: 1,
        reason: fixtures::reason(code),
        after: at(1),
    };
    let mut retries = |code| notices.take(at(1), &state, &retry(code)).len();
    let shown: usize = (0..5).map(|_| retries("InternalError")).sum();
    assert_eq!((shown, retries("FailedOperation")), (3, 1));
}

#[test]
fn a_throttled_request_is_shown_only_if_the_rate_changed() {
    let state = fixtures::fleet(10).state();
    let mut notices = Notices::default();
    let throttled =
        |rate| Event::Throttled { job: JobIndex(0), reason: fixtures::reason("RequestLimitExceeded"), rate };
    let mut take = |second, event: &Event| notices.take(at(second), &state, event);
    assert_eq!(take(1, &throttled(10.0)).len(), 1);
    assert!(take(2, &throttled(10.0)).is_empty() && take(20, &throttled(10.0)).is_empty());
    let slower = take(21, &throttled(5.0));
    assert!(plain(&slower[0]).ends_with("reduced to 5.0/s (and 2 more)"), "{slower:?}");
    take(30, &Event::RateRestored { rate: 20.0 });
    assert_eq!(take(40, &throttled(5.0)).len(), 1, "after the rate was restored it is news");
}

#[test]
fn a_wave_with_nothing_to_do_is_one_line() {
    let mut run = SampleRun::new(&[("canary", 2), ("rest", 1)]);
    run.push(0, Event::WaveStarted { wave: 0 });
    for job in 0..2 {
        let mut event = fixtures::ended(job, Outcome::Switched, None);
        if let Event::JobEnded { result, .. } = &mut event {
            result.from_earlier_run = true;
        }
        run.push(0, event);
    }
    run.push(1, Event::WaveEnded { wave: 0 });
    run.push(1, Event::WaveStarted { wave: 1 });
    run.switches(10, 2, 1_500);
    run.push(2_001, Event::WaveEnded { wave: 1 });
    run.events.remove(0);
    let took = format::duration(at(2));
    let expected = [
        "wave 1 of 2 (canary): nothing to do, 2 of 2 on target".to_owned(),
        "wave 2 of 2 (rest) started: 1 engine".to_owned(),
        format!("wave 2 of 2 (rest) finished in {took}: 1 of 1 on target"),
    ];
    assert_eq!(notices_of(&run), expected);
}

#[test]
fn notices_that_were_held_back_are_shown_before_the_end_of_the_run() {
    let state = fixtures::fleet(10).state();
    let mut notices = Notices::default();
    failures(&mut notices, &state, at(1), 5, "InternalError");
    let last = notices.take(at(2), &state, &Event::RunEnded);
    assert!(plain(&last[0]).ends_with("(and 1 more)"), "{last:?}");
    assert!(plain(&last[1]).starts_with("run finished"), "{last:?}");
}

#[test]
fn notices_that_were_held_back_are_shown_before_the_failure_of_the_same_job() {
    let mut run = fixtures::fleet(9);
    for job in 0..9 {
        let reason = fixtures::reason("InternalError");
        run.push(1_000, Event::WillRetry { job: JobIndex(job), attempt: 1, reason, after: at(1) });
    }
    run.push(3_000, fixtures::failed(8, "InternalError"));
    let shown = notices_of(&run);
    let (held, failed) = (&shown[shown.len() - 2], &shown[shown.len() - 1]);
    assert!(held.contains("all8") && held.ends_with("(and 5 more)"), "{shown:#?}");
    assert!(failed.starts_with("DataEngine-all8: failed"), "{shown:#?}");
}

#[test]
fn an_unverified_job_is_reported_every_five_minutes_with_reason_and_time_left() {
    let mut run = fixtures::fleet(2);
    run.push(0, Event::Sent { job: JobIndex(0), attempt: 1 });
    run.push(0, Event::Unconfirmed { job: JobIndex(0), reason: fixtures::reason("InternalError") });
    run.push(0, Event::Sent { job: JobIndex(1), attempt: 1 });
    run.push(0, Event::Accepted { job: JobIndex(1) });
    (1..=660).for_each(|second| run.push(second * 1000, Event::Tick));
    let shown: Vec<String> = notices_of(&run).into_iter().filter(|text| text.contains("after")).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

fn stopping_while_busy(reason: StopReason) -> String {
    let mut state = fixtures::busy_state();
    for job in 34..37 {
        state.take(at(44), &Event::Sent { job: JobIndex(job), attempt: 1 });
    }
    let counts = state.tally.overall();
    assert_eq!((counts.in_flight, counts.converging, counts.unconfirmed), (7, 1, 2));
    let shown = Notices::default().take(at(45), &state, &Event::Stopping(reason));
    plain(&shown[0])
}

#[test]
fn a_stop_says_why_and_what_the_run_still_waits_for() {
    let reasons = [
        StopReason::Interrupted { signal: "SIGTERM" },
        StopReason::AccountRefused(fixtures::reason("AuthFailure.SecretIdNotFound")),
        StopReason::AccountRefused(fixtures::reason("UnauthorizedOperation")),
        StopReason::AccountRefused(fixtures::reason("no-credentials")),
        StopReason::LedgerFailed { cause: "no space left on device".into() },
        StopReason::SoakFailed(fixtures::soak_failure()),
    ];
    insta::assert_snapshot!(reasons.map(stopping_while_busy).join("\n"));
}
