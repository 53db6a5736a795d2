//! Which wave is open, whether it soaks and until when, and what opens the next one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::job_state::Snapshot;
use super::job_state::{Change, Phase};
use super::job_table::JobTable;
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

/// What one step of the open wave means for everybody else.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// What there is to tell.
    pub(super) events: Vec<Event>,
    /// Why the next wave must not open.
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

impl JobTable {
    /// Takes the open wave one step further, where one is due. A run that is stopping opens no wave and waits for no
    /// soak.
    pub(super) fn turn_wave(
        &mut self,
        now: Instant,
        is_stopping: bool,
        options: &RunOptions,
    ) -> Option<Turn> {
        let wave = self.waves.open;
        match &self.waves.stage {
            Stage::Going => self.waves.none_left(..=wave).then(|| self.close_wave(now, is_stopping, options)),
            _ if is_stopping => None,
            Stage::Soaking { until } if now >= *until => Some(if options.verifies() {
                let engines = self.engines_to_keep(wave);
                self.waves.stage = Stage::Checking(SoakCheck::new(engines, now));
                Turn::default()
            } else {
                self.waves.stage = Stage::Over;
                Turn::of(Event::SoakEnded { wave, verify: false })
            }),
            Stage::Soaking { .. } => None,
            Stage::Checking(verify) => {
                let turn = match verify.result(now, options) {
                    SoakResult::Pending => return None,
                    SoakResult::Passed => Turn::of(Event::SoakEnded { wave, verify: true }),
                    SoakResult::Failed(drifted) => self.failed(wave, &drifted),
                };
                self.waves.stage = Stage::Over;
                Some(turn)
            }
            Stage::Over if wave + 1 >= self.waves.unfinished.len() => None,
            Stage::Over => {
                self.waves.open += 1;
                self.waves.stage = Stage::Going;
                self.open_wave(self.waves.open, now, options);
                Some(Turn::of(Event::WaveStarted { wave: self.waves.open }))
            }
        }
    }

    fn close_wave(&mut self, now: Instant, is_stopping: bool, options: &RunOptions) -> Turn {
        let wave = self.waves.open;
        let mut turn = Turn::of(Event::WaveEnded { wave });
        self.waves.stage = Stage::Over;
        if let Some(until) = self.waves.soaks_until(now).filter(|_| !is_stopping) {
            let left = until.saturating_duration_since(now);
            self.waves.stage = Stage::Soaking { until };
            turn.events.push(Event::SoakStarted { wave, left, verify: options.verifies() });
        }
        turn
    }

    /// The jobs of a wave whose engines are on their target, and whether they must be running as well: an engine to
    /// which nothing was sent may have been suspended all along.
    fn engines_to_keep(&self, wave: usize) -> Vec<(JobIndex, bool)> {
        let of_wave = self.job_states.iter().filter(|job_state| self.job(job_state.job).wave == wave);
        let kept = of_wave.filter_map(|job_state| match &job_state.phase {
            Phase::Ended(result) if result.outcome == Outcome::Switched => Some((job_state.job, true)),
            Phase::Ended(result) if result.outcome == Outcome::UpToDate => Some((job_state.job, false)),
            _ => None,
        });
        kept.collect()
    }

    fn failed(&self, wave: usize, drifted: &DriftedEngines) -> Turn {
        let event = |(job, seen): &(JobIndex, String)| Event::Drifted { job: *job, seen: seen.clone() };
        let events = drifted.drifted.iter().map(event).collect();
        let failure = SoakFailure {
            wave: self.waves.plan.get(wave).map_or_else(String::new, |wave| wave.name.clone()),
            engines: drifted.count,
            first: self.job(drifted.first).key.data_engine_id.clone(),
            seen: drifted.seen.clone(),
        };
        Turn { events, stop: Some(StopReason::SoakFailed(failure)) }
    }
}

impl Turn {
    fn of(event: Event) -> Self {
        Self { events: vec![event], stop: None }
    }
}
