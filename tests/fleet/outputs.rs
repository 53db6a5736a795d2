//! Outputs that cannot be written: closed pipes, full disks, limits on the size of files, readers that do not read.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use dlc_fleet::job::{DataEngineId, ImageVersionId, JobKey, Region};
use dlc_fleet::ledger::{self, Entry, RunStarted, SCHEMA, Step};
use serde_json::Value;

use crate::stage::{LEDGER, Stage, executable, finish, rows, signal, wait_for, wait_until};

const CALM: &str = "latency: {median: 20ms, max: 60ms}\nswitching: {min: 300ms, max: 600ms}\n";

/// Commands that change nothing.
const QUESTIONS: [&[&str]; 9] = [
    &["check", "plan.csv"],
    &["run", "plan.csv", "--simulate", "--dry-run"],
    &["run", "plan.csv", "--simulate", "--dry-run", "--offline", "--output", "json"],
    &["ledger", "show", LEDGER],
    &["ledger", "show", LEDGER, "--json"],
    &["ledger", "export", LEDGER],
    &["ledger", "check", LEDGER],
    &["--help"],
    &["--version"],
];

fn full_disk() -> Stdio {
    std::fs::File::options().write(true).open("/dev/full").expect("/dev/full").into()
}

/// A pipe without a reader.
fn closed_pipe() -> Stdio {
    std::io::pipe().expect("a pipe").1.into()
}

/// A ledger of so many jobs, all sent.
fn write_ledger(path: &Path, jobs: usize) {
    let (mut writer, _) = ledger::open(path, "run-1").expect("a new ledger");
    let opened = RunStarted {
        schema: SCHEMA.into(),
        parent_run: None,
        tool_version: "0".into(),
        plan: "plan.csv".into(),
        plan_digest: "0".into(),
        regions: vec!["ap-guangzhou".into()],
        endpoint: "simulator".into(),
        simulated: true,
        rate: 20,
    };
    let sent = |number| Entry::Job {
        key: JobKey {
            region: Region::new("ap-guangzhou"),
            data_engine_id: DataEngineId::new(format!("DataEngine-{number:04}")),
            new_image_version_id: ImageVersionId::new("image-new"),
        },
        step: Step::Sent { attempt: 1, image_before: None },
    };
    let entries = std::iter::once(Entry::RunStarted(opened)).chain((0..jobs).map(sent));
    writer.append(entries.collect()).expect("written");
}

/// Runs the tool below a limit on the size of files, given in blocks of 512 or of 1,024 bytes.
fn limited(stage: &Stage, blocks: usize, command: &Command, redirect: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\" {redirect}")]);
    shell.arg(command.get_program()).args(command.get_args()).current_dir(stage.folder.path());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

fn asked(stage: &Stage, question: &[&str]) -> Command {
    let mut command = executable(stage.folder.path());
    command.args(question);
    command
}

#[test]
fn a_result_that_a_full_disk_cuts_short_is_an_error_and_a_closed_pipe_is_none() {
    let stage = Stage::new(&rows(3), CALM);
    write_ledger(&stage.path(LEDGER), 3);
    for question in QUESTIONS {
        let usual = finish(asked(&stage, question)).code;
        let mut full = asked(&stage, question);
        full.stdout(full_disk());
        let full = finish(full);
        assert_eq!(full.code, Some(74), "{question:?}: {}", full.stderr);
        assert!(full.stderr.contains("could not be written to stdout"), "{question:?}: {}", full.stderr);
        let mut closed = asked(&stage, question);
        closed.stdout(closed_pipe());
        let closed = finish(closed);
        assert_eq!((closed.code, closed.stderr.as_str()), (usual, ""), "{question:?}");
    }
}

#[test]
fn a_closed_pipe_in_the_middle_of_a_long_table_is_no_error() {
    let stage = Stage::new(&rows(1), CALM);
    write_ledger(&stage.path(LEDGER), 2_000);
    for question in [&QUESTIONS[3], &QUESTIONS[4], &QUESTIONS[5]] {
        let mut head = asked(&stage, question).spawn().expect("it starts");
        let mut first = String::new();
        BufReader::new(head.stdout.take().expect("piped")).read_line(&mut first).expect("a line");
        let ran = wait_for(head);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{question:?}");
        assert!(!first.is_empty());
    }
    let cut = finish(limited(&stage, 4, &asked(&stage, QUESTIONS[5]), "> table.csv"));
    assert_eq!(cut.code, Some(74), "a part of a table must not pass for all of it: {}", cut.stderr);
}

#[test]
fn errors_that_cannot_be_printed_have_their_usual_exit_codes() {
    let stage = Stage::new(&rows(1), CALM);
    for (mistake, code) in [
        (&["run"][..], 2),
        (&["run", "nowhere.csv"], 2),
        (&["ledger", "check", "nowhere.jsonl"], 2),
        (&[], 2),
    ] {
        let mut command = asked(&stage, mistake);
        command.stdout(closed_pipe()).stderr(closed_pipe());
        assert_eq!(finish(command).code, Some(code), "{mistake:?}");
    }
}

#[test]
fn the_result_of_a_run_goes_to_stderr_if_stdout_cannot_be_written() {
    for output in ["human", "json"] {
        // a reader that went away has read what it wanted
        for (stdout, code) in [(full_disk(), 74), (closed_pipe(), 0)] {
            let stage = Stage::new(&rows(3), CALM);
            let mut command = stage.command(&["--yes", "--output", output]);
            command.stdout(stdout);
            let ran = finish(command);
            assert_eq!(ran.code, Some(code), "{}", ran.stderr);
            let (_, result) = ran.stderr.split_once("this is the result:\n").expect("a note");
            let whole = match output {
                "human" => result.contains("all 3 engines on target"),
                _ => serde_json::from_str::<Value>(result).expect("JSON")["exit_code"] == 0,
            };
            assert!(whole, "{result}");
        }
    }
}

#[test]
fn a_run_whose_stdout_was_closed_by_its_shell_prints_its_result_on_stderr() {
    let stage = Stage::new(&rows(3), CALM);
    let run = stage.command(&["--yes"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(run.get_program()).args(run.get_args());
    shell.current_dir(stage.folder.path()).env_clear();
    shell.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(shell);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("all 3 engines on target"), "{}", ran.stderr);
}

#[test]
fn a_run_continues_if_its_progress_cannot_be_written() {
    for stderr in [full_disk(), closed_pipe()] {
        let stage = Stage::new(&rows(3), CALM);
        let mut command = stage.command(&["--yes", "-vv"]);
        command.stderr(stderr);
        let ran = finish(command);
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("all 3 engines on target"), "{}", ran.stdout);
    }
}

#[test]
fn nothing_is_sent_without_a_ledger_where_its_size_is_limited_and_without_the_limit_all_ends_well() {
    let stage = Stage::new(&rows(40), CALM);
    for blocks in [0, 1, 8] {
        let before = stage.requests();
        let ran = finish(limited(&stage, blocks, &stage.command(&["--yes", "--resend-after", "1s"]), ""));
        assert_eq!(ran.code, Some(6), "{blocks}: {}", ran.stderr);
        assert_eq!(stage.requests() > before, blocks == 8, "{blocks}");
        assert!(stage.requests() <= stage.ledger().matches("\"kind\":\"sent\"").count());
    }
    let ran = stage.run(&["--resend-after", "1s"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied, stats.applied_more_than_once.len()), (40, 0));
}

#[test]
fn a_log_file_that_takes_nothing_is_refused_at_once_and_one_that_fills_up_is_told_once() {
    let stage = Stage::new(&rows(3), CALM);
    for (place, why) in [("/dev/full", "No space left"), ("nowhere/run.log", "No such file")] {
        let ran = stage.run(&["--log-file", place]);
        assert_eq!((ran.code, stage.requests()), (Some(2), 0), "{}", ran.stderr);
        assert!(ran.stderr.contains(place) && ran.stderr.contains(why), "{}", ran.stderr);
    }
    let command = stage.command(&["--yes", "--log-file", "run.log"]);
    let ran = finish(limited(&stage, almost_full(&stage, "run.log"), &command, ""));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("nothing more is logged there").count(), 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("all 3 engines on target"), "{}", ran.stdout);
}

/// Makes a file so large that a limit of so many blocks leaves next to nothing for it, and enough for a small ledger.
fn almost_full(stage: &Stage, name: &str) -> usize {
    // POSIX counts in blocks of 512 bytes, and some shells in larger ones
    let probe = "ulimit -f 1; exec 2>&-; head -c 2000 /dev/zero > block";
    Command::new("sh").args(["-c", probe]).current_dir(stage.folder.path()).status().expect("sh");
    let block = std::fs::read(stage.path("block")).expect("a file").len();
    let earlier = "an earlier line of the log\n".repeat(4_500);
    std::fs::write(stage.path(name), &earlier).expect("written");
    earlier.len().div_ceil(block) + 1
}

#[test]
fn a_log_file_that_fails_while_stderr_is_closed_does_not_stop_the_run() {
    let stage = Stage::new(&rows(3), CALM);
    let command = stage.command(&["--yes", "-vv", "--log-file", "run.log"]);
    let mut command = limited(&stage, almost_full(&stage, "run.log"), &command, "");
    command.stderr(closed_pipe());
    assert_eq!(finish(command).code, Some(0));
}

#[test]
fn two_signals_end_a_run_whose_stderr_is_not_read() {
    for room in [0, 4_096] {
        let stage = Stage::new(&rows(10), CALM);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(&vec![b'.'; 65_536 - room]).expect("a pipe holds 64 KiB");
        let mut command = stage.command(&["--yes", "-v", "--resend-after", "1s", "--min-ready", "60s"]);
        command.stderr(writer);
        let run = command.spawn().expect("it starts");
        drop(command);
        wait_until("it is under way", || stage.path(LEDGER).exists());
        if room > 0 {
            wait_until("requests arrive", || stage.requests() > 1);
        }
        for _ in 0..2 {
            std::thread::sleep(std::time::Duration::from_millis(300));
            signal(run.id(), "TERM");
        }
        let ran = wait_for(run);
        assert_eq!(ran.code, Some(143), "{}", ran.stdout);
        drop(reader);
        let ran = stage.run(&["--resend-after", "1s"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let stats = stage.simulator.stats();
        assert_eq!((stats.applied, stats.applied_more_than_once.len()), (10, 0));
    }
}
