//! Keys that have to be renewed in the middle of a run: nobody is sent too fast for it, and nothing is sent unsigned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dlc_fleet::cloud::{
    Cloud, EngineListing, EnginePage, Fault, Fleet, ImageRecord, LIST_ENGINES, Receipt, SWITCH,
};
use dlc_fleet::event::StopReason;
use dlc_fleet::job::{JobKey, Outcome, Region};
use dlc_fleet::run::{Reader, Rules};
use dlc_fleet::sim::{Scenario, Simulator, World};
use tokio::time::{Instant, sleep, sleep_until};

use crate::staging::{Staging, jobs};

const CALM: &str = "latency: {median: 300ms, worst: 500ms}\nswitching: {least: 1s, most: 2s}\n";

/// From when until when there are no keys, counted from the start.
const NO_KEYS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(7));

/// A cloud whose keys are being renewed for a while. A call that nobody prepared waits for them.
struct Renewing {
    simulator: Simulator,
    begun: Instant,
    /// Where the renewal fails instead, once something was switched: for good, or for as long as there are no keys.
    fails: Option<Fault>,
    switched: AtomicBool,
    prepared: Mutex<Instant>,
}

impl Renewing {
    fn new(simulator: Simulator, fails: Option<Fault>) -> Self {
        let begun = Instant::now();
        Self { simulator, begun, fails, switched: AtomicBool::new(false), prepared: Mutex::new(begun) }
    }

    /// What a call is signed with: the keys that were there when it was prepared, a moment ago.
    async fn sign(&self) -> Result<(), Fault> {
        let prepared = *self.prepared.lock().expect("no panic");
        if prepared.elapsed() > Duration::from_secs(1) { self.keys().await } else { Ok(()) }
    }

    async fn keys(&self) -> Result<(), Fault> {
        let (from, until) = NO_KEYS;
        let without = (self.begun + from..self.begun + until).contains(&Instant::now());
        match &self.fails {
            Some(fault @ Fault::NoCredentials { .. }) if self.switched.load(Ordering::Relaxed) => {
                Err(fault.clone())
            }
            Some(fault @ Fault::NotSent { .. }) if without => Err(fault.clone()),
            None if without => {
                sleep_until(self.begun + until).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Fleet for Renewing {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, Fault> {
        self.sign().await?;
        self.simulator.engines(region, page).await
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, Fault> {
        self.sign().await?;
        self.simulator.images(region, engine_type).await
    }

    async fn prepare(&self) -> Result<(), Fault> {
        self.keys().await?;
        *self.prepared.lock().expect("no panic") = Instant::now();
        Ok(())
    }
}

impl Cloud for Renewing {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, Fault> {
        self.sign().await?;
        self.switched.store(true, Ordering::Relaxed);
        self.simulator.switch(key).await
    }
}

#[tokio::test(start_paused = true)]
async fn requests_do_not_pile_up_behind_a_renewal_that_takes_long() {
    let told = Staging::new(jobs(150, 1), CALM).run_in(|simulator| Renewing::new(simulator, None)).await;
    assert_eq!((told.count(Outcome::Switched), told.applied_once()), (150, true));
    let worst = told.simulator.stats().action(SWITCH).worst_window;
    assert!(worst <= 20, "{worst} arrivals in one second");
    assert!(told.ended.elapsed >= NO_KEYS.1, "the renewal must bite");
}

#[tokio::test(start_paused = true)]
async fn nor_does_reading() {
    let mut plan = jobs(20, 1);
    for (number, job) in plan.iter_mut().enumerate() {
        job.key.region = Region::new(format!("ap-region-{number}"));
    }
    let rows: Vec<(JobKey, bool)> = plan.iter().map(|job| (job.key.clone(), false)).collect();
    let simulator = Simulator::new(World::holding(1, &rows), Scenario::calm());
    let reader = Reader::new(Arc::new(Renewing::new(simulator.clone(), None)), Rules::default());
    sleep(NO_KEYS.0).await;
    reader.survey(&plan).await.expect("a survey");
    let reads = simulator.stats().action(LIST_ENGINES);
    assert_eq!(reads.received, 80, "four kinds of engine in each region");
    assert!(reads.worst_window <= 20, "{} arrivals in one second", reads.worst_window);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_for_a_while_costs_attempts_and_no_engine() {
    let cause = "the token service does not answer".to_owned();
    let fails = Some(Fault::NotSent { cause });
    let told = Staging::new(jobs(60, 1), CALM).run_in(|simulator| Renewing::new(simulator, fails)).await;
    assert_eq!((told.count(Outcome::Switched), told.applied_once()), (60, true));
    assert!(told.lines("not-sent") > 0, "the renewal must bite");
}

#[tokio::test(start_paused = true)]
async fn without_keys_the_run_stops_and_says_so_and_nothing_more_is_sent() {
    let cause = "the role cannot be assumed any more".to_owned();
    let fails = Some(Fault::NoCredentials { cause });
    let told = Staging::new(jobs(60, 1), CALM).run_in(|simulator| Renewing::new(simulator, fails)).await;
    let sent = told.simulator.stats().action(SWITCH).received;
    assert!(
        matches!(&told.ended.stopped, Some(StopReason::AccountRefused(reason)) if reason.code == "no-credentials")
    );
    // the next one may be on its way before the first has been written
    assert!((1..=2).contains(&sent), "{sent}");
    assert_eq!(told.lines("not-sent"), 1);
    assert_eq!(told.count(Outcome::NotStarted), 59 - sent, "what was sent, and one that had its turn");
    // the default wait is half an hour, and nothing can be seen without keys
    assert!(told.ended.elapsed < Duration::from_secs(60), "{:?} of watching blindly", told.ended.elapsed);
}
