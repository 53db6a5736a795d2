//! Every code that `SwitchDataEngineImage` documents: the simulator answers it, the tool does what the catalogue says.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dlc_fleet::cloud::catalogue::SWITCH_CODES;
use dlc_fleet::cloud::{EngineState, SWITCH};
use dlc_fleet::job::{DataEngineId, Region};

use crate::stage::{Ran, Row, Stage};

/// What a person expects of the tool, written down apart from the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// This engine fails, the others are switched: exit 1.
    Fails,
    /// This engine fails, others with the same target are held back, the rest is switched: exit 1.
    HoldsTheImage,
    /// With nothing accepted so far the run stops: exit 5.
    Stops,
    /// It passes when it is sent again: exit 0.
    Passes,
}

const EXPECTED: [(&str, Expected); 24] = [
    ("FailedOperation", Expected::Fails),
    ("FailedOperation.NoPermissionToUseTheDataEngine", Expected::Stops),
    ("InternalError", Expected::Passes),
    ("InternalError.InternalSystemException", Expected::Passes),
    ("InvalidParameter.DataEngineExecTypeNotMatch", Expected::Fails),
    ("InvalidParameter.DataEnginePayModeTypeNotMatch", Expected::Fails),
    ("InvalidParameter.ImageClusterParametersFormatNotJson", Expected::HoldsTheImage),
    ("InvalidParameter.ImageEngineTypeNotMatch", Expected::Fails),
    ("InvalidParameter.ImageIsPublicNotMatch", Expected::HoldsTheImage),
    ("InvalidParameter.ImageParameterNotFound", Expected::HoldsTheImage),
    ("InvalidParameter.ImageSessionParametersFormatNotJson", Expected::HoldsTheImage),
    ("InvalidParameter.ImageStateNotMatch", Expected::HoldsTheImage),
    ("InvalidParameter.ImageUserRecordsTypeNotMatch", Expected::HoldsTheImage),
    ("InvalidParameter.ParameterNotFoundOrBeNone", Expected::Fails),
    ("ResourceNotFound.DataEngineConfigInstanceNotFound", Expected::Fails),
    ("ResourceNotFound.DataEngineConfigInstanceNotUnique", Expected::Fails),
    // the engine runs when it is looked at, so the refusal was of a moment
    ("ResourceNotFound.DataEngineNotActivity", Expected::Passes),
    ("ResourceNotFound.DataEngineNotFound", Expected::Fails),
    ("ResourceNotFound.DataEngineNotMultiVersion", Expected::Fails),
    ("ResourceNotFound.ImageSessionConfigNotFound", Expected::HoldsTheImage),
    ("ResourceNotFound.ImageSessionConfigNotUnique", Expected::HoldsTheImage),
    ("ResourceNotFound.ImageVersionNotActivity", Expected::HoldsTheImage),
    ("ResourceNotFound.ImageVersionNotFound", Expected::HoldsTheImage),
    ("UnauthorizedOperation.UnauthorizedOperationCode_NoEngineCamPermissions", Expected::Stops),
];

/// Three engines, one at a time: the first is refused, the second shares its target, the third does not.
fn plan() -> Vec<Row> {
    [("refused", "image-a"), ("same-target", "image-a"), ("other-target", "image-b")]
        .map(|(engine, image)| (format!("DataEngine-{engine}"), image.to_owned()))
        .to_vec()
}

fn weather(code: &str) -> String {
    format!(
        "latency: {{median: 5ms, max: 10ms}}\nswitching: {{min: 100ms, max: 200ms}}\n\
         faults:\n  - {{fault: {code}, engines: [DataEngine-refused], times: 1}}\n"
    )
}

fn outcomes(ran: &Ran) -> BTreeMap<String, (String, String)> {
    let json = ran.json();
    let jobs = json["jobs"].as_array().expect("jobs");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let row = |job: &serde_json::Value| {
        let engine = text(&job["data_engine_id"]).replace("DataEngine-", "");
        (engine, (text(&job["outcome"]), text(&job["reason"]["code"])))
    };
    jobs.iter().map(row).collect()
}

fn play(code: &str, expected: Expected) -> Result<(), String> {
    let stage = Stage::new(&plan(), &weather(code));
    // one at a time, so that the first answer is known before the second request leaves
    let ran = stage.run(&["--output", "json", "--concurrency", "1", "--resend-after", "1s"]);
    let outcomes = outcomes(&ran);
    let of = |engine: &str| outcomes[engine].0.as_str();
    let (exit, same, other) = match expected {
        Expected::Passes => (0, "switched", "switched"),
        Expected::Fails => (1, "switched", "switched"),
        Expected::HoldsTheImage => (1, "not-started", "switched"),
        Expected::Stops => (5, "not-started", "not-started"),
    };
    let refused = match expected {
        Expected::Passes => ("switched".to_owned(), String::new()),
        _ => ("failed".to_owned(), code.to_owned()),
    };
    let answered = stage.simulator.stats().answered(SWITCH, code);
    let told = expected == Expected::Passes || ran.stderr.contains(code);
    let good = ran.code == Some(exit)
        && outcomes["refused"] == refused
        && (of("same-target"), of("other-target")) == (same, other)
        && answered == 1
        && told;
    if good { Ok(()) } else { Err(format!("{code}: exit {:?}, answered {answered}, {outcomes:?}", ran.code)) }
}

#[test]
fn every_documented_code_is_answered_and_dealt_with() {
    let expected: BTreeMap<&str, Expected> = EXPECTED.into();
    assert_eq!(expected.keys().copied().collect::<Vec<_>>(), {
        let mut codes = SWITCH_CODES;
        codes.sort_unstable();
        codes
    });
    let queue = Mutex::new(EXPECTED.to_vec());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((code, expected)) = { queue.lock().expect("no panic").pop() } {
                    if let Err(what) = play(code, expected) {
                        wrong.lock().expect("no panic").push(what);
                    }
                }
            });
        }
    });
    assert_eq!(wrong.into_inner().expect("no panic"), Vec::<String>::new());
}

#[test]
fn a_suspended_engine_is_refused_and_not_tried_again() {
    let stage =
        Stage::new(&plan(), "latency: {median: 5ms, max: 10ms}\nswitching: {min: 100ms, max: 200ms}\n");
    stage.simulator.with_world(|world| {
        let (region, id) = (Region::new("ap-guangzhou"), DataEngineId::new("DataEngine-refused"));
        assert!(world.set_state(&region, &id, EngineState::SUSPENDED));
    });
    let ran = stage.run(&["--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let refused = &outcomes(&ran)["refused"];
    assert_eq!(refused, &("failed".to_owned(), "ResourceNotFound.DataEngineNotActivity".to_owned()));
    assert_eq!(stage.requests(), 3);
}

#[test]
fn throttling_slows_the_run_down_and_fails_nothing() {
    for code in [
        "RequestLimitExceeded",
        "RequestLimitExceeded.UinLimitExceeded",
        "RequestLimitExceeded.IPLimitExceeded",
    ] {
        let stage = Stage::new(&plan(), &weather(code));
        let ran = stage.run(&["--output", "json", "--max-attempts", "1"]);
        assert_eq!(ran.code, Some(0), "{code}: {}", ran.stderr);
        assert!(ran.stderr.contains(code) && ran.stderr.contains("rate reduced"), "{}", ran.stderr);
        assert_eq!(ran.json()["throttles"], 1);
    }
}
