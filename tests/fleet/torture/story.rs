//! The ledger under torture: several runs, every kind of line, jobs that go from one run to the next.

use std::collections::BTreeMap;
use std::path::Path;

use dlc_fleet::job::{DataEngineId, ImageVersionId, Job, JobKey, Outcome, Region};
use dlc_fleet::ledger::{Entry, RecordedReason, RunEnded, RunStarted, SCHEMA, Step, open};

/// Jobs that live each life.
const JOBS_A_LIFE: usize = 4;

/// How the runs end: a run that was killed leaves no last line.
const RUNS: [End; 5] = [End::Closed, End::Killed, End::Stopped, End::Closed, End::Killed];

/// One run is resumed by the next, whatever its end was.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Stopped,
    Killed,
}

/// What happens to a job in each of the runs.
type Life = [Vec<Step>; RUNS.len()];

/// A job by its number; every fourth engine lives elsewhere.
fn key(number: usize, target: &str) -> JobKey {
    let region = if number % 4 == 3 { "ap-shanghai-fsi" } else { "ap-guangzhou" };
    JobKey {
        region: Region::new(region),
        data_engine_id: DataEngineId::new(format!("DataEngine-{number:04}")),
        new_image_version_id: ImageVersionId::new(target),
    }
}

/// A plan of every job in the story, of jobs that were never touched, and of jobs whose target was changed.
pub fn plan() -> Vec<Job> {
    let touched = lives().len() * JOBS_A_LIFE;
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

/// A refusal in words that JSON has to escape and that a cut can tear within a character.
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

fn cleared() -> Step {
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

/// Every life; together they take every step that there is.
fn lives() -> Vec<Life> {
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
            vec![sent(), unconfirmed(), cleared(), sent(), accepted(), switched()],
            none(),
            none(),
            none(),
            none(),
        ],
        [
            vec![sent(), unconfirmed(), unknown()],
            vec![unconfirmed(), cleared(), sent(), accepted()],
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
        [none(), none(), vec![sent(), unconfirmed(), cleared()], vec![unknown()], vec![unconfirmed()]],
        [none(), none(), none(), vec![sent(), accepted()], vec![timed_out()]],
        [none(), none(), none(), none(), vec![sent(), unconfirmed()]],
    ]
}

/// Writes the story through the ledger's own writer, one run after the other.
pub fn write(path: &Path, prefix: &str) {
    let lives = lives();
    let mut parent = None;
    for (number, end) in RUNS.into_iter().enumerate() {
        let run = format!("{prefix}-run-{}", number + 1);
        let (mut writer, set_aside) = open(path, &run).expect("a ledger that can be gone on with");
        assert_eq!(set_aside, None);
        writer.append(vec![Entry::RunStarted(opened(parent.take()))]).expect("written");
        for entry in steps_of(&lives, number) {
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

/// The lines of one run: its jobs take turns, one step at a time.
fn steps_of(lives: &[Life], run: usize) -> Vec<Entry> {
    let longest = lives.iter().map(|life| life[run].len()).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| (0..lives.len() * JOBS_A_LIFE).map(move |job| (turn, job)));
    turns
        .filter_map(|(turn, job)| {
            let step = lives[job % lives.len()][run].get(turn)?.clone();
            Some(Entry::Job { key: key(job, "image-new"), step })
        })
        .collect()
}

fn opened(parent_run: Option<String>) -> RunStarted {
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
