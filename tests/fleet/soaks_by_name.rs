//! Soaks in virtual time where the service cannot list engines: the soak check reads each engine by its name.

use std::time::Duration;

use dlc_fleet::cloud::{SHOW_ENGINE, SWITCH};
use dlc_fleet::event::{Event, StopReason};
use dlc_fleet::job::{DataEngineName, Outcome, Region};
use dlc_fleet::simulator::{Arrival, OK};
use tokio::time::Instant;

use crate::by_name::{NO_LISTING, id, named_jobs};
use crate::staging::Staging;

const SOAK: Duration = Duration::from_secs(600);

/// Forty engines in two waves, of which the first soaks; the service cannot list engines.
fn soaking() -> Staging {
    let scenario = format!("{NO_LISTING}latency: {{median: 50ms, max: 60ms}}\n");
    let mut staging = Staging::new(named_jobs(40, 2, 1), &scenario);
    staging.soaks = vec![SOAK];
    staging
}

#[tokio::test(start_paused = true)]
async fn the_soak_check_reads_each_engine_by_name_before_the_next_wave_starts() {
    let result = soaking().run().await;
    assert_eq!((result.ended.stopped.as_ref(), result.count(Outcome::Switched)), (None, 40));
    assert!(result.applied_once());
    let began =
        result.when(|event| matches!(event, Event::SoakStarted { wave: 0, left: SOAK, verify: true }));
    let over = began[0] + SOAK;
    let arrivals = result.simulator.arrivals();
    let second = |arrival: &&Arrival| arrival.data_engine_id >= Some(id(20));
    let opened = arrivals.iter().find(second).expect("a switch of the second wave").at;
    let looks = |from: Instant, until: Instant| {
        let shown = arrivals.iter().filter(|arrival| arrival.action == SHOW_ENGINE && arrival.answered == OK);
        shown.filter(|look| (from..until).contains(&look.at)).count()
    };
    assert_eq!(looks(began[0], over), 0, "no read during the soak");
    let soaked = result.when(|event| matches!(event, Event::SoakEnded { wave: 0, verify: true }));
    assert_eq!(soaked.len(), 1);
    assert_eq!(looks(over, soaked[0]), 20, "each engine of the wave is read once");
    assert!(soaked[0] <= opened && opened < over + Duration::from_secs(10), "{:?} late", opened - over);
    let stats = result.simulator.stats();
    for action in [SWITCH, SHOW_ENGINE] {
        assert!(stats.action(action).peak_requests_per_second <= 20, "{action}");
        assert_eq!(stats.answered(action, "RequestLimitExceeded"), 0, "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_was_renamed_during_the_soak_stops_the_run() {
    let mut staging = soaking();
    staging.meddle = Some((Duration::from_secs(300), |world| {
        let region = Region::new("ap-guangzhou");
        let name = world.engine(&region, &id(3)).expect("an engine").name.clone();
        assert!(world.set_name(&region, &id(3), DataEngineName::new("renamed")));
        assert!(world.set_name(&region, &id(30), name));
    }));
    let result = staging.run().await;
    let Some(StopReason::SoakFailed(failure)) = &result.ended.stopped else {
        panic!("the soak was to fail: {:?}", result.ended.stopped)
    };
    assert_eq!((failure.engines, &failure.first), (1, &id(3)));
    assert!(result.ended.elapsed >= SOAK);
    assert_eq!(result.simulator.stats().action(SWITCH).received, 20, "nothing of the next wave was sent");
    assert_eq!((result.count(Outcome::Switched), result.count(Outcome::NotStarted)), (20, 20));
    let most = result.simulator.stats().action(SHOW_ENGINE).peak_requests_per_second;
    assert!(most <= 20, "{most} reads in one second");
}
