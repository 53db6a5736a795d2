//! Folds the events of a run into the progress of each job and into counts that always add up to the plan.

use std::ops::AddAssign;

use crate::event::{Event, RunHeader, StopReason};
use crate::job::{JobIndex, JobResult, Outcome};

/// How far a job has come in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was sent yet.
    Waiting,
    /// A request was sent and has no response yet.
    InFlight,
    /// The last request was not applied; another one will be sent.
    Retrying,
    /// The last request may have been applied; the engine is being verified.
    Unconfirmed,
    /// The service accepted the request; the engine was not seen running on its target yet.
    Converging,
    /// The engine was seen running on its target; it is switched if it stays so for `--min-ready`.
    Confirming,
    /// The job ended.
    Ended(JobResult),
}

/// How far the soak of a wave has come in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Soak {
    /// It has not started, or the wave has none.
    #[default]
    NotStarted,
    /// It has started and not ended.
    Soaking,
    /// It ended, and the engines of the wave were verified.
    Passed,
    /// It ended, and the engines of the wave were not verified.
    NotVerified,
    /// It ended, and engines of the wave have drifted or could not be verified.
    Failed,
}

/// How many jobs ended with each outcome. A drifted job counts as drifted and under no outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    by_outcome: [usize; Outcome::ALL.len()],
    /// Jobs that were switched or up to date, and whose engine is not on its target any more.
    pub drifted: usize,
}

impl Outcomes {
    /// How many jobs have this outcome.
    pub fn of(&self, outcome: Outcome) -> usize {
        self.by_outcome[outcome as usize]
    }

    /// How many jobs have ended.
    pub fn total(&self) -> usize {
        self.by_outcome.iter().sum::<usize>() + self.drifted
    }

    /// How many jobs reached what the run was asked for: on target, or accepted where verification is off.
    pub fn good(&self) -> usize {
        self.on_target() + self.of(Outcome::Accepted)
    }

    /// How many engines are on their target, as far as is known.
    pub fn on_target(&self) -> usize {
        self.of(Outcome::Switched) + self.of(Outcome::UpToDate)
    }

    fn add(&mut self, outcome: Outcome, jobs: usize) {
        self.by_outcome[outcome as usize] += jobs;
    }
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        for outcome in Outcome::ALL {
            self.add(outcome, other.of(outcome));
        }
        self.drifted += other.drifted;
    }
}

/// How many jobs have come how far; every job is in exactly one of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs for which nothing was sent yet.
    pub waiting: usize,
    /// Jobs with a request that has no response yet.
    pub in_flight: usize,
    /// Jobs for which another request will be sent.
    pub retrying: usize,
    /// Jobs that are being verified because their request may have been applied.
    pub unconfirmed: usize,
    /// Jobs whose request was accepted, and whose engine was not seen running on its target yet.
    pub converging: usize,
    /// Jobs whose engine was seen running on its target, and not long enough yet.
    pub confirming: usize,
    /// Jobs that ended.
    pub ended: Outcomes,
}

impl Counts {
    /// All jobs counted here.
    pub fn jobs(&self) -> usize {
        self.unfinished() + self.ended.total()
    }

    /// Jobs that have not ended.
    pub fn unfinished(&self) -> usize {
        self.waiting + self.under_way()
    }

    /// Jobs for which a request was sent and that have not ended.
    pub fn under_way(&self) -> usize {
        self.in_flight + self.retrying + self.unverified()
    }

    /// Jobs for which only verification is left, unless it shows that a request was not applied.
    pub fn unverified(&self) -> usize {
        self.unconfirmed + self.converging + self.confirming
    }

    /// The outcomes if the run ended now.
    ///
    /// A job that has not ended is `not-started`, unless a request of it may have been applied: then it is `unknown`,
    /// or `timed-out` where the service accepted the request.
    pub fn outcomes(&self) -> Outcomes {
        let mut outcomes = self.ended;
        outcomes.add(Outcome::TimedOut, self.converging + self.confirming);
        outcomes.add(Outcome::Unknown, self.in_flight + self.unconfirmed);
        outcomes.add(Outcome::NotStarted, self.waiting + self.retrying);
        outcomes
    }

    /// The one field that counts a job.
    fn field_of(&mut self, job: &JobProgress) -> &mut usize {
        match &job.progress {
            Progress::Waiting => &mut self.waiting,
            Progress::InFlight => &mut self.in_flight,
            Progress::Retrying => &mut self.retrying,
            Progress::Unconfirmed => &mut self.unconfirmed,
            Progress::Converging => &mut self.converging,
            Progress::Confirming => &mut self.confirming,
            Progress::Ended(_) if job.drifted_to().is_some() => &mut self.ended.drifted,
            Progress::Ended(result) => &mut self.ended.by_outcome[result.outcome as usize],
        }
    }
}

/// What the tally keeps of one job.
#[derive(Clone, Debug)]
struct JobProgress {
    wave: usize,
    progress: Progress,
    /// Requests sent in this run.
    attempts: u32,
    /// How many of these the service throttled.
    throttled: u32,
    /// Where its engine was seen, if not where the ledger left it.
    seen_elsewhere: Option<String>,
}

impl JobProgress {
    fn new(wave: usize) -> Self {
        Self { wave, progress: Progress::Waiting, attempts: 0, throttled: 0, seen_elsewhere: None }
    }

    /// Requests that were not throttled, as far as is known.
    fn not_throttled(&self) -> u32 {
        self.attempts - self.throttled
    }

    /// Where the engine is, if the job ended on target and the engine is not there any more.
    fn drifted_to(&self) -> Option<&str> {
        let Progress::Ended(result) = &self.progress else { return None };
        let ended_on_target = matches!(result.outcome, Outcome::Switched | Outcome::UpToDate);
        self.seen_elsewhere.as_deref().filter(|_| ended_on_target)
    }
}

/// The fold. It takes every event of a run, in order, and can be read at any time.
#[derive(Clone, Debug)]
pub struct Tally {
    jobs: Vec<JobProgress>,
    waves: Vec<Counts>,
    soaks: Vec<Soak>,
    overall: Counts,
    unconfirmed: usize,
    unconfirmed_from_earlier_runs: usize,
    rate: f64,
    stopped: Option<StopReason>,
}

impl Tally {
    /// A tally in which every job of the plan is waiting.
    pub fn new(header: &RunHeader) -> Self {
        let named = header.waves.len();
        let used = header.jobs.iter().map(|job| job.wave + 1).max().unwrap_or(0);
        let mut waves = vec![Counts::default(); named.max(used)];
        header.jobs.iter().for_each(|job| waves[job.wave].waiting += 1);
        Self {
            jobs: header.jobs.iter().map(|job| JobProgress::new(job.wave)).collect(),
            soaks: vec![Soak::default(); waves.len()],
            waves,
            overall: Counts { waiting: header.jobs.len(), ..Counts::default() },
            unconfirmed: 0,
            unconfirmed_from_earlier_runs: 0,
            rate: f64::from(header.rate),
            stopped: None,
        }
    }

    /// Adds one event. Events about jobs that are not in the plan change nothing.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Sent { job, .. } => {
                self.change(*job, |job| job.attempts += 1);
                self.advance(*job, Progress::InFlight);
            }
            Event::Accepted { job } | Event::NotReady { job } => self.advance(*job, Progress::Converging),
            Event::Ready { job } => self.advance(*job, Progress::Confirming),
            Event::Throttled { job, rate, .. } => {
                self.rate = *rate;
                self.change(*job, |job| job.throttled = (job.throttled + 1).min(job.attempts));
                self.advance(*job, Progress::Retrying);
            }
            Event::RateRestored { rate } => self.rate = *rate,
            Event::Unconfirmed { job, .. } => {
                match self.jobs.get(job.0).map(|job| job.attempts) {
                    None => {}
                    // nothing was sent for it in this run, so the request is one of an earlier run
                    Some(0) => self.unconfirmed_from_earlier_runs += 1,
                    Some(_) => self.unconfirmed += 1,
                }
                self.advance(*job, Progress::Unconfirmed);
            }
            Event::WillRetry { job, .. } | Event::NotApplied { job } => {
                self.advance(*job, Progress::Retrying);
            }
            Event::JobEnded { job, result } => self.advance(*job, Progress::Ended(result.clone())),
            Event::Drifted { job, seen } => {
                self.change(*job, |job| job.seen_elsewhere = Some(seen.clone()));
            }
            Event::SoakStarted { wave, .. } => self.set_soak(*wave, Soak::Soaking),
            Event::SoakEnded { wave, verify: true } => self.set_soak(*wave, Soak::Passed),
            Event::SoakEnded { wave, verify: false } => self.set_soak(*wave, Soak::NotVerified),
            Event::Stopping(reason) => self.stop(reason),
            Event::RunStarted(_)
            | Event::WaveStarted { .. }
            | Event::WaveEnded { .. }
            | Event::ClockSkew { .. }
            | Event::ReadFailed { .. }
            | Event::Tick
            | Event::RunEnded => {}
        }
    }

    fn set_soak(&mut self, wave: usize, soak: Soak) {
        if let Some(of_wave) = self.soaks.get_mut(wave) {
            *of_wave = soak;
        }
    }

    fn stop(&mut self, reason: &StopReason) {
        if matches!(reason, StopReason::SoakFailed(_)) {
            // waves soak one at a time
            self.soaks
                .iter_mut()
                .filter(|soak| **soak == Soak::Soaking)
                .for_each(|soak| *soak = Soak::Failed);
        }
        self.stopped = Some(reason.clone());
    }

    /// Moves a job on. A job that has ended can only end again, with another result: a late response does not
    /// reopen it.
    fn advance(&mut self, job: JobIndex, progress: Progress) {
        self.change(job, |job| {
            let has_ended = matches!(job.progress, Progress::Ended(_));
            if !has_ended || matches!(progress, Progress::Ended(_)) {
                job.progress = progress;
            }
        });
    }

    /// Changes a job and the counts together.
    fn change(&mut self, job: JobIndex, change: impl FnOnce(&mut JobProgress)) {
        let Some(job) = self.jobs.get_mut(job.0) else { return };
        let (wave, overall) = (&mut self.waves[job.wave], &mut self.overall);
        *wave.field_of(job) -= 1;
        *overall.field_of(job) -= 1;
        change(job);
        *wave.field_of(job) += 1;
        *overall.field_of(job) += 1;
    }

    /// Counts over the whole plan.
    pub fn overall(&self) -> &Counts {
        &self.overall
    }

    /// Counts of each wave, in the order of the plan.
    pub fn waves(&self) -> &[Counts] {
        &self.waves
    }

    /// How far the soak of each wave has come, in the order of the plan.
    pub fn soaks(&self) -> &[Soak] {
        &self.soaks
    }

    /// How far a job has come; none if the plan has no such job.
    pub fn progress(&self, job: JobIndex) -> Option<&Progress> {
        self.jobs.get(job.0).map(|job| &job.progress)
    }

    /// The result of a job; none while it has not ended.
    pub fn result(&self, job: JobIndex) -> Option<&JobResult> {
        match self.progress(job) {
            Some(Progress::Ended(result)) => Some(result),
            _ => None,
        }
    }

    /// The outcome of a job if the run ended now, by the rule of [`Counts::outcomes`]. That a job has drifted does not
    /// change its outcome; [`Self::drifted_to`] says so.
    pub fn outcome(&self, job: JobIndex) -> Outcome {
        match self.progress(job) {
            Some(Progress::Ended(result)) => result.outcome,
            Some(Progress::Converging | Progress::Confirming) => Outcome::TimedOut,
            Some(Progress::InFlight | Progress::Unconfirmed) => Outcome::Unknown,
            Some(Progress::Waiting | Progress::Retrying) | None => Outcome::NotStarted,
        }
    }

    /// The outcomes of the whole plan if the run ended now; they add up to the plan.
    pub fn outcomes(&self) -> Outcomes {
        self.overall.outcomes()
    }

    /// Switch requests sent: [`Self::jobs_sent`], [`Self::retries`] and [`Self::throttles`] together.
    pub fn attempts(&self) -> usize {
        self.sum(|job| job.attempts)
    }

    /// Jobs with a request in this run that was not throttled.
    pub fn jobs_sent(&self) -> usize {
        self.jobs.iter().filter(|job| job.not_throttled() > 0).count()
    }

    fn sum(&self, number: impl Fn(&JobProgress) -> u32) -> usize {
        self.jobs.iter().map(|job| number(job) as usize).sum()
    }

    /// Switch requests sent for one job.
    pub fn attempts_of(&self, job: JobIndex) -> u32 {
        self.jobs.get(job.0).map_or(0, |job| job.attempts)
    }

    /// Requests that were sent again because an earlier one of this run was not applied; those sent again after a
    /// throttled one are not among them.
    pub fn retries(&self) -> usize {
        self.sum(|job| job.not_throttled().saturating_sub(1))
    }

    /// Requests that the service throttled.
    pub fn throttles(&self) -> usize {
        self.sum(|job| job.throttled)
    }

    /// Requests of this run that may have been applied: without a readable response, or answered with a server fault.
    pub fn unconfirmed(&self) -> usize {
        self.unconfirmed
    }

    /// Unconfirmed requests of earlier runs that this run verified first.
    pub fn unconfirmed_from_earlier_runs(&self) -> usize {
        self.unconfirmed_from_earlier_runs
    }

    /// Jobs that ended in an earlier run and for which this run did nothing.
    pub fn from_earlier_runs(&self) -> usize {
        let results = (0..self.jobs.len()).filter_map(|at| self.result(JobIndex(at)));
        results.filter(|result| result.from_earlier_run).count()
    }

    /// Where the engine of a job is, if it was on its target and has drifted: `on 5f2c11aa`.
    pub fn drifted_to(&self, job: JobIndex) -> Option<&str> {
        self.jobs.get(job.0)?.drifted_to()
    }

    /// Requests per second allowed at the moment.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Why nothing more is sent, if the run is stopping or has stopped.
    pub fn stopped(&self) -> Option<&StopReason> {
        self.stopped.as_ref()
    }
}

#[cfg(test)]
mod tests;
