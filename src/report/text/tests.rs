//! Tests of the sentences.

use super::*;
use crate::report::fixtures;
use crate::report::style::plain;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_start_of_a_soak_says_how_long_it_is_and_what_follows() {
    let run = fixtures::soaking();
    let started = |wave, left, verify| soak_started(&run.header, wave, seconds(left), verify);
    let single = soak_started(&fixtures::fleet(1).header, 0, seconds(60), true);
    let lines =
        [started(0, 600, true), started(0, 340, true), started(0, 0, true), started(2, 600, false), single];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_is_left_of_a_soak_is_rounded_up_to_whole_seconds() {
    let run = fixtures::soaking();
    let left = |ms| soaking(&run.header, 0, Duration::from_millis(ms));
    assert_eq!(left(600_400), format!("soaking canary, {} left", duration(seconds(601))));
    assert_eq!(left(1_400), format!("soaking canary, {} left", duration(seconds(2))));
    assert_eq!(left(0), "verifying canary after its soak");
}

#[test]
fn of_many_soaks_only_the_first_are_listed() {
    let wave = |number| Wave { soak: seconds(60), ..Wave::named(format!("w{number}")) };
    let listed = soaks(&(1..=9).map(wave).collect::<Vec<_>>()).expect("soaks");
    assert!(listed.starts_with("w1 for 1") && listed.contains(", w6 for 1"), "{listed}");
    assert!(listed.ends_with(" and 3 more"), "{listed}");
    assert_eq!(soaks(&[Wave::named("rest")]), None);
}

#[test]
fn an_unconfirmed_request_is_described_by_the_code_of_the_service() {
    let reason = Reason {
        message: Some("an internal error has occurred".to_owned()),
        ..fixtures::reason("InternalError")
    };
    let text = plain(&unconfirmed("DataEngine-a1", &reason, seconds(60)));
    let (cause, minute) = (&reason.cause, duration(seconds(60)));
    let expected = format!(
        "DataEngine-a1: unconfirmed, InternalError ({cause}); verifying: the request is sent again only if the engine \
         stays on its old image, running, for {minute}"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_message_of_the_network_is_quoted_and_cut() {
    let message = format!("HTTP 502: <html>\\r\\n<h1>Bad \"Gateway\"</h1>{}", "x".repeat(200));
    let reason = Reason { message: Some(message), ..fixtures::reason("no-response") };
    let text = plain(&unconfirmed("DataEngine-a1", &reason, seconds(0)));
    assert!(text.contains(": unconfirmed, \"HTTP 502: Bad 'Gateway' xx…xxx"), "{text}");
    assert!(text.ends_with(
        "xx\"; verifying: the request is sent again only if the engine is on its old image, running"
    ));
}
