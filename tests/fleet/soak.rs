//! Waves that soak, in virtual time: how long, what the look after it finds, and what a resumed run has left of it.

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

use crate::staging::{Staging, Told, jobs};

const SOAK: Duration = Duration::from_secs(600);
const CALM: &str = "latency: {median: 50ms, worst: 60ms}\n";

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

/// The moment at which the last job of the first wave was seen to be switched.
fn last_switch(told: &Told, jobs_of_wave: usize) -> Instant {
    let is_meant = |event: &Event| {
        matches!(event, Event::JobEnded { job, result }
            if job.0 < jobs_of_wave && result.outcome == Outcome::Switched)
    };
    told.when(is_meant).into_iter().max().expect("a switch")
}

/// How long the soaks were said to last, and whether a look was promised.
fn soaks(told: &Told) -> Vec<(usize, Duration, bool)> {
    let soaks = told.events.iter().filter_map(|event| match event {
        Event::SoakStarted { wave, left, verify } => Some((*wave, *left, *verify)),
        _ => None,
    });
    soaks.collect()
}

fn soak_failure(told: &Told) -> SoakFailure {
    match &told.ended.stopped {
        Some(StopReason::SoakFailed(failure)) => failure.clone(),
        other => panic!("the soak was to fail: {other:?}"),
    }
}

/// The codes of the jobs that did not end well.
fn codes(told: &Told, jobs: std::ops::Range<usize>) -> Vec<String> {
    let reasons = jobs.filter_map(|job| told.tally.result(JobIndex(job))?.reason.clone());
    reasons.map(|reason| reason.code).collect()
}

#[tokio::test(start_paused = true)]
async fn the_next_wave_waits_for_the_soak_and_for_a_look_after_it() {
    let told = canary_soaks().run().await;
    assert_eq!(told.count(Outcome::Switched), 10);
    assert_eq!(soaks(&told), [(0, SOAK, true)]);
    let over = last_switch(&told, 5) + SOAK;
    let arrivals = told.simulator.arrivals();
    let of_action = |action| arrivals.iter().filter(move |arrival| arrival.action == action);
    let first =
        of_action(SWITCH).find(|arrival| arrival.data_engine_id >= Some(engine(5))).expect("wave 2").at;
    assert!(first >= over, "{:?} too early", over - first);
    let looks = of_action(LIST_ENGINES).filter(|look| look.at >= over && look.at < first).count();
    assert!(looks >= 1, "the wave was to be read back before the next one opens");
    assert!(first < over + Duration::from_secs(5), "{:?} late", first - over);
    let between = last_switch(&told, 5)..over;
    let reads = of_action(LIST_ENGINES).filter(|look| between.contains(&look.at)).count();
    assert_eq!(reads, 0, "while a wave soaks, nobody needs a look");
    assert_eq!(told.when(|event| matches!(event, Event::SoakEnded { wave: 0, verify: true })).len(), 1);
}

/// What is done to engine 3, a minute after the run began.
fn meddled(act: fn(&mut World)) -> Staging {
    let mut staging = canary_soaks();
    staging.meddle = Some((Duration::from_secs(60), act));
    staging
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_leaves_its_image_during_the_soak_stops_the_run_before_the_next_wave() {
    let moved = |world: &mut World| {
        assert!(world.set_image(&region(), &engine(3), Some(ImageVersionId::new("rolled-back"))));
    };
    let told = meddled(moved).run().await;
    let failure =
        SoakFailure { wave: "wave-0".into(), engines: 1, first: engine(3), seen: "on rolled-back".into() };
    assert_eq!(soak_failure(&told), failure);
    assert!(told.ended.elapsed >= SOAK);
    assert_eq!(told.simulator.stats().action(SWITCH).received, 5, "nothing of the next wave was sent");
    assert_eq!((told.count(Outcome::Switched), told.count(Outcome::NotStarted)), (5, 5));
    assert_eq!(codes(&told, 5..10), ["soak-failed"; 5]);
    assert_eq!(told.tally.drifted_to(JobIndex(3)), Some("on rolled-back"));
    assert_eq!(told.tally.overall().on_target(), 4);
    let closed = told.ledger.last().expect("a last line");
    let stopped = "wave wave-0 did not come through its soak: DataEngine-0003 is on rolled-back";
    assert!(closed.contains("\"kind\":\"run-ended\"") && closed.contains(stopped), "{closed}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_run_after_the_soak_stops_the_run() {
    let suspended = |world: &mut World| {
        assert!(world.set_state(&region(), &engine(3), EngineState::SUSPENDED));
    };
    let told = meddled(suspended).run().await;
    assert_eq!(soak_failure(&told).seen, "suspended (State 1)");
    let failed = |world: &mut World| {
        for number in [1, 3] {
            assert!(world.set_state(&region(), &engine(number), EngineState::FAILED));
        }
    };
    let told = meddled(failed).run().await;
    let SoakFailure { engines, first, seen, .. } = soak_failure(&told);
    assert_eq!((engines, first, seen.as_str()), (2, engine(1), "failed (State -1)"));
    assert_eq!(told.simulator.stats().action(SWITCH).received, 5);
}

/// A cloud whose listings leave an engine out, so many times from the end of the soak on.
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
async fn an_engine_that_is_gone_after_the_soak_stops_the_run_and_one_hidden_once_does_not() {
    let told = canary_soaks().run_in(|simulator| Hides::new(simulator, usize::MAX)).await;
    assert_eq!(soak_failure(&told).seen, "not listed");
    let told = canary_soaks().run_in(|simulator| Hides::new(simulator, 1)).await;
    assert_eq!((told.ended.stopped.as_ref(), told.count(Outcome::Switched)), (None, 10));
    assert!(told.tally.drifted_to(JobIndex(3)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_wave_that_cannot_be_read_back_after_its_soak_opens_no_other() {
    let weather =
        format!("{CALM}faults:\n  - {{fault: InternalError, action: DescribeDataEngines, from: 5m}}\n");
    let mut staging = Staging::new(jobs(10, 2), &weather);
    staging.soaks = vec![SOAK];
    staging.options.wait_timeout = Duration::from_secs(120);
    let told = staging.run().await;
    let failure = soak_failure(&told);
    assert_eq!((failure.engines, failure.seen.as_str()), (5, "not read back within 2m"));
    assert_eq!(told.count(Outcome::NotStarted), 5);
    assert_eq!(told.tally.overall().on_target(), 5, "nobody knows that they moved");
}

#[tokio::test(start_paused = true)]
async fn an_engine_to_which_nothing_was_sent_may_be_suspended_but_not_elsewhere() {
    let on_target = |world: &mut World| {
        assert!(world.set_image(&region(), &engine(0), Some(ImageVersionId::new("image-new"))));
        assert!(world.set_state(&region(), &engine(0), EngineState::SUSPENDED));
    };
    let mut staging = canary_soaks();
    staging.change_world(on_target);
    let told = staging.run().await;
    assert_eq!((told.count(Outcome::UpToDate), told.count(Outcome::Switched)), (1, 9));
    let mut staging = meddled(|world| {
        assert!(world.set_image(&region(), &engine(0), Some(ImageVersionId::new("rolled-back"))));
    });
    staging.change_world(on_target);
    assert_eq!(soak_failure(&staging.run().await).first, engine(0));
}

#[tokio::test(start_paused = true)]
async fn a_wave_in_which_nothing_is_switched_does_not_soak() {
    let mut staging = canary_soaks();
    staging.change_world(|world| {
        for number in 0..5 {
            assert!(world.set_image(&region(), &engine(number), Some(ImageVersionId::new("image-new"))));
        }
    });
    let told = staging.run().await;
    assert_eq!((told.count(Outcome::UpToDate), told.count(Outcome::Switched)), (5, 5));
    assert_eq!(soaks(&told), []);
    assert!(told.ended.elapsed < SOAK);
}

#[tokio::test(start_paused = true)]
async fn a_wave_with_a_failure_soaks_for_the_others_and_opens_the_next_one() {
    let weather = format!("{CALM}faults:\n  - {{fault: FailedOperation, engines: [DataEngine-0001]}}\n");
    let mut staging = Staging::new(jobs(10, 2), &weather);
    staging.soaks = vec![SOAK];
    let told = staging.run().await;
    assert_eq!((told.count(Outcome::Failed), told.count(Outcome::Switched)), (1, 9));
    assert_eq!(soaks(&told), [(0, SOAK, true)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_wave_soaks_before_the_run_ends() {
    let mut staging = canary_soaks();
    staging.soaks = vec![Duration::ZERO, SOAK];
    let told = staging.run().await;
    assert_eq!((soaks(&told), told.ended.stopped.as_ref()), (vec![(1, SOAK, true)], None));
    assert!(told.ended.elapsed >= SOAK);
    let mut staging = meddled(|world| {
        assert!(world.set_image(&region(), &engine(3), Some(ImageVersionId::new("rolled-back"))));
        assert!(world.set_image(&region(), &engine(8), Some(ImageVersionId::new("rolled-back"))));
    });
    staging.soaks = vec![Duration::ZERO, SOAK];
    let told = staging.run().await;
    assert_eq!(soak_failure(&told).first, engine(8), "only the wave that soaks is read back");
    assert_eq!(told.count(Outcome::Switched), 10);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_waits_for_engines_a_soak_is_only_a_wait() {
    for verify in [true, false] {
        let mut staging = meddled(|world| {
            assert!(world.set_image(&region(), &engine(3), Some(ImageVersionId::new("rolled-back"))));
        });
        (staging.options.wait, staging.options.verify) = (false, verify);
        let told = staging.run().await;
        assert_eq!((told.count(Outcome::Accepted), told.ended.stopped.as_ref()), (10, None));
        assert_eq!(soaks(&told), [(0, SOAK, false)]);
        assert_eq!(told.when(|event| matches!(event, Event::SoakEnded { verify: false, .. })).len(), 1);
        let sent = told.when(|event| matches!(event, Event::Sent { .. }));
        assert!(sent[5] - sent[4] >= SOAK);
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_a_soak_at_once() {
    for signal in [Signal::Interrupt, Signal::Terminate, Signal::HangUp] {
        let told = interrupted(signal).await;
        let signal = signal.name();
        assert_eq!(told.ended.stopped, Some(StopReason::Interrupted { signal }));
        let asked = Duration::from_secs(100);
        assert!(told.ended.elapsed >= asked && told.ended.elapsed < asked + Duration::from_secs(1));
        assert_eq!((told.count(Outcome::Switched), told.count(Outcome::NotStarted)), (5, 5));
        assert!(told.history().ended, "the ledger is whole");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopping_waits_for_no_soak_and_opens_no_wave() {
    let weather =
        format!("{CALM}faults:\n  - {{fault: AuthFailure.TokenFailure, engines: [DataEngine-0004]}}\n");
    let mut staging = Staging::new(jobs(10, 2), &weather);
    staging.soaks = vec![SOAK];
    let told = staging.run().await;
    assert!(matches!(&told.ended.stopped, Some(StopReason::AccountRefused(_))));
    assert_eq!((told.count(Outcome::Switched), told.count(Outcome::NotStarted)), (4, 5));
    assert_eq!(told.when(|event| matches!(event, Event::WaveEnded { wave: 0 })).len(), 1);
    assert_eq!(soaks(&told), []);
    assert_eq!(told.when(|event| matches!(event, Event::WaveStarted { .. })).len(), 1);
    assert!(told.ended.elapsed < SOAK);
}

async fn interrupted(signal: Signal) -> Told {
    let mut staging = canary_soaks();
    staging.signals = vec![(Duration::from_secs(100), signal)];
    staging.run().await
}

/// The run after one that was interrupted in its soak, so long after the last switch by the clock on the wall.
async fn resumed(passed: SignedDuration) -> Staging {
    let mut staging = canary_soaks();
    staging.history = interrupted(Signal::Interrupt).await.history();
    staging.passed = passed;
    staging
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_waits_for_the_rest_of_the_soak_and_no_longer() {
    for (passed, left) in
        [(60, 540), (599, 1), (600, 0), (1_000_000, 0), (0, 600), (-60, 600), (-1_000_000, 600)]
    {
        let staging = resumed(SignedDuration::from_secs(passed)).await;
        let told = staging.run().await;
        let left = Duration::from_secs(left);
        assert_eq!(soaks(&told), [(0, left, true)], "{passed} s after the last switch");
        assert_eq!(told.tally.from_earlier_runs(), 5);
        assert_eq!(told.count(Outcome::Switched), 10, "{passed}");
        let opened = told.when(|event| matches!(event, Event::WaveStarted { .. }));
        let waited = opened[1] - opened[0];
        assert!(waited >= left && waited < left + Duration::from_secs(5), "{passed}: {waited:?}");
        assert!(told.applied_once());
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_waits_the_rest_of_the_soak_is_counted_from_what_was_accepted() {
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
    let told = second.run().await;
    assert_eq!(soaks(&told), [(0, Duration::from_secs(540), false)]);
    assert_eq!((told.count(Outcome::Accepted), told.lines("sent")), (10, 5));
}

#[tokio::test(start_paused = true)]
async fn a_soak_that_failed_while_nobody_ran_stops_the_resumed_run_too() {
    let mut staging = resumed(SignedDuration::from_hours(1)).await;
    staging.change_world(|world| {
        assert!(world.set_image(&region(), &engine(3), Some(ImageVersionId::new("rolled-back"))));
    });
    let told = staging.run().await;
    assert_eq!(soak_failure(&told).seen, "on rolled-back");
    assert_eq!(told.simulator.stats().action(SWITCH).received, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_with_nothing_left_to_do_soaks_no_more() {
    let mut staging = canary_soaks();
    staging.history = canary_soaks().run().await.history();
    staging.passed = SignedDuration::from_hours(1);
    let told = staging.run().await;
    assert_eq!((soaks(&told), told.tally.from_earlier_runs()), (vec![], 10));
    assert!(told.ended.elapsed < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_ledger_ends_a_soak_at_once() {
    // an earlier run had an engine of the second wave accepted; it arrives in the middle of the soak
    let first: Vec<Job> = jobs(10, 2).into_iter().filter(|job| job.key.data_engine_id == engine(9)).collect();
    let mut earlier = Staging::new(first, CALM);
    earlier.options.wait = false;
    let mut staging = canary_soaks();
    staging.history = earlier.run().await.history();
    staging.disk.fails_after = Some(1 + 5 * 3);
    staging.meddle = Some((Duration::from_secs(100), |world| {
        assert!(world.set_image(&region(), &engine(9), Some(ImageVersionId::new("image-new"))));
    }));
    let told = staging.run().await;
    assert!(matches!(&told.ended.stopped, Some(StopReason::LedgerFailed { .. })), "{:?}", told.ended.stopped);
    assert_eq!(soaks(&told).len(), 1);
    assert!(told.ended.elapsed >= Duration::from_secs(100) && told.ended.elapsed < SOAK);
    assert_eq!(told.simulator.stats().action(SWITCH).received, 5);
}
