//! Ledgers on disks that fail: no request is sent afterwards, and the known outcomes are still reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use dlc_fleet::cloud::SWITCH;
use serde_json::Value;

use crate::stage::{LEDGER, Ran, Stage, executable, finish, rows, survived};

const ENGINES: usize = 4;

/// One engine is refused once, and the response for another one is lost.
const SCENARIO: &str = "latency: {median: 20ms, max: 40ms}\nswitching: {min: 100ms, max: 200ms}\n\
     faults:\n  - {fault: InternalError, engines: [DataEngine-0001], times: 1}\n  \
     - {fault: reset-after-reading, engines: [DataEngine-0002], times: 1, applied: before}\n";

/// The faults of the ledger's disk, by the names that the debug build accepts.
const FAULTS: [&str; 10] = [
    "half-a-line",
    "no-space",
    "io-error",
    "read-only",
    "no-permission",
    "over-quota",
    "sync-io-error",
    "sync-no-space",
    "removed",
    "replaced",
];

/// More writes than a run without faults needs.
const WRITES: usize = 20;

const WAITS: [&str; 6] = ["--resend-after", "1s", "--min-ready", "200ms", "--wait-timeout", "20s"];

/// The counts of one fault.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Runs in which the fault occurred before the end of the run.
    met: usize,
    requests: usize,
    requests_without_intent: usize,
    answers_lost: usize,
    engines_switched_twice: usize,
    not_resumed: usize,
}

/// The JSON objects in the lines of a ledger or of stderr.
fn objects(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn engine(line: &Value) -> String {
    line["data_engine_id"].as_str().unwrap_or_default().to_owned()
}

/// True if a line records the response to a request.
fn is_response(line: &Value) -> bool {
    match line["kind"].as_str() {
        Some("accepted") => line["verified"] == false,
        Some(kind) => ["refused", "unconfirmed", "throttled"].contains(&kind),
        None => false,
    }
}

/// Switch requests that arrived, by engine.
fn requests(stage: &Stage) -> BTreeMap<String, usize> {
    let mut requests = BTreeMap::new();
    for arrival in stage.simulator.arrivals() {
        if let (SWITCH, Some(engine)) = (&*arrival.action, &arrival.data_engine_id) {
            *requests.entry(engine.to_string()).or_default() += 1;
        }
    }
    requests
}

/// Path and content of the copy of a ledger that was removed or replaced.
fn recovered(stage: &Stage) -> Option<(PathBuf, String)> {
    let files = std::fs::read_dir(stage.folder.path()).expect("a folder");
    let name = files
        .map(|file| file.expect("a file").file_name())
        .find(|name| name.to_str().is_some_and(|name| name.starts_with(&format!("{LEDGER}.rescued-"))))?;
    let lines = std::fs::read_to_string(stage.folder.path().join(&name)).expect("a copy");
    Some((name.into(), lines))
}

/// Runs until the fault occurs, then again without it.
fn run_with_fault(fault: &str, first_failure: usize) -> Counts {
    let stage = Stage::new(&rows(ENGINES), SCENARIO);
    let mut command = stage.command(&[&WAITS[..], &["--yes", "--output", "json"]].concat());
    command.env("DLC_FLEET_TEST_LEDGER", format!("{fault}@{first_failure}"));
    let ran = finish(command);
    let name = format!("{fault}@{first_failure}: {}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{name}");
    let mut counts = Counts::default();
    if ran.code != Some(0) {
        assert_eq!(ran.code, Some(6), "{name}");
        counts = judge(&stage, &ran, &name);
    }
    if let Some((copy, _)) = recovered(&stage) {
        // as the run advises
        assert!(ran.stderr.contains(&format!("{} to {LEDGER} before", copy.display())), "{name}");
        std::fs::rename(stage.path(copy.to_str().expect("text")), stage.path(LEDGER)).expect("moved");
    }
    let again = stage.run(&WAITS);
    if again.code != Some(0) || stage.simulator.stats().applied_by_engine.len() != ENGINES {
        counts.not_resumed += 1;
    }
    counts.engines_switched_twice = stage.simulator.stats().applied_more_than_once.len();
    counts
}

/// Compares the requests that the simulator received with ledger and report of the run.
fn judge(stage: &Stage, ran: &Ran, name: &str) -> Counts {
    let recorded = objects(&recovered(stage).map_or_else(|| stage.ledger(), |(_, lines)| lines));
    let intents: BTreeSet<String> =
        recorded.iter().filter(|line| line["kind"] == "sent").map(engine).collect();
    let told = objects(&ran.stderr);
    let mut known: BTreeMap<(String, u64), Value> = BTreeMap::new();
    for line in recorded.iter().chain(&told) {
        known.insert((engine(line), line["seq"].as_u64().unwrap_or_default()), line.clone());
    }
    let requests = requests(stage);
    let answers =
        |engine: &String| known.iter().filter(|((of, _), line)| of == engine && is_response(line)).count();
    let outcomes = ran.json();
    for job in outcomes["jobs"].as_array().expect("jobs") {
        let left = requests.contains_key(&engine(job));
        let outcome = job["outcome"].as_str().expect("an outcome");
        assert!(if left { outcome != "unknown" } else { outcome == "not-started" }, "{name}\n{job}");
    }
    Counts {
        met: 1,
        requests: requests.values().sum(),
        requests_without_intent: requests.keys().filter(|engine| !intents.contains(*engine)).count(),
        answers_lost: requests.iter().map(|(engine, sent)| sent.abs_diff(answers(engine))).sum(),
        ..Counts::default()
    }
}

/// Runs every fault at every write, concurrently.
fn run_all() -> BTreeMap<&'static str, Counts> {
    let cells: Vec<(&str, usize)> =
        FAULTS.iter().flat_map(|fault| (1..=WRITES).map(move |write| (*fault, write))).collect();
    let (queue, done) = (Mutex::new(cells), Mutex::new(BTreeMap::<&str, Counts>::new()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((fault, write)) = { queue.lock().expect("no panic").pop() } {
                    let cell = run_with_fault(fault, write);
                    let mut done = done.lock().expect("no panic");
                    let sum = done.entry(fault).or_default();
                    sum.met += cell.met;
                    sum.requests += cell.requests;
                    sum.requests_without_intent += cell.requests_without_intent;
                    sum.answers_lost += cell.answers_lost;
                    sum.engines_switched_twice += cell.engines_switched_twice;
                    sum.not_resumed += cell.not_resumed;
                }
            });
        }
    });
    done.into_inner().expect("no panic")
}

#[test]
#[expect(clippy::print_stdout, reason = "the counts are what the test is run for")]
fn with_a_failing_disk_every_request_has_its_line_and_no_response_is_lost() {
    let counts = run_all();
    println!("| fault | runs that met it | requests | without intent | answers lost | twice | not resumed |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (fault, sum) in &counts {
        let Counts { met, requests, requests_without_intent, answers_lost, .. } = sum;
        let (twice, lost) = (sum.engines_switched_twice, sum.not_resumed);
        println!(
            "| {fault} | {met} | {requests} | {requests_without_intent} | {answers_lost} | {twice} | {lost} |"
        );
    }
    let sum = |count: fn(&Counts) -> usize| counts.values().map(count).sum::<usize>();
    survived(
        "a ledger whose disk is full, over quota, read-only, without permission, failing or failing to sync, or that is \
         removed or replaced, from each of its writes on",
        &format!(
            "{} runs, {} requests; requests without their line in the ledger: {}, answers neither in the ledger nor on \
             stderr: {}, engines switched twice: {}, runs not resumed: {}",
            sum(|count| count.met),
            sum(|count| count.requests),
            sum(|count| count.requests_without_intent),
            sum(|count| count.answers_lost),
            sum(|count| count.engines_switched_twice),
            sum(|count| count.not_resumed),
        ),
    );
    assert_eq!(counts.len(), FAULTS.len());
    for (fault, sum) in &counts {
        assert!(sum.met >= 8, "{fault}: {sum:?}");
        assert_eq!((sum.requests_without_intent, sum.answers_lost), (0, 0), "{fault}: {sum:?}");
        assert_eq!((sum.engines_switched_twice, sum.not_resumed), (0, 0), "{fault}: {sum:?}");
    }
}

/// Runs a shell script in a new mount namespace, if the system allows it.
fn with_own_mounts(folder: &Path, script: &str) -> Option<Ran> {
    let namespaces: &[&str] = if is_root() { &["--mount"] } else { &["--mount", "--map-root-user"] };
    let allowed =
        Command::new("unshare").args(namespaces).arg("true").output().is_ok_and(|ran| ran.status.success());
    if !allowed {
        return None;
    }
    let pattern = executable(folder);
    let mut shell = Command::new("unshare");
    shell.args(namespaces).args(["sh", "-euc", script, env!("CARGO_BIN_EXE_dlc-fleet")]);
    shell.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    shell.envs(pattern.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(std::process::Stdio::null());
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Some(finish(shell))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.starts_with(b"0\n")
}

#[test]
fn a_full_file_system_ends_the_run_and_with_free_space_the_run_resumes() {
    let stage = Stage::new(&rows(20), SCENARIO);
    let script = format!(
        "mkdir small && mount -t tmpfs -o size=16k none small && cp plan.csv small && cd small
         run() {{ \"$0\" run plan.csv --yes --endpoint http://{} --min-ready 200ms --resend-after 1s --output json; }}
         run || echo \"ended with $?\"
         mount -o remount,size=4m none . && run",
        stage.address
    );
    let Some(ran) = with_own_mounts(stage.folder.path(), &script) else { return };
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("ended with 6"), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
    assert!(objects(&ran.stderr).iter().any(|line| line["kind"] == "switched"), "{}", ran.stderr);
    let stats = stage.simulator.stats();
    assert_eq!((stats.applied_by_engine.len(), stats.applied_more_than_once.len()), (20, 0));
}

#[test]
fn on_a_read_only_file_system_nothing_is_sent() {
    let stage = Stage::new(&rows(2), SCENARIO);
    let script = format!(
        "mkdir small && mount -t tmpfs none small && cp plan.csv small && cd small
         mount -o remount,ro none . && exec \"$0\" run plan.csv --yes --endpoint http://{}",
        stage.address
    );
    let Some(ran) = with_own_mounts(stage.folder.path(), &script) else { return };
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("Read-only file system") && ran.stderr.contains("--ledger"),
        "{}",
        ran.stderr
    );
    assert_eq!(stage.requests(), 0);
}

#[test]
fn nothing_is_sent_if_the_ledger_cannot_be_opened() {
    let stage = Stage::new(&rows(2), SCENARIO);
    std::fs::create_dir(stage.path("folder")).expect("a folder");
    for ledger in
        ["folder", "nowhere/plan.jsonl", "plan.csv/plan.jsonl", "/dev/full", "/dev/null", "/dev/zero"]
    {
        let ran = stage.run(&["--ledger", ledger]);
        assert_eq!(ran.code, Some(6), "{ledger}: {}", ran.stderr);
        assert!(ran.stderr.contains(ledger) && ran.stderr.contains("next:"), "{ledger}: {}", ran.stderr);
    }
    assert_eq!(stage.requests(), 0);
}
