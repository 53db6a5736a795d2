//! What is typed: endpoints, flags, durations, regions, keys; and foreign text on its way to a person.

use std::time::Duration;

use clap::Parser;
use dlc_fleet::cli::{Cli, Command};
use dlc_fleet::cloud::catalogue::look_up;
use dlc_fleet::cloud::credentials::variables::{SECRET_ID, SECRET_KEY, TOKEN, read};
use dlc_fleet::cloud::endpoint::Endpoint;
use dlc_fleet::format;
use dlc_fleet::plan::is_region;
use dlc_fleet::simulator::SimulatedFault;
use proptest::prelude::*;

use super::mutation::{mutated, noise};

const ENDPOINTS: [&str; 6] = [
    "dlc.tencentcloudapi.com",
    "https://dlc.ap-guangzhou.tencentcloudapi.com/",
    "http://127.0.0.1:8080",
    "http://localhost",
    "http://[::1]:80",
    "https://example.com:8443",
];

const ENDPOINT_PIECES: [&str; 16] = [
    "/",
    ":",
    "@",
    "?",
    "#",
    "[",
    "]",
    ".",
    "http://",
    "https://",
    "0x7f",
    "127.1",
    "%2e",
    "\\",
    "localhost",
    "。",
];

const FAULTS: [&str; 5] =
    ["InternalError", "http-502", "undocumented A.B", "other-client", "reset-after-reading"];

const FLAGS: [&str; 26] = [
    "--rate",
    "--concurrency",
    "--max-attempts",
    "--request-timeout",
    "--resend-after",
    "--wait-timeout",
    "--min-ready",
    "--no-wait",
    "--no-verify",
    "--simulate",
    "--simulate=",
    "--endpoint",
    "--region",
    "--yes",
    "--output",
    "json",
    "--dry-run",
    "--offline",
    "--ledger",
    "-v",
    "--color",
    "plan.csv",
    "20",
    "0",
    "1m30s",
    "-1s",
];

const DURATIONS: [&str; 12] =
    ["10s", "1m30s", "500ms", "0s", "-1s", "1e9s", "999999999999h", "7d", "168h", "PT1H", "1 year", "10"];

/// A command line of flags and values in any order.
fn arguments() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        prop::sample::select(&FLAGS).prop_map(str::to_owned),
        prop::sample::select(&DURATIONS).prop_map(str::to_owned),
        ".{0,12}",
    ];
    prop::collection::vec(word, 0..8)
}

pub fn is_one_line(text: &str) -> bool {
    text.chars().all(format::is_printable)
}

proptest! {
    #[test]
    fn an_endpoint_that_is_accepted_is_a_host_and_nothing_more(
        bytes in prop_oneof![mutated(&ENDPOINTS, &ENDPOINT_PIECES), noise(&ENDPOINT_PIECES)],
    ) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint.clone()), "read again");
            prop_assert!(!endpoint.is_plain() || endpoint.is_loopback(), "unencrypted to {}", endpoint);
            let host = endpoint.host_header();
            prop_assert!(host.is_ascii() && !host.contains(['/', '@', '?', '#', '\\', ' ']), "{}", host);
            prop_assert!(host.ends_with(&endpoint.site()) && is_one_line(host));
        }
    }

    #[test]
    fn a_command_line_that_is_accepted_keeps_to_its_limits(words in arguments()) {
        let line = ["dlc-fleet", "run", "plan.yaml"].map(str::to_owned).into_iter().chain(words);
        if let Ok(Cli { command: Command::Run(run), .. }) = Cli::try_parse_from(line) {
            let limits = run.limits;
            prop_assert!(limits.rate.is_none_or(|rate| (1..=20).contains(&rate)));
            prop_assert!(limits.concurrency.is_none_or(|count| (1..=1000).contains(&count)));
            prop_assert!(limits.max_attempts.is_none_or(|count| (1..=100).contains(&count)));
            let positive = [limits.request_timeout, limits.wait_timeout];
            prop_assert!(positive.into_iter().flatten().all(|time| time > Duration::ZERO));
            let times = positive.into_iter().chain([limits.resend_after, limits.min_ready]);
            prop_assert!(times.flatten().all(|time| time <= Duration::from_secs(7 * 24 * 3600)));
        }
    }

    #[test]
    fn a_duration_that_is_accepted_is_one_that_can_be_waited(text in prop_oneof![".{0,20}", "-?[0-9]{1,12}(ms|s|m|h|d|w)", "[0-9]{1,3}h[0-9]{1,9}m"]) {
        let line = ["dlc-fleet", "run", "p.csv", &format!("--wait-timeout={text}")].map(str::to_owned);
        if let Ok(Cli { command: Command::Run(run), .. }) = Cli::try_parse_from(line) {
            let wait = run.limits.wait_timeout.expect("it was typed");
            prop_assert!(wait > Duration::ZERO && wait <= Duration::from_secs(7 * 24 * 3600));
        }
    }

    #[test]
    fn a_region_that_is_accepted_fits_into_a_header(text in prop_oneof![".{0,20}", "[a-z]{0,4}-[a-zA-Z0-9.-]{0,6}"]) {
        if is_region(&text) {
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        }
    }

    #[test]
    fn keys_that_are_accepted_fit_into_a_header_and_others_are_not_shown(
        id in "\\PC{0,8}|[ -~]{6,12}", key in "\\PC{0,8}|[ -~]{6,12}", token in "[ -~]{0,12}",
    ) {
        let value = |name: &str| match name {
            SECRET_ID => Some(id.clone()),
            SECRET_KEY => Some(key.clone()),
            TOKEN => Some(token.clone()),
            _ => None,
        };
        match read(value) {
            Ok(None) => prop_assert!(id.is_empty() && key.is_empty()),
            Ok(Some(keys)) => {
                let parts = [keys.secret_id(), keys.secret_key(), keys.token().unwrap_or("-")];
                prop_assert!(parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic())));
            }
            Err(error) => {
                let told = format!("{error} {error:?}");
                prop_assert!(key.len() < 6 || !told.contains(&key), "{}", told);
            }
        }
    }

    #[test]
    fn any_text_is_a_fault_or_an_error_with_a_remedy(bytes in mutated(&FAULTS, &["undocumented ", "http-", " ", "-"])) {
        let text = String::from_utf8_lossy(&bytes);
        match text.parse::<SimulatedFault>() {
            Ok(SimulatedFault::Refusal(code)) => prop_assert!(!code.is_empty() && code.trim() == code, "{:?}", code),
            Ok(_) => {}
            Err(what) => prop_assert!(what.contains("; "), "{}", what),
        }
    }

    #[test]
    fn foreign_text_is_one_bounded_line_before_people_see_it(text in "(?s).{0,200}", longest in 0usize..60) {
        let text = format::printable(&text);
        prop_assert!(is_one_line(&text));
        prop_assert_eq!(&format::printable(&text), &text, "a second time");
        let quoted = format::quoted(&text, longest);
        prop_assert!(is_one_line(&quoted) && quoted.chars().count() <= longest.max(1) + 2, "{}", quoted);
        prop_assert!(format::cut(&text, longest).chars().count() <= longest.max(1));
        prop_assert!(!look_up(&text).remedy.is_empty());
    }
}
