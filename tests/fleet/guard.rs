//! The guard against the wrong keys: accounts and regions that are expected, compared before anything is called.

use dlc_fleet::cloud::sts::GET_CALLER_IDENTITY;

use crate::stage::{Ran, Stage, executable, finish, rows};

const OURS: &str = "100000000007";
const OTHER: &str = "100000000008";

fn stage() -> Stage {
    let calm = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";
    Stage::new(&rows(3), &format!("{calm}account: \"{OURS}\"\n"))
}

/// `dlc-fleet COMMAND plan.yaml` with a plan that expects something.
fn run(stage: &Stage, command: &str, expect: &str, flags: &[&str]) -> Ran {
    let text = format!("expect: {expect}\nengines: [{{from: plan.csv}}]\n");
    std::fs::write(stage.path("plan.yaml"), text).expect("written");
    let mut executable = executable(stage.folder.path());
    executable.args([command, "plan.yaml"]);
    if command == "run" && !flags.iter().any(|flag| flag.starts_with("--simulate")) {
        executable.args(["--endpoint", &format!("http://{}", stage.address)]);
    }
    finish({
        executable.args(flags);
        executable
    })
}

/// Refused with both values, before any engine was listed or switched and anything was written.
fn assert_refused(stage: &Stage, ran: &Ran, values: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
    for value in values {
        assert!(ran.stderr.contains(value), "{value}: {}", ran.stderr);
    }
    let others =
        stage.simulator.arrivals().into_iter().filter(|arrival| arrival.action != GET_CALLER_IDENTITY);
    assert_eq!(others.count(), 0);
    let mut left: Vec<_> = std::fs::read_dir(stage.folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    left.retain(|name| name != "plan.yaml");
    assert_eq!(left, ["plan.csv"], "nothing was written");
}

#[test]
fn keys_of_another_account_are_refused_before_anything_is_called() {
    let stage = stage();
    let expected = format!("{{account: {OTHER}}}");
    for flags in [&["--yes"][..], &["--dry-run"], &["--yes", "--no-verify"], &["--dry-run", "--no-verify"]] {
        let ran = run(&stage, "run", &expected, flags);
        assert_refused(&stage, &ran, &[OURS, OTHER, "plan.yaml", "no engine was read or switched"]);
    }
    for flags in [&["--yes", "--expect-account", OTHER][..], &["--dry-run", "--expect-account", OTHER]] {
        assert_refused(&stage, &finish(stage.command(flags)), &[OURS, OTHER, "--expect-account"]);
    }
    assert_eq!(stage.simulator.stats().action(GET_CALLER_IDENTITY).received, 6);
}

#[test]
fn keys_of_the_expected_account_go_ahead_and_two_expectations_must_both_hold() {
    let stage = stage();
    let expected = format!("{{account: {OURS}, region: ap-guangzhou}}");
    let ran = run(&stage, "run", &expected, &["--yes", "--expect-account", OTHER]);
    assert_refused(&stage, &ran, &[OURS, OTHER, "--expect-account"]);
    let ran = run(&stage, "run", &expected, &["--dry-run", "--expect-account", OURS]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = run(&stage, "run", &expected, &["--yes", "--min-ready", "400ms", "--expect-account", OURS]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(stage.simulator.stats().applied, 3);
}

#[test]
fn the_account_of_a_role_counts_and_not_that_of_the_keys_which_assume_it() {
    let stage = stage();
    let role = format!("qcs::cam::uin/{OTHER}:roleName/fleet");
    let flags = ["--dry-run", "--expect-account", OTHER, "--role-arn", &role];
    assert_eq!(finish(stage.command(&flags)).code, Some(0));
    let ran = finish(stage.command(&["--dry-run", "--expect-account", OURS, "--role-arn", &role]));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}

#[test]
fn without_an_expectation_nobody_is_asked_who_calls() {
    let stage = stage();
    assert_eq!(stage.run(&[]).code, Some(0));
    assert_eq!(stage.simulator.stats().action(GET_CALLER_IDENTITY).received, 0);
}

#[test]
fn rows_in_another_region_are_refused_by_name_and_nobody_is_asked() {
    let stage = stage();
    let expected = format!("{{account: {OURS}, region: ap-beijing}}");
    for (command, flags) in [("run", &["--yes"][..]), ("run", &["--dry-run", "--offline"]), ("check", &[])] {
        let ran = run(&stage, command, &expected, flags);
        assert_refused(&stage, &ran, &["ap-beijing", "3 engines in ap-guangzhou", "DataEngine-0000"]);
    }
    assert!(stage.simulator.arrivals().is_empty());
}

#[test]
fn check_tells_what_a_run_will_compare() {
    let stage = stage();
    let ran = run(&stage, "check", &format!("{{account: {OTHER}, region: ap-guangzhou}}"), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains(&format!("it expects the account {OTHER} and the region ap-guangzhou")),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_rehearsal_compares_the_account_where_its_scenario_names_one_and_says_so_where_it_does_not() {
    let stage = stage();
    let quick = "latency: {median: 5ms, max: 9ms}\nswitching: {min: 9ms, max: 20ms}\nrun_defaults: {min_ready: 300ms}\n";
    std::fs::write(stage.path("named.yaml"), format!("{quick}account: {OURS}\n")).expect("written");
    let other = format!("{{account: {OTHER}}}");
    let ran = run(&stage, "run", &other, &["--simulate=named.yaml"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains(OURS) && ran.stderr.contains(OTHER), "{}", ran.stderr);
    let ran = run(&stage, "run", &format!("{{account: {OURS}}}"), &["--simulate=named.yaml", "--dry-run"]);
    assert_eq!((ran.code, ran.stderr.contains("not checked")), (Some(0), false), "{}", ran.stderr);

    std::fs::write(stage.path("unnamed.yaml"), quick).expect("written");
    let ran = run(&stage, "run", &other, &["--simulate=unnamed.yaml", "--expect-account", OURS]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for expected in [OTHER, OURS] {
        let note = format!("expects the account {expected}, which was not checked");
        assert!(ran.stderr.contains(&note), "{note}: {}", ran.stderr);
    }
    let ran = run(&stage, "run", &other, &["--dry-run", "--offline", "--ledger", "other.jsonl"]);
    assert!(ran.stderr.contains("not checked: --offline sends no request"), "{}", ran.stderr);
}

#[test]
fn whoami_tells_who_it_is_and_refuses_when_it_should_be_somebody_else() {
    let stage = stage();
    let whoami = |expected: &str| {
        let mut command = executable(stage.folder.path());
        command.args([
            "whoami",
            "--endpoint",
            &format!("http://{}", stage.address),
            "--expect-account",
            expected,
        ]);
        finish(command)
    };
    assert_eq!(whoami(OURS).code, Some(0));
    let ran = whoami(OTHER);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stdout.contains(OURS) && ran.stderr.contains(OURS) && ran.stderr.contains(OTHER),
        "{}",
        ran.stderr
    );
    assert_eq!(whoami("uin/8").code, Some(2));
}

#[test]
fn an_account_that_cannot_be_asked_for_is_not_taken_on_trust() {
    let weather = "faults: [{fault: AuthFailure.UnauthorizedOperation, action: GetCallerIdentity}]\n";
    let stage = Stage::new(&rows(3), weather);
    let ran = finish(stage.command(&["--yes", "--expect-account", OURS]));
    assert_refused(&stage, &ran, &[GET_CALLER_IDENTITY, "AuthFailure.UnauthorizedOperation", "RequestId"]);
}
