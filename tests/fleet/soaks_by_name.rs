//! Waves that soak at a site that has no list of engines, in virtual time: each engine is read back by its name.

use std::time::Duration;

use dlc_fleet::cloud::{SHOW_ENGINE, SWITCH};
use dlc_fleet::event::{Event, StopReason};
use dlc_fleet::job::{DataEngineName, Outcome, Region};
use dlc_fleet::simulator::{Arrival, OK};
use tokio::time::Instant;

use crate::by_name::{LACKS, id, named_jobs};
use crate::staging::Staging;

const SOAK: Duration = Duration::from_secs(600);

/// Forty engines in two waves at a site without a listing, of which the first wave soaks.
fn soaking() -> Staging {
    let weather = format!("{LACKS}latency: {{median: 50ms, max: 60ms}}\n");
    let mut staging = Staging::new(named_jobs(40, 2, 1), &weather);
    staging.soaks = vec![SOAK];
    staging
}

#[tokio::test(start_paused = true)]
async fn a_wave_that_has_soaked_is_read_back_by_name_before_the_next_one_opens() {
    let told = soaking().run().await;
    assert_eq!((told.ended.stopped.as_ref(), told.count(Outcome::Switched)), (None, 40));
    assert!(told.applied_once());
    let began = told.when(|event| matches!(event, Event::SoakStarted { wave: 0, left: SOAK, verify: true }));
    let over = began[0] + SOAK;
    let arrivals = told.simulator.arrivals();
    let second = |arrival: &&Arrival| arrival.data_engine_id >= Some(id(20));
    let opened = arrivals.iter().find(second).expect("a switch of the second wave").at;
    let looks = |from: Instant, until: Instant| {
        let shown = arrivals.iter().filter(|arrival| arrival.action == SHOW_ENGINE && arrival.answered == OK);
        shown.filter(|look| (from..until).contains(&look.at)).count()
    };
    assert_eq!(looks(began[0], over), 0, "while a wave soaks, nobody needs a look");
    let soaked = told.when(|event| matches!(event, Event::SoakEnded { wave: 0, verify: true }));
    assert_eq!(soaked.len(), 1);
    assert_eq!(looks(over, soaked[0]), 20, "each engine that soaked is asked for once");
    assert!(soaked[0] <= opened && opened < over + Duration::from_secs(10), "{:?} late", opened - over);
    let stats = told.simulator.stats();
    for action in [SWITCH, SHOW_ENGINE] {
        assert!(stats.action(action).peak_requests_per_second <= 20, "{action}");
        assert_eq!(stats.answered(action, "RequestLimitExceeded"), 0, "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_another_engine_was_given_during_the_soak_stops_the_run() {
    let mut staging = soaking();
    staging.meddle = Some((Duration::from_secs(300), |world| {
        let region = Region::new("ap-guangzhou");
        let name = world.engine(&region, &id(3)).expect("an engine").name.clone();
        assert!(world.set_name(&region, &id(3), DataEngineName::new("renamed")));
        assert!(world.set_name(&region, &id(30), name));
    }));
    let told = staging.run().await;
    let Some(StopReason::SoakFailed(failure)) = &told.ended.stopped else {
        panic!("the soak was to fail: {:?}", told.ended.stopped)
    };
    assert_eq!((failure.engines, &failure.first), (1, &id(3)));
    assert!(told.ended.elapsed >= SOAK);
    assert_eq!(told.simulator.stats().action(SWITCH).received, 20, "nothing of the next wave was sent");
    assert_eq!((told.count(Outcome::Switched), told.count(Outcome::NotStarted)), (19, 20));
    let most = told.simulator.stats().action(SHOW_ENGINE).peak_requests_per_second;
    assert!(most <= 20, "{most} looks in one second");
}
