//! Keys that are renewed during a run: no request is sent too fast because of that, and none is sent unsigned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dlc_fleet::cloud::sts::ASSUME_ROLE;
use dlc_fleet::cloud::{
    CallError, Cloud, EngineKind, EngineListing, EnginePage, EngineRecord, Fleet, ImageRecord, LIST_ENGINES,
    Receipt, SWITCH,
};
use dlc_fleet::event::StopReason;
use dlc_fleet::job::{DataEngineId, DataEngineName, JobKey, Outcome, Region};
use dlc_fleet::run::{Reader, RunOptions};
use dlc_fleet::simulator::{OK, Scenario, Simulator, World};
use tokio::time::{Instant, sleep, sleep_until};

use crate::stage::{Ran, Stage, rows, survived, wait_for, wait_until};
use crate::staging::{Staging, jobs};

const CALM: &str = "latency: {median: 300ms, max: 500ms}\nswitching: {min: 1s, max: 2s}\n";

const TOKEN_FAILURE: &str = "AuthFailure.TokenFailure";

/// From when until when there are no keys, counted from the start.
const NO_KEYS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(7));

/// A cloud whose keys are being renewed for a while. A call without `prepare` waits for them.
struct Renewing {
    simulator: Simulator,
    begun: Instant,
    /// The error of the renewal, if it fails after the first switch: permanently, or while there are no keys.
    fails: Option<CallError>,
    switched: AtomicBool,
    prepared: Mutex<Instant>,
}

impl Renewing {
    fn new(simulator: Simulator, fails: Option<CallError>) -> Self {
        let begun = Instant::now();
        Self { simulator, begun, fails, switched: AtomicBool::new(false), prepared: Mutex::new(begun) }
    }

    /// Signs a call with the keys of its `prepare`, shortly before.
    async fn sign(&self) -> Result<(), CallError> {
        let prepared = *self.prepared.lock().expect("no panic");
        if prepared.elapsed() > Duration::from_secs(1) { self.keys().await } else { Ok(()) }
    }

    async fn keys(&self) -> Result<(), CallError> {
        let (from, until) = NO_KEYS;
        let without = (self.begun + from..self.begun + until).contains(&Instant::now());
        match &self.fails {
            Some(fault @ CallError::NoCredentials { .. }) if self.switched.load(Ordering::Relaxed) => {
                Err(fault.clone())
            }
            Some(fault @ CallError::NotSent { .. }) if without => Err(fault.clone()),
            None if without => {
                sleep_until(self.begun + until).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Fleet for Renewing {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        self.sign().await?;
        self.simulator.engines(region, page).await
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        self.sign().await?;
        self.simulator.engines_by_id(region, kind, ids).await
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        self.sign().await?;
        self.simulator.engine_by_name(region, name).await
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        self.sign().await?;
        self.simulator.images(region, engine_type).await
    }

    async fn prepare(&self) -> Result<(), CallError> {
        self.keys().await?;
        *self.prepared.lock().expect("no panic") = Instant::now();
        Ok(())
    }
}

impl Cloud for Renewing {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        self.sign().await?;
        self.switched.store(true, Ordering::Relaxed);
        self.simulator.switch(key).await
    }
}

#[tokio::test(start_paused = true)]
async fn requests_do_not_accumulate_during_a_slow_renewal() {
    let result = Staging::new(jobs(150, 1), CALM).run_in(|simulator| Renewing::new(simulator, None)).await;
    assert_eq!((result.count(Outcome::Switched), result.applied_once()), (150, true));
    let worst = result.simulator.stats().action(SWITCH).peak_requests_per_second;
    assert!(worst <= 20, "{worst} arrivals in one second");
    assert!(result.ended.elapsed >= NO_KEYS.1, "the renewal must bite");
}

#[tokio::test(start_paused = true)]
async fn reads_do_not_accumulate_during_a_slow_renewal() {
    let mut plan = jobs(20, 1);
    for (number, job) in plan.iter_mut().enumerate() {
        job.key.region = Region::new(format!("ap-region-{number}"));
    }
    let rows: Vec<(JobKey, bool)> = plan.iter().map(|job| (job.key.clone(), false)).collect();
    let simulator = Simulator::new(World::holding(1, &rows), Scenario::default());
    let reader = Reader::new(Arc::new(Renewing::new(simulator.clone(), None)), RunOptions::default());
    sleep(NO_KEYS.0).await;
    reader.survey(&plan).await.expect("a survey");
    let reads = simulator.stats().action(LIST_ENGINES);
    assert_eq!(reads.received, 160, "eight kinds of engine in each region");
    assert!(
        reads.peak_requests_per_second <= 20,
        "{} arrivals in one second",
        reads.peak_requests_per_second
    );
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_for_a_while_costs_attempts_but_fails_no_engine() {
    let cause = "the token service does not answer".to_owned();
    let fails = Some(CallError::NotSent { cause });
    let result = Staging::new(jobs(60, 1), CALM).run_in(|simulator| Renewing::new(simulator, fails)).await;
    assert_eq!((result.count(Outcome::Switched), result.applied_once()), (60, true));
    assert!(result.lines("not-sent") > 0, "the renewal must bite");
}

#[tokio::test(start_paused = true)]
async fn without_keys_the_run_stops_and_nothing_more_is_sent() {
    let cause = "the role cannot be assumed any more".to_owned();
    let fails = Some(CallError::NoCredentials { cause });
    let result = Staging::new(jobs(60, 1), CALM).run_in(|simulator| Renewing::new(simulator, fails)).await;
    let sent = result.simulator.stats().action(SWITCH).received;
    assert!(
        matches!(&result.ended.stopped, Some(StopReason::AccountRefused(reason)) if reason.code == "no-credentials")
    );
    // the next request may be sent before the first result is written
    assert!((1..=2).contains(&sent), "{sent}");
    assert_eq!(result.lines("not-sent"), 1);
    assert_eq!(result.count(Outcome::NotStarted), 59 - sent, "what was sent, and one that had its turn");
    // the default wait is 30 min, and nothing can be read without keys
    assert!(result.ended.elapsed < Duration::from_secs(60), "{:?} of watching blindly", result.ended.elapsed);
}

const ROLE: &str = "qcs::cam::uin/100000000001:roleName/fleet";

/// Every engine was switched once, never too fast.
fn assert_done(stage: &Stage, engines: usize, ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied_by_engine.len(), stats.applied_more_than_once.len()), (engines, 0));
    // a busy machine may delay one or two arrivals; requests that accumulate during a renewal would be dozens
    let worst = stats.action(SWITCH).peak_requests_per_second;
    assert!(worst <= 25, "{worst} arrivals in one second");
    // the count of the tool itself is exact on any machine
    let fastest = ran.stdout.split(" starts in any second").next().and_then(|text| text.rsplit(' ').next());
    let fastest: usize = fastest.and_then(|most| most.parse().ok()).expect("a count of starts");
    assert!(fastest <= 20, "{fastest} starts in one second");
}

/// Runs with short-lived keys of a role and a service whose clock is ahead. Returns the number of key sets requested.
fn run_with_short_keys(scenario: &str, engines: usize) -> usize {
    let quick = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";
    let stage = Stage::new(&rows(engines), &format!("{quick}{scenario}"));
    let begun = std::time::Instant::now();
    let ran = stage.run(&["--role-arn", ROLE]);
    assert_done(&stage, engines, &ran);
    let stats = stage.simulator.stats();
    assert_eq!(stats.answered(SWITCH, TOKEN_FAILURE), 0, "they were replaced in good time");
    let given = stats.answered(ASSUME_ROLE, OK);
    // each renewal returns keys that are valid for ten seconds more than the margin
    let expected = 2 + begun.elapsed().as_secs() / 10;
    assert!(given as u64 <= expected, "{given} sets of keys, and at most {expected} were needed");
    given
}

#[test]
fn keys_that_expire_soon_are_renewed_during_a_run() {
    assert!(run_with_short_keys("session_duration: 310s\n", 230) >= 2);
}

#[test]
fn keys_expire_by_the_clock_of_the_service() {
    // by the clock of this machine they would be valid for ten minutes longer, or expired from the start
    let sets = ["10m", "-10m"].map(|skew| {
        let sets = run_with_short_keys(&format!("session_duration: 310s\nclock_skew: {skew}\n"), 230);
        assert!(sets >= 2, "{skew}: {sets}");
        sets
    });
    survived(
        "keys of a role that last 310 s, with a service whose clock is 10 min ahead, and 10 min behind",
        &format!(
            "460 engines switched, 0 twice; {} sets of keys, each replaced before it expired; keys refused: 0",
            sets.iter().sum::<usize>()
        ),
    );
}

/// Slow enough for about 50 requests in flight.
const SLOW: &str = "latency: {median: 2500ms, max: 3s}\nswitching: {min: 300ms, max: 600ms}\n";

/// Starts a run with a role, and ends its session after a number of requests.
fn run_and_end_the_session(stage: &Stage, after: usize, flags: &[&str]) -> Ran {
    let mut command = stage.command(&["--yes", "--role-arn", ROLE]);
    command.args(flags);
    let child = command.spawn().expect("it starts");
    wait_until("requests arrive", || stage.requests() >= after);
    stage.simulator.end_sessions();
    wait_for(child)
}

#[test]
fn a_token_that_is_refused_during_a_run_is_replaced_once_for_all_requests_in_flight() {
    let stage = Stage::new(&rows(120), SLOW);
    let ran = run_and_end_the_session(&stage, 40, &[]);
    assert_done(&stage, 120, &ran);
    let stats = stage.simulator.stats();
    let refused = stats.answered(SWITCH, TOKEN_FAILURE);
    assert!(refused >= 20, "{refused} requests were under way with the old token");
    assert_eq!(stats.action(ASSUME_ROLE).received, 2, "one at the start, and one for all of them");
    assert_eq!(stats.action(SWITCH).received, 120 + refused, "each of them went once more");
    survived(
        "a token that the service refuses in the middle of a run",
        &format!(
            "120 engines switched, 0 twice; {refused} requests were refused and went once more with the keys of 1 renewal"
        ),
    );
}

#[test]
fn a_role_that_is_revoked_during_a_run_stops_it_with_the_reason() {
    let denied = "{fault: AuthFailure.UnauthorizedOperation, action: AssumeRole, from: 100ms}";
    let stage = Stage::new(&rows(60), &format!("{CALM}faults:\n  - {denied}\n"));
    let ran = run_and_end_the_session(&stage, 10, &["--output", "json"]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    let json = ran.json();
    assert_eq!(json["stopped"]["reason"]["code"], "no-credentials", "{}", ran.stdout);
    let said = json["stopped"]["reason"]["message"].as_str().expect("a message");
    assert!(
        said.contains("grant sts:AssumeRole") && said.contains("AuthFailure.UnauthorizedOperation"),
        "{said}"
    );
    let sent = stage.requests();
    assert!(sent < 40, "{sent} requests");
    assert_done(&stage, 60, &stage.run(&["--resend-after", "1s"]));
}

#[test]
fn keys_that_cannot_be_renewed_are_used_until_they_expire() {
    let broken = "{fault: InternalError, action: AssumeRole, from: 100ms}";
    let stage = Stage::new(&rows(60), &format!("session_duration: 301s\n{CALM}faults:\n  - {broken}\n"));
    let ran = stage.run(&["--role-arn", ROLE, "--min-ready", "4s"]);
    assert_done(&stage, 60, &ran);
    let tries = stage.simulator.stats().answered(ASSUME_ROLE, "InternalError");
    assert!((1..=10).contains(&tries), "{tries} tries, one every five seconds");
}

#[test]
fn a_token_service_that_hangs_delays_requests_without_a_burst_afterwards() {
    let hangs = "{fault: no-response, action: AssumeRole, from: 100ms, times: 1}";
    let stage = Stage::new(&rows(100), &format!("{CALM}faults:\n  - {hangs}\n"));
    let ran = run_and_end_the_session(&stage, 30, &["--request-timeout", "2s"]);
    assert_done(&stage, 100, &ran);
    let stats = stage.simulator.stats();
    assert_eq!((stats.answered(ASSUME_ROLE, "no-response"), stats.answered(ASSUME_ROLE, OK)), (1, 2));
}
