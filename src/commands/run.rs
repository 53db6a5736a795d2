//! `dlc-fleet run`: plan and ledger into what is left to do, and then to the dispatcher.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::confirm::{Action, Question, confirm};
use super::service::{Service, check_ledger_fits, reach};
use super::slow_read::with_slow_read_note;
use super::{
    blocked, command_line, descriptors, environment, guard, print_outcome, signals, sites, unrecorded,
};
use crate::cli::{Output, RunArgs};
use crate::cloud::Fleet;
use crate::cloud::http::HttpCloud;
use crate::error::Failure;
use crate::event::{RunHeader, StopReason};
use crate::exit::Exit;
use crate::format::{duration, plural, shown_path};
use crate::job::{Job, Outcome, Wave};
use crate::ledger::{self, RunStarted, Work, Writer, remaining_work};
use crate::plan::Plan;
use crate::report::print::to_stderr;
use crate::report::{self, Closing, Reporter, Terminal, stdout_columns};
use crate::run::{
    Decision, Ended, FleetView, Reader, RunOptions, Signal, Signals, Start, decide, execute, may_be_sent,
};
use crate::settings::{self, RunSettings, Target};
use crate::simulator::FastClock;
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

/// Does something that comes before the first write, unless a signal comes first.
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
    // a panic in there is a defect of ours and goes where all panics go
    loaded.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Finds the service and keys for it, and sees that they are those of the expected account.
async fn reach_guarded(
    settings: &RunSettings,
    plan: &Plan,
    history: &ledger::History,
) -> Result<Service, Failure> {
    let service = reach(settings, &plan.jobs, &history.jobs).await?;
    guard::check_account(settings, plan, &service).await?;
    Ok(service)
}

async fn switch(
    settings: &RunSettings,
    mut plan: Plan,
    terminal: &Terminal,
    mut signals: Signals,
) -> Result<Exit, Failure> {
    guard::check_regions(&plan)?;
    sites::check_plan_fits(&settings.target, &plan.jobs)?;
    let run_id = ledger::new_run_id();
    let (writer, set_aside) = ledger::open(&settings.ledger, &run_id)?;
    if let Some(aside) = set_aside {
        let (ledger, aside) = (shown_path(&settings.ledger), shown_path(&aside));
        to_stderr(&format!("note: the last line of {ledger} was torn and is set aside in {aside}\n"));
    }
    check_ledger_fits(&settings.target, &settings.ledger, writer.history())?;
    let work = remaining_work(&plan.jobs, writer.history(), settings.retry);
    let service = unless_signalled(&mut signals, reach_guarded(settings, &plan, writer.history())).await?;
    let options = within_descriptors(settings.options(service.clock.as_ref()));
    plan.waves = soaks_of_this_run(plan.waves, service.clock.as_ref());
    let endpoint = service.name.clone();
    let cloud = Arc::new(HttpCloud::new(service.fleet(options.request_timeout)?));
    let reader = Reader::new(Arc::clone(&cloud), options);
    let leave = Box::pin(survey_and_ask(settings, &plan, &work, &reader, &endpoint));
    let view = unless_signalled(&mut signals, leave).await?;
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
        work,
        soaks_left,
        view,
        writer,
        options,
        listener: Box::new(reporter),
        signals,
    })
    .await;
    conclude(settings, &header, tally.tally(), ended)
}

/// The rules, with no more requests at once than there can be connections.
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

/// The waves with the soaks of this run, and a note if a simulation shortens those of the plan.
fn soaks_of_this_run(waves: Vec<Wave>, clock: Option<&FastClock>) -> Vec<Wave> {
    let (waves, longest) = settings::waves(waves, clock);
    if let Some(longest) = longest {
        to_stderr(&format!("note: this simulation shortens soaks to {}\n", duration(longest)));
    }
    waves
}

/// Reads the fleet and asks for confirmation; returns the state of the fleet.
async fn survey_and_ask<F: Fleet>(
    settings: &RunSettings,
    plan: &Plan,
    work: &[Work],
    reader: &Reader<F>,
    endpoint: &str,
) -> Result<Option<FleetView>, Failure> {
    let view = preflight(settings, plan, work, reader).await?;
    if ask(settings, plan, work, view.as_ref(), endpoint).await? {
        // the answer may have taken long, and the fleet may have changed since
        return preflight(settings, plan, work, reader).await;
    }
    Ok(view)
}

/// Reads the fleet once, and refuses a plan with blocked rows. Nothing is read with `--no-verify`.
async fn preflight<F: Fleet>(
    settings: &RunSettings,
    plan: &Plan,
    work: &[Work],
    reader: &Reader<F>,
) -> Result<Option<FleetView>, Failure> {
    if !settings.verifies() {
        return Ok(None);
    }
    let preflight = with_slow_read_note(
        plan.jobs.len(),
        reader.preflight(&plan.jobs, work, !settings.allow_unlisted_images),
    )
    .await?;
    blocked::check(plan, work, &preflight)?;
    Ok(Some(preflight.view))
}

/// Asks for confirmation before requests go to a service; false if none was needed.
async fn ask(
    settings: &RunSettings,
    plan: &Plan,
    work: &[Work],
    view: Option<&FleetView>,
    endpoint: &str,
) -> Result<bool, Failure> {
    let actions = plan.jobs.iter().zip(work).map(|(job, work)| action(job, work, view)).collect();
    let expected = guard::expected(Some(plan), settings.expect_account.as_deref());
    let account = expected.first().map(|expected| expected.account);
    let question = Question { plan, actions, endpoint, account };
    if settings.yes || question.engines() == 0 || matches!(settings.target, Target::Simulator { .. }) {
        return Ok(false);
    }
    confirm(question).await?;
    Ok(true)
}

/// What the run is about to do with a job.
fn action(job: &Job, work: &Work, view: Option<&FleetView>) -> Action {
    match decide(job, work, view) {
        _ if may_be_sent(job, work, view) => Action::Switch,
        Decision::Verify { .. } => Action::VerifyUnconfirmed,
        Decision::Watch { .. } => Action::Verify,
        Decision::Keep { outcome: Outcome::Failed, .. } | Decision::Fail(_) | Decision::Blocked(_) => {
            Action::Fail
        }
        _ => Action::Done,
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
fn conclude(
    settings: &RunSettings,
    header: &RunHeader,
    tally: Option<Tally>,
    ended: Ended,
) -> Result<Exit, Failure> {
    let Some(tally) = tally else {
        return Err(Failure::new(Exit::Defect, "the run ended before it started"));
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
