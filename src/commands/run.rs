//! `dlc-fleet run`: prepares a run from plan and ledger, executes it, and prints the result.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::confirm::{Action, Question, confirm};
use super::output::print_outcome;
use super::variables::environment;
use super::{blocked, command_line, descriptors, guard, setup, signals, unrecorded};
use crate::cli::{Output, RunArgs};
use crate::cloud::Fleet;
use crate::cloud::http::HttpCloud;
use crate::error::Failure;
use crate::event::{RunHeader, StopReason};
use crate::exit::Exit;
use crate::format::{duration, plural, shown_path};
use crate::job::{Decision, Outcome, Wave};
use crate::ledger::{self, Past, RunStarted, Writer};
use crate::plan::Plan;
use crate::report::print::to_stderr;
use crate::report::{self, Closing, Reporter, Terminal, stdout_columns};
use crate::run::{Ended, Preflight, Reader, RunOptions, Signal, Signals, Start, execute};
use crate::settings::{self, RunSettings, Target};
use crate::simulator::RunDefaults;
use crate::tally::Tally;

pub(super) async fn run(args: &RunArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let settings = RunSettings::resolve(args, &environment(args.target.profile.as_deref()))?;
    if let Some(mode) = settings.dry_run {
        let plan = super::check::load(&settings.plan, settings.region.as_ref())?;
        return match plan {
            Some(plan) => super::dry_run::dry_run(&settings, &plan, mode).await,
            None => Ok(Exit::Usage),
        };
    }
    let mut signals = signals::listen().map_err(|error| {
        Failure::new(Exit::Refused, format!("signals cannot be handled: {error}"))
            .next("nothing was sent; raise the limits of this user (ulimit -u, ulimit -n)")
    })?;
    match unless_signalled(&mut signals, load(&settings)).await? {
        Some(plan) => switch(&settings, plan, terminal, signals).await,
        None => Ok(Exit::Usage),
    }
}

/// Runs a step before the first write, and fails if a signal arrives first.
async fn unless_signalled<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        Some(signal) = signals.recv() => Err(interrupted(signal)),
        done = work => done,
    }
}

fn interrupted(signal: Signal) -> Failure {
    let what = format!("interrupted by {} before anything was sent or written", signal.name());
    Failure::new(signals::exit_of(signal.name()), what)
        .next(format!("to start again: {}", command_line::again()))
}

/// Loads the plan, which may be large, on a thread of its own, so that a signal ends the run meanwhile.
async fn load(settings: &RunSettings) -> Result<Option<Plan>, Failure> {
    let (path, region) = (settings.plan.clone(), settings.region.clone());
    let loaded = tokio::task::spawn_blocking(move || super::check::load(&path, region.as_ref()));
    // a panic in it is an internal error and continues in this task
    loaded.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

async fn switch(
    settings: &RunSettings,
    mut plan: Plan,
    terminal: &Terminal,
    mut signals: Signals,
) -> Result<Exit, Failure> {
    setup::check_plan(settings, &plan)?;
    let run_id = ledger::new_run_id();
    let (writer, torn_copy) = ledger::open(&settings.ledger, &run_id)?;
    if let Some(copy) = torn_copy {
        let (ledger, copy) = (shown_path(&settings.ledger), shown_path(&copy));
        to_stderr(&format!("note: the last line of {ledger} was torn and has been moved to {copy}\n"));
    }
    let pasts = setup::past_of(settings, &plan, writer.history())?;
    let connected = setup::connect_guarded(settings, &plan, writer.history());
    let service = unless_signalled(&mut signals, connected).await?;
    let options = within_descriptors(settings.options(service.clock.as_ref()));
    plan.waves = soaks_of_this_run(plan.waves, service.clock.as_ref());
    let endpoint = service.name.clone();
    let cloud = Arc::new(HttpCloud::new(service.fleet(options.request_timeout)?));
    let reader = Reader::new(Arc::clone(&cloud), options);
    let confirmed = Box::pin(preflight_and_ask(settings, &plan, &pasts, &reader, &endpoint));
    let preflight = unless_signalled(&mut signals, confirmed).await?;
    let soaks_left = ledger::remaining_soaks(
        &plan.jobs,
        &plan.waves,
        writer.history(),
        options.verifies(),
        Timestamp::now(),
    );
    let (header, run_line) = introduce(settings, plan, &run_id, &writer, endpoint, &options);
    let reporter = Reporter::on_stderr(terminal);
    let tally = reporter.tally_reader();
    let ended = execute(Start {
        cloud,
        reader,
        header: Arc::clone(&header),
        run_line,
        pasts,
        soaks_left,
        preflight,
        writer,
        options,
        listener: Box::new(reporter),
        signals,
    })
    .await;
    finish(settings, &header, tally.tally(), ended)
}

/// The options, with at most as many concurrent requests as there are file descriptors for connections.
fn within_descriptors(options: RunOptions) -> RunOptions {
    let concurrency = descriptors::for_requests(options.concurrency);
    if concurrency < options.concurrency {
        to_stderr(&format!(
            "note: the limit of file descriptors allows {} at once, not {}; raise it with `ulimit -n 1024`\n",
            plural(concurrency, "request"),
            options.concurrency,
        ));
    }
    RunOptions { concurrency, ..options }
}

/// The waves with the soaks that this run keeps to, and a word where those are not the plan's.
fn soaks_of_this_run(waves: Vec<Wave>, clock: Option<&RunDefaults>) -> Vec<Wave> {
    let (waves, longest) = settings::waves(waves, clock);
    if let Some(longest) = longest {
        to_stderr(&format!("note: this simulation shortens soaks to {}\n", duration(longest)));
    }
    waves
}

/// Reads the fleet and asks for confirmation.
async fn preflight_and_ask<F: Fleet>(
    settings: &RunSettings,
    plan: &Plan,
    pasts: &[Past],
    reader: &Reader<F>,
    endpoint: &str,
) -> Result<Preflight, Failure> {
    let preflight = setup::preflight(settings, plan, pasts, reader).await?;
    blocked::check(plan, &preflight)?;
    if !ask(settings, plan, &preflight.decisions, endpoint).await? {
        return Ok(preflight);
    }
    // the confirmation may have taken long, and the fleet may have changed since
    let preflight = setup::preflight(settings, plan, pasts, reader).await?;
    blocked::check(plan, &preflight)?;
    Ok(preflight)
}

/// Asks for confirmation before requests are sent to a service; false if no question was needed.
async fn ask(
    settings: &RunSettings,
    plan: &Plan,
    decisions: &[Decision],
    endpoint: &str,
) -> Result<bool, Failure> {
    let actions = decisions.iter().map(action).collect();
    let expected = guard::expected_accounts(Some(plan), settings.expect_account.as_deref());
    let account = expected.first().map(|expected| expected.account);
    let question = Question { plan, actions, endpoint, account };
    if settings.yes || question.engines() == 0 || matches!(settings.target, Target::Simulator { .. }) {
        return Ok(false);
    }
    confirm(question).await?;
    Ok(true)
}

/// What the run is about to do with a job.
fn action(decision: &Decision) -> Action {
    match decision {
        Decision::Send { .. } | Decision::Wait(_) => Action::Switch,
        Decision::Verify { .. } => Action::VerifyUnconfirmed,
        Decision::Watch => Action::Verify,
        Decision::Keep { outcome: Outcome::Failed, .. }
        | Decision::Fail(_)
        | Decision::Block(_)
        | Decision::Refuse(_) => Action::Fail,
        Decision::Keep { .. } | Decision::UpToDate => Action::Done,
    }
}

/// What is known beforehand: once for those who listen, once for the ledger.
fn introduce(
    settings: &RunSettings,
    plan: Plan,
    run_id: &str,
    writer: &Writer,
    endpoint: String,
    options: &RunOptions,
) -> (Arc<RunHeader>, RunStarted) {
    let parent = writer.history().latest_run.as_ref().map(|(run, _)| run.clone());
    let regions: BTreeSet<&str> = plan.jobs.iter().map(|job| job.key.region.as_str()).collect();
    let run_line = RunStarted {
        schema: ledger::SCHEMA.into(),
        parent_run: parent.clone(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        plan: shown_path(&plan.path),
        plan_digest: plan.digest,
        regions: regions.into_iter().map(str::to_owned).collect(),
        endpoint: endpoint.clone(),
        simulated: settings.target.is_simulation(),
        rate: options.rate.per_second(),
    };
    let header = RunHeader {
        run_id: run_id.into(),
        parent_run_id: parent,
        plan: plan.path,
        ledger: settings.ledger.clone(),
        endpoint,
        rate: options.rate.per_second(),
        max_attempts: options.max_attempts,
        resend_after: options.resend_after,
        min_ready: options.verifies().then_some(options.min_ready),
        wait_timeout: options.wait_timeout,
        jobs: plan.jobs.into(),
        waves: plan.waves.into(),
    };
    (Arc::new(header), run_line)
}

/// Prints the result and finds the exit code.
fn finish(
    settings: &RunSettings,
    header: &RunHeader,
    tally: Option<Tally>,
    ended: Ended,
) -> Result<Exit, Failure> {
    let Some(tally) = tally else {
        return Err(Failure::new(Exit::Internal, "the run ended before it was opened"));
    };
    let exit = exit_of(ended.stopped.as_ref(), &tally);
    let closing = Closing {
        stopped: ended.stopped,
        elapsed: ended.elapsed,
        peak_requests_per_second: (ended.peak_requests_per_second > 0)
            .then_some(ended.peak_requests_per_second),
        command: (exit != Exit::Success).then(command_line::again),
    };
    let printed = print_outcome(&match settings.output {
        Output::Human => report::summary(header, &tally, &closing, stdout_columns()),
        Output::Json => report::summary_json(header, &tally, &closing, exit.code()),
    });
    unrecorded::tell(settings, &ended.unrecorded, ended.recovered.as_ref());
    // a code that says what happened to engines is not replaced
    Ok(if exit == Exit::Success && !printed { Exit::Unprinted } else { exit })
}

/// The exit code of a run: why it stopped, else the worst outcome.
fn exit_of(stopped: Option<&StopReason>, tally: &Tally) -> Exit {
    let outcomes = tally.outcomes();
    match stopped {
        Some(StopReason::LedgerFailed { .. }) => Exit::Ledger,
        Some(StopReason::Interrupted { signal }) => signals::exit_of(signal),
        Some(StopReason::AccountRefused(_) | StopReason::SoakFailed(_)) => Exit::Stopped,
        None if outcomes.of(Outcome::Failed) > 0 => Exit::Failed,
        None if outcomes.good() < outcomes.total() => Exit::Incomplete,
        None => Exit::Success,
    }
}
