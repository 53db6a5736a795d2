//! Soaks in virtual time: their duration, the soak check, and the remaining time in a resumed run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dlc_fleet::cloud::{
    CallError, Cloud, EngineKind, EngineListing, EnginePage, EngineRecord, EngineState, Fleet, ImageRecord,
    LIST_ENGINES, Receipt, SWITCH,
};
use dlc_fleet::event::{Event, SoakFailure, StopReason};
use dlc_fleet::job::{DataEngineId, DataEngineName, ImageVersionId, Job, JobIndex, JobKey, Outcome, Region};
use dlc_fleet::run::Signal;
use dlc_fleet::simulator::{Simulator, World};
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::staging::{RunResult, Staging, jobs};

const SOAK: Duration = Duration::from_secs(600);
const CALM: &str = "latency: {median: 50ms, max: 60ms}\n";

fn region() -> Region {
    Region::new("ap-guangzhou")
}

fn engine(number: usize) -> DataEngineId {
    DataEngineId::new(format!("DataEngine-{number:04}"))
}

/// Ten engines in two waves, of which the first soaks.
fn canary_soaks() -> Staging {
    let mut staging = Staging::new(jobs(10, 2), CALM);
    staging.soaks = vec![SOAK];
    staging
}

/// When the last job of the first wave ended as switched.
fn last_switch(result: &RunResult, jobs_of_wave: usize) -> Instant {
    let is_meant = |event: &Event| {
        matches!(event, Event::JobEnded { job, result }
            if job.0 < jobs_of_wave && result.outcome == Outcome::Switched)
    };
    result.when(is_meant).into_iter().max().expect("a switch")
}

/// The reported soaks: wave, remaining time, and whether a check follows.
fn soaks(result: &RunResult) -> Vec<(usize, Duration, bool)> {
    let soaks = result.events.iter().filter_map(|event| match event {
        Event::SoakStarted { wave, left, verify } => Some((*wave, *left, *verify)),
        _ => None,
    });
    soaks.collect()
}

fn soak_failure(result: &RunResult) -> SoakFailure {
    match &result.ended.stopped {
        Some(StopReason::SoakFailed(failure)) => failure.clone(),
        other => panic!("the soak was to fail: {other:?}"),
    }
}

/// The reason codes of the jobs that are not on target.
fn codes(result: &RunResult, jobs: std::ops::Range<usize>) -> Vec<String> {
    let reasons = jobs.filter_map(|job| result.tally.result(JobIndex(job))?.reason.clone());
    reasons.map(|reason| reason.code).collect()
}

#[tokio::test(start_paused = true)]
async fn the_next_wave_waits_for_the_soak_and_the_soak_check() {
    let result = canary_soaks().run().await;
    assert_eq!(result.count(Outcome::Switched), 10);
    assert_eq!(soaks(&result), [(0, SOAK, true)]);
    let over = last_switch(&result, 5) + SOAK;
    let arrivals = result.simulator.arrivals();
    let of_action = |action| arrivals.iter().filter(move |arrival| arrival.action == action);
    let first =
        of_action(SWITCH).find(|arrival| arrival.data_engine_id >= Some(engine(5))).expect("wave 2").at;
    assert!(first >= over, "{:?} too early", over - first);
    let looks = of_action(LIST_ENGINES).filter(|look| look.at >= over && look.at < first).count();
    assert!(looks >= 1, "the wave must be verified before the next one starts");
    assert!(first < over + Duration::from_secs(5), "{:?} late", first - over);
    let between = last_switch(&result, 5)..over;
    let reads = of_action(LIST_ENGINES).filter(|look| between.contains(&look.at)).count();
    assert_eq!(reads, 0, "no read during the soak");
    assert_eq!(result.when(|event| matches!(event, Event::SoakEnded { wave: 0, verify: true })).len(), 1);
}

/// A run in which engine 3 is changed one minute after the start.
fn changed_during_soak(act: fn(&mut World)) -> Staging {
    let mut staging = canary_soaks();
    staging.meddle = Some((Duration::from_secs(60), act));
    staging
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_moved_during_the_soak_stops_the_run_before_the_next_wave() {
    let moved = |world: &mut World| {
        assert!(world.set_image(&region(), &engine(3), Some(ImageVersionId::new("rolled-back"))));
    };
    let result = changed_during_soak(moved).run().await;
    let failure =
        SoakFailure { wave: "wave-0".into(), engines: 1, first: engine(3), seen: "on rolled-back".into() };
    assert_eq!(soak_failure(&result), failure);
    assert!(result.ended.elapsed >= SOAK);
    assert_eq!(result.simulator.stats().action(SWITCH).received, 5, "nothing of the next wave was sent");
    assert_eq!((result.count(Outcome::Switched), result.count(Outcome::NotStarted)), (4, 5));
    assert_eq!(codes(&result, 5..10), ["soak-failed"; 5]);
    assert_eq!(result.tally.drifted_to(JobIndex(3)), Some("on rolled-back"));
    assert_eq!(result.tally.outcomes().on_target(), 4);
    let closed = result.ledger.last().expect("a last line");
    let stopped = "wave wave-0 did not pass its soak check: DataEngine-0003 is on rolled-back";
    assert!(closed.contains("\"kind\":\"run-ended\"") && closed.contains(stopped), "{closed}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_run_after_the_soak_stops_the_run() {
    let suspended = |world: &mut World| {
        assert!(world.set_state(&region(), &engine(3), EngineState::SUSPENDED));
    };
    let result = changed_during_soak(suspended).run().await;
    assert_eq!(soak_failure(&result).seen, "suspended (State 1)");
    let failed = |world: &mut World| {
        for number in [1, 3] {
            assert!(world.set_state(&region(), &engine(number), EngineState::FAILED));
        }
    };
    let result = changed_during_soak(failed).run().await;
    let SoakFailure { engines, first, seen, .. } = soak_failure(&result);
    assert_eq!((engines, first, seen.as_str()), (2, engine(1), "failed (State -1)"));
    assert_eq!(result.simulator.stats().action(SWITCH).received, 5);
}

/// A cloud whose listings omit an engine a given number of times after the end of the soak.
struct Hides {
    simulator: Simulator,
    begun: Instant,
    times: usize,
    hidden: AtomicUsize,
}

impl Hides {
    fn new(simulator: Simulator, times: usize) -> Self {
        Self { simulator, begun: Instant::now(), times, hidden: AtomicUsize::new(0) }
    }

    fn hide(&self, mut listing: EngineListing) -> EngineListing {
        let before = listing.engines.len();
        if self.begun.elapsed() >= SOAK && self.hidden.load(Ordering::Relaxed) < self.times {
            listing.engines.retain(|record| record.data_engine_id != engine(3));
        }
        if listing.engines.len() < before {
            self.hidden.fetch_add(1, Ordering::Relaxed);
        }
        listing
    }
}

impl Fleet for Hides {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        Ok(self.hide(self.simulator.engines(region, page).await?))
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        let mut listing = self.hide(self.simulator.engines_by_id(region, kind, ids).await?);
        listing.total = listing.engines.len().try_into().expect("a few");
        Ok(listing)
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        self.simulator.engine_by_name(region, name).await
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        self.simulator.images(region, engine_type).await
    }
}

impl Cloud for Hides {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        self.simulator.switch(key).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_missing_after_the_soak_stops_the_run_and_one_omitted_once_does_not() {
    let result = canary_soaks().run_in(|simulator| Hides::new(simulator, usize::MAX)).await;
    assert_eq!(soak_failure(&result).seen, "not listed");
    let result = canary_soaks().run_in(|simulator| Hides::new(simulator, 1)).await;
    assert_eq!((result.ended.stopped.as_ref(), result.count(Outcome::Switched)), (None, 10));
    assert!(result.tally.drifted_to(JobIndex(3)).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_next_wave_does_not_start_if_the_soak_check_cannot_read_the_engines() {
    let weather =
        format!("{CALM}faults:\n  - {{fault: InternalError, action: DescribeDataEngines, from: 5m}}\n");
    let mut staging = Staging::new(jobs(10, 2), &weather);
    staging.soaks = vec![SOAK];
    staging.options.wait_timeout = Duration::from_secs(120);
    let result = staging.run().await;
    let failure = soak_failure(&result);
    assert_eq!((failure.engines, failure.seen.as_str()), (5, "not verified within 2m"));
    assert_eq!(result.count(Outcome::NotStarted), 5);
    assert_eq!(result.tally.outcomes().on_target(), 5, "they are not known to have moved");
}

#[tokio::test(start_paused = true)]
async fn the_soak_check_accepts_an_up_to_date_engine_that_is_suspended_but_not_one_that_moved() {
    let on_target = |world: &mut World| {
        assert!(world.set_image(&region(), &engine(0), Some(ImageVersionId::new("image-new"))));
        assert!(world.set_state(&region(), &engine(0), EngineState::SUSPENDED));
    };
    let mut staging = canary_soaks();
    staging.change_world(on_target);
    let result = staging.run().await;
    assert_eq!((result.count(Outcome::UpToDate), result.count(Outcome::Switched)), (1, 9));
    let mut staging = changed_during_soak(|world| {
        assert!(world.set_image(&region(), &engine(0), Some(ImageVersionId::new("rolled-back"))));
    });
    staging.change_world(on_target);
    assert_eq!(soak_failure(&staging.run().await).first, engine(0));
}

#[tokio::test(start_paused = true)]
async fn a_wave_without_a_switched_engine_does_not_soak() {
    let mut staging = canary_soaks();
    staging.change_world(|world| {
        for number in 0..5 {
            assert!(world.set_image(&region(), &engine(number), Some(ImageVersionId::new("image-new"))));
        }
    });
    let result = staging.run().await;
    assert_eq!((result.count(Outcome::UpToDate), result.count(Outcome::Switched)), (5, 5));
    assert_eq!(soaks(&result), []);
    assert!(result.ended.elapsed < SOAK);
}

#[tokio::test(start_paused = true)]
async fn a_wave_with_a_failed_job_soaks_and_the_next_one_starts() {
    let weather = format!("{CALM}faults:\n  - {{fault: FailedOperation, engines: [DataEngine-0001]}}\n");
    let mut staging = Staging::new(jobs(10, 2), &weather);
    staging.soaks = vec![SOAK];
    let result = staging.run().await;
    assert_eq!((result.count(Outcome::Failed), result.count(Outcome::Switched)), (1, 9));
    assert_eq!(soaks(&result), [(0, SOAK, true)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_wave_soaks_before_the_run_ends() {
    let mut staging = canary_soaks();
    staging.soaks = vec![Duration::ZERO, SOAK];
    let result = staging.run().await;
    assert_eq!((soaks(&result), result.ended.stopped.as_ref()), (vec![(1, SOAK, true)], None));
    assert!(result.ended.elapsed >= SOAK);
    let mut staging = changed_during_soak(|world| {
        assert!(world.set_image(&region(), &engine(3), Some(ImageVersionId::new("rolled-back"))));
        assert!(world.set_image(&region(), &engine(8), Some(ImageVersionId::new("rolled-back"))));
    });
    staging.soaks = vec![Duration::ZERO, SOAK];
    let result = staging.run().await;
    assert_eq!(soak_failure(&result).first, engine(8), "only the wave that soaks is checked");
    assert_eq!(result.count(Outcome::Switched), 10);
}

#[tokio::test(start_paused = true)]
async fn with_no_wait_a_soak_is_not_followed_by_a_check() {
    for verify in [true, false] {
        let mut staging = changed_during_soak(|world| {
            assert!(world.set_image(&region(), &engine(3), Some(ImageVersionId::new("rolled-back"))));
        });
        (staging.options.wait, staging.options.verify) = (false, verify);
        let result = staging.run().await;
        assert_eq!((result.count(Outcome::Accepted), result.ended.stopped.as_ref()), (10, None));
        assert_eq!(soaks(&result), [(0, SOAK, false)]);
        assert_eq!(result.when(|event| matches!(event, Event::SoakEnded { verify: false, .. })).len(), 1);
        let sent = result.when(|event| matches!(event, Event::Sent { .. }));
        assert!(sent[5] - sent[4] >= SOAK);
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_a_soak_at_once() {
    for signal in [Signal::Interrupt, Signal::Terminate, Signal::HangUp] {
        let result = interrupted(signal).await;
        let signal = signal.name();
        assert_eq!(result.ended.stopped, Some(StopReason::Interrupted { signal }));
        let asked = Duration::from_secs(100);
        assert!(result.ended.elapsed >= asked && result.ended.elapsed < asked + Duration::from_secs(1));
        assert_eq!((result.count(Outcome::Switched), result.count(Outcome::NotStarted)), (5, 5));
        assert!(result.history().ended, "the ledger has its last line");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopping_waits_for_no_soak_and_starts_no_wave() {
    let weather =
        format!("{CALM}faults:\n  - {{fault: AuthFailure.TokenFailure, engines: [DataEngine-0004]}}\n");
    let mut staging = Staging::new(jobs(10, 2), &weather);
    staging.soaks = vec![SOAK];
    let result = staging.run().await;
    assert!(matches!(&result.ended.stopped, Some(StopReason::AccountRefused(_))));
    assert_eq!((result.count(Outcome::Switched), result.count(Outcome::NotStarted)), (4, 5));
    assert_eq!(result.when(|event| matches!(event, Event::WaveEnded { wave: 0 })).len(), 1);
    assert_eq!(soaks(&result), []);
    assert_eq!(result.when(|event| matches!(event, Event::WaveStarted { .. })).len(), 1);
    assert!(result.ended.elapsed < SOAK);
}

async fn interrupted(signal: Signal) -> RunResult {
    let mut staging = canary_soaks();
    staging.signals = vec![(Duration::from_secs(100), signal)];
    staging.run().await
}

/// A run after one that was interrupted in its soak; `passed` is the wall-clock time since the last switch.
async fn resumed(passed: SignedDuration) -> Staging {
    let mut staging = canary_soaks();
    staging.history = interrupted(Signal::Interrupt).await.history();
    staging.passed = passed;
    staging
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_waits_only_for_the_remaining_soak() {
    for (passed, left) in
        [(60, 540), (599, 1), (600, 0), (1_000_000, 0), (0, 600), (-60, 600), (-1_000_000, 600)]
    {
        let staging = resumed(SignedDuration::from_secs(passed)).await;
        let result = staging.run().await;
        let left = Duration::from_secs(left);
        assert_eq!(soaks(&result), [(0, left, true)], "{passed} s after the last switch");
        assert_eq!(result.tally.from_earlier_runs(), 5);
        assert_eq!(result.count(Outcome::Switched), 10, "{passed}");
        let opened = result.when(|event| matches!(event, Event::WaveStarted { .. }));
        let waited = opened[1] - opened[0];
        assert!(waited >= left && waited < left + Duration::from_secs(5), "{passed}: {waited:?}");
        assert!(result.applied_once());
    }
}

#[tokio::test(start_paused = true)]
async fn with_no_wait_the_remaining_soak_counts_from_the_accepted_requests() {
    let unwaited = || {
        let mut staging = canary_soaks();
        staging.options.wait = false;
        staging
    };
    let mut first = unwaited();
    first.signals = vec![(Duration::from_secs(100), Signal::Interrupt)];
    let mut second = unwaited();
    second.history = first.run().await.history();
    second.passed = SignedDuration::from_secs(60);
    let result = second.run().await;
    assert_eq!(soaks(&result), [(0, Duration::from_secs(540), false)]);
    assert_eq!((result.count(Outcome::Accepted), result.lines("sent")), (10, 5));
}

#[tokio::test(start_paused = true)]
async fn drift_between_two_runs_fails_the_soak_check_of_the_resumed_run() {
    let mut staging = resumed(SignedDuration::from_hours(1)).await;
    staging.change_world(|world| {
        assert!(world.set_image(&region(), &engine(3), Some(ImageVersionId::new("rolled-back"))));
    });
    let result = staging.run().await;
    assert_eq!(soak_failure(&result).seen, "on rolled-back");
    assert_eq!(result.simulator.stats().action(SWITCH).received, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_in_which_every_job_has_ended_does_not_soak() {
    let mut staging = canary_soaks();
    staging.history = canary_soaks().run().await.history();
    staging.passed = SignedDuration::from_hours(1);
    let result = staging.run().await;
    assert_eq!((soaks(&result), result.tally.from_earlier_runs()), (vec![], 10));
    assert!(result.ended.elapsed < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_failed_ledger_write_ends_a_soak_at_once() {
    // in an earlier run the request for an engine of the second wave was accepted; the engine reaches its target during the soak
    let first: Vec<Job> = jobs(10, 2).into_iter().filter(|job| job.key.data_engine_id == engine(9)).collect();
    let mut earlier = Staging::new(first, CALM);
    earlier.options.wait = false;
    let mut staging = canary_soaks();
    staging.history = earlier.run().await.history();
    staging.disk.fails_after = Some(1 + 5 * 3);
    staging.meddle = Some((Duration::from_secs(100), |world| {
        assert!(world.set_image(&region(), &engine(9), Some(ImageVersionId::new("image-new"))));
    }));
    let result = staging.run().await;
    assert!(
        matches!(&result.ended.stopped, Some(StopReason::LedgerFailed { .. })),
        "{:?}",
        result.ended.stopped
    );
    assert_eq!(soaks(&result).len(), 1);
    assert!(result.ended.elapsed >= Duration::from_secs(100) && result.ended.elapsed < SOAK);
    assert_eq!(result.simulator.stats().action(SWITCH).received, 5);
}
