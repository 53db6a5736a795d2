//! Writes the ledger that the torture damages: several runs, every kind of line, and jobs that continue in later runs.

use std::collections::BTreeMap;
use std::path::Path;

use dlc_fleet::job::{DataEngineId, ImageVersionId, Job, JobKey, Outcome, Region};
use dlc_fleet::ledger::{Entry, RecordedReason, RunEnded, RunStarted, SCHEMA, Step, open};

/// Number of jobs with each sequence of steps.
const JOBS_PER_SEQUENCE: usize = 4;

/// How the runs end: a killed run has no last line.
const RUNS: [End; 5] = [End::Closed, End::Killed, End::Stopped, End::Closed, End::Killed];

/// How one run ends; the next run resumes it.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Stopped,
    Killed,
}

/// The steps of a job in each of the runs.
type Sequence = [Vec<Step>; RUNS.len()];

/// A job by its number; every fourth engine is in another region.
fn key(number: usize, target: &str) -> JobKey {
    let region = if number % 4 == 3 { "ap-shanghai-fsi" } else { "ap-guangzhou" };
    JobKey {
        region: Region::new(region),
        data_engine_id: DataEngineId::new(format!("DataEngine-{number:04}")),
        new_image_version_id: ImageVersionId::new(target),
    }
}

/// A plan with every job of the ledger, jobs without lines, and jobs with another target.
pub fn plan() -> Vec<Job> {
    let touched = sequences().len() * JOBS_PER_SEQUENCE;
    let same = (0..touched + 3).map(|number| key(number, "image-new"));
    let changed = (0..touched).step_by(3).map(|number| key(number, "image-newer"));
    let job = |key| Job { key, wave: 0, expected_image_version_id: None, data_engine_name: None, note: None };
    same.chain(changed).map(job).collect()
}

fn sent() -> Step {
    Step::Sent { attempt: 1, image_before: Some(ImageVersionId::new("image-old")) }
}

fn accepted() -> Step {
    let request_id = Some("7f2a4c1e-0b6d-4d0c-9a55-3e7f1d2b8c90".to_owned());
    Step::Accepted { request_id, latency_ms: Some(118), verified: false }
}

fn seen() -> Step {
    Step::Accepted { request_id: None, latency_ms: None, verified: true }
}

fn switched() -> Step {
    Step::Switched {
        image_before: Some(ImageVersionId::new("image-old")),
        image_name_after: Some("Standard-S 1.1".to_owned()),
        child_image_after: None,
    }
}

/// A refusal whose text needs JSON escapes and contains multi-byte characters.
fn refused(code: &str) -> RecordedReason {
    RecordedReason {
        code: code.to_owned(),
        message: Some("引擎 \"busy\" \\ try\nlater é".to_owned()),
        request_id: Some("id-1".to_owned()),
        latency_ms: Some(7),
        needs_release: code == "moved-by-another-client",
    }
}

fn unconfirmed() -> Step {
    Step::Unconfirmed {
        code: None,
        request_id: None,
        message: "connection reset".to_owned(),
        http_status: Some(502),
        latency_ms: None,
    }
}

fn not_applied() -> Step {
    Step::NotApplied { image_seen: ImageVersionId::new("image-old") }
}

fn throttled() -> Step {
    Step::Throttled(refused("RequestLimitExceeded"))
}

fn busy() -> Step {
    Step::Refused(refused("ResourceInUse"))
}

fn failed() -> Step {
    Step::Failed(refused("FailedOperation"))
}

fn words(words: &str) -> String {
    words.to_owned()
}

/// Every sequence; together they contain every kind of step.
fn sequences() -> Vec<Sequence> {
    let not_sent = || Step::NotSent { message: words("no route to host") };
    let unknown = || Step::Unknown { message: words("not settled in time") };
    let timed_out = || Step::TimedOut { message: words("not seen in time") };
    let none = Vec::new;
    vec![
        [vec![sent(), accepted(), switched()], none(), none(), none(), none()],
        [vec![Step::UpToDate], none(), none(), none(), none()],
        [vec![sent(), throttled(), sent(), accepted()], vec![switched()], none(), none(), none()],
        [vec![sent(), busy(), sent(), accepted(), switched()], none(), none(), none(), none()],
        [
            vec![sent(), not_sent(), sent(), failed()],
            vec![sent(), accepted(), timed_out()],
            vec![unconfirmed(), seen(), switched()],
            none(),
            none(),
        ],
        [
            vec![sent(), unconfirmed(), not_applied(), sent(), accepted(), switched()],
            none(),
            none(),
            none(),
            none(),
        ],
        [
            vec![sent(), unconfirmed(), unknown()],
            vec![unconfirmed(), not_applied(), sent(), accepted()],
            none(),
            vec![switched()],
            none(),
        ],
        [none(), vec![failed()], vec![sent()], vec![unconfirmed(), seen(), switched()], none()],
        [
            vec![sent(), busy(), sent(), unconfirmed(), unknown()],
            vec![unconfirmed(), seen(), switched()],
            none(),
            none(),
            none(),
        ],
        [none(), vec![sent(), throttled()], vec![failed()], none(), vec![failed()]],
        [none(), none(), vec![sent(), unconfirmed(), not_applied()], vec![unknown()], vec![unconfirmed()]],
        [none(), none(), none(), vec![sent(), accepted()], vec![timed_out()]],
        [none(), none(), none(), none(), vec![sent(), unconfirmed()]],
    ]
}

/// Writes the ledger with its own writer, one run after the other.
pub fn write(path: &Path, prefix: &str) {
    let sequences = sequences();
    let mut parent = None;
    for (number, end) in RUNS.into_iter().enumerate() {
        let run = format!("{prefix}-run-{}", number + 1);
        let (mut writer, set_aside) = open(path, &run).expect("a ledger that can be gone on with");
        assert_eq!(set_aside, None);
        writer.append(vec![Entry::RunStarted(run_started(parent.take()))]).expect("written");
        for entry in steps_of(&sequences, number) {
            writer.append(vec![entry]).expect("written");
        }
        let stopped = matches!(end, End::Stopped).then(|| words("the run was stopped by SIGINT"));
        if !matches!(end, End::Killed) {
            let outcomes = BTreeMap::from([(Outcome::Switched, 3), (Outcome::Failed, 1)]);
            writer.append(vec![Entry::RunEnded(RunEnded { outcomes, stopped })]).expect("written");
        }
        parent = Some(run);
    }
}

/// The lines of one run: one step of each job in turn.
fn steps_of(sequences: &[Sequence], run: usize) -> Vec<Entry> {
    let longest = sequences.iter().map(|life| life[run].len()).max().unwrap_or(0);
    let turns =
        (0..longest).flat_map(|turn| (0..sequences.len() * JOBS_PER_SEQUENCE).map(move |job| (turn, job)));
    turns
        .filter_map(|(turn, job)| {
            let step = sequences[job % sequences.len()][run].get(turn)?.clone();
            Some(Entry::Job { key: key(job, "image-new"), step })
        })
        .collect()
}

fn run_started(parent_run: Option<String>) -> RunStarted {
    RunStarted {
        schema: SCHEMA.to_owned(),
        parent_run,
        tool_version: words("0.1.0"),
        plan: words("plans/fleet.csv"),
        plan_digest: "0".repeat(64),
        regions: vec![words("ap-guangzhou"), words("ap-shanghai-fsi")],
        endpoint: words("dlc.tencentcloudapi.com"),
        simulated: false,
        rate: 20,
    }
}
