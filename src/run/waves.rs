//! Which wave is open, whether it soaks and until when, and what opens the next one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::job_state::Snapshot;
use super::job_state::{Change, Phase};
use super::options::RunOptions;
use super::soak_check::{DriftedEngines, SoakCheck, SoakResult};
use crate::event::{Event, SoakFailure, StopReason};
use crate::job::{Job, JobIndex, Outcome, Wave};

/// How far the open wave is.
#[derive(Debug)]
enum Stage {
    /// Its jobs go.
    Going,
    /// All of them have ended, and nothing is done before this.
    Soaking { until: Instant },
    /// It has soaked, and its engines are read back.
    Checking(SoakCheck),
    /// Nothing more is asked of it.
    Over,
}

/// The waves of a run.
#[derive(Debug)]
pub(super) struct Waves {
    plan: Arc<[Wave]>,
    /// Jobs that have not ended, wave by wave.
    unfinished: Vec<usize>,
    /// Until when a wave soaks because of what earlier runs switched in it.
    inherited: Vec<Option<Instant>>,
    /// True for waves in which this run switched something.
    switched: Vec<bool>,
    /// Waves up to and including this one are open.
    open: usize,
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
    /// The waves of these jobs, the first of them open. `left` is what earlier runs left of each wave's soak.
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
            inherited: (0..count).map(|number| left(number).map(|left| now + left)).collect(),
            switched: vec![false; count],
            open: 0,
            stage: Stage::Going,
        }
    }

    pub(super) fn is_open(&self, wave: usize) -> bool {
        wave <= self.open
    }

    /// One more job of a wave has ended.
    pub(super) fn job_ended(&mut self, wave: usize) {
        self.unfinished[wave] -= 1;
    }

    /// Notes what a change means for the soak of its wave: only what this run brought to its end counts from now on.
    pub(super) fn note(&mut self, wave: usize, change: &Change) {
        let arrived = matches!(&change.job_state.phase, Phase::Ended(result)
            if matches!(result.outcome, Outcome::Switched | Outcome::Accepted));
        self.switched[wave] |= arrived && !change.steps.is_empty();
    }

    /// True when every job has ended and no wave soaks any more.
    pub(super) fn are_over(&self) -> bool {
        self.none_left(..) && self.open + 1 >= self.unfinished.len() && matches!(self.stage, Stage::Over)
    }

    fn none_left(&self, waves: impl std::slice::SliceIndex<[usize], Output = [usize]>) -> bool {
        self.unfinished[waves].iter().all(|jobs| *jobs == 0)
    }

    /// Until when the open wave soaks, all of its jobs having ended just now; none where it need not.
    fn soaks_until(&self, now: Instant) -> Option<Instant> {
        let soak = self.plan.get(self.open)?.soak;
        if soak.is_zero() {
            return None;
        }
        if self.switched[self.open] {
            return Some(now + soak);
        }
        // where nothing follows either, the look at the beginning of this run came after the soak and has told all
        self.inherited[self.open].filter(|until| *until > now || !self.none_left(self.open + 1..))
    }

    /// Takes the current wave one step further, where one is due. A run that is stopping starts no wave and waits for no
    /// soak. `results` are the outcomes of the jobs that have ended.
    pub(super) fn advance(
        &mut self,
        jobs: &[Job],
        results: impl Iterator<Item = (JobIndex, Outcome)>,
        now: Instant,
        is_stopping: bool,
        options: &RunOptions,
    ) -> Option<WaveStep> {
        let wave = self.open;
        match &self.stage {
            Stage::Going => self.none_left(..=wave).then(|| self.end_wave(now, is_stopping, options)),
            _ if is_stopping => None,
            Stage::Soaking { until } if now >= *until => Some(if options.verifies() {
                let of_wave = results.filter(|(job, _)| jobs[job.0].wave == wave);
                self.stage = Stage::Checking(SoakCheck::new(of_wave.filter_map(to_check).collect(), now));
                WaveStep::default()
            } else {
                self.stage = Stage::Over;
                WaveStep::of(Event::SoakEnded { wave, verify: false })
            }),
            Stage::Soaking { .. } => None,
            Stage::Checking(soak_check) => {
                let step = match soak_check.result(now, options) {
                    SoakResult::Pending => return None,
                    SoakResult::Passed => WaveStep::of(Event::SoakEnded { wave, verify: true }),
                    SoakResult::Failed(drifted) => self.soak_failed(&drifted, jobs),
                };
                self.stage = Stage::Over;
                Some(step)
            }
            Stage::Over if wave + 1 >= self.unfinished.len() => None,
            Stage::Over => {
                self.open += 1;
                self.stage = Stage::Going;
                let started = Some(self.open);
                Some(WaveStep { started, ..WaveStep::of(Event::WaveStarted { wave: self.open }) })
            }
        }
    }

    fn end_wave(&mut self, now: Instant, is_stopping: bool, options: &RunOptions) -> WaveStep {
        let wave = self.open;
        let mut step = WaveStep::of(Event::WaveEnded { wave });
        self.stage = Stage::Over;
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
            wave: self.plan.get(self.open).map_or_else(String::new, |wave| wave.name.clone()),
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

    /// When time alone takes the open wave further.
    pub(super) fn deadline(&self, options: &RunOptions) -> Option<Instant> {
        match &self.stage {
            Stage::Soaking { until } => Some(*until),
            Stage::Checking(verify) => Some(verify.deadline(options)),
            Stage::Going | Stage::Over => None,
        }
    }

    /// The jobs whose engines have to be looked at because their wave has soaked, and when.
    pub(super) fn reads_due(&self) -> impl Iterator<Item = (JobIndex, Instant)> {
        let verify = match &self.stage {
            Stage::Checking(verify) => Some(verify),
            _ => None,
        };
        verify.into_iter().flat_map(SoakCheck::reads_due)
    }

    /// This process stood still: the wait for a wave that is read back begins again.
    pub(super) fn extend_wait(&mut self, now: Instant) {
        if let Stage::Checking(verify) = &mut self.stage {
            verify.extend_wait(now);
        }
    }

    /// Takes in what a look shows of a wave that has soaked.
    pub(super) fn on_observation(
        &mut self,
        snapshot: Snapshot<'_>,
        jobs: &[Job],
        covers: impl Fn(&Job) -> bool,
        options: &RunOptions,
    ) {
        if let Stage::Checking(verify) = &mut self.stage {
            verify.on_observation(snapshot, jobs, covers, options);
        }
    }
}

impl WaveStep {
    fn of(event: Event) -> Self {
        Self { events: vec![event], ..Self::default() }
    }
}

/// A job whose engine is on its target, and whether it must be running as well: an engine to which nothing was sent may
/// have been suspended all along.
fn to_check((job, outcome): (JobIndex, Outcome)) -> Option<(JobIndex, bool)> {
    match outcome {
        Outcome::Switched => Some((job, true)),
        Outcome::UpToDate => Some((job, false)),
        _ => None,
    }
}
