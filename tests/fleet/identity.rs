//! With whose keys the executable works: where it finds them, and what it says where there are none.

use std::net::TcpListener;
use std::process::Command;

use dlc_fleet::cloud::SWITCH;
use dlc_fleet::cloud::sts::{ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, GET_CALLER_IDENTITY};
use dlc_fleet::simulator::{METADATA, OK};

use crate::stage::{Ran, Stage, executable, finish, rows};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";
const ROLE: &str = "qcs::cam::uin/100000000001:roleName/fleet";
const METADATA_ENDPOINT: &str = "DLC_FLEET_METADATA_ENDPOINT";

fn without_keys(command: &mut Command) -> &mut Command {
    command.env_remove("TENCENTCLOUD_SECRET_ID").env_remove("TENCENTCLOUD_SECRET_KEY")
}

/// Gives a command what a pod of a cluster finds in its environment.
fn in_a_pod(stage: &Stage, command: &mut Command) {
    std::fs::write(stage.path("token"), "PRIVATE-WEB-TOKEN\n").expect("written");
    command.env("TKE_REGION", "ap-guangzhou").env("TKE_PROVIDER_ID", "oidc-1").env("TKE_ROLE_ARN", ROLE);
    command.env("TKE_WEB_IDENTITY_TOKEN_FILE", "token");
}

fn on_a_machine(stage: &Stage, command: &mut Command) {
    command.env(METADATA_ENDPOINT, format!("http://{}", stage.address));
}

/// How many sets of keys were handed out: by `AssumeRole`, for a web identity, and by the metadata service.
fn handed_out(stage: &Stage) -> [usize; 3] {
    let stats = stage.simulator.stats();
    // the name of the role is asked for first
    [
        stats.answered(ASSUME_ROLE, OK),
        stats.answered(ASSUME_ROLE_WITH_WEB_IDENTITY, OK),
        stats.answered(METADATA, OK) / 2,
    ]
}

fn assert_done(stage: &Stage, ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied_by_engine.len(), stats.applied_more_than_once.len()), (4, 0));
}

#[test]
fn a_role_in_the_environment_or_on_the_command_line_is_assumed_once_for_a_whole_run() {
    let stage = Stage::new(&rows(4), CALM);
    let mut command = stage.command(&["--yes"]);
    command.env("TENCENTCLOUD_ROLE_ARN", ROLE).env("TENCENTCLOUD_ROLE_SESSION_NAME", "night");
    assert_done(&stage, &finish(command));
    assert_eq!(handed_out(&stage), [1, 0, 0]);

    let stage = Stage::new(&rows(4), CALM);
    assert_done(&stage, &stage.run(&["--role-arn", ROLE, "--role-session-name", "night"]));
    assert_eq!(handed_out(&stage), [1, 0, 0]);
}

#[test]
fn a_pod_and_a_machine_need_no_keys_of_their_own() {
    let stage = Stage::new(&rows(4), CALM);
    let mut command = stage.command(&["--yes", "-vvv", "--log-file", "run.log"]);
    in_a_pod(&stage, without_keys(&mut command));
    let ran = finish(command);
    assert_done(&stage, &ran);
    assert_eq!(handed_out(&stage), [0, 1, 0]);
    let log = std::fs::read_to_string(stage.path("run.log")).expect("a log");
    assert!(log.contains(ASSUME_ROLE_WITH_WEB_IDENTITY), "the log tells each call");
    for text in [&log, &ran.stderr, &ran.stdout, &stage.ledger()] {
        // every SecretId of the simulator begins like this
        assert!(!text.contains("PRIVATE-WEB-TOKEN") && !text.contains("AKID"), "{text}");
    }

    let stage = Stage::new(&rows(4), &format!("{CALM}instance_role: fleet\n"));
    let mut command = stage.command(&["--yes"]);
    on_a_machine(&stage, without_keys(&mut command));
    assert_done(&stage, &finish(command));
    assert_eq!(handed_out(&stage), [0, 0, 1]);
}

#[test]
fn keys_of_the_environment_come_before_those_of_a_pod_and_these_before_those_of_a_machine() {
    let stage = Stage::new(&rows(4), &format!("{CALM}instance_role: fleet\n"));
    let dry = |has_keys: bool| {
        let mut command = stage.command(&["--dry-run"]);
        if !has_keys {
            without_keys(&mut command);
        }
        in_a_pod(&stage, &mut command);
        on_a_machine(&stage, &mut command);
        let ran = finish(command);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        handed_out(&stage)
    };
    assert_eq!(dry(true), [0, 0, 0]);
    assert_eq!(dry(false), [0, 1, 0]);
}

#[test]
fn a_role_can_be_assumed_with_the_keys_of_a_machine() {
    let stage = Stage::new(&rows(4), &format!("{CALM}instance_role: fleet\n"));
    let mut command = stage.command(&["--yes", "--role-arn", ROLE]);
    on_a_machine(&stage, without_keys(&mut command));
    assert_done(&stage, &finish(command));
    assert_eq!(handed_out(&stage), [1, 0, 1]);
}

#[test]
fn without_any_keys_a_metadata_service_that_is_silent_does_not_hold_up_the_error() {
    let stage = Stage::new(&rows(2), CALM);
    // takes connections and says nothing
    let silent = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut command = stage.command(&["--yes"]);
    let address = silent.local_addr().expect("an address");
    without_keys(&mut command).env(METADATA_ENDPOINT, format!("http://{address}"));
    let ran = finish(command);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("TENCENTCLOUD_SECRET_ID"), "{}", ran.stderr);

    let mut command = stage.command(&["--yes"]);
    on_a_machine(&stage, without_keys(&mut command));
    let ran = finish(command);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("no role is bound to the instance"), "{}", ran.stderr);

    let mut command = stage.command(&["--yes"]);
    without_keys(&mut command).env(METADATA_ENDPOINT, "http://203.0.113.1");
    let ran = finish(command);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains(METADATA_ENDPOINT), "{}", ran.stderr);
    assert!(stage.simulator.stats().action(SWITCH).received == 0);
}

#[test]
fn a_role_that_is_not_given_stops_before_anything_is_sent_and_says_why() {
    let weather =
        format!("{CALM}faults: [{{fault: AuthFailure.UnauthorizedOperation, action: AssumeRole}}]\n");
    let stage = Stage::new(&rows(2), &weather);
    let ran = stage.run(&["--role-arn", ROLE]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    for expected in [ROLE, "AuthFailure.UnauthorizedOperation", "RequestId", "grant sts:AssumeRole"] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
    assert_eq!(stage.simulator.arrivals().len(), 1, "the role was asked for, and nothing else");

    let mut command = stage.command(&["--yes"]);
    in_a_pod(&stage, without_keys(&mut command));
    command.env_remove("TKE_PROVIDER_ID");
    let ran = finish(command);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("TKE_PROVIDER_ID is not: set both"), "{}", ran.stderr);
}

#[test]
fn the_simulator_has_keys_of_its_own_and_needs_no_role() {
    let stage = Stage::new(&rows(2), CALM);
    let mut command = executable(stage.folder.path());
    command.args(["run", "plan.csv", "--simulate", "--role-arn", ROLE]);
    let ran = finish(command);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("--role-arn"), "{}", ran.stderr);
}

/// `dlc-fleet whoami` against the simulator.
fn whoami(stage: &Stage, flags: &[&str]) -> Command {
    let mut command = executable(stage.folder.path());
    command.args(["whoami", "--endpoint", &format!("http://{}", stage.address)]).args(flags);
    command
}

#[test]
fn whoami_tells_whose_keys_they_are_and_nothing_of_them() {
    let stage = Stage::new(&rows(1), &format!("{CALM}account: \"100000000007\"\n"));
    let ran = finish(whoami(&stage, &[]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let address = format!("http://{}", stage.address);
    for expected in
        ["100000000007", "qcs::cam::uin/100000000007", "CAMUser", "TENCENTCLOUD_SECRET_ID", &address]
    {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    let json = finish(whoami(&stage, &["--output", "json", "--region", "ap-beijing"]));
    assert_eq!(json.json()["account_id"], "100000000007");
    assert_eq!((&json.json()["region"], &json.json()["keys_expire"]), (&"ap-beijing".into(), &().into()));
    let asked = stage.simulator.arrivals().into_iter().map(|arrival| arrival.action);
    assert_eq!(asked.collect::<Vec<_>>(), [GET_CALLER_IDENTITY; 2], "and nothing else was called");
}

#[test]
fn whoami_tells_the_role_of_which_account_it_is_and_until_when() {
    let stage = Stage::new(&rows(1), &format!("{CALM}session_duration: 600s\nclock_skew: 10m\n"));
    let other = "qcs::cam::uin/42:roleName/fleet";
    let ran = finish(whoami(&stage, &["--role-arn", other, "--output", "json"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let json = ran.json();
    assert_eq!((&json["account_id"], &json["user_id"]), (&"42".into(), &"fleet:dlc-fleet".into()));
    let source = json["source"].as_str().expect("a source");
    assert!(source.contains(other) && source.contains("TENCENTCLOUD_SECRET_ID"), "{source}");
    // by the clock of the service, which is ten minutes ahead
    let left = json["keys_seconds_left"].as_i64().expect("seconds");
    assert!((500..=601).contains(&left), "{left}");
    assert!((598..=602).contains(&json["clock_ahead_seconds"].as_i64().expect("seconds")));
    let ran = finish(whoami(&stage, &["--role-arn", other]));
    assert!(ran.stdout.contains("valid until 20") && ran.stdout.contains("clock is wrong"), "{}", ran.stdout);
}

#[test]
fn whoami_without_good_keys_is_refused_and_says_why() {
    let stage = Stage::new(&rows(1), CALM);
    let mut none = whoami(&stage, &[]);
    without_keys(&mut none);
    let mut wrong = whoami(&stage, &[]);
    wrong.env("TENCENTCLOUD_SECRET_KEY", "PRIVATE-KEY");
    let nobody = {
        let mut command = executable(stage.folder.path());
        command.args(["whoami", "--endpoint", "http://127.0.0.1:1"]);
        command
    };
    for (command, said) in [
        (none, "TENCENTCLOUD_SECRET_ID"),
        (wrong, "AuthFailure.SignatureFailure"),
        (nobody, "the request was not sent"),
    ] {
        let ran = finish(command);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(said) && !ran.stderr.contains("PRIVATE"), "{said}: {}", ran.stderr);
        assert!(!ran.stderr.contains("--simulate"), "no such flag: {}", ran.stderr);
    }
    assert_eq!(finish(whoami(&stage, &["--endpoint", "http://example.com"])).code, Some(2));
}

#[test]
fn faults_of_sts_that_pass_do_not_stop_what_has_just_begun() {
    let faults = [ASSUME_ROLE, GET_CALLER_IDENTITY]
        .map(|action| format!("  - {{fault: InternalError, action: {action}, times: 1}}\n"));
    let stage = Stage::new(&rows(4), &format!("{CALM}faults:\n{}", faults.concat()));
    let ran = finish(whoami(&stage, &["--role-arn", ROLE]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for action in [ASSUME_ROLE, GET_CALLER_IDENTITY] {
        assert_eq!(stage.simulator.stats().answered(action, "InternalError"), 1, "{action}");
    }
}
