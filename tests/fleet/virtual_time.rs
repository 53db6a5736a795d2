//! Rate limiter, retries and dispatcher against the simulator in virtual time: all figures are exact on any machine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dlc_fleet::cloud::{
    CallError, Cloud, EngineKind, EngineListing, EnginePage, EngineRecord, Fleet, ImageRecord, Receipt,
    Refusal, SWITCH,
};
use dlc_fleet::event::{Event, StopReason};
use dlc_fleet::job::{DataEngineId, DataEngineName, Decision, ImageVersionId, JobKey, Outcome, Region};
use dlc_fleet::ledger::{History, pasts};
use dlc_fleet::run::{Reader, RunOptions, Signal};
use dlc_fleet::simulator::{Arrival, Scenario, Simulator, World};

use crate::staging::{Staging, jobs};

/// Longest time in seconds from the first to the last of a number of arrivals: 3 % above the ideal.
fn longest(arrivals: usize) -> f64 {
    1.03 * f64::from(u32::try_from(arrivals).expect("a few hundred") - 1) / 20.0
}

/// A scenario with 120 ms latency, in which 3 % of the engines respond `InternalError` once.
fn faulty(seed: u64) -> String {
    format!(
        "seed: {seed}\nlatency: {{median: 120ms, max: 600ms}}\nswitching: {{min: 2s, max: 4s}}\n\
         faults:\n  - {{fault: InternalError, engines: 3%, times: 1}}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn two_hundred_engines_are_switched_once_each_within_the_limit() {
    for seed in 0..20 {
        let result = Staging::new(jobs(200, 1), &faulty(seed)).run().await;
        let stats = result.simulator.stats().action(SWITCH);
        assert_eq!(result.count(Outcome::Switched), 200, "seed {seed}");
        assert!(result.applied_once(), "seed {seed}");
        assert!(stats.peak_requests_per_second <= 20, "seed {seed}: {}", stats.peak_requests_per_second);
        assert_eq!(stats.received, result.lines("sent"), "seed {seed}");
        assert_eq!(result.lines("unconfirmed"), stats.answered.get("InternalError").copied().unwrap_or(0));
        // an engine that is refused last is waited for after all others, whatever the rate is; so the rate is measured up to
        // the last first attempt
        let arrivals: Vec<_> =
            result.simulator.arrivals().into_iter().filter(|a| a.action == SWITCH).collect();
        let mut seen = BTreeSet::new();
        let is_first = |arrival: &Arrival| seen.insert(arrival.data_engine_id.clone());
        let last_first = arrivals.iter().map(is_first).enumerate().filter(|(_, first)| *first).last();
        let last_first = last_first.expect("arrivals").0;
        let took = (arrivals[last_first].at - arrivals[0].at).as_secs_f64();
        assert!(took <= longest(last_first + 1), "seed {seed}: {took} s for {last_first}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_faults_the_rate_is_within_three_percent_of_the_limit() {
    for seed in 0..10 {
        let weather = format!("seed: {seed}\nlatency: {{median: 120ms, max: 600ms}}\n");
        let result = Staging::new(jobs(200, 1), &weather).run().await;
        let stats = result.simulator.stats().action(SWITCH);
        assert!(stats.first_to_last_seconds <= longest(stats.received), "seed {seed}: {stats:?}");
        assert!(stats.peak_requests_per_second <= 20);
    }
}

#[tokio::test(start_paused = true)]
async fn waves_run_one_after_the_other() {
    let result = Staging::new(jobs(30, 3), "latency: {median: 100ms, max: 200ms}\n").run().await;
    assert_eq!(result.count(Outcome::Switched), 30);
    let mut open = 0;
    for event in &result.events {
        match event {
            Event::WaveStarted { wave } => open = *wave,
            Event::Sent { job, .. } => assert_eq!(job.0 / 10, open, "a job of wave {open} was due"),
            _ => {}
        }
    }
    assert_eq!(open, 2);
}

#[tokio::test(start_paused = true)]
async fn another_client_on_the_quota_slows_the_run_and_costs_no_attempt() {
    let weather = "latency: {median: 80ms, max: 200ms}\n\
                   faults:\n  - {fault: other-client, requests_per_second: 12, from: 2s, until: 5s}\n";
    let mut staging = Staging::new(jobs(400, 1), weather);
    staging.options.max_attempts = 1;
    let result = staging.run().await;
    assert_eq!(result.count(Outcome::Switched), 400);
    assert!(result.tally.throttles() > 0, "the weather must bite");
    assert!(result.events.iter().any(|event| matches!(event, Event::RateRestored { .. })));
    assert!(result.applied_once());
}

#[tokio::test(start_paused = true)]
async fn lost_responses_are_verified_without_a_second_switch() {
    for fate in [
        "reset-after-reading",
        "close-after-reading",
        "no-response",
        "http-502",
        "html",
        "truncated",
        "empty",
        "InternalError",
    ] {
        for applied in ["before", "never", "after 5s", "after 55s"] {
            let weather = format!(
                "latency: {{median: 80ms, max: 200ms}}\n\
                 faults:\n  - {{fault: {fate}, applied: {applied}, engines: 20%, times: 1}}\n"
            );
            let result = Staging::new(jobs(20, 1), &weather).run().await;
            assert_eq!(result.count(Outcome::Switched), 20, "{fate}, applied {applied}");
            assert!(result.applied_once(), "{fate}, applied {applied}");
            assert!(result.tally.unconfirmed() > 0, "{fate}, applied {applied}: the weather must bite");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_fault_fails_its_job_after_the_last_attempt_and_the_other_jobs_continue() {
    let weather = "faults:\n  - {fault: InternalError, engines: [DataEngine-0003]}\n";
    let result = Staging::new(jobs(10, 1), weather).run().await;
    assert_eq!((result.count(Outcome::Switched), result.count(Outcome::Failed)), (9, 1));
    assert_eq!(result.simulator.stats().answered(SWITCH, "InternalError"), 6);
}

#[tokio::test(start_paused = true)]
async fn a_refused_image_holds_back_the_other_jobs_with_that_image() {
    let weather = "latency: {median: 200ms, max: 300ms}\n\
                   faults:\n  - {fault: ResourceNotFound.ImageVersionNotActivity}\n";
    let result = Staging::new(jobs(100, 1), weather).run().await;
    let sent = result.simulator.stats().action(SWITCH).received;
    assert!(sent < 12, "{sent} requests for an image that cannot work");
    assert_eq!(result.count(Outcome::Failed), sent);
    assert_eq!(result.count(Outcome::NotStarted), 100 - sent);
}

#[tokio::test(start_paused = true)]
async fn an_account_wide_refusal_stops_the_run_and_accepted_jobs_are_still_verified() {
    let weather = "latency: {median: 100ms, max: 150ms}\n\
                   faults:\n  - {fault: AuthFailure.SecretIdNotFound, from: 1s}\n";
    let result = Staging::new(jobs(100, 1), weather).run().await;
    assert!(
        matches!(&result.ended.stopped, Some(StopReason::AccountRefused(reason)) if reason.code == "AuthFailure.SecretIdNotFound")
    );
    let (switched, failed) = (result.count(Outcome::Switched), result.count(Outcome::Failed));
    assert!(switched >= 15 && failed >= 1, "{switched} switched, {failed} failed");
    assert_eq!(switched + failed + result.count(Outcome::NotStarted), 100);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_ledger_write_no_request_is_sent() {
    for fails_after in 1..40 {
        let mut staging = Staging::new(jobs(20, 1), "latency: {median: 90ms, max: 200ms}\n");
        staging.disk.fails_after = Some(fails_after);
        let result = staging.run().await;
        assert!(matches!(result.ended.stopped, Some(StopReason::LedgerFailed { .. })), "{fails_after}");
        let requests = result.simulator.stats().action(SWITCH).received;
        let intents = result.lines("sent");
        assert!(requests <= intents, "{fails_after}: {requests} requests left, and {intents} are on record");
        assert!(
            requests + 1 >= intents,
            "{fails_after}: only the request that waits for the gate may stay behind"
        );
        assert_eq!(result.tally.outcomes().total(), 20);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_waits_for_responses_and_the_second_ends_the_run_at_once() {
    let weather = "latency: {median: 900ms, max: 1s}\n";
    let mut staging = Staging::new(jobs(60, 1), weather);
    staging.signals = vec![(Duration::from_secs(2), Signal::Interrupt)];
    let result = staging.run().await;
    let (sent, stayed) = (result.lines("sent"), result.lines("not-sent"));
    assert_eq!(sent - stayed, result.lines("accepted"), "every answer was awaited");
    assert!(stayed <= 1, "only the request that waited for the gate stayed behind");
    assert!(result.count(Outcome::NotStarted) > 0);
    assert_eq!(result.count(Outcome::Unknown), 0);

    let mut staging = Staging::new(jobs(60, 1), weather);
    let at_once = (Duration::from_secs(2), Signal::Interrupt);
    staging.signals = vec![at_once, at_once];
    let result = staging.run().await;
    assert!(result.count(Outcome::Unknown) > 0, "requests under way were left behind");
    assert_eq!(result.tally.outcomes().total(), 60);
}

#[tokio::test(start_paused = true)]
async fn engines_on_target_and_missing_engines_are_reported_before_the_first_request() {
    let mut staging = Staging::new(jobs(12, 1), "seed: 1\n");
    staging.change_world(|world| {
        let region = Region::new("ap-guangzhou");
        let on_target = DataEngineId::new("DataEngine-0001");
        world.set_image(&region, &on_target, Some(ImageVersionId::new("image-new")));
    });
    staging.jobs[8].expected_image_version_id = Some(ImageVersionId::new("another"));
    staging.missing = 2;
    let result = staging.run().await;
    assert_eq!(result.count(Outcome::UpToDate), 1);
    assert_eq!(result.count(Outcome::Failed), 3, "one that another client moved, and two that are missing");
    assert_eq!(result.count(Outcome::Switched), 8);
    let arrivals = result.simulator.arrivals();
    let asked = |id: &str| arrivals.iter().any(|a| a.data_engine_id == Some(DataEngineId::new(id)));
    assert!(!asked("DataEngine-0001") && !asked("DataEngine-0008") && !asked("DataEngine-0011"));
}

/// A fleet that refuses every read of one region.
struct OneRegionRefused(Simulator);

impl Fleet for OneRegionRefused {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        if region.as_str() == "xx-nowhere-1" {
            let (code, message) = ("UnsupportedRegion".to_owned(), "no such region".to_owned());
            return Err(CallError::Refused(Refusal { code, message, request_id: None }));
        }
        self.0.engines(region, page).await
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        if region.as_str() == "xx-nowhere-1" {
            let (code, message) = ("UnsupportedRegion".to_owned(), "no such region".to_owned());
            return Err(CallError::Refused(Refusal { code, message, request_id: None }));
        }
        self.0.engines_by_id(region, kind, ids).await
    }

    async fn engine_by_name(
        &self,
        region: &Region,
        name: &DataEngineName,
    ) -> Result<Option<EngineRecord>, CallError> {
        self.0.engine_by_name(region, name).await
    }

    async fn images(&self, region: &Region, engine_type: &str) -> Result<Vec<ImageRecord>, CallError> {
        self.0.images(region, engine_type).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_not_served_fails_only_its_own_rows() {
    let near = jobs(3, 1);
    let rows: Vec<(JobKey, bool)> = near.iter().map(|job| (job.key.clone(), false)).collect();
    let simulator = Simulator::new(World::holding(1, &rows), Scenario::default());
    let mut far = near[0].clone();
    far.key.region = Region::new("xx-nowhere-1");
    let plan = [near, vec![far]].concat();
    let reader = Reader::new(Arc::new(OneRegionRefused(simulator)), RunOptions::default());
    let pasts = pasts(&plan, &History::default());
    let preflight = reader.preflight(&plan, &pasts, false).await.expect("the other regions are read");
    let decisions = preflight.decisions;
    assert!(decisions[..3].iter().all(|decision| matches!(decision, Decision::Send { .. })));
    assert!(matches!(&decisions[3], Decision::Fail(reason) if reason.code == "UnsupportedRegion"));
}

#[tokio::test(start_paused = true)]
async fn a_busy_engine_is_read_no_more_often_than_the_poll_interval() {
    // the request was applied in spite of the fault, and the switch takes five minutes
    let weather = "switching: {min: 5m, max: 5m}\n\
                   faults:\n  - {fault: InternalError, applied: before, engines: all, times: 1}\n";
    let result = Staging::new(jobs(5, 1), weather).run().await;
    assert_eq!(result.count(Outcome::Switched), 5);
    assert!(result.applied_once());
    let reads = result.simulator.stats().action("DescribeDataEngines").received;
    assert!(reads < 5 * 4 * 70, "{reads} reads in some 310 seconds, a sweep every five");
}

#[tokio::test(start_paused = true)]
async fn a_held_image_also_holds_back_jobs_that_wait_to_be_sent_again() {
    let weather = "latency: {median: 50ms, max: 60ms}\nfaults:\n\
                   \x20 - {fault: ResourceNotFound.ImageVersionNotActivity, engines: [DataEngine-0005]}\n\
                   \x20 - {fault: InternalError, engines: all, times: 1}\n";
    let result = Staging::new(jobs(30, 1), weather).run().await;
    let requests = result.simulator.stats().action(SWITCH).received;
    assert!(requests < 12, "{requests} requests for an image that is known not to work");
    assert_eq!(result.count(Outcome::Failed), 1);
    assert_eq!(result.tally.outcomes().total(), 30);
}

/// In real time, because responses accumulate only if the disk is slower than the rate limiter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_at_the_same_time_hold_back_each_job_once() {
    let weather = "latency: {median: 300ms, max: 500ms}\n\
                   faults:\n  - {fault: ResourceNotFound.ImageVersionNotActivity}\n";
    let mut runs = tokio::task::JoinSet::new();
    for seed in 0..12 {
        let mut staging = Staging::new(jobs(60, 1), &format!("seed: {seed}\n{weather}"));
        staging.disk.delay = Duration::from_millis(90);
        for (number, job) in staging.jobs.iter_mut().enumerate() {
            job.key.new_image_version_id = ImageVersionId::new(["image-a", "image-b"][number % 2]);
        }
        runs.spawn(staging.run());
    }
    for result in runs.join_all().await {
        assert_eq!(result.ended.stopped, None);
        let settled = result.events.iter().filter(|event| matches!(event, Event::JobEnded { .. })).count();
        assert_eq!(settled, 60, "every job ends once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_job_that_is_throttled_is_not_sent_again() {
    let throttled: Vec<String> = (1..12).map(|number| format!("DataEngine-{number:04}")).collect();
    let weather = format!(
        "latency: {{median: 300ms, max: 300ms}}\nfaults:\n\
         \x20 - {{fault: ResourceNotFound.ImageVersionNotActivity, engines: [DataEngine-0000]}}\n\
         \x20 - {{fault: RequestLimitExceeded, engines: [{}]}}\n",
        throttled.join(", ")
    );
    let result = Staging::new(jobs(12, 1), &weather).run().await;
    assert_eq!(result.ended.stopped, None);
    assert_eq!((result.count(Outcome::Failed), result.count(Outcome::NotStarted)), (1, 11));
    let requests = result.simulator.stats().action(SWITCH).received;
    assert!(requests <= 12, "{requests} requests");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_need_no_request_do_not_delay_the_others() {
    let mut staging = Staging::new(jobs(1_000, 1), "latency: {median: 50ms, max: 60ms}\n");
    staging.meddle = Some((Duration::from_secs(3), |world| {
        for number in 100..900 {
            let (region, id) =
                (Region::new("ap-guangzhou"), DataEngineId::new(format!("DataEngine-{number:04}")));
            assert!(world.set_image(&region, &id, Some(ImageVersionId::new("image-new"))));
        }
    }));
    let result = staging.run().await;
    assert_eq!(result.count(Outcome::Switched) + result.count(Outcome::UpToDate), 1_000);
    assert!(result.count(Outcome::UpToDate) > 100, "the meddling must bite");
    assert!(result.ended.elapsed < Duration::from_secs(75), "{:?}", result.ended.elapsed);
}

/// A cloud whose listings of one region never return once the run has started.
struct OneRegionHangs {
    simulator: Simulator,
    begun: AtomicBool,
}

impl Fleet for OneRegionHangs {
    async fn engines(&self, region: &Region, page: EnginePage) -> Result<EngineListing, CallError> {
        if self.begun.load(Ordering::Relaxed) && region.as_str() == "ap-beijing" {
            std::future::pending::<()>().await;
        }
        self.simulator.engines(region, page).await
    }

    async fn engines_by_id(
        &self,
        region: &Region,
        kind: EngineKind,
        ids: &[DataEngineId],
    ) -> Result<EngineListing, CallError> {
        if self.begun.load(Ordering::Relaxed) && region.as_str() == "ap-beijing" {
            std::future::pending::<()>().await;
        }
        self.simulator.engines_by_id(region, kind, ids).await
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

impl Cloud for OneRegionHangs {
    async fn switch(&self, key: &JobKey) -> Result<Receipt, CallError> {
        self.begun.store(true, Ordering::Relaxed);
        self.simulator.switch(key).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_hangs_delays_only_its_own_region() {
    let mut staging = Staging::new(jobs(10, 1), "latency: {median: 50ms, max: 60ms}\n");
    staging.jobs[9].key.region = Region::new("ap-beijing");
    staging.options.wait_timeout = Duration::from_secs(45);
    let result =
        staging.run_in(|simulator| OneRegionHangs { simulator, begun: AtomicBool::new(false) }).await;
    assert_eq!((result.count(Outcome::Switched), result.count(Outcome::TimedOut)), (9, 1));
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_if_every_request_is_throttled() {
    let mut staging = Staging::new(jobs(2, 1), "faults:\n  - {fault: RequestLimitExceeded}\n");
    staging.options.wait_timeout = Duration::from_secs(300);
    let result = staging.run().await;
    assert!(matches!(&result.ended.stopped, Some(StopReason::AccountRefused(_))));
    let requests = result.simulator.stats().action(SWITCH).received;
    assert!(requests < 400, "{requests} requests in five minutes");
}

#[tokio::test(start_paused = true)]
async fn no_request_is_sent_for_an_engine_that_reaches_its_target_while_it_waits() {
    let mut staging = Staging::new(jobs(900, 1), "latency: {median: 50ms, max: 60ms}\n");
    staging.meddle = Some((Duration::from_secs(10), |world| {
        let (region, id) = (Region::new("ap-guangzhou"), DataEngineId::new("DataEngine-0899"));
        assert!(world.set_image(&region, &id, Some(ImageVersionId::new("image-new"))));
    }));
    let result = staging.run().await;
    assert_eq!((result.count(Outcome::UpToDate), result.count(Outcome::Switched)), (1, 899));
}

#[tokio::test(start_paused = true)]
async fn a_fleet_of_thousands_is_read_page_by_page() {
    let result = Staging::new(jobs(1_200, 1), "latency: {median: 60ms, max: 200ms}\n").run().await;
    assert_eq!(result.count(Outcome::Switched), 1_200);
    assert!(result.simulator.stats().action(SWITCH).peak_requests_per_second <= 20);
    assert!(result.simulator.stats().action("DescribeDataEngines").peak_requests_per_second <= 20);
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_waits_for_responses_even_after_an_account_wide_refusal() {
    let weather = "latency: {median: 50ms, max: 60ms}\nfaults:\n  \
                   - {fault: no-response, engines: [DataEngine-0000], times: 1, applied: never}\n  \
                   - {fault: AuthFailure.SecretIdNotFound, action: any, from: 400ms}\n";
    let ended_after = |signals: Vec<(Duration, Signal)>| async move {
        let mut staging = Staging::new(jobs(20, 1), weather);
        staging.signals = signals;
        let result = staging.run().await;
        result.ended.elapsed
    };
    let at = |seconds| (Duration::from_secs(seconds), Signal::Interrupt);
    let answer = RunOptions::default().request_timeout;
    assert!(ended_after(vec![at(5)]).await >= answer, "the answer is waited for");
    assert!(ended_after(vec![at(5), at(6)]).await < Duration::from_secs(7), "the second one leaves at once");
}
