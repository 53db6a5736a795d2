//! Runs the waves one after another: sending, soak, soak check, next wave.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::job_state::Snapshot;
use super::job_state::{Change, Phase};
use super::options::RunOptions;
use super::soak_check::{DriftedEngines, SoakCheck, SoakResult};
use crate::event::{Event, SoakFailure, StopReason};
use crate::job::{Job, JobIndex, Outcome, Wave};

/// The stage of the current wave.
#[derive(Debug)]
enum Stage {
    /// Its jobs run.
    Running,
    /// All of its jobs have ended, and it soaks until this moment.
    Soaking { until: Instant },
    /// Its soak is over, and its engines are verified.
    Checking(SoakCheck),
    /// The wave is done.
    Done,
}

/// The waves of a run.
#[derive(Debug)]
pub(super) struct Waves {
    plan: Arc<[Wave]>,
    /// Jobs that have not ended, wave by wave.
    unfinished: Vec<usize>,
    /// Until when each wave soaks because of what earlier runs switched in it.
    soaks_from_earlier_runs: Vec<Option<Instant>>,
    /// True for waves in which this run switched an engine.
    switched: Vec<bool>,
    /// The current wave; it and all waves before it have started.
    current: usize,
    stage: Stage,
}

/// One step of the current wave.
#[derive(Debug, Default)]
pub(super) struct WaveStep {
    /// What happened.
    pub(super) events: Vec<Event>,
    /// The wave that has started.
    pub(super) started: Option<usize>,
    /// Why no later wave may start.
    pub(super) stop: Option<StopReason>,
}

impl Waves {
    /// The waves of these jobs, with the first one started. `left` is the remaining soak time of each wave from earlier runs.
    pub(super) fn new(plan: Arc<[Wave]>, jobs: &[Job], left: &[Option<Duration>], now: Instant) -> Self {
        let count = jobs.iter().map(|job| job.wave + 1).max().unwrap_or(0).max(plan.len());
        let mut unfinished = vec![0; count];
        for job in jobs {
            unfinished[job.wave] += 1;
        }
        let left = |number: usize| left.get(number).copied().flatten();
        Self {
            plan,
            unfinished,
            soaks_from_earlier_runs: (0..count).map(|number| left(number).map(|left| now + left)).collect(),
            switched: vec![false; count],
            current: 0,
            stage: Stage::Running,
        }
    }

    pub(super) fn has_started(&self, wave: usize) -> bool {
        wave <= self.current
    }

    /// Counts a job of a wave as ended.
    pub(super) fn job_ended(&mut self, wave: usize) {
        self.unfinished[wave] -= 1;
    }

    /// Marks a wave as switched if this change ends a job of it as switched or accepted, so that its soak starts anew.
    pub(super) fn count_switched(&mut self, wave: usize, change: &Change) {
        let is_switched = matches!(&change.job_state.phase, Phase::Ended(result)
            if matches!(result.outcome, Outcome::Switched | Outcome::Accepted));
        self.switched[wave] |= is_switched && !change.steps.is_empty();
    }

    /// True if every job has ended and no wave soaks.
    pub(super) fn are_done(&self) -> bool {
        self.all_ended(..) && self.current + 1 >= self.unfinished.len() && matches!(self.stage, Stage::Done)
    }

    fn all_ended(&self, waves: impl std::slice::SliceIndex<[usize], Output = [usize]>) -> bool {
        self.unfinished[waves].iter().all(|jobs| *jobs == 0)
    }

    /// Until when the current wave soaks, if it does. All of its jobs have just ended.
    fn soaks_until(&self, now: Instant) -> Option<Instant> {
        let soak = self.plan.get(self.current)?.soak;
        if soak.is_zero() {
            return None;
        }
        if self.switched[self.current] {
            return Some(now + soak);
        }
        // if no wave follows either, the survey of this run came after the soak and has verified the engines
        self.soaks_from_earlier_runs[self.current]
            .filter(|until| *until > now || !self.all_ended(self.current + 1..))
    }

    /// Advances the current wave by one step, if one is due. A run that is stopping starts no wave and waits for no soak. `results` are the outcomes of the jobs that have ended.
    pub(super) fn advance(
        &mut self,
        jobs: &[Job],
        results: impl Iterator<Item = (JobIndex, Outcome)>,
        now: Instant,
        is_stopping: bool,
        options: &RunOptions,
    ) -> Option<WaveStep> {
        let wave = self.current;
        match &self.stage {
            Stage::Running => self.all_ended(..=wave).then(|| self.end_wave(now, is_stopping, options)),
            _ if is_stopping => None,
            Stage::Soaking { until } if now >= *until => Some(if options.verifies() {
                let of_wave = results.filter(|(job, _)| jobs[job.0].wave == wave);
                self.stage = Stage::Checking(SoakCheck::new(of_wave.filter_map(to_check).collect(), now));
                WaveStep::default()
            } else {
                self.stage = Stage::Done;
                WaveStep::of(Event::SoakEnded { wave, verify: false })
            }),
            Stage::Soaking { .. } => None,
            Stage::Checking(soak_check) => {
                let step = match soak_check.result(now, options) {
                    SoakResult::Pending => return None,
                    SoakResult::Passed => WaveStep::of(Event::SoakEnded { wave, verify: true }),
                    SoakResult::Failed(drifted) => self.soak_failed(&drifted, jobs),
                };
                self.stage = Stage::Done;
                Some(step)
            }
            Stage::Done if wave + 1 >= self.unfinished.len() => None,
            Stage::Done => {
                self.current += 1;
                self.stage = Stage::Running;
                let started = Some(self.current);
                Some(WaveStep { started, ..WaveStep::of(Event::WaveStarted { wave: self.current }) })
            }
        }
    }

    fn end_wave(&mut self, now: Instant, is_stopping: bool, options: &RunOptions) -> WaveStep {
        let wave = self.current;
        let mut step = WaveStep::of(Event::WaveEnded { wave });
        self.stage = Stage::Done;
        if let Some(until) = self.soaks_until(now).filter(|_| !is_stopping) {
            let left = until.saturating_duration_since(now);
            self.stage = Stage::Soaking { until };
            step.events.push(Event::SoakStarted { wave, left, verify: options.verifies() });
        }
        step
    }

    fn soak_failed(&self, drifted: &DriftedEngines, jobs: &[Job]) -> WaveStep {
        let event = |(job, seen): &(JobIndex, String)| Event::Drifted { job: *job, seen: seen.clone() };
        let failure = SoakFailure {
            wave: self.plan.get(self.current).map_or_else(String::new, |wave| wave.name.clone()),
            engines: drifted.count,
            first: jobs[drifted.first.0].key.data_engine_id.clone(),
            seen: drifted.seen.clone(),
        };
        WaveStep {
            events: drifted.drifted.iter().map(event).collect(),
            stop: Some(StopReason::SoakFailed(failure)),
            started: None,
        }
    }

    /// When the current wave advances because of time alone.
    pub(super) fn deadline(&self, options: &RunOptions) -> Option<Instant> {
        match &self.stage {
            Stage::Soaking { until } => Some(*until),
            Stage::Checking(check) => Some(check.deadline(options)),
            Stage::Running | Stage::Done => None,
        }
    }

    /// The jobs whose engines must be read for the soak check, and when.
    pub(super) fn reads_due(&self) -> impl Iterator<Item = (JobIndex, Instant)> {
        let check = match &self.stage {
            Stage::Checking(check) => Some(check),
            _ => None,
        };
        check.into_iter().flat_map(SoakCheck::reads_due)
    }

    /// Restarts the wait of the soak check, because this process was suspended.
    pub(super) fn extend_wait(&mut self, now: Instant) {
        if let Stage::Checking(check) = &mut self.stage {
            check.extend_wait(now);
        }
    }

    /// Adds a read to the soak check.
    pub(super) fn on_observation(
        &mut self,
        snapshot: Snapshot<'_>,
        jobs: &[Job],
        covers: impl Fn(&Job) -> bool,
        options: &RunOptions,
    ) {
        if let Stage::Checking(check) = &mut self.stage {
            check.on_observation(snapshot, jobs, covers, options);
        }
    }
}

impl WaveStep {
    fn of(event: Event) -> Self {
        Self { events: vec![event], ..Self::default() }
    }
}

/// A job whose engine must be on its target, and whether it must also be running: an engine to which nothing was sent may
/// have been suspended before the run.
fn to_check((job, outcome): (JobIndex, Outcome)) -> Option<(JobIndex, bool)> {
    match outcome {
        Outcome::Switched => Some((job, true)),
        Outcome::UpToDate => Some((job, false)),
        _ => None,
    }
}
