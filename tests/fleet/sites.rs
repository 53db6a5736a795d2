//! Hosts and the regions they serve: finance regions have a host of their own, and it serves nothing else.

use std::process::Command;

use crate::connect_proxy::{ConnectProxy, python_is_here};
use crate::stage::{Ran, Stage, executable, finish, rows};
use crate::tls::{Authority, Relay};

const CALM: &str = "latency: {median: 10ms, max: 30ms}\nswitching: {min: 100ms, max: 200ms}\n";
const REGION: &str = "ap-shanghai-fsi";
const HOST: &str = "dlc.ap-shanghai-fsi.tencentcloudapi.com";

/// A command in the folder of a stage. Whatever it sends goes to a proxy that is not there.
fn command(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = executable(stage.folder.path());
    command.args(arguments).env("HTTPS_PROXY", "http://127.0.0.1:1");
    command
}

fn assert_refused(stage: &Stage, ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    for words in words {
        assert!(ran.stderr.contains(words), "{words:?} is missing: {}", ran.stderr);
    }
    assert_eq!(
        std::fs::read_dir(stage.folder.path()).expect("a folder").count(),
        1,
        "only the plan is there"
    );
}

#[test]
fn a_plan_in_a_finance_region_is_refused_at_any_other_host_and_told_the_right_one() {
    let stage = Stage::in_region(REGION, &rows(3), CALM);
    let remedy = format!("run --endpoint {HOST} plan.csv --yes");
    for flags in [vec![], vec!["--dry-run"], vec!["--dry-run", "--offline"]] {
        let ran = finish(command(&stage, &[&["run", "plan.csv", "--yes"], &flags[..]].concat()));
        let words = ["3 engines in ap-shanghai-fsi", "dlc.tencentcloudapi.com", "nothing was sent", &remedy];
        assert_refused(&stage, &ran, &words);
    }
    for host in
        ["dlc.ap-shanghai.tencentcloudapi.com", "dlc.intl.tencentcloudapi.com", "gateway.example.com:8443"]
    {
        let ran = finish(command(&stage, &["run", "plan.csv", "--endpoint", host, "--yes"]));
        assert_refused(&stage, &ran, &[host, &format!("run plan.csv --endpoint {HOST} --yes")]);
    }
}

#[test]
fn the_host_of_a_finance_region_serves_no_other_region() {
    let stage = Stage::new(&rows(2), CALM);
    let ran = finish(command(&stage, &["run", "plan.csv", "--endpoint", HOST, "--yes"]));
    let words =
        ["2 engines in ap-guangzhou", "serves only ap-shanghai-fsi", "--endpoint dlc.tencentcloudapi.com"];
    assert_refused(&stage, &ran, &words);
    let other = Stage::in_region("ap-shenzhen-fsi", &rows(2), CALM);
    let ran = finish(command(&other, &["run", "plan.csv", "--endpoint", HOST, "--yes"]));
    assert_refused(&other, &ran, &["--endpoint dlc.ap-shenzhen-fsi.tencentcloudapi.com"]);
}

#[test]
fn rows_that_no_one_host_serves_are_told_by_run_and_by_check() {
    let stage = Stage::in_region(REGION, &rows(3), CALM);
    let plan = std::fs::read_to_string(stage.path("plan.csv")).expect("a plan");
    std::fs::write(stage.path("plan.csv"), plan.replacen(REGION, "ap-guangzhou", 1)).expect("written");
    for arguments in
        [&["run", "plan.csv", "--yes"][..], &["run", "plan.csv", "--endpoint", HOST], &["check", "plan.csv"]]
    {
        let ran = finish(command(&stage, arguments));
        let words = [
            "1 engine (ap-guangzhou) through dlc.tencentcloudapi.com",
            "2 engines (ap-shanghai-fsi) through dlc.ap-shanghai-fsi.tencentcloudapi.com",
            "split the plan into one for each host",
        ];
        assert_refused(&stage, &ran, &words);
    }
}

#[test]
fn check_says_which_host_a_plan_in_a_finance_region_needs() {
    let check = |region: &'static str| {
        finish(command(&Stage::in_region(region, &rows(2), CALM), &["check", "plan.csv"]))
    };
    let ran = check(REGION);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains(&format!("run this plan with --endpoint {HOST}")), "{}", ran.stdout);
    assert!(!check("ap-shanghai").stdout.contains("--endpoint"));
}

#[test]
fn a_finance_region_can_be_rehearsed_and_is_switched_through_its_own_host() {
    let stage = Stage::in_region(REGION, &rows(2), CALM);
    assert_eq!(stage.run(&["--dry-run"]).code, Some(0));
    let mut simulation = command(&stage, &["run", "plan.csv", "--simulate", "--dry-run"]);
    simulation.env_remove("HTTPS_PROXY");
    assert_eq!(finish(simulation).code, Some(0));
    if !python_is_here() {
        return;
    }
    let authority = Authority::new("the CA of a test");
    authority.write(&stage.path("ca.pem"));
    let relay = Relay::new(stage.address, authority.issue(HOST));
    let proxy = ConnectProxy::start(relay.address.port(), &[]);
    let mut command = stage.command_at(HOST, "plan.csv", &["--yes", "--ca-file", "ca.pem"]);
    command.env("HTTPS_PROXY", proxy.url());
    let ran = finish(command);
    assert_eq!((ran.code, stage.requests()), (Some(0), 2), "{}", ran.stderr);
    // a ledger of the finance host says nothing about engines of the site around it
    stage.write_plan(&rows(2));
    let plan = std::fs::read_to_string(stage.path("plan.csv")).expect("a plan");
    std::fs::write(stage.path("plan.csv"), plan.replace(REGION, "ap-shanghai")).expect("written");
    let ran = finish(stage.command_at("dlc.tencentcloudapi.com", "plan.csv", &["--dry-run", "--offline"]));
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains(HOST), "{}", ran.stderr);
}
