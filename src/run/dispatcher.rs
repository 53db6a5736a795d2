//! Runs the event loop of a run: the only owner of the ledger and the job states. It appends, then commits, then acts.

mod effects;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::attempt::attempt;
use super::fleet_view::FleetView;
use super::job_state::Response;
use super::job_state::Snapshot;
use super::job_state::{Change, JobState, Phase};
use super::job_table::JobTable;
use super::ledger_writer::LedgerWriter;
use super::options::RunOptions;
use super::poll::{PollResult, Poller};
use super::preflight::Preflight;
use super::reasons::{RUN_ENDED, SOAK_FAILED, reading_failed};
use super::start::{Ended, Start};
use super::stop::{Signal, Signals, Stopping};
use super::waves::Waves;
use crate::cloud::{CallError, Cloud, Fleet};
use crate::event::{Event, Listener, RunHeader, StopReason};
use crate::job::{Decision, JobIndex, Outcome};
use crate::ledger::{Entry, Past, RunEnded, RunStarted, Standing};
use crate::rate::{RateLimiter, until};

/// Time between two ticks.
const TICK: Duration = Duration::from_secs(1);

/// A tick that is late by more than this shows that the process or the machine was suspended.
const SUSPENSION: Duration = Duration::from_secs(1);

/// Runs until every job has ended or the run is stopped.
pub async fn execute<C: Cloud>(start: Start<C>) -> Ended {
    let (mut dispatcher, decisions, run_line) = Dispatcher::new(start);
    dispatcher.start(decisions, run_line).await;
    loop {
        dispatcher.handle_suspension();
        dispatcher.advance().await;
        if dispatcher.is_finished() {
            return dispatcher.end().await;
        }
        dispatcher.step().await;
    }
}

/// What the dispatcher waits for.
enum Input {
    Signal(Signal),
    Response(Result<(Id, Response), JoinError>),
    PollResult(Box<PollResult>),
    LimiterReady(Result<(), CallError>),
    Time,
}

struct Dispatcher<C> {
    cloud: Arc<C>,
    header: Arc<RunHeader>,
    options: RunOptions,
    job_table: JobTable,
    view: FleetView,
    limiter: RateLimiter,
    ledger_writer: LedgerWriter,
    listener: Box<dyn Listener>,
    signals: Signals,
    random: fastrand::Rng,
    attempts: JoinSet<Response>,
    /// The job of each attempt.
    job_of_task: BTreeMap<Id, JobIndex>,
    poller: Poller<C>,
    stopping: Stopping,
    /// True once a signal has arrived.
    signalled: bool,
    stopped: Option<StopReason>,
    /// When the current series of throttled responses started, and when the latest of them arrived.
    throttled: Option<(Instant, Instant)>,
    /// The clock difference that was last reported, in seconds; positive if the clock of the service is ahead.
    clock_ahead: i64,
    accepted_any: bool,
    denied_in_a_row: u32,
    started: Instant,
    next_tick: Instant,
}

impl<C: Cloud> Dispatcher<C> {
    fn new(start: Start<C>) -> (Self, Vec<Decision>, RunStarted) {
        let now = Instant::now();
        let Preflight { decisions, view, .. } = start.preflight;
        let accepted_any = start.pasts.iter().any(was_accepted);
        let jobs = &start.header.jobs;
        let waves = Waves::new(Arc::clone(&start.header.waves), jobs, &start.soaks_left, now);
        let dispatcher = Self {
            job_table: JobTable::new(Arc::clone(jobs), start.pasts, waves),
            cloud: start.cloud,
            header: start.header,
            options: start.options,
            poller: Poller::new(start.reader, view.as_ref().is_some_and(FleetView::is_by_name)),
            view: view.unwrap_or_default(),
            limiter: RateLimiter::new(start.options.rate),
            ledger_writer: LedgerWriter::new(start.writer),
            listener: start.listener,
            signals: start.signals,
            random: fastrand::Rng::new(),
            attempts: JoinSet::new(),
            job_of_task: BTreeMap::new(),
            stopping: Stopping::No,
            signalled: false,
            stopped: None,
            throttled: None,
            clock_ahead: 0,
            accepted_any,
            denied_in_a_row: 0,
            started: now,
            next_tick: now + TICK,
        };
        (dispatcher, decisions, start.run_line)
    }

    /// Writes the first line of the run and carries out the decisions of the preflight.
    async fn start(&mut self, decisions: Vec<Decision>, run_line: RunStarted) {
        self.report(&Event::RunStarted(Arc::clone(&self.header)));
        if !self.record(vec![Entry::RunStarted(run_line)]).await {
            return;
        }
        // the survey may have measured the clock difference
        self.report_clock();
        self.report(&Event::WaveStarted { wave: 0 });
        for (number, decision) in decisions.iter().enumerate() {
            if let Decision::Keep { drift: Some(seen), .. } = decision {
                self.report(&Event::Drifted { job: JobIndex(number), seen: seen.clone() });
            }
        }
        let now = Instant::now();
        let carry_out =
            |(job_state, decision): (&JobState, Decision)| job_state.carry_out(decision, now, &self.options);
        let changes = self.job_table.job_states.iter().zip(decisions).map(carry_out).collect();
        self.apply(changes).await;
    }

    /// Makes the changes that are due because of time, for jobs and for waves.
    async fn advance(&mut self) {
        let mut changes = self.job_table.on_time(Instant::now(), &self.options, self.poller.last_error());
        if self.stopping > Stopping::No {
            changes.extend(self.job_table.next_send().map(JobState::cancel_send));
        }
        self.apply(changes).await;
        self.advance_waves();
    }

    fn is_finished(&self) -> bool {
        match self.stopping {
            Stopping::No => self.job_table.is_done(),
            // jobs that wait to be sent are not sent any more; polling continues
            Stopping::NoMoreSends => self.job_table.under_way().all(JobState::is_idle),
            Stopping::Draining => self.attempts.is_empty(),
            Stopping::Now => true,
        }
    }

    /// Waits for the next input and handles it.
    async fn step(&mut self) {
        if self.is_polling() {
            self.poller.start_if_due(&self.job_table, &self.view, &self.options);
        }
        if self.may_prepare_send() {
            self.prepare_next_send().await;
        }
        let is_sending = self.stopping == Stopping::No && self.job_table.next_send().is_some();
        // a job that turns out to need no request makes room for the next one at once
        let has_more = self.may_prepare_send() && self.job_table.next_to_send().is_some();
        let wake = if has_more { Instant::now() } else { self.next_wake() };
        let input = tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Input::Signal(signal),
            Some(response) = self.attempts.join_next_with_id(), if !self.attempts.is_empty() => {
                Input::Response(response)
            }
            Some(polled) = self.poller.next(), if self.poller.is_running() => Input::PollResult(Box::new(polled)),
            prepared = wait_for_limiter(&*self.cloud, &mut self.limiter), if is_sending => Input::LimiterReady(prepared),
            () = until(wake) => Input::Time,
        };
        let suspended = self.handle_suspension();
        match input {
            Input::Signal(signal) => self.signalled(signal),
            Input::Response(response) => self.responses(response).await,
            Input::PollResult(polled) => self.polled(*polled).await,
            // requests sent before the suspension may arrive only now, so the rate limiter decides again
            Input::LimiterReady(_) if suspended => {}
            Input::LimiterReady(prepared) => self.send(prepared).await,
            Input::Time => self.tick_if_due(),
        }
    }

    fn next_wake(&self) -> Instant {
        let deadline = self.job_table.next_deadline(&self.options);
        let reads = self.poller.due(&self.job_table, &self.options).filter(|_| self.is_polling());
        [deadline, reads, Some(self.next_tick)].into_iter().flatten().min().unwrap_or(self.next_tick)
    }

    fn is_polling(&self) -> bool {
        self.options.verify && self.stopping < Stopping::Draining
    }

    /// Detects a suspension of this process and returns true after one. Requests in flight may arrive only now, so the rate
    /// limiter counts them again; and the suspended time counts against no wait.
    fn handle_suspension(&mut self) -> bool {
        let now = Instant::now();
        let suspended = now > self.next_tick + SUSPENSION;
        if suspended {
            self.limiter.suspended(self.attempts.len());
            let lost = now - (self.next_tick - TICK);
            self.job_table.extend_waits(lost, now);
            self.throttled = self.throttled.map(|(since, last)| ((since + lost).min(now), last));
            self.next_tick = now + TICK;
            self.report(&Event::Tick);
        }
        suspended
    }

    fn tick_if_due(&mut self) {
        let now = Instant::now();
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.report(&Event::Tick);
        }
    }

    fn may_prepare_send(&self) -> bool {
        self.stopping == Stopping::No
            && self.job_table.next_send().is_none()
            && self.attempts.len() < self.options.concurrency
    }

    /// Records the intent to send the next job.
    async fn prepare_next_send(&mut self) {
        let Some(index) = self.job_table.next_to_send() else { return };
        let mut ready = self.job_table.job_state(index).clone();
        if self.options.verify {
            let job = self.job_table.job(index);
            let change = ready.decide_again(job, &self.view, Instant::now(), &self.options);
            if change.job_state.phase != Phase::Ready {
                self.apply(vec![change]).await;
                return;
            }
            ready = change.job_state;
        }
        let prepared = ready.prepare_send();
        if self.record(self.entries(&prepared)).await {
            self.commit(prepared);
        }
    }

    /// Sends the prepared request, now that the rate limiter allows it. Without valid credentials it is not sent.
    async fn send(&mut self, prepared: Result<(), CallError>) {
        let Some(job_state) = self.job_table.next_send() else { return };
        if let Err(fault) = prepared {
            let response = Response { result: Err(fault), latency: Duration::ZERO };
            let change = job_state.on_response(&response, Instant::now(), &self.options, &mut self.random);
            return self.apply(vec![change]).await;
        }
        let (index, sent) = (job_state.job, job_state.mark_sent());
        let was_full = self.limiter.at_full_rate();
        self.limiter.start();
        let key = self.job_table.job(index).key.clone();
        let task = self.attempts.spawn(attempt(Arc::clone(&self.cloud), key, self.options.request_timeout));
        self.job_of_task.insert(task.id(), index);
        self.commit(sent);
        if !was_full && self.limiter.at_full_rate() {
            self.report(&Event::RateRestored { rate: self.limiter.rate() });
        }
    }

    /// Handles one response and all others that have arrived meanwhile, so that they share one sync.
    async fn responses(&mut self, first: Result<(Id, Response), JoinError>) {
        let mut finished = vec![first];
        while let Some(next) = self.attempts.try_join_next_with_id() {
            finished.push(next);
        }
        let now = Instant::now();
        let mut changes = Vec::new();
        for finished in finished {
            let (id, response) = finished.unwrap_or_else(|error| (error.id(), panicked(&error)));
            if response.was_not_throttled() {
                self.limiter.not_throttled();
                self.throttled = None;
            }
            if let Some(index) = self.job_of_task.remove(&id) {
                let job_state = self.job_table.job_state(index);
                changes.push(job_state.on_response(&response, now, &self.options, &mut self.random));
            }
        }
        self.apply(changes).await;
    }

    async fn polled(&mut self, polled: PollResult) {
        self.poller.on_result(&polled, &self.options, &mut self.random);
        self.report_clock();
        if let Some((_, fault)) = polled.reads.failed.first() {
            self.report(&Event::ReadFailed { reason: reading_failed(fault) });
            self.stop_polling_if_unreadable(fault);
        }
        self.poller.query_omitted(&polled, &self.view);
        let snapshot = Snapshot { view: &polled.view, started: polled.started, finished: Instant::now() };
        let read = &polled.reads.read;
        let changes = self.job_table.on_observation(
            snapshot,
            (polled.job, polled.by_id.as_ref()),
            read,
            &self.view,
            &self.options,
        );
        self.view.merge(polled.view);
        self.apply(changes).await;
    }

    /// Records changes, commits them, reports their events, applies their effects, and repeats this for the changes that
    /// follow from them.
    async fn apply(&mut self, changes: Vec<Change>) {
        let mut pending = changes;
        while !pending.is_empty() {
            let entries: Vec<Entry> = pending.iter().flat_map(|change| self.entries(change)).collect();
            // if the ledger cannot be written, the changes are still reported to the listener
            self.record(entries).await;
            let mut touched_jobs = Vec::with_capacity(pending.len());
            for change in std::mem::take(&mut pending) {
                let (index, effect) = (change.job_state.job, change.effect.clone());
                self.commit(change);
                touched_jobs.push(index);
                if let Some(effect) = effect {
                    self.apply_effect(index, effect);
                }
            }
            pending = self.job_table.end_held(&touched_jobs);
        }
    }

    fn commit(&mut self, change: Change) {
        self.job_table.count_switched(&change);
        self.job_table.commit(change.job_state);
        for event in &change.events {
            self.report(event);
        }
    }

    fn entries(&self, change: &Change) -> Vec<Entry> {
        let key = &self.job_table.job(change.job_state.job).key;
        change.steps.iter().map(|step| Entry::Job { key: key.clone(), step: step.clone() }).collect()
    }

    /// Appends to the ledger. Returns false if nothing more may be sent.
    async fn record(&mut self, entries: Vec<Entry>) -> bool {
        let Err(failure) = self.ledger_writer.append(entries).await else { return true };
        self.stopping = self.stopping.max(Stopping::NoMoreSends);
        self.stop_because(StopReason::LedgerFailed { cause: failure.to_string() });
        false
    }

    /// Reports the jobs that have not ended and writes the last line of the run.
    async fn end(mut self) -> Ended {
        let why = match &self.stopped {
            Some(StopReason::Interrupted { signal }) => format!("the run was stopped by {signal}"),
            Some(StopReason::AccountRefused(reason)) => format!("the run was stopped by {}", reason.code),
            Some(StopReason::LedgerFailed { .. }) => "the ledger could not be written".to_owned(),
            Some(StopReason::SoakFailed(failure)) => failure.to_string(),
            None => String::new(),
        };
        let code = match &self.stopped {
            Some(StopReason::SoakFailed(_)) => SOAK_FAILED,
            _ => RUN_ENDED,
        };
        let left: Vec<Change> =
            self.job_table.unfinished().map(|job_state| job_state.end_with_run(code, &why)).collect();
        for change in left {
            self.commit(change);
        }
        let stopped = self.stopped.is_some().then_some(why);
        let ended = RunEnded { outcomes: self.outcomes(), stopped };
        self.record(vec![Entry::RunEnded(ended)]).await;
        self.report(&Event::RunEnded);
        Ended {
            unrecorded: self.ledger_writer.unrecorded(),
            recovered: self.ledger_writer.recovered(),
            peak_requests_per_second: self.limiter.peak_requests_per_second(),
            elapsed: self.started.elapsed(),
            stopped: self.stopped,
        }
    }

    fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut outcomes = BTreeMap::new();
        for job_state in &self.job_table.job_states {
            if let Phase::Ended(result) = &job_state.phase {
                *outcomes.entry(result.outcome).or_default() += 1;
            }
        }
        outcomes
    }

    fn report(&mut self, event: &Event) {
        self.listener.on_event(self.started.elapsed(), event);
    }
}

/// Waits until one request can be signed, and then until it may be sent: the rate limiter assumes that a request it allows
/// is sent at once.
async fn wait_for_limiter<F: Fleet>(fleet: &F, limiter: &mut RateLimiter) -> Result<(), CallError> {
    fleet.prepare().await?;
    limiter.ready().await;
    Ok(())
}

/// True if the service accepted a request for this job, so that a later denial does not concern every engine.
fn was_accepted(past: &Past) -> bool {
    matches!(past.standing(), Some(Standing::Accepted | Standing::Switched))
}

/// The response of a task that panicked: the request may or may not have been applied.
fn panicked(error: &JoinError) -> Response {
    let cause = format!("internal error: the task that waited for the response failed: {error}");
    Response { result: Err(CallError::NoResponse { cause, http_status: None }), latency: Duration::ZERO }
}
