//! The simulator behind the traits of `cloud`, in virtual time.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::cloud::EngineState;
use crate::job::ImageVersionId;
use crate::simulator::{OK, Scenario, World};

fn region() -> Region {
    Region::new("ap-guangzhou")
}

fn id(number: usize) -> DataEngineId {
    DataEngineId::new(format!("DataEngine-{number:03}"))
}

fn key(number: usize) -> JobKey {
    JobKey {
        region: region(),
        data_engine_id: id(number),
        new_image_version_id: ImageVersionId::new("target"),
    }
}

/// A simulator with a number of engines and short latency.
fn simulator(engines: usize, scenario: &str) -> Simulator {
    let rows: Vec<(JobKey, bool)> = (0..engines).map(|number| (key(number), false)).collect();
    let text = format!("latency: {{median: 20ms, max: 100ms}}\n{scenario}");
    let scenario = Scenario::parse(&text, "scenario.yaml").expect("a scenario");
    Simulator::new(World::holding(1, &rows), scenario)
}

fn rule(rule: &str) -> String {
    format!("faults: [{{{rule}}}]")
}

/// State of an engine, whether it is on its target, and how many switches were applied.
fn state_of(simulator: &Simulator, number: usize) -> (EngineState, bool, u64) {
    simulator.with_world(|world| {
        let engine = world.engine(&region(), &id(number)).expect("an engine");
        (engine.state, engine.image_version_id == Some(ImageVersionId::new("target")), engine.applied)
    })
}

async fn seconds(seconds: f64) {
    sleep(Duration::from_secs_f64(seconds)).await;
}

fn refused<T>(result: Result<T, CallError>) -> String {
    match result {
        Err(CallError::Refused(refusal)) => refusal.code,
        Err(other) => panic!("{other:?} is no refusal"),
        Ok(_) => panic!("accepted"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_accepted_switch_initialises_and_then_runs_on_its_target() {
    let simulator = simulator(1, "switching: {min: 2s, max: 4s}");
    simulator.switch(&key(0)).await.expect("a receipt");
    assert_eq!(state_of(&simulator, 0), (EngineState::INITIALISING, false, 1));
    assert_eq!(refused(simulator.switch(&key(0)).await), "ResourceNotFound.DataEngineNotActivity");
    seconds(4.0).await;
    assert_eq!(state_of(&simulator, 0), (EngineState::RUNNING, true, 1));
    let stats = simulator.stats();
    assert_eq!((stats.applied, stats.applied_by_engine[&id(0)]), (1, 1));
    assert_eq!((stats.answered(SWITCH, OK), stats.action(SWITCH).received), (1, 2));
    assert_eq!(stats.engines_by_image[&ImageVersionId::new("target")], [id(0)]);
}

#[tokio::test(start_paused = true)]
async fn reads_show_the_engines_and_the_images_of_their_type() {
    let simulator = simulator(3, "");
    let mut found = Vec::new();
    for kind in EngineKind::ALL {
        let page = EnginePage { kind, offset: 0, limit: 100 };
        found.extend(simulator.engines(&region(), page).await.expect("a listing").engines);
    }
    assert_eq!(found.len(), 3);
    let detail = found[0].engine_type_detail.clone().expect("a type");
    let images = simulator.images(&region(), &detail).await.expect("images");
    assert!(images.iter().any(|image| image.image_version_id == ImageVersionId::new("target")));
    assert!(images.iter().any(|image| Some(&image.image_version_id) == found[0].image_version_id.as_ref()));
    let page = EnginePage { kind: EngineKind::ALL[0], offset: 0, limit: 101 };
    assert_eq!(refused(simulator.engines(&region(), page).await), "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_found_by_its_name() {
    let simulator = simulator(3, "");
    let (id, name) = simulator.with_world(|world| {
        let engine = world.engines().nth(1).expect("an engine");
        (engine.data_engine_id.clone(), engine.name.clone())
    });
    let shown = simulator.engine_by_name(&region(), &name).await.expect("an answer").expect("an engine");
    assert_eq!((&shown.data_engine_id, shown.name.as_ref()), (&id, Some(&name)));
    simulator.with_world(|world| assert!(world.set_name(&region(), &id, DataEngineName::new("other"))));
    let refusal = simulator.engine_by_name(&region(), &name).await;
    assert_eq!(refused(refusal), "ResourceNotFound.DataEngineNotFound");
    let elsewhere = Region::new("ap-elsewhere");
    assert!(simulator.engine_by_name(&elsewhere, &DataEngineName::new("other")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_unsupported_action_is_refused_and_does_not_count_against_the_rate_limit() {
    let simulator = simulator(3, "unsupported_actions: [DescribeDataEngines]\nrate_limit: 1");
    for _ in 0..3 {
        let page = EnginePage { kind: EngineKind::ALL[0], offset: 0, limit: 100 };
        assert_eq!(refused(simulator.engines(&region(), page).await), "InvalidAction");
    }
    assert_eq!(simulator.stats().answered(LIST_ENGINES, "InvalidAction"), 3);
    simulator.switch(&key(0)).await.expect("a receipt");
}

#[tokio::test(start_paused = true)]
async fn latency_is_between_half_the_median_and_the_max() {
    let simulator = simulator(20, "");
    let mut slowest = Duration::ZERO;
    for number in 0..20 {
        let started = Instant::now();
        simulator.switch(&key(number)).await.expect("a receipt");
        // tokio's timer rounds up to the next millisecond
        assert!((10..=101).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
        slowest = slowest.max(started.elapsed());
    }
    assert!(slowest > Duration::from_millis(20), "half of them are slower than the median");
}

/// Sends switches at once and counts those that were throttled.
async fn burst(simulator: &Simulator, engines: std::ops::Range<usize>) -> usize {
    let calls: Vec<_> = engines
        .map(|number| {
            let simulator = simulator.clone();
            tokio::spawn(async move { simulator.switch(&key(number)).await })
        })
        .collect();
    let mut throttled = 0;
    for call in calls {
        if let Err(fault) = call.await.expect("a call") {
            assert_eq!(refused::<()>(Err(fault)), "RequestLimitExceeded");
            throttled += 1;
        }
    }
    throttled
}

#[tokio::test(start_paused = true)]
async fn the_21st_request_in_a_second_is_throttled_and_does_not_count() {
    let simulator = simulator(60, "");
    assert_eq!(burst(&simulator, 0..25).await, 5);
    // the burst took up to 100 ms, so the second is not over at 0.8 s more and is over at 1 s more
    seconds(0.8).await;
    assert_eq!(burst(&simulator, 25..26).await, 1);
    seconds(0.2).await;
    assert_eq!(burst(&simulator, 26..46).await, 0);
    let stats = simulator.stats();
    assert_eq!((stats.applied, stats.answered(SWITCH, "RequestLimitExceeded")), (40, 6));
    assert!(stats.action(SWITCH).peak_requests_per_second >= 25);
}

#[tokio::test(start_paused = true)]
async fn refused_requests_count_against_the_rate_limit_and_throttled_requests_do_not() {
    let refusing = simulator(30, &rule("fault: InternalError, engines: 10, times: 1"));
    let throttling = simulator(30, &rule("fault: RequestLimitExceeded, engines: 10, times: 1"));
    for number in 0..10 {
        let key = key(number);
        let (one, other) = tokio::join!(refusing.switch(&key), throttling.switch(&key));
        assert_eq!(
            (refused(one), refused(other)),
            ("InternalError".to_owned(), "RequestLimitExceeded".to_owned())
        );
    }
    seconds(2.0).await;
    for number in 0..10 {
        refusing.with_world(|world| world.set_state(&region(), &id(number), EngineState::SUSPENDED));
    }
    // ten refusals by the world and ten successes fill the second
    let mut codes = Vec::new();
    let calls: Vec<_> = (0..21)
        .map(|number| {
            let refusing = refusing.clone();
            tokio::spawn(async move { refusing.switch(&key(number)).await })
        })
        .collect();
    for call in calls {
        codes.push(
            call.await.expect("a call").map_or_else(|fault| refused::<()>(Err(fault)), |_| OK.to_owned()),
        );
    }
    let count = |code: &str| codes.iter().filter(|ours| *ours == code).count();
    assert_eq!(count("ResourceNotFound.DataEngineNotActivity"), 10);
    assert_eq!((count(OK), count("RequestLimitExceeded")), (10, 1));
    // after ten throttled calls the whole second is still free
    let fresh = simulator(40, &rule("fault: RequestLimitExceeded, engines: 10, times: 1"));
    assert_eq!(burst(&fresh, 0..30).await, 10);
}

#[tokio::test(start_paused = true)]
async fn another_client_uses_up_a_part_of_the_rate_limit_while_its_rule_is_active() {
    let simulator = simulator(60, &rule("fault: other-client, requests_per_second: 12, from: 0s, until: 3s"));
    assert_eq!(burst(&simulator, 0..20).await, 12);
    seconds(4.0).await;
    assert_eq!(burst(&simulator, 20..40).await, 0);
}

#[tokio::test(start_paused = true)]
async fn each_response_fault_is_the_matching_error_and_applies_the_switch_as_the_scenario_says() {
    for (fault, applied) in [
        ("no-connection", 0),
        ("reset-before-reading", 0),
        ("reset-after-reading", 1),
        ("reset-after-reading, applied: never", 0),
        ("close-after-reading", 1),
        ("no-response", 1),
        ("http-502", 0),
        ("http-504, applied: before", 1),
        ("html", 0),
        ("truncated", 1),
        ("empty", 1),
        ("wrong-content-type", 1),
    ] {
        let simulator = simulator(1, &rule(&format!("fault: {fault}")));
        let error = simulator.switch(&key(0)).await.expect_err(fault);
        let word = fault.split(',').next().unwrap_or_default();
        let expected = match word {
            "http-502" => Some(502),
            "http-504" => Some(504),
            "html" | "truncated" | "empty" | "wrong-content-type" => Some(200),
            _ => None,
        };
        match &error {
            CallError::NotSent { .. } => assert_eq!(word, "no-connection"),
            CallError::NoResponse { http_status, .. } => {
                assert_ne!(word, "no-connection");
                assert_eq!(*http_status, expected, "{fault}");
            }
            other => panic!("{fault} is {other:?}"),
        }
        let stats = simulator.stats();
        assert_eq!((stats.applied, stats.answered(SWITCH, word)), (applied, 1), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_response_was_applied() {
    let simulator = simulator(1, &rule("fault: no-response"));
    assert!(timeout(Duration::from_secs(600), simulator.switch(&key(0))).await.is_err());
    assert_eq!(state_of(&simulator, 0), (EngineState::RUNNING, true, 1));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_switch_is_applied_that_long_after_its_response_was_lost() {
    let simulator = simulator(1, &rule("fault: reset-after-reading, applied: after 5s, times: 1"));
    assert!(matches!(simulator.switch(&key(0)).await, Err(CallError::NoResponse { .. })));
    seconds(4.9).await;
    assert_eq!(state_of(&simulator, 0), (EngineState::RUNNING, false, 0));
    seconds(0.2).await;
    assert_eq!(state_of(&simulator, 0), (EngineState::INITIALISING, false, 1));
    seconds(4.0).await;
    assert_eq!(state_of(&simulator, 0), (EngineState::RUNNING, true, 1));
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_was_applied_in_spite_of_a_refusal_and_is_sent_again_is_counted_twice() {
    let simulator = simulator(1, &rule("fault: InternalError, applied: before, times: 1"));
    assert_eq!(refused(simulator.switch(&key(0)).await), "InternalError");
    seconds(5.0).await;
    assert_eq!(state_of(&simulator, 0), (EngineState::RUNNING, true, 1));
    simulator.switch(&key(0)).await.expect("a receipt");
    assert_eq!(simulator.stats().applied_more_than_once, [id(0)]);
}

#[tokio::test(start_paused = true)]
async fn each_switch_fault_accepts_the_switch_and_ends_it_elsewhere() {
    for (fault, state) in [
        ("never-switches", EngineState::INITIALISING),
        ("engine-fails", EngineState::FAILED),
        ("other-image", EngineState::RUNNING),
    ] {
        let simulator = simulator(1, &rule(&format!("fault: {fault}")));
        let image = |simulator: &Simulator| {
            simulator.with_world(|world| {
                world.engine(&region(), &id(0)).expect("an engine").image_version_id.clone()
            })
        };
        let before = image(&simulator);
        simulator.switch(&key(0)).await.expect("a receipt");
        seconds(600.0).await;
        assert_eq!(state_of(&simulator, 0), (state, false, 1), "{fault}");
        assert_eq!(image(&simulator) != before, fault == "other-image", "{fault}");
    }
}

/// The responses to a client that switches each engine once, in order.
async fn one_round(seed: u64) -> Vec<String> {
    let text = format!("seed: {seed}\nfaults: [{{fault: InternalError, engines: 30%}}]");
    let simulator = simulator(30, &text);
    let mut answers = Vec::new();
    for number in 0..30 {
        let started = Instant::now();
        let answer = simulator.switch(&key(number)).await;
        answers.push(format!("{answer:?} after {:?}", started.elapsed()));
    }
    answers
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_responses_latencies_and_request_ids() {
    let first = one_round(7).await;
    assert_eq!(first, one_round(7).await);
    assert_ne!(first, one_round(8).await);
}

#[tokio::test(start_paused = true)]
async fn the_built_in_scenario_has_one_fault_of_each_kind_for_24_engines() {
    let rows: Vec<(JobKey, bool)> = (0..24).map(|number| (key(number), false)).collect();
    let simulator = Simulator::new(World::holding(1, &rows), Scenario::built_in());
    for (wave, pause) in [(0..2, 5.0), (2..8, 5.0), (8..24, 5.0)] {
        for number in wave {
            let mut tries = 0;
            while let Err(fault) = simulator.switch(&key(number)).await {
                tries += 1;
                assert!(tries < 4, "{fault}");
                seconds(5.0).await;
                if state_of(&simulator, number).1 {
                    break;
                }
            }
        }
        seconds(pause).await;
    }
    let stats = simulator.stats();
    assert_eq!(stats.answered(SWITCH, "InternalError"), 2);
    assert_eq!(stats.answered(SWITCH, "RequestLimitExceeded"), 2);
    assert_eq!(stats.answered(SWITCH, "reset-after-reading"), 1);
    assert_eq!((stats.applied, stats.applied_more_than_once.len()), (24, 0));
}
