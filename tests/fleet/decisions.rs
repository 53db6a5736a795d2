//! The run does what the dry run prints: random ledgers and fleets, in virtual time.

use dlc_fleet::cloud::{EngineState, SWITCH};
use dlc_fleet::job::{Decision, ImageVersionId, Job, JobIndex, Outcome};
use dlc_fleet::ledger::{Entry, History, Line, RecordedReason, RunStarted, SCHEMA, Step};
use dlc_fleet::simulator::World;
use jiff::Timestamp;

use crate::staging::{RunResult, Staging, jobs};

/// Worlds in `cargo test`; `DLC_FLEET_WORLDS` sets another number.
const WORLDS: u64 = 40;

const ENGINES: usize = 12;

fn failed(code: &str, needs_release: bool) -> Step {
    let code = code.to_owned();
    Step::Failed(RecordedReason { code, message: None, request_id: None, latency_ms: None, needs_release })
}

/// The steps of a job in an earlier run.
fn earlier_steps(choice: usize) -> Vec<Step> {
    let sent = || Step::Sent { attempt: 1, image_before: Some(ImageVersionId::new("image-old")) };
    let accepted = || Step::Accepted { request_id: Some("id".into()), latency_ms: None, verified: false };
    let refused = || RecordedReason {
        code: "ResourceInUse".into(),
        message: None,
        request_id: None,
        latency_ms: None,
        needs_release: false,
    };
    let unconfirmed = || Step::Unconfirmed {
        code: None,
        message: "reset".into(),
        request_id: None,
        http_status: None,
        latency_ms: None,
    };
    let switched = Step::Switched { image_before: None, image_name_after: None, child_image_after: None };
    match choice {
        0 => vec![sent()],
        1 => vec![sent(), accepted()],
        2 => vec![sent(), accepted(), switched],
        3 => vec![sent(), Step::Refused(refused())],
        4 => vec![sent(), unconfirmed()],
        5 => vec![sent(), unconfirmed(), Step::NotApplied { image_seen: ImageVersionId::new("image-old") }],
        6 => vec![Step::UpToDate],
        7 => vec![failed("FailedOperation", false)],
        8 => vec![sent(), failed("moved-by-another-client", true)],
        9 => vec![sent(), accepted(), Step::TimedOut { message: "late".into() }],
        10 => vec![sent(), unconfirmed(), Step::Unknown { message: "not verified".into() }],
        11 => vec![sent(), Step::NotSent { message: "refused".into() }],
        12 => vec![sent(), Step::Throttled(refused())],
        _ => vec![],
    }
}

/// A ledger of an earlier run with random steps of each job.
fn earlier_run(jobs: &[Job], random: &mut fastrand::Rng) -> History {
    let started = Entry::RunStarted(RunStarted {
        schema: SCHEMA.into(),
        parent_run: None,
        tool_version: "0".into(),
        plan: "plan.csv".into(),
        plan_digest: "0".into(),
        regions: vec![],
        endpoint: "simulator".into(),
        simulated: true,
        rate: 20,
    });
    let steps = jobs.iter().flat_map(|job| {
        let steps = earlier_steps(random.usize(..18));
        steps.into_iter().map(|step| Entry::Job { key: job.key.clone(), step })
    });
    let mut history = History::default();
    for (entry, seq) in std::iter::once(started).chain(steps).zip(1..) {
        let line = Line { seq, at: Timestamp::UNIX_EPOCH, run: "run-1".into(), entry };
        history.apply(&line).expect("a legal line");
    }
    history
}

/// Sets a random image version and state of each engine.
fn change_fleet(jobs: &[Job], random: &mut fastrand::Rng, world: &mut World) {
    for job in jobs {
        let (region, engine) = (&job.key.region, &job.key.data_engine_id);
        let image = match random.usize(..6) {
            0 | 1 => Some("image-new"),
            2 => Some("image-other"),
            3 => None,
            _ => Some("image-old"),
        };
        world.set_image(region, engine, image.map(ImageVersionId::new));
        let state = [-1, 0, 1][random.usize(..3)];
        world.set_state(region, engine, EngineState(if random.bool() { 2 } else { state }));
    }
}

async fn run_world(seed: u64) -> (Vec<Job>, RunResult) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut jobs = jobs(ENGINES, 1);
    for job in &mut jobs {
        job.expected_image_version_id = match random.usize(..5) {
            0 => Some(ImageVersionId::new("image-old")),
            1 => Some(ImageVersionId::new("image-other")),
            _ => None,
        };
    }
    let mut staging = Staging::new(jobs.clone(), "switching: {min: 2s, max: 4s}\n");
    staging.history = earlier_run(&jobs, &mut random);
    let engines = jobs.clone();
    staging.change_world(move |world| change_fleet(&engines, &mut random, world));
    (jobs, staging.run().await)
}

/// Why the run did not carry out the decision, if it did not.
fn violation(run_result: &RunResult, job: &Job, index: usize) -> Option<String> {
    let result = run_result.tally.result(JobIndex(index)).expect("every job ends");
    let engine = &job.key.data_engine_id;
    let arrivals = run_result.simulator.arrivals();
    let requests = arrivals
        .iter()
        .filter(|arrival| arrival.action == SWITCH && arrival.data_engine_id.as_ref() == Some(engine))
        .count();
    let id = format!("\"{engine}\"");
    let first = run_result.ledger.iter().find(|line| line.contains(&id));
    let was_sent_first = first.is_some_and(|line| line.contains("\"kind\":\"sent\""));
    let code = result.reason.as_ref().map(|reason| reason.code.as_str());
    let is_kept = match &run_result.decisions[index] {
        Decision::Keep { outcome, .. } => {
            requests == 0 && result.from_earlier_run && result.outcome == *outcome && first.is_none()
        }
        Decision::UpToDate => {
            requests == 0
                && matches!(result.outcome, Outcome::UpToDate | Outcome::Switched | Outcome::TimedOut)
        }
        Decision::Watch => requests == 0 && result.outcome != Outcome::NotStarted,
        Decision::Verify { .. } => !was_sent_first,
        Decision::Send { .. } => was_sent_first && requests > 0,
        Decision::Wait(_) => requests == 0,
        Decision::Block(reason) | Decision::Refuse(reason) => {
            requests == 0 && result.outcome == Outcome::NotStarted && code == Some(&reason.code)
        }
        Decision::Fail(reason) => {
            requests == 0 && result.outcome == Outcome::Failed && code == Some(&reason.code)
        }
    };
    let decision = &run_result.decisions[index];
    (!is_kept).then(|| format!("{engine}: {decision:?}, then {requests} requests and {result:?}"))
}

#[tokio::test(start_paused = true)]
async fn the_run_does_what_the_dry_run_prints() {
    let worlds = std::env::var("DLC_FLEET_WORLDS").map_or(WORLDS, |worlds| worlds.parse().expect("a number"));
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for seed in 0..worlds {
        let (jobs, run_result) = run_world(seed).await;
        for (index, job) in jobs.iter().enumerate() {
            if let Some(broken) = violation(&run_result, job, index) {
                panic!("world {seed}: {broken}");
            }
            let decision = format!("{:?}", run_result.decisions[index]);
            let name = decision.split([' ', '(']).next().unwrap_or_default();
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    let counted: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    crate::stage::survived(
        "what the dry run prints, and then the run, over random ledgers and fleets",
        &format!("{worlds} worlds, decisions kept: {}", counted.join(", ")),
    );
    assert!(counts.len() >= 7, "every kind of decision occurs: {counts:?}");
}
