//! Tests of the fold: whatever happens, the columns add up.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::job::{DataEngineId, ImageVersionId, Job, JobKey, Origin, Reason, Region, Wave};

fn header(waves_of_jobs: &[usize]) -> RunHeader {
    let jobs = waves_of_jobs.iter().enumerate().map(|(at, &wave)| Job {
        key: JobKey {
            region: Region::new("ap-guangzhou"),
            data_engine_id: DataEngineId::new(format!("DataEngine-{at}")),
            new_image_version_id: ImageVersionId::new("image-2"),
        },
        wave,
        data_engine_name: None,
        expected_image_version_id: None,
        note: None,
    });
    RunHeader {
        run_id: "run-1".into(),
        parent_run_id: None,
        plan: "fleet.csv".into(),
        ledger: "fleet.ledger.jsonl".into(),
        endpoint: "simulator".into(),
        rate: 20,
        max_attempts: 6,
        resend_after: Duration::from_secs(60),
        min_ready: Some(Duration::from_secs(10)),
        wait_timeout: Duration::from_secs(30 * 60),
        jobs: jobs.collect(),
        waves: ["canary", "rest"].map(Wave::named).into(),
    }
}

fn reason() -> Reason {
    Reason {
        origin: Origin::Service,
        code: "InternalError".into(),
        cause: "server fault".into(),
        remedy: "wait".into(),
        message: None,
        needs_release: false,
        request_id: None,
    }
}

fn result(outcome: Outcome) -> JobResult {
    JobResult { outcome, reason: None, from_earlier_run: false, image_before: None }
}

fn tally_after(waves_of_jobs: &[usize], events: &[Event]) -> Tally {
    let mut tally = Tally::new(&header(waves_of_jobs));
    for event in events {
        tally.take(event);
    }
    tally
}

#[test]
fn a_job_progresses_from_waiting_to_its_result() {
    let job = JobIndex(0);
    let steps = [
        (Event::Sent { job, attempt: 1 }, Progress::InFlight),
        (Event::WillRetry { job, attempt: 1, reason: reason(), after: Duration::ZERO }, Progress::Retrying),
        (Event::Sent { job, attempt: 2 }, Progress::InFlight),
        (Event::Unconfirmed { job, reason: reason() }, Progress::Unconfirmed),
        (Event::NotApplied { job }, Progress::Retrying),
        (Event::Sent { job, attempt: 3 }, Progress::InFlight),
        (Event::Throttled { job, reason: reason(), rate: 10.0 }, Progress::Retrying),
        (Event::Sent { job, attempt: 3 }, Progress::InFlight),
        (Event::Accepted { job }, Progress::Converging),
        (Event::Ready { job }, Progress::Confirming),
        (Event::NotReady { job }, Progress::Converging),
        (Event::Ready { job }, Progress::Confirming),
        (
            Event::JobEnded { job, result: result(Outcome::Switched) },
            Progress::Ended(result(Outcome::Switched)),
        ),
    ];
    let mut tally = Tally::new(&header(&[0]));
    assert_eq!(tally.progress(job), Some(&Progress::Waiting));
    for (event, progress) in steps {
        tally.take(&event);
        assert_eq!(tally.progress(job), Some(&progress), "after {event:?}");
    }
    assert_eq!((tally.attempts(), tally.retries(), tally.throttles(), tally.unconfirmed()), (4, 2, 1, 1));
    assert_eq!((tally.jobs_sent(), tally.attempts_of(job)), (1, 4));
}

#[test]
fn a_refusal_that_is_never_sent_again_is_no_retry() {
    let job = JobIndex(0);
    let refused = Event::WillRetry { job, attempt: 1, reason: reason(), after: Duration::ZERO };
    let tally = tally_after(&[0], &[Event::Sent { job, attempt: 1 }, refused]);
    assert_eq!((tally.jobs_sent(), tally.retries()), (1, 0));
}

#[test]
fn an_unconfirmed_request_of_an_earlier_run_is_not_counted_as_one_of_this_run() {
    let unconfirmed = |at| Event::Unconfirmed { job: JobIndex(at), reason: reason() };
    let sent = Event::Sent { job: JobIndex(1), attempt: 1 };
    let tally = tally_after(&[0, 0], &[unconfirmed(0), sent, unconfirmed(1)]);
    assert_eq!((tally.unconfirmed(), tally.unconfirmed_from_earlier_runs()), (1, 1));
}

#[test]
fn a_drifted_job_counts_as_drifted_and_not_as_switched_in_either_order_of_events() {
    let job = JobIndex(0);
    let drifted = Event::Drifted { job, seen: "on image-9".into() };
    let earlier =
        Event::JobEnded { job, result: JobResult { from_earlier_run: true, ..result(Outcome::Switched) } };
    for events in [[drifted.clone(), earlier.clone()], [earlier, drifted]] {
        let tally = tally_after(&[0, 0], &events);
        for outcomes in [tally.outcomes(), tally.waves()[0].outcomes()] {
            assert_eq!((outcomes.of(Outcome::Switched), outcomes.on_target(), outcomes.good()), (0, 0, 0));
            assert_eq!((outcomes.drifted, outcomes.total()), (1, 2));
        }
    }
}

#[test]
fn an_unfinished_job_is_unknown_only_if_a_request_may_have_been_applied() {
    let sent = |at| Event::Sent { job: JobIndex(at), attempt: 1 };
    let tally = tally_after(
        &[0, 0, 0, 1],
        &[
            sent(0),
            sent(1),
            Event::Accepted { job: JobIndex(1) },
            sent(2),
            Event::NotApplied { job: JobIndex(2) },
        ],
    );
    let ends: Vec<_> = (0..4).map(|at| tally.outcome(JobIndex(at))).collect();
    assert_eq!(ends, [Outcome::Unknown, Outcome::TimedOut, Outcome::NotStarted, Outcome::NotStarted]);
}

#[test]
fn a_late_response_does_not_reopen_a_job_and_a_later_result_replaces_the_first() {
    let job = JobIndex(0);
    let switched = Event::JobEnded { job, result: result(Outcome::Switched) };
    let failed = Event::JobEnded { job, result: result(Outcome::Failed) };
    let tally = tally_after(&[0], &[switched.clone(), Event::Accepted { job }]);
    assert_eq!(tally.outcome(job), Outcome::Switched);
    let tally = tally_after(&[0], &[switched, failed]);
    assert_eq!(tally.outcome(job), Outcome::Failed);
    assert_eq!(tally.outcomes().total(), 1);
}

#[test]
fn the_rate_follows_throttling_and_recovery() {
    let throttled = Event::Throttled { job: JobIndex(0), reason: reason(), rate: 10.0 };
    let rate_after = |events: &[Event]| format!("{:.1}", tally_after(&[0], events).rate());
    assert_eq!(rate_after(&[]), "20.0");
    assert_eq!(rate_after(std::slice::from_ref(&throttled)), "10.0");
    assert_eq!(rate_after(&[throttled, Event::RateRestored { rate: 20.0 }]), "20.0");
}

#[test]
fn a_job_of_an_earlier_run_counts_under_its_outcome_too() {
    let earlier = JobResult { from_earlier_run: true, ..result(Outcome::Switched) };
    let tally = tally_after(&[0, 0], &[Event::JobEnded { job: JobIndex(1), result: earlier }]);
    assert_eq!((tally.from_earlier_runs(), tally.outcomes().of(Outcome::Switched)), (1, 1));
}

#[test]
fn every_outcome_has_its_own_index() {
    for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, at, "{outcome}");
    }
}

/// Any event about any of `jobs` jobs, and now and then about one that is not in the plan.
fn any_event(jobs: usize) -> impl Strategy<Value = Event> {
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    (0..=jobs, 0..13_u8, outcome, any::<bool>()).prop_map(|(job, kind, outcome, earlier)| {
        let job = JobIndex(job);
        match kind {
            0 | 1 => Event::Sent { job, attempt: 1 },
            2 => Event::Accepted { job },
            3 => Event::Throttled { job, reason: reason(), rate: 5.0 },
            4 => Event::WillRetry { job, attempt: 1, reason: reason(), after: Duration::ZERO },
            5 => Event::Unconfirmed { job, reason: reason() },
            6 => Event::NotApplied { job },
            7 | 8 => {
                Event::JobEnded { job, result: JobResult { from_earlier_run: earlier, ..result(outcome) } }
            }
            9 => Event::Drifted { job, seen: "on image-9".into() },
            10 => Event::Ready { job },
            11 => Event::NotReady { job },
            _ => Event::Tick,
        }
    })
}

proptest! {
    #[test]
    fn the_columns_add_up_to_the_plan_whatever_happens(
        (waves, events) in prop::collection::vec(0..2_usize, 0..9)
            .prop_flat_map(|waves| (Just(waves.clone()), prop::collection::vec(any_event(waves.len()), 0..80)))
    ) {
        let mut tally = Tally::new(&header(&waves));
        for event in &events {
            tally.take(event);

            prop_assert_eq!(tally.overall().jobs(), waves.len());
            prop_assert_eq!(tally.outcomes().total(), waves.len());
            prop_assert_eq!(tally.attempts(), tally.jobs_sent() + tally.retries() + tally.throttles());

            let mut over_waves = Outcomes::default();
            for wave in tally.waves() {
                over_waves += wave.outcomes();
            }
            prop_assert_eq!(over_waves, tally.outcomes());

            // the oracle: count again from the jobs themselves
            for outcome in Outcome::ALL {
                let jobs = (0..waves.len()).map(JobIndex).filter(|&job| tally.drifted_to(job).is_none());
                let counted = jobs.filter(|&job| tally.outcome(job) == outcome).count();
                prop_assert_eq!(counted, tally.outcomes().of(outcome), "{}", outcome);
            }
            for (wave, counts) in tally.waves().iter().enumerate() {
                prop_assert_eq!(counts.jobs(), waves.iter().filter(|&&of| of == wave).count());
            }
        }
    }
}
