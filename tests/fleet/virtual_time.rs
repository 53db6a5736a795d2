//! Rate limiter, retry and dispatcher against the simulator in virtual time: every figure is exact, on any machine.

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

/// Most seconds from the first to the last of so many arrivals: 3 % above the ideal.
fn longest(arrivals: usize) -> f64 {
    1.03 * f64::from(u32::try_from(arrivals).expect("a few hundred") - 1) / 20.0
}

/// The must-show weather: 120 ms, 3 % of engines answer `InternalError` once.
fn faulty(seed: u64) -> String {
    format!(
        "seed: {seed}\nlatency: {{median: 120ms, max: 600ms}}\nswitching: {{min: 2s, max: 4s}}\n\
         faults:\n  - {{fault: InternalError, engines: 3%, times: 1}}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn two_hundred_engines_are_switched_once_each_within_the_limit() {
    for seed in 0..20 {
        let told = Staging::new(jobs(200, 1), &faulty(seed)).run().await;
        let stats = told.simulator.stats().action(SWITCH);
        assert_eq!(told.count(Outcome::Switched), 200, "seed {seed}");
        assert!(told.applied_once(), "seed {seed}");
        assert!(stats.peak_requests_per_second <= 20, "seed {seed}: {}", stats.peak_requests_per_second);
        assert_eq!(stats.received, told.lines("sent"), "seed {seed}");
        assert_eq!(told.lines("unconfirmed"), stats.answered.get("InternalError").copied().unwrap_or(0));
        // an engine that is refused at the very end is waited for after all others, which no pace can help;
        // so the pace is judged up to the last first attempt
        let arrivals: Vec<_> = told.simulator.arrivals().into_iter().filter(|a| a.action == SWITCH).collect();
        let mut seen = BTreeSet::new();
        let is_first = |arrival: &Arrival| seen.insert(arrival.data_engine_id.clone());
        let last_first = arrivals.iter().map(is_first).enumerate().filter(|(_, first)| *first).last();
        let last_first = last_first.expect("arrivals").0;
        let took = (arrivals[last_first].at - arrivals[0].at).as_secs_f64();
        assert!(took <= longest(last_first + 1), "seed {seed}: {took} s for {last_first}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_faults_the_pace_is_always_within_three_percent() {
    for seed in 0..10 {
        let weather = format!("seed: {seed}\nlatency: {{median: 120ms, max: 600ms}}\n");
        let told = Staging::new(jobs(200, 1), &weather).run().await;
        let stats = told.simulator.stats().action(SWITCH);
        assert!(stats.first_to_last_seconds <= longest(stats.received), "seed {seed}: {stats:?}");
        assert!(stats.peak_requests_per_second <= 20);
    }
}

#[tokio::test(start_paused = true)]
async fn waves_go_one_after_the_other() {
    let told = Staging::new(jobs(30, 3), "latency: {median: 100ms, max: 200ms}\n").run().await;
    assert_eq!(told.count(Outcome::Switched), 30);
    let mut open = 0;
    for event in &told.events {
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
    let told = staging.run().await;
    assert_eq!(told.count(Outcome::Switched), 400);
    assert!(told.tally.throttles() > 0, "the weather must bite");
    assert!(told.events.iter().any(|event| matches!(event, Event::RateRestored { .. })));
    assert!(told.applied_once());
}

#[tokio::test(start_paused = true)]
async fn lost_answers_are_settled_without_a_second_switch() {
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
            let told = Staging::new(jobs(20, 1), &weather).run().await;
            assert_eq!(told.count(Outcome::Switched), 20, "{fate}, applied {applied}");
            assert!(told.applied_once(), "{fate}, applied {applied}");
            assert!(told.tally.unconfirmed() > 0, "{fate}, applied {applied}: the weather must bite");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_for_ever_fails_after_the_last_attempt_and_the_others_go_on() {
    let weather = "faults:\n  - {fault: InternalError, engines: [DataEngine-0003]}\n";
    let told = Staging::new(jobs(10, 1), weather).run().await;
    assert_eq!((told.count(Outcome::Switched), told.count(Outcome::Failed)), (9, 1));
    assert_eq!(told.simulator.stats().answered(SWITCH, "InternalError"), 6);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_refused_once_holds_back_the_rest_of_its_engines() {
    let weather = "latency: {median: 200ms, max: 300ms}\n\
                   faults:\n  - {fault: ResourceNotFound.ImageVersionNotActivity}\n";
    let told = Staging::new(jobs(100, 1), weather).run().await;
    let sent = told.simulator.stats().action(SWITCH).received;
    assert!(sent < 12, "{sent} requests for an image that cannot work");
    assert_eq!(told.count(Outcome::Failed), sent);
    assert_eq!(told.count(Outcome::NotStarted), 100 - sent);
}

#[tokio::test(start_paused = true)]
async fn an_account_wide_refusal_stops_the_run_and_what_was_accepted_is_still_proven() {
    let weather = "latency: {median: 100ms, max: 150ms}\n\
                   faults:\n  - {fault: AuthFailure.SecretIdNotFound, from: 1s}\n";
    let told = Staging::new(jobs(100, 1), weather).run().await;
    assert!(
        matches!(&told.ended.stopped, Some(StopReason::AccountRefused(reason)) if reason.code == "AuthFailure.SecretIdNotFound")
    );
    let (switched, failed) = (told.count(Outcome::Switched), told.count(Outcome::Failed));
    assert!(switched >= 15 && failed >= 1, "{switched} switched, {failed} failed");
    assert_eq!(switched + failed + told.count(Outcome::NotStarted), 100);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_ledger_write_no_request_leaves() {
    for fails_after in 1..40 {
        let mut staging = Staging::new(jobs(20, 1), "latency: {median: 90ms, max: 200ms}\n");
        staging.disk.fails_after = Some(fails_after);
        let told = staging.run().await;
        assert!(matches!(told.ended.stopped, Some(StopReason::LedgerFailed { .. })), "{fails_after}");
        let requests = told.simulator.stats().action(SWITCH).received;
        let intents = told.lines("sent");
        assert!(requests <= intents, "{fails_after}: {requests} requests left, and {intents} are on record");
        assert!(
            requests + 1 >= intents,
            "{fails_after}: only the request that waits for the gate may stay behind"
        );
        assert_eq!(told.tally.outcomes().total(), 20);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_drains_and_the_second_leaves_at_once() {
    let weather = "latency: {median: 900ms, max: 1s}\n";
    let mut staging = Staging::new(jobs(60, 1), weather);
    staging.signals = vec![(Duration::from_secs(2), Signal::Interrupt)];
    let told = staging.run().await;
    let (sent, stayed) = (told.lines("sent"), told.lines("not-sent"));
    assert_eq!(sent - stayed, told.lines("accepted"), "every answer was awaited");
    assert!(stayed <= 1, "only the request that waited for the gate stayed behind");
    assert!(told.count(Outcome::NotStarted) > 0);
    assert_eq!(told.count(Outcome::Unknown), 0);

    let mut staging = Staging::new(jobs(60, 1), weather);
    let at_once = (Duration::from_secs(2), Signal::Interrupt);
    staging.signals = vec![at_once, at_once];
    let told = staging.run().await;
    assert!(told.count(Outcome::Unknown) > 0, "requests under way were left behind");
    assert_eq!(told.tally.outcomes().total(), 60);
}

#[tokio::test(start_paused = true)]
async fn engines_on_their_target_or_missing_are_told_before_anything_is_sent() {
    let mut staging = Staging::new(jobs(12, 1), "seed: 1\n");
    staging.change_world(|world| {
        let region = Region::new("ap-guangzhou");
        let on_target = DataEngineId::new("DataEngine-0001");
        world.set_image(&region, &on_target, Some(ImageVersionId::new("image-new")));
    });
    staging.jobs[8].expected_image_version_id = Some(ImageVersionId::new("another"));
    staging.missing = 2;
    let told = staging.run().await;
    assert_eq!(told.count(Outcome::UpToDate), 1);
    assert_eq!(told.count(Outcome::Failed), 3, "one that somebody else moved, and two that are missing");
    assert_eq!(told.count(Outcome::Switched), 8);
    let arrivals = told.simulator.arrivals();
    let asked = |id: &str| arrivals.iter().any(|a| a.data_engine_id == Some(DataEngineId::new(id)));
    assert!(!asked("DataEngine-0001") && !asked("DataEngine-0008") && !asked("DataEngine-0011"));
}

/// A fleet that refuses one region as a whole.
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
async fn a_region_that_is_not_served_fails_its_own_rows_and_no_others() {
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
async fn reading_back_stays_calm_however_long_an_engine_is_busy() {
    // the fault was applied all the same, and the switch takes five minutes
    let weather = "switching: {min: 5m, max: 5m}\n\
                   faults:\n  - {fault: InternalError, applied: before, engines: all, times: 1}\n";
    let told = Staging::new(jobs(5, 1), weather).run().await;
    assert_eq!(told.count(Outcome::Switched), 5);
    assert!(told.applied_once());
    let reads = told.simulator.stats().action("DescribeDataEngines").received;
    assert!(reads < 5 * 4 * 70, "{reads} reads in some 310 seconds, a sweep every five");
}

#[tokio::test(start_paused = true)]
async fn a_held_image_stays_held_for_engines_that_were_waiting_to_go_again() {
    let weather = "latency: {median: 50ms, max: 60ms}\nfaults:\n\
                   \x20 - {fault: ResourceNotFound.ImageVersionNotActivity, engines: [DataEngine-0005]}\n\
                   \x20 - {fault: InternalError, engines: all, times: 1}\n";
    let told = Staging::new(jobs(30, 1), weather).run().await;
    let requests = told.simulator.stats().action(SWITCH).received;
    assert!(requests < 12, "{requests} requests for an image that is known not to work");
    assert_eq!(told.count(Outcome::Failed), 1);
    assert_eq!(told.tally.outcomes().total(), 30);
}

/// In real time, since only a disk that is slower than the gate makes answers pile up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_that_come_together_hold_each_job_back_once() {
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
    for told in runs.join_all().await {
        assert_eq!(told.ended.stopped, None);
        let settled = told.events.iter().filter(|event| matches!(event, Event::JobEnded { .. })).count();
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
    let told = Staging::new(jobs(12, 1), &weather).run().await;
    assert_eq!(told.ended.stopped, None);
    assert_eq!((told.count(Outcome::Failed), told.count(Outcome::NotStarted)), (1, 11));
    let requests = told.simulator.stats().action(SWITCH).received;
    assert!(requests <= 12, "{requests} requests");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_turn_out_to_need_no_request_do_not_hold_up_the_others() {
    let mut staging = Staging::new(jobs(1_000, 1), "latency: {median: 50ms, max: 60ms}\n");
    staging.meddle = Some((Duration::from_secs(3), |world| {
        for number in 100..900 {
            let (region, id) =
                (Region::new("ap-guangzhou"), DataEngineId::new(format!("DataEngine-{number:04}")));
            assert!(world.set_image(&region, &id, Some(ImageVersionId::new("image-new"))));
        }
    }));
    let told = staging.run().await;
    assert_eq!(told.count(Outcome::Switched) + told.count(Outcome::UpToDate), 1_000);
    assert!(told.count(Outcome::UpToDate) > 100, "the meddling must bite");
    assert!(told.ended.elapsed < Duration::from_secs(75), "{:?}", told.ended.elapsed);
}

/// A cloud whose listings of one region never come back once the run has begun.
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
async fn a_region_whose_listing_hangs_holds_up_nobody_but_itself() {
    let mut staging = Staging::new(jobs(10, 1), "latency: {median: 50ms, max: 60ms}\n");
    staging.jobs[9].key.region = Region::new("ap-beijing");
    staging.options.wait_timeout = Duration::from_secs(45);
    let told = staging.run_in(|simulator| OneRegionHangs { simulator, begun: AtomicBool::new(false) }).await;
    assert_eq!((told.count(Outcome::Switched), told.count(Outcome::TimedOut)), (9, 1));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_lets_nothing_through_is_not_asked_for_ever() {
    let mut staging = Staging::new(jobs(2, 1), "faults:\n  - {fault: RequestLimitExceeded}\n");
    staging.options.wait_timeout = Duration::from_secs(300);
    let told = staging.run().await;
    assert!(matches!(&told.ended.stopped, Some(StopReason::AccountRefused(_))));
    let requests = told.simulator.stats().action(SWITCH).received;
    assert!(requests < 400, "{requests} requests in five minutes");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_reaches_its_target_while_it_waits_for_its_turn_is_not_sent() {
    let mut staging = Staging::new(jobs(900, 1), "latency: {median: 50ms, max: 60ms}\n");
    staging.meddle = Some((Duration::from_secs(10), |world| {
        let (region, id) = (Region::new("ap-guangzhou"), DataEngineId::new("DataEngine-0899"));
        assert!(world.set_image(&region, &id, Some(ImageVersionId::new("image-new"))));
    }));
    let told = staging.run().await;
    assert_eq!((told.count(Outcome::UpToDate), told.count(Outcome::Switched)), (1, 899));
}

#[tokio::test(start_paused = true)]
async fn a_fleet_of_thousands_is_paged_through() {
    let told = Staging::new(jobs(1_200, 1), "latency: {median: 60ms, max: 200ms}\n").run().await;
    assert_eq!(told.count(Outcome::Switched), 1_200);
    assert!(told.simulator.stats().action(SWITCH).peak_requests_per_second <= 20);
    assert!(told.simulator.stats().action("DescribeDataEngines").peak_requests_per_second <= 20);
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_waits_for_answers_also_where_the_account_was_refused_before() {
    let weather = "latency: {median: 50ms, max: 60ms}\nfaults:\n  \
                   - {fault: no-response, engines: [DataEngine-0000], times: 1, applied: never}\n  \
                   - {fault: AuthFailure.SecretIdNotFound, action: any, from: 400ms}\n";
    let ended_after = |signals: Vec<(Duration, Signal)>| async move {
        let mut staging = Staging::new(jobs(20, 1), weather);
        staging.signals = signals;
        let told = staging.run().await;
        told.ended.elapsed
    };
    let at = |seconds| (Duration::from_secs(seconds), Signal::Interrupt);
    let answer = RunOptions::default().request_timeout;
    assert!(ended_after(vec![at(5)]).await >= answer, "the answer is waited for");
    assert!(ended_after(vec![at(5), at(6)]).await < Duration::from_secs(7), "the second one leaves at once");
}
