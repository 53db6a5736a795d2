//! Scenarios are read as written, and every error has a location and a remedy.

use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::fault::SwitchFault;
use super::*;
use crate::cloud::LIST_ENGINES;
use crate::job::DataEngineId;

fn refused(text: &str) -> (u64, u64, String) {
    let error = Scenario::parse(text, "scenario.yaml").expect_err("an error");
    assert_eq!(
        error.to_string(),
        format!("scenario.yaml:{}:{}: {}", error.line, error.column, error.message)
    );
    assert!(error.message.contains("; "), "no remedy: {}", error.message);
    assert!(!error.message.contains("at line"), "the location is repeated: {}", error.message);
    (error.line, error.column, error.message)
}

#[test]
fn a_full_scenario_reads_as_written() {
    let text = "
seed: 7
latency: {median: 120ms, max: 600ms}
switching: {min: 2s, max: 1m30s}
image_changes: at-start
minor_versions: accepted
listing_faults: {omitted: 20%, uncounted: 2.5%}
rate_limit_window: fixed
rate_limit: 15
clock_skew: -10m
signature_validity: 30s
account: 100000000007
session_duration: 310s
instance_role: fleet-night
unsupported_actions: [DescribeDataEngines]
run_defaults: {min_ready: 1s, resend_after: 2s, poll_interval: 500ms, wait_timeout: 60s, request_timeout: 2s, backoff: 100ms, max_backoff: 1s, soak: 3s}
faults:
  - {fault: InternalError, engines: 3%, times: 1}
  - {fault: reset-after-reading, applied: after 5s, engines: [DataEngine-x]}
  - {fault: http-502, engines: 2, action: any}
  - {fault: other-client, requests_per_second: 12, from: 3s, until: 6s}
  - {fault: other-image}
";
    let scenario = Scenario::parse(text, "scenario.yaml").expect("a scenario");
    assert_eq!(scenario.switching, SwitchTime { min: Duration::from_secs(2), max: Duration::from_secs(90) });
    assert_eq!((scenario.seed, scenario.rate_limit, scenario.rate_limit_window), (7, 15, Window::Fixed));
    assert_eq!(scenario.image_changes, ImageChanges::AtStart);
    assert_eq!(scenario.minor_versions, MinorVersions::Accepted);
    assert_eq!(scenario.listing_faults, ListingFaults { omitted: 20.0, repeated: 0.0, uncounted: 2.5 });
    assert_eq!(scenario.clock_skew, SignedDuration::from_mins(-10));
    assert_eq!(scenario.signature_validity, Duration::from_secs(30));
    assert_eq!(scenario.account.as_deref(), Some("100000000007"));
    assert_eq!(scenario.session_duration, Some(Duration::from_secs(310)));
    assert_eq!(scenario.instance_role.as_deref(), Some("fleet-night"));
    assert_eq!(scenario.unsupported_actions, [ActionName(LIST_ENGINES.to_owned())]);
    assert_eq!(scenario.run_defaults.poll_interval, Some(Duration::from_millis(500)));
    assert_eq!(scenario.run_defaults.soak, Some(Duration::from_secs(3)));
    let [refusal, reset, page, other, other_image] = scenario.faults.as_slice() else {
        panic!("five faults")
    };
    assert_eq!(refusal.fault, SimulatedFault::Refusal("InternalError".to_owned()));
    assert_eq!(
        (&refusal.engines, refusal.times, refusal.applied()),
        (&Engines::Share(3.0), Some(1), Applied::Never)
    );
    assert_eq!(reset.applied(), Applied::After(Duration::from_secs(5)));
    assert_eq!(reset.engines, Engines::Listed(vec![DataEngineId::new("DataEngine-x")]));
    assert_eq!(
        (&page.fault, &page.action, &page.engines),
        (&SimulatedFault::Response(ResponseFault::Http(502)), &None, &Engines::First(2))
    );
    assert_eq!(
        (other.requests_per_second, other.from, other.until),
        (12, Some(Duration::from_secs(3)), Some(Duration::from_secs(6)))
    );
    assert_eq!(other_image.fault, SimulatedFault::Switch(SwitchFault::OtherImage));
}

#[test]
fn the_example_of_the_documentation_is_valid() {
    let source = include_str!("../scenario.rs").split("```").nth(1).expect("the example");
    let yaml: Vec<&str> = source.lines().skip(1).map(|line| line.trim_start_matches("//! ")).collect();
    let scenario =
        Scenario::parse(&yaml.join("\n"), "example.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.faults.len(), 3);
}

#[test]
fn every_key_of_a_scenario_has_a_default() {
    for text in ["", "# only a comment\n", "{}", "seed: 1\n"] {
        assert_eq!(Scenario::parse(text, "scenario.yaml"), Ok(Scenario::default()), "{text:?}");
    }
}

#[test]
fn a_switch_is_applied_by_default_unless_the_response_is_a_refusal_or_html() {
    let applied = |fault: &str| {
        Scenario::parse(&format!("faults: [{{fault: {fault}}}]"), "scenario.yaml").expect(fault).faults[0]
            .applied()
    };
    for fault in [
        "reset-after-reading",
        "close-after-reading",
        "no-response",
        "truncated",
        "empty",
        "wrong-content-type",
    ] {
        assert_eq!(applied(fault), Applied::Before, "{fault}");
    }
    for fault in ["http-502", "html", "InternalError", "no-connection", "reset-before-reading"] {
        assert_eq!(applied(fault), Applied::Never, "{fault}");
    }
}

#[test]
fn every_error_has_its_location_and_a_remedy() {
    // the error is at the beginning of the second part
    for (before, rest) in [
        ("seed: 1\n", "sead: 2\n"),
        ("seed: ", "x\n"),
        ("latency: ", "{median: 2s, max: 1s}\n"),
        ("switching: {min: 3s, max: ", "1x}\n"),
        ("switching: ", "{min: 3s, max: 1s}\n"),
        ("rate_limit: ", "0\n"),
        ("rate_limit_window: ", "round\n"),
        ("account: ", "\"\"\n"),
        ("account: ", "uin/7\n"),
        ("instance_role: ", "a/b\n"),
        ("session_duration: ", "25h\n"),
        ("unsupported_actions: [DescribeDataEngine, ", "DescribeEngines]\n"),
        ("run_defaults:\n  min_ready: ", "25h\n"),
        ("run_defaults:\n  min_ready: ", "-1s\n"),
        ("clock_skew: ", "-9223372036854775808s\n"),
        ("faults:\n  - {fault: ", "InternalErorr}\n"),
        ("faults:\n  - {fault: html, engines: ", "101%}\n"),
        ("faults:\n  - {fault: html, engines: ", "0}\n"),
        ("faults:\n  - {fault: html, engines: ", "{a: b}}\n"),
        ("faults:\n  - {fault: html, times: ", "0}\n"),
        ("faults:\n  - {fault: html, applied: ", "later}\n"),
        // errors that concern several keys are at the beginning of their rule
        ("faults:\n  - ", "{fault: html, from: 2s, until: 2s}\n"),
        ("faults:\n  - ", "{fault: no-connection, applied: before}\n"),
        ("faults:\n  - ", "{fault: other-client}\n"),
        ("faults:\n  - ", "{fault: html, requests_per_second: 3}\n"),
        ("faults:\n  - ", "{fault: other-client, requests_per_second: 3, times: 1}\n"),
        ("faults:\n  - {fault: html, action: ", "RestartDataEngine}\n"),
        ("faults:\n  - ", "{fault: html, action: DescribeDataEngines, engines: [x]}\n"),
        ("faults:\n  - ", "{fault: other-image, action: DescribeDataEngines}\n"),
        ("faults:\n  - ", "{engines: all}\n"),
    ] {
        let (line, column, message) = refused(&format!("{before}{rest}"));
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        let (expected_line, expected_column) = (before.split('\n').count(), last_line.len() + 1);
        let is_close = column.abs_diff(expected_column as u64) <= 1;
        assert!(line == expected_line as u64 && is_close, "{before}{rest} {line}:{column}: {message}");
    }
    let (line, _, message) = refused("seed: 1\n---\nseed: 2\n");
    assert_eq!(
        (line, message.as_str()),
        (3, "a second document begins here; write one scenario in each file")
    );
}

#[test]
fn the_built_in_scenario_has_faults_and_short_waits() {
    let text = include_str!("../default_scenario.yaml");
    let scenario = Scenario::parse(text, "built-in").expect("a scenario");
    assert_eq!(scenario, Scenario::built_in());
    assert!(!scenario.faults.is_empty());
    assert!(scenario.run_defaults.min_ready.is_some() && scenario.run_defaults.poll_interval.is_some());
}

#[test]
fn every_scenario_in_tests_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.starts_with("# "), "{name} does not start with its purpose");
        let scenario = Scenario::parse(&text, &name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scenario.faults.is_empty(), name == "no-faults.yaml", "{name}");
        names.push(name);
    }
    names.sort();
    let expected = [
        "internal-errors.yaml",
        "lost-responses.yaml",
        "no-faults.yaml",
        "other-client.yaml",
        "outage.yaml",
        "wrong-switches.yaml",
    ];
    assert_eq!(names, expected);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Scenario::parse(&String::from_utf8_lossy(&bytes), "scenario.yaml");
    }

    #[test]
    fn random_pieces_of_scenarios_never_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "seed: ", "1", "\n", "faults:", "  - {", "}", "fault: ", "after ", "close-after-reading", "%", "-", "9999999999999999999",
                "engines: ", "[", "]", "applied: ", ", ", "5s", "&a ", "*a", "latency: ", "http-", "é", "undocumented ",
            ]),
            0..30,
        ),
    ) {
        let _ = Scenario::parse(&pieces.concat(), "scenario.yaml");
    }
}
