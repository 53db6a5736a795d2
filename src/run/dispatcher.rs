//! The dispatcher: sole owner of ledger and truth. Appends, then commits, then acts.

mod effects;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::Rules;
use super::answered::Answer;
use super::attempt::attempt;
use super::board::Board;
use super::journal::Journal;
use super::looked::Look;
use super::reasons::{RUN_ENDED, SOAK_FAILED, reading_failed};
use super::sight::{FleetView, Forecast, forecast, strayed};
use super::start::{Ended, Start};
use super::stop::{Signal, Signals, Stopping};
use super::sweeps::{Sweeps, Swept};
use super::track::{Change, Phase, Track};
use super::waves::Waves;
use crate::cloud::{Cloud, Fault, Fleet};
use crate::event::{Event, Listener, Opening, StopReason};
use crate::job::{JobIndex, Outcome};
use crate::ledger::{Entry, RunClosed, RunOpened, Work};
use crate::pace::{Gate, until};

/// Between two ticks that listeners hear.
const TICK: Duration = Duration::from_secs(1);

/// A tick that is so late shows that the process, or the whole machine, stood still.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Runs until every job has ended or the run is stopped.
pub async fn execute<C: Cloud>(start: Start<C>) -> Ended {
    let (mut dispatcher, forecasts, header) = Dispatcher::new(start);
    dispatcher.open(forecasts, header).await;
    loop {
        dispatcher.stood_still();
        dispatcher.advance().await;
        if dispatcher.is_finished() {
            return dispatcher.close().await;
        }
        dispatcher.turn().await;
    }
}

/// What ended a wait of the dispatcher.
enum Woken {
    Signal(Signal),
    Answer(Result<(Id, Answer), JoinError>),
    Swept(Box<Swept>),
    MayLeave(Result<(), Fault>),
    Time,
}

struct Dispatcher<C> {
    cloud: Arc<C>,
    opening: Arc<Opening>,
    rules: Rules,
    board: Board,
    view: FleetView,
    gate: Gate,
    journal: Journal,
    listener: Box<dyn Listener>,
    signals: Signals,
    random: fastrand::Rng,
    attempts: JoinSet<Answer>,
    /// Whose attempt a task is.
    owners: BTreeMap<Id, JobIndex>,
    sweeps: Sweeps<C>,
    stopping: Stopping,
    /// True once a signal asked to stop.
    signalled: bool,
    stopped: Option<StopReason>,
    /// Since when every answer of the service was that requests come too fast, and when the latest one came.
    throttled: Option<(Instant, Instant)>,
    /// Seconds by which the service's clock was last told to be ahead.
    clock_ahead: i64,
    accepted_any: bool,
    denied_in_a_row: u32,
    begun: Instant,
    next_tick: Instant,
}

impl<C: Cloud> Dispatcher<C> {
    fn new(start: Start<C>) -> (Self, Vec<Forecast>, RunOpened) {
        let now = Instant::now();
        let jobs = &start.opening.jobs;
        let judge = |(job, work)| forecast(job, work, start.view.as_ref());
        let forecasts = jobs.iter().zip(&start.work).map(judge).collect();
        let waves = Waves::new(Arc::clone(&start.opening.waves), jobs, &start.soaks_left, now);
        let dispatcher = Self {
            board: Board::new(Arc::clone(jobs), &start.work, waves),
            cloud: start.cloud,
            opening: start.opening,
            rules: start.rules,
            sweeps: Sweeps::new(start.reader, start.view.as_ref().is_some_and(FleetView::is_by_name)),
            view: start.view.unwrap_or_default(),
            gate: Gate::new(start.rules.rate),
            journal: Journal::new(start.writer),
            listener: start.listener,
            signals: start.signals,
            random: fastrand::Rng::new(),
            attempts: JoinSet::new(),
            owners: BTreeMap::new(),
            stopping: Stopping::No,
            signalled: false,
            stopped: None,
            throttled: None,
            clock_ahead: 0,
            accepted_any: start.work.iter().any(was_accepted),
            denied_in_a_row: 0,
            begun: now,
            next_tick: now + TICK,
        };
        (dispatcher, forecasts, start.header)
    }

    /// Writes the run's first line, then what is known before anything is sent.
    async fn open(&mut self, forecasts: Vec<Forecast>, header: RunOpened) {
        self.tell(&Event::Opened(Arc::clone(&self.opening)));
        if !self.record(vec![Entry::Opened(header)]).await {
            return;
        }
        // the survey may have learned it
        self.tell_clock();
        self.tell(&Event::WaveOpened { wave: 0 });
        let forecasts_by_job = self.board.jobs.iter().zip(&forecasts).enumerate();
        for (number, (job, forecast)) in forecasts_by_job.filter(|_| self.rules.read_back) {
            if let Some(seen) = strayed(job, forecast, &self.view) {
                self.listener.hear(self.begun.elapsed(), &Event::Drifted { job: JobIndex(number), seen });
            }
        }
        let now = Instant::now();
        let begin = |(track, forecast): (&Track, Forecast)| track.begin(forecast, now, &self.rules);
        let changes = self.board.tracks.iter().zip(forecasts).map(begin).collect();
        self.apply(changes).await;
    }

    /// What needs no waiting: overdue jobs, and waves that are done or have soaked.
    async fn advance(&mut self) {
        let mut changes = self.board.overdue(Instant::now(), &self.rules, self.sweeps.trouble());
        if self.stopping > Stopping::No {
            changes.extend(self.board.departing().map(Track::stay));
        }
        self.apply(changes).await;
        self.turn_waves();
    }

    fn is_finished(&self) -> bool {
        match self.stopping {
            Stopping::No => self.board.is_done(),
            // what could only be sent will not be; what is watched goes on
            Stopping::NoMoreSends => self.board.under_way().all(Track::is_idle),
            Stopping::Draining => self.attempts.is_empty(),
            Stopping::Now => true,
        }
    }

    /// Waits for whatever comes first, and deals with it.
    async fn turn(&mut self) {
        if self.is_watching() {
            self.sweeps.begin_if_due(&self.board, &self.view, &self.rules);
        }
        if self.may_depart() {
            self.depart_next().await;
        }
        let may_leave = self.stopping == Stopping::No && self.board.departing().is_some();
        // a job that turned out to need no request makes room for the next one at once
        let more = self.may_depart() && self.board.next_to_send().is_some();
        let wake = if more { Instant::now() } else { self.next_wake() };
        let woken = tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Woken::Signal(signal),
            Some(answer) = self.attempts.join_next_with_id(), if !self.attempts.is_empty() => {
                Woken::Answer(answer)
            }
            Some(swept) = self.sweeps.next(), if self.sweeps.is_under_way() => Woken::Swept(Box::new(swept)),
            prepared = leave_given(&*self.cloud, &mut self.gate), if may_leave => Woken::MayLeave(prepared),
            () = until(wake) => Woken::Time,
        };
        let stood_still = self.stood_still();
        match woken {
            Woken::Signal(signal) => self.signalled(signal),
            Woken::Answer(answer) => self.answers(answer).await,
            Woken::Swept(swept) => self.swept(*swept).await,
            // what left before the standstill may be arriving only now, so the gate has to decide again
            Woken::MayLeave(_) if stood_still => {}
            Woken::MayLeave(prepared) => self.leave(prepared).await,
            Woken::Time => self.tick_if_due(),
        }
    }

    fn next_wake(&self) -> Instant {
        let deadline = self.board.next_deadline(&self.rules);
        let sweep = self.sweeps.due(&self.board, &self.rules).filter(|_| self.is_watching());
        [deadline, sweep, Some(self.next_tick)].into_iter().flatten().min().unwrap_or(self.next_tick)
    }

    fn is_watching(&self) -> bool {
        self.rules.read_back && self.stopping < Stopping::Draining
    }

    /// True right after a standstill. Requests under way may leave only now, which the gate has to know; and time in
    /// which this process could read nothing counts against no job.
    fn stood_still(&mut self) -> bool {
        let now = Instant::now();
        let stood_still = now > self.next_tick + STANDSTILL;
        if stood_still {
            self.gate.stood_still(self.attempts.len());
            let lost = now - (self.next_tick - TICK);
            self.board.extend_waits(lost, now);
            self.throttled = self.throttled.map(|(since, last)| ((since + lost).min(now), last));
            self.next_tick = now + TICK;
            self.tell(&Event::Tick);
        }
        stood_still
    }

    fn tick_if_due(&mut self) {
        let now = Instant::now();
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tell(&Event::Tick);
        }
    }

    fn may_depart(&self) -> bool {
        self.stopping == Stopping::No
            && self.board.departing().is_none()
            && self.attempts.len() < self.rules.concurrency
    }

    /// Puts the intent to send the next job on record.
    async fn depart_next(&mut self) {
        let Some(index) = self.board.next_to_send() else { return };
        let mut ready = self.board.track(index).clone();
        if self.rules.read_back {
            let job = self.board.job(index);
            let change = ready.reconsidered(job, &self.view, Instant::now(), &self.rules);
            if change.track.phase != Phase::Ready {
                self.apply(vec![change]).await;
                return;
            }
            ready = change.track;
        }
        let departure = ready.depart();
        if self.record(self.entries(&departure)).await {
            self.commit(departure);
        }
    }

    /// Lets the departing request go, for which the gate has just given leave. Without keys it stays.
    async fn leave(&mut self, prepared: Result<(), Fault>) {
        let Some(track) = self.board.departing() else { return };
        if let Err(fault) = prepared {
            let answer = Answer { result: Err(fault), latency: Duration::ZERO };
            let change = track.answered(&answer, Instant::now(), &self.rules, &mut self.random);
            return self.apply(vec![change]).await;
        }
        let (index, leaving) = (track.job, track.leave());
        let was_full = self.gate.at_full_rate();
        self.gate.start();
        let key = self.board.job(index).key.clone();
        let task = self.attempts.spawn(attempt(Arc::clone(&self.cloud), key, self.rules.request_timeout));
        self.owners.insert(task.id(), index);
        self.commit(leaving);
        if !was_full && self.gate.at_full_rate() {
            self.tell(&Event::FullSpeed { rate: self.gate.rate() });
        }
    }

    /// Takes in one answer and every other that has come meanwhile, so that they share one sync.
    async fn answers(&mut self, first: Result<(Id, Answer), JoinError>) {
        let mut finished = vec![first];
        while let Some(more) = self.attempts.try_join_next_with_id() {
            finished.push(more);
        }
        let now = Instant::now();
        let mut changes = Vec::new();
        for finished in finished {
            let (id, answer) = finished.unwrap_or_else(|error| (error.id(), crashed(&error)));
            if answer.passed_the_limit() {
                self.gate.passed();
                self.throttled = None;
            }
            if let Some(index) = self.owners.remove(&id) {
                let track = self.board.track(index);
                changes.push(track.answered(&answer, now, &self.rules, &mut self.random));
            }
        }
        self.apply(changes).await;
    }

    async fn swept(&mut self, swept: Swept) {
        self.sweeps.note(&swept, &self.rules, &mut self.random);
        self.tell_clock();
        if let Some((_, fault)) = swept.sweep.failed.first() {
            self.tell(&Event::SweepFailed { reason: reading_failed(fault) });
            self.give_up_watching_if_blind(fault);
        }
        self.sweeps.ask_for_left_out(&swept, &self.view);
        let look = Look { view: &swept.view, asked: swept.asked, seen: Instant::now() };
        let read = &swept.sweep.read;
        let changes =
            self.board.looked(look, (swept.job, swept.by_id.as_ref()), read, &self.view, &self.rules);
        self.view.absorb(swept.view);
        self.apply(changes).await;
    }

    /// Makes changes durable, then true, then known; and then whatever follows from them.
    async fn apply(&mut self, changes: Vec<Change>) {
        let mut pending = changes;
        while !pending.is_empty() {
            let entries: Vec<Entry> = pending.iter().flat_map(|change| self.entries(change)).collect();
            // where the ledger is lost, what is known still goes to the listener, so that it can be told
            self.record(entries).await;
            let mut touched = Vec::with_capacity(pending.len());
            for change in std::mem::take(&mut pending) {
                let (index, effect) = (change.track.job, change.effect.clone());
                self.commit(change);
                touched.push(index);
                if let Some(effect) = effect {
                    self.follow(index, effect);
                }
            }
            pending = self.board.end_held(&touched);
        }
    }

    fn commit(&mut self, change: Change) {
        self.board.note(&change);
        self.board.commit(change.track);
        for event in &change.events {
            self.tell(event);
        }
    }

    fn entries(&self, change: &Change) -> Vec<Entry> {
        let key = &self.board.job(change.track.job).key;
        change.steps.iter().map(|step| Entry::Job { key: key.clone(), step: step.clone() }).collect()
    }

    /// Appends to the ledger. False means that nothing more may be sent.
    async fn record(&mut self, entries: Vec<Entry>) -> bool {
        let Err(failure) = self.journal.append(entries).await else { return true };
        self.stopping = self.stopping.max(Stopping::NoMoreSends);
        self.stop_because(StopReason::LedgerLost { cause: failure.to_string() });
        false
    }

    /// Reports what is left and writes the run's last line.
    async fn close(mut self) -> Ended {
        let why = match &self.stopped {
            Some(StopReason::Interrupted { signal }) => format!("the run was stopped by {signal}"),
            Some(StopReason::AccountRefused(reason)) => format!("the run was stopped by {}", reason.code),
            Some(StopReason::LedgerLost { .. }) => "the ledger could not be written".to_owned(),
            Some(StopReason::SoakFailed(failure)) => effects::soak_failed(failure),
            None => String::new(),
        };
        let code = match &self.stopped {
            Some(StopReason::SoakFailed(_)) => SOAK_FAILED,
            _ => RUN_ENDED,
        };
        let left: Vec<Change> = self.board.unsettled().map(|track| track.cut_short(code, &why)).collect();
        for change in left {
            self.commit(change);
        }
        let stopped = self.stopped.is_some().then_some(why);
        let closed = RunClosed { outcomes: self.outcomes(), stopped };
        self.record(vec![Entry::Closed(closed)]).await;
        self.tell(&Event::Closed);
        Ended {
            unrecorded: self.journal.unrecorded(),
            rescued: self.journal.rescued(),
            worst_second: self.gate.worst_second(),
            elapsed: self.begun.elapsed(),
            stopped: self.stopped,
        }
    }

    fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut outcomes = BTreeMap::new();
        for track in &self.board.tracks {
            if let Phase::Settled(verdict) = &track.phase {
                *outcomes.entry(verdict.outcome).or_default() += 1;
            }
        }
        outcomes
    }

    fn tell(&mut self, event: &Event) {
        self.listener.hear(self.begun.elapsed(), event);
    }
}

/// Waits until one request can be signed and may go, in this order: what has leave to go must leave at once.
async fn leave_given<F: Fleet>(fleet: &F, gate: &mut Gate) -> Result<(), Fault> {
    fleet.prepare().await?;
    gate.ready().await;
    Ok(())
}

/// Whether the service ever took a request for this job, so that a denial cannot concern every engine.
fn was_accepted(work: &Work) -> bool {
    matches!(work, Work::Watch { .. } | Work::Nothing { outcome: Outcome::Switched, .. })
}

/// A task that broke down has an outcome nobody knows.
fn crashed(error: &JoinError) -> Answer {
    let cause = format!("the task that waited for the answer broke down: {error}");
    Answer { result: Err(Fault::NoAnswer { cause, http_status: None }), latency: Duration::ZERO }
}
