//! Runs the command as the executable does, from plan and ledger to the end of one run. The only file that depends on the
//! internal structure of the tool.

use std::path::Path;
use std::sync::Arc;

use dlc_fleet::event::{RunHeader, StopReason};
use dlc_fleet::job::{Decision, Job, Wave};
use dlc_fleet::ledger::{self, History, Retry, RunStarted, Writer, pasts};
use dlc_fleet::run::{Preflight, Reader, RunOptions, Signals, Start, execute};

use crate::clock::WallClock;
use crate::disk::LedgerDisk;
use crate::oracle::OracleListener;
use crate::service::Service;

/// The input of a command.
pub struct Setup {
    pub run: String,
    pub service: Service,
    pub disk: LedgerDisk,
    /// The content of the ledger.
    pub ledger: Vec<u8>,
    pub jobs: Vec<Job>,
    pub waves: Vec<Wave>,
    pub options: RunOptions,
    /// `--allow-unlisted-images`
    pub allow_unlisted: bool,
    /// `--retry-moved`
    pub retry_moved: bool,
    pub clock: WallClock,
    pub signals: Signals,
}

/// How a command ended.
#[derive(Debug)]
pub enum Ended {
    /// Its ledger cannot be read.
    LedgerRefused(String),
    /// It sent nothing, because the fleet could not be read or a row was refused.
    Refused(String),
    /// The run ended.
    Ran {
        stopped: Option<StopReason>,
        /// Rows in its tally.
        counted: usize,
    },
}

/// Runs the command.
pub async fn command(setup: Setup) -> Ended {
    let Setup { run, service, disk, ledger, jobs, waves, options, clock, signals, .. } = setup;
    let allow_unlisted = setup.allow_unlisted;
    let options = RunOptions { retry: Retry { moved: setup.retry_moved, ..Retry::default() }, ..options };
    let path = Path::new("plan.ledger.jsonl");
    let loaded = match ledger::read_from(&ledger[..], path) {
        Ok(loaded) => loaded,
        Err(error) => return Ended::LedgerRefused(error.to_string()),
    };
    let ledger_clock = clock.clone();
    let writer = Writer::new(Box::new(disk), path, &run, loaded.history, loaded.check)
        .with_clock(move || ledger_clock.now());
    let pasts = pasts(&jobs, writer.history());
    let cloud = Arc::new(service.clone());
    let reader = Reader::new(Arc::clone(&cloud), options);
    let preflight = if options.verify {
        match reader.preflight(&jobs, &pasts, !allow_unlisted).await {
            Ok(preflight) => preflight,
            Err(error) => return Ended::Refused(format!("{error:?}")),
        }
    } else {
        Preflight::of_ledger(&jobs, &pasts, options.retry)
    };
    if let Some(Decision::Refuse(reason)) =
        preflight.decisions.iter().find(|decision| matches!(decision, Decision::Refuse(_)))
    {
        return Ended::Refused(format!("blocked: {reason:?}"));
    }
    let soaks_left =
        ledger::remaining_soaks(&jobs, &waves, writer.history(), options.verifies(), clock.now());
    let (header, run_line) = headers(&run, jobs, waves, writer.history(), &options);
    let listener = OracleListener::new(service, &header);
    let start = Start {
        cloud,
        reader,
        header: Arc::new(header),
        run_line,
        pasts,
        soaks_left,
        preflight,
        writer,
        options,
        listener: Box::new(listener.clone()),
        signals,
    };
    let ended = execute(start).await;
    Ended::Ran { stopped: ended.stopped, counted: listener.tally().outcomes().total() }
}

fn headers(
    run: &str,
    jobs: Vec<Job>,
    waves: Vec<Wave>,
    history: &History,
    options: &RunOptions,
) -> (RunHeader, RunStarted) {
    let parent = history.latest_run.as_ref().map(|(run, _)| run.clone());
    let run_line = RunStarted {
        schema: ledger::SCHEMA.into(),
        parent_run: parent.clone(),
        tool_version: "0".into(),
        plan: "plan.yaml".into(),
        plan_digest: "0".into(),
        regions: vec![],
        endpoint: "simulation".into(),
        simulated: true,
        rate: options.rate.per_second(),
    };
    let header = RunHeader {
        run_id: run.into(),
        parent_run_id: parent,
        plan: "plan.yaml".into(),
        ledger: "plan.ledger.jsonl".into(),
        endpoint: "simulation".into(),
        rate: options.rate.per_second(),
        max_attempts: options.max_attempts,
        resend_after: options.resend_after,
        min_ready: options.verifies().then_some(options.min_ready),
        wait_timeout: options.wait_timeout,
        jobs: jobs.into(),
        waves: waves.into(),
    };
    (header, run_line)
}
