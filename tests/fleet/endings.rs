//! How the executable ends: every exit code, what it prints, and what it leaves.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Command;

use dlc_fleet::exit::Exit;
use dlc_fleet::job::{DataEngineId, ImageVersionId, Region};

use crate::stage::{LEDGER, Stage, executable, finish, rows, signal};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

/// The codes of a Markdown table or an indented list: the numbers at the beginning of lines.
fn codes(text: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| line.trim_start_matches(['|', ' ']));
    let numbers = lines.filter_map(|line| line.split([' ', '|']).next()).filter_map(|word| word.parse().ok());
    numbers.collect()
}

#[test]
fn the_help_topic_and_the_page_list_every_exit_code() {
    let all: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
    let folder = tempfile::tempdir().expect("a folder");
    for topic in [["help", "exit-codes"].as_slice(), &["exit-codes"]] {
        let mut command = executable(folder.path());
        command.args(topic);
        let ran = finish(command);
        assert_eq!((ran.code, codes(&ran.stdout)), (Some(0), all.clone()), "{}", ran.stdout);
    }
    let mut help = executable(folder.path());
    help.args(["run", "--help"]);
    assert!(finish(help).stdout.ends_with("Exit codes: see `dlc-fleet help exit-codes`\n"));
    let page = include_str!("../../docs/exit-codes.md");
    for exit in Exit::ALL {
        let row = format!("| {} | {} |\n", exit.code(), exit.promise());
        assert!(page.contains(&row), "docs/exit-codes.md has no row {row}");
    }
}

#[test]
fn a_missing_plan_and_a_wrong_flag_are_usage_errors() {
    let stage = Stage::new(&rows(1), CALM);
    let mut wrong = executable(stage.folder.path());
    wrong.args(["run", "nowhere.csv", "--yes"]);
    let ran = finish(wrong);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("nowhere.csv"));
    assert_eq!(stage.run(&["--rate", "21"]).code, Some(2));
    assert_eq!(stage.run(&["--simulate"]).code, Some(2), "an endpoint and the simulator exclude each other");
    assert_eq!(stage.requests(), 0);
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_sent() {
    let stage = Stage::new(&rows(2), CALM);
    let ran = finish(stage.command(&[]));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let expected = "error: cannot ask for confirmation: stdin is not a terminal; pass --yes";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    assert_eq!(stage.requests(), 0);
    assert_eq!(
        std::fs::read_dir(stage.folder.path()).expect("a folder").count(),
        1,
        "only the plan is there"
    );
}

#[test]
fn without_keys_nothing_is_sent_and_the_variables_are_named() {
    let stage = Stage::new(&rows(2), CALM);
    for missing in ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"] {
        let mut command = stage.command(&["--yes"]);
        command.env_remove(missing);
        let ran = finish(command);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains(missing), "{}", ran.stderr);
    }
    let mut command = stage.command(&["--yes"]);
    command.env("TENCENTCLOUD_SECRET_KEY", "another-key");
    let ran = finish(command);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("AuthFailure.SignatureFailure"), "{}", ran.stderr);
    assert_eq!(stage.requests(), 0);
}

#[test]
fn engines_that_do_not_converge_are_timed_out_and_not_failed() {
    let faults = format!("{CALM}faults:\n  - {{fault: never-switches, engines: [DataEngine-0001]}}\n");
    let stage = Stage::new(&rows(3), &faults);
    let ran = stage.run(&["--min-ready", "200ms", "--wait-timeout", "3s", "--output", "json"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert_eq!(ran.json()["jobs"][1]["outcome"], "timed-out");
}

#[test]
fn an_account_wide_refusal_stops_the_run() {
    let faults = format!("{CALM}faults:\n  - {{fault: AuthFailure.TokenFailure}}\n");
    let stage = Stage::new(&rows(40), &faults);
    let ran = stage.run(&["--output", "json"]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(stage.requests() < 10, "{} requests after the first refusal", stage.requests());
    assert!(ran.json()["resume"].as_str().is_some_and(|command| command.contains("run plan.csv")));
}

#[test]
fn a_damaged_ledger_is_refused_with_the_number_of_the_line() {
    let stage = Stage::new(&rows(3), CALM);
    assert_eq!(stage.run(&[]).code, Some(0));
    let whole = stage.ledger();
    let line = 1 + whole.lines().position(|line| line.contains("DataEngine-0001")).expect("a line");
    let damaged = whole.replacen("DataEngine-0001", "DataEngine-0002", 1);
    std::fs::write(stage.path(LEDGER), damaged).expect("written");
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("line {line}:")), "{}", ran.stderr);
}

#[test]
fn a_torn_last_line_is_set_aside_and_the_run_continues() {
    let stage = Stage::new(&rows(3), CALM);
    assert_eq!(stage.run(&[]).code, Some(0));
    let text = stage.ledger();
    std::fs::write(stage.path(LEDGER), &text[..text.len() - 30]).expect("written");
    let ran = stage.run(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("torn"), "{}", ran.stderr);
    assert_eq!(stage.requests(), 3);
}

#[test]
fn a_ledger_of_another_service_is_refused() {
    let (first, other) = (Stage::new(&rows(3), CALM), Stage::new(&rows(3), CALM));
    assert_eq!(first.run(&[]).code, Some(0));
    std::fs::copy(first.path(LEDGER), other.path(LEDGER)).expect("copied");
    let ran = other.run(&[]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains(&first.address.to_string()), "{}", ran.stderr);
    let ran = other.run(&["--dry-run", "--offline"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    let mut simulation = executable(first.folder.path());
    simulation.args(["run", "plan.csv", "--simulate"]);
    assert_eq!(finish(simulation).code, Some(6));
    assert_eq!(other.requests(), 0);
}

#[test]
fn a_drifted_engine_is_counted_apart_and_is_no_success() {
    let stage = Stage::new(&rows(3), CALM);
    assert_eq!(stage.run(&[]).code, Some(0));
    stage.simulator.with_world(|world| {
        let (region, id) = (Region::new("ap-guangzhou"), DataEngineId::new("DataEngine-0001"));
        assert!(world.set_image(&region, &id, Some(ImageVersionId::new("moved-away"))));
    });
    let ran = stage.run(&["--output", "json"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stdout);
    assert!(ran.stderr.contains("moved-away"), "{}", ran.stderr);
    let (totals, job) = (&ran.json()["totals"], &ran.json()["jobs"][1]);
    assert_eq!((&totals["switched"], &totals["drifted"], &totals["jobs"]), (&2.into(), &1.into(), &3.into()));
    assert_eq!((&job["outcome"], &job["drifted_to"]), (&"drifted".into(), &"on moved-away".into()));
    let ran = stage.run(&[]);
    assert!(ran.stdout.starts_with("2 of 3 engines on target"), "{}", ran.stdout);
    assert!(ran.stdout.contains("wave   jobs  switched  drifted"), "{}", ran.stdout);
    assert_eq!(stage.requests(), 3, "it is left alone");
}

/// One HTTP GET, by hand.
fn get(address: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

#[test]
fn the_simulator_accepts_the_keys_that_it_prints_and_reports_its_counts() {
    let stage = Stage::new(&rows(6), CALM);
    let mut command = executable(stage.folder.path());
    command.args(["simulate", "--plan", "plan.csv"]);
    for key in ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"] {
        command.env_remove(key);
    }
    let mut simulator = command.spawn().expect("it starts");
    let mut lines = BufReader::new(simulator.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let address = lines.next().expect("a line").replace("simulator listening on http://", "");
    let export = lines.find(|line| line.starts_with("export ")).expect("the credentials");
    let mut run = executable(stage.folder.path());
    run.args(["run", "plan.csv", "--yes", "--min-ready", "400ms", "--output", "json"]);
    run.args(["--endpoint", &format!("http://{address}")]).env_remove("TENCENTCLOUD_TOKEN");
    for pair in export.strip_prefix("export ").expect("an export").split(' ') {
        let (name, value) = pair.split_once('=').expect("a pair");
        run.env(name, value);
    }
    let ran = finish(run);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let stats: serde_json::Value = serde_json::from_str(&get(&address, "/stats")).expect("JSON");
    assert_eq!(stats["applied"], 6);
    assert_eq!(stats["actions"]["SwitchDataEngineImage"]["received"], ran.json()["attempts"]);
    signal(simulator.id(), "TERM");
    assert_eq!(simulator.wait().expect("it ends").code(), Some(0));
}

#[test]
fn help_and_version_exit_with_0_and_the_bare_command_with_2() {
    let run = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_dlc-fleet")).args(args).env_clear().output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for command in ["run", "check", "whoami", "simulate", "ledger"] {
        let (code, text) = run(&[command, "--help"]);
        assert_eq!(code, Some(0));
        insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(format!("help-{command}"), text);
        });
    }
    assert_eq!(run(&["--version"]), (Some(0), format!("dlc-fleet {}\n", env!("CARGO_PKG_VERSION"))));
    assert_eq!(run(&[]).0, Some(2));
}
