//! `dlc-fleet ledger`: check, repair, show and export, on ledgers that real runs wrote.

use std::process::Command;

use dlc_fleet::job::{DataEngineId, ImageVersionId, JobKey, Region};
use dlc_fleet::ledger::{self as file, Entry, RunStarted, SCHEMA, Step};
use serde_json::Value;

use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows};

const CALM: &str = "latency: {median: 10ms, max: 30ms}\nswitching: {min: 100ms, max: 200ms}\n\
                    faults:\n  - {fault: InvalidParameterValue, engines: [DataEngine-0001]}\n";

fn ledger(stage: &Stage, flags: &[&str]) -> Ran {
    let mut command: Command = executable(stage.folder.path());
    command.arg("ledger").args(flags);
    finish(command)
}

/// A world in which a plan of `count` engines was run once; the second engine failed.
fn after_a_run(count: usize) -> Stage {
    let stage = Stage::new(&rows(count), CALM);
    assert_eq!(stage.run(&[]).code, Some(1));
    stage
}

#[test]
fn an_undamaged_ledger_passes_the_check_and_shows_each_job() {
    let stage = after_a_run(4);
    let ran = ledger(&stage, &["check", LEDGER]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("the chain of checks holds"), "{}", ran.stdout);
    let ran = ledger(&stage, &["show", LEDGER]);
    assert_eq!(
        (ran.stdout.matches("switched").count(), ran.stdout.matches("InvalidParameterValue").count()),
        (3, 1)
    );
    let ran = ledger(&stage, &["show", LEDGER, "--failed", "--json"]);
    let rows: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["data_engine_id"], &rows[0]["code"]),
        (&"DataEngine-0001".into(), &"InvalidParameterValue".into())
    );
    let ran = ledger(&stage, &["export", LEDGER, "--format", "csv"]);
    let mut table = csv::Reader::from_reader(ran.stdout.as_bytes());
    assert_eq!(table.headers().expect("a header").get(1), Some("data_engine_id"));
    assert_eq!(table.records().count(), 4);
}

#[test]
fn a_damaged_ledger_is_refused_with_its_line_then_repaired_and_resumed() {
    let stage = after_a_run(6);
    let whole = stage.ledger();
    let lines: Vec<&str> = whole.lines().collect();
    let damaged = whole.replacen(lines[9], &lines[9].replace("\"run\":", "\"RUN\":"), 1);
    std::fs::write(stage.path(LEDGER), &damaged).expect("written");
    let ran = ledger(&stage, &["check", LEDGER]);
    assert_eq!(ran.code, Some(6));
    assert!(ran.stderr.contains("line 10:") && ran.stderr.contains("ledger repair"), "{}", ran.stderr);
    let ran = ledger(&stage, &["repair", LEDGER]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(stage.ledger().lines().count(), 9);
    let copies: Vec<_> = std::fs::read_dir(stage.folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains(".before-repair-"))
        .collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(std::fs::read_to_string(&copies[0]).expect("a copy"), damaged);
    let ran = ledger(&stage, &["repair", LEDGER]);
    assert!(ran.stdout.contains("nothing to repair"), "{}", ran.stdout);
    assert_eq!(stage.run(&["--resend-after", "1s"]).code, Some(1), "the failed engine fails again");
    assert!(stage.simulator.stats().applied_more_than_once.is_empty());
}

#[test]
fn repair_never_cuts_a_file_that_is_no_ledger_or_from_a_later_version() {
    let stage = after_a_run(3);
    let plan = std::fs::read_to_string(stage.path("plan.csv")).expect("a plan");
    let ran = ledger(&stage, &["repair", "plan.csv"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stdout);
    assert_eq!(std::fs::read_to_string(stage.path("plan.csv")).expect("a plan"), plan);
    let newer = stage.ledger().replacen("dlc-fleet.ledger/1", "dlc-fleet.ledger/2", 1);
    std::fs::write(stage.path(LEDGER), &newer).expect("written");
    for command in ["check", "repair", "show"] {
        let ran = ledger(&stage, &[command, LEDGER]);
        assert_eq!(ran.code, Some(6), "{command}");
        assert!(
            ran.stderr.contains("later version") && !ran.stderr.contains("ledger repair"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(stage.run(&[]).code, Some(6));
    assert_eq!(stage.ledger(), newer);
}

#[test]
fn a_ledger_that_does_not_exist_is_a_usage_error() {
    let stage = Stage::new(&rows(1), CALM);
    for command in ["check", "repair", "show", "export"] {
        let ran = ledger(&stage, &[command, "nowhere.jsonl"]);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.stderr);
        assert!(!stage.path("nowhere.jsonl").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_named_pipe_in_place_of_a_file_is_refused() {
    let stage = Stage::new(&rows(1), CALM);
    assert!(Command::new("mkfifo").arg(stage.path("pipe")).status().expect("mkfifo").success());
    for (line, code) in [
        ("ledger check pipe", 6),
        ("ledger repair pipe", 6),
        ("run plan.csv --simulate --ledger pipe", 6),
        ("run plan.csv --dry-run --offline --ledger pipe", 6),
        ("run plan.csv --simulate=pipe", 2),
        ("simulate --scenario pipe", 2),
    ] {
        let mut command = executable(stage.folder.path());
        command.args(line.split(' '));
        let ran = finish(command);
        assert_eq!(ran.code, Some(code), "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("not a regular file"), "{line}: {}", ran.stderr);
    }
}

#[test]
fn control_characters_of_a_ledger_are_not_printed() {
    let stage = Stage::new(&rows(1), CALM);
    let (red, title) = ("\u{1b}[31m", "\u{1b}]0;owned\u{7}");
    let (mut writer, _) = file::open(&stage.path("evil.jsonl"), &format!("run{red}")).expect("a new ledger");
    let opened = RunStarted {
        schema: SCHEMA.into(),
        parent_run: None,
        tool_version: "0".into(),
        plan: "plan.csv".into(),
        plan_digest: "0".into(),
        regions: vec!["ap-guangzhou".into()],
        endpoint: format!("nowhere{red}"),
        simulated: true,
        rate: 20,
    };
    let key = JobKey {
        region: Region::new("ap-guangzhou"),
        data_engine_id: DataEngineId::new(format!("DataEngine-{title}")),
        new_image_version_id: ImageVersionId::new("image-new"),
    };
    let job = |step| Entry::Job { key: key.clone(), step };
    let accepted = Step::Accepted { request_id: Some(title.into()), latency_ms: None, verified: false };
    let sent = job(Step::Sent { attempt: 1, image_before: None });
    writer.append(vec![Entry::RunStarted(opened), sent, job(accepted)]).expect("written");
    drop(writer);
    let text = std::fs::read_to_string(stage.path("evil.jsonl")).expect("there");
    std::fs::write(stage.path("cut.jsonl"), text.replacen("image-new", "image-old", 1)).expect("written");
    let run = format!("run plan.csv --endpoint http://{} --ledger", stage.address);
    for line in ["ledger show evil.jsonl", &format!("{run} evil.jsonl"), "ledger repair cut.jsonl"] {
        let mut command = executable(stage.folder.path());
        command.args(["--color", "always"]).args(line.split(' '));
        let ran = finish(command);
        let output = ran.stdout + &ran.stderr;
        assert!(
            !output.contains(red) && !output.contains(title) && !output.contains('\u{7}'),
            "{line}: {output:?}"
        );
    }
}
