//! The fold of a run's events into the standing of each job and counts that always add up to the plan.

use std::ops::AddAssign;

use crate::event::{Event, RunHeader, StopReason};
use crate::job::{JobIndex, JobResult, Outcome};

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was sent yet.
    Waiting,
    /// A request left and is not answered yet.
    InFlight,
    /// The last request did not go through; the job goes again.
    Retrying,
    /// The last request may have been applied, and is being read back.
    Unconfirmed,
    /// The service took the request; read-back has not confirmed the end yet.
    Converging,
    /// It ended.
    Settled(JobResult),
}

/// How far the soak of a wave came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Soak {
    /// It did not begin in this run, or the wave has none.
    #[default]
    None,
    /// It began and is not over.
    UnderWay,
    /// It is over, and the wave was found as it was left.
    Kept,
    /// It is over, and nobody looked at the wave after it.
    Waited,
    /// It is over, and the wave was not found as it was left.
    Failed,
}

/// How many jobs have each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes([usize; Outcome::ALL.len()]);

impl Outcomes {
    /// How many jobs have this outcome.
    pub fn of(&self, outcome: Outcome) -> usize {
        self.0[outcome as usize]
    }

    /// How many jobs have any outcome.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// How many jobs ended as they should: on target, or accepted where nobody wanted to look further.
    pub fn good(&self) -> usize {
        self.of(Outcome::Switched) + self.of(Outcome::UpToDate) + self.of(Outcome::Accepted)
    }

    fn add(&mut self, outcome: Outcome, jobs: usize) {
        self.0[outcome as usize] += jobs;
    }
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        for outcome in Outcome::ALL {
            self.add(outcome, other.of(outcome));
        }
    }
}

/// How many jobs stand where. The fields before `drifted` and the settled outcomes together are all jobs counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs for which nothing was sent yet.
    pub waiting: usize,
    /// Jobs with an unanswered request.
    pub in_flight: usize,
    /// Jobs that go again.
    pub retrying: usize,
    /// Jobs being read back because their request may have been applied.
    pub unconfirmed: usize,
    /// Jobs whose request was taken.
    pub converging: usize,
    /// Jobs that ended, by outcome.
    pub settled: Outcomes,
    /// Jobs counted as switched or already there that have left their target since.
    pub drifted: usize,
}

impl Counts {
    /// All jobs counted here.
    pub fn jobs(&self) -> usize {
        self.unfinished() + self.settled.total()
    }

    /// Jobs that have not ended.
    pub fn unfinished(&self) -> usize {
        self.waiting + self.under_way()
    }

    /// Jobs for which a request was sent and that have not ended.
    pub fn under_way(&self) -> usize {
        self.in_flight + self.retrying + self.unconfirmed + self.converging
    }

    /// Jobs known to be on their target: accepted is not enough, and drifted is too late.
    pub fn on_target(&self) -> usize {
        self.settled.of(Outcome::Switched) + self.settled.of(Outcome::UpToDate) - self.drifted
    }

    /// The outcomes if the run ended now.
    ///
    /// A job that was never settled is `not-started`, unless a request of it may have been applied: to call that
    /// one not started would be a lie, so it is `unknown`, or `timed-out` when the service took it.
    pub fn outcomes(&self) -> Outcomes {
        let mut outcomes = self.settled;
        outcomes.add(Outcome::TimedOut, self.converging);
        outcomes.add(Outcome::Unknown, self.in_flight + self.unconfirmed);
        outcomes.add(Outcome::NotStarted, self.waiting + self.retrying);
        outcomes
    }

    fn place(&mut self, standing: &Standing) -> &mut usize {
        match standing {
            Standing::Waiting => &mut self.waiting,
            Standing::InFlight => &mut self.in_flight,
            Standing::Retrying => &mut self.retrying,
            Standing::Unconfirmed => &mut self.unconfirmed,
            Standing::Converging => &mut self.converging,
            Standing::Settled(result) => &mut self.settled.0[result.outcome as usize],
        }
    }
}

/// What the tally remembers of one job.
#[derive(Clone, Debug)]
struct Record {
    wave: usize,
    standing: Standing,
    /// Requests sent in this run.
    attempts: u32,
    /// How many of these the service refused because they came too fast.
    throttled: u32,
    drifted_to: Option<String>,
}

impl Record {
    /// Requests that the service looked at, as far as is known.
    fn looked_at(&self) -> u32 {
        self.attempts - self.throttled
    }

    /// Whether it counts as on target and is not there any more.
    fn drifted(&self) -> bool {
        let counted = matches!(&self.standing, Standing::Settled(result)
            if matches!(result.outcome, Outcome::Switched | Outcome::UpToDate));
        counted && self.drifted_to.is_some()
    }
}

/// The fold. Feed it every event of a run, in order, and ask it at any time.
#[derive(Clone, Debug)]
pub struct Tally {
    records: Vec<Record>,
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
        let mut tally = Self {
            records: Vec::with_capacity(header.jobs.len()),
            waves: vec![Counts::default(); named.max(used)],
            soaks: vec![Soak::default(); named.max(used)],
            overall: Counts::default(),
            unconfirmed: 0,
            unconfirmed_from_earlier_runs: 0,
            rate: f64::from(header.rate),
            stopped: None,
        };
        for job in header.jobs.iter() {
            tally.waves[job.wave].waiting += 1;
            tally.overall.waiting += 1;
            tally.records.push(Record {
                wave: job.wave,
                standing: Standing::Waiting,
                attempts: 0,
                throttled: 0,
                drifted_to: None,
            });
        }
        tally
    }

    /// Takes one event in. Events about jobs that are not in the plan change nothing.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Sent { job, .. } => {
                if let Some(record) = self.records.get_mut(job.0) {
                    record.attempts += 1;
                }
                self.stand(*job, Standing::InFlight);
            }
            Event::Accepted { job } => self.stand(*job, Standing::Converging),
            Event::Throttled { job, rate, .. } => {
                self.rate = *rate;
                if let Some(record) = self.records.get_mut(job.0) {
                    record.throttled = (record.throttled + 1).min(record.attempts);
                }
                self.stand(*job, Standing::Retrying);
            }
            Event::RateRestored { rate } => self.rate = *rate,
            Event::Unconfirmed { job, .. } => {
                match self.records.get(job.0).map(|record| record.attempts) {
                    None => {}
                    // nothing was sent for it in this run, so the request is one of an earlier run
                    Some(0) => self.unconfirmed_from_earlier_runs += 1,
                    Some(_) => self.unconfirmed += 1,
                }
                self.stand(*job, Standing::Unconfirmed);
            }
            Event::WillRetry { job, .. } | Event::NotApplied { job } => self.stand(*job, Standing::Retrying),
            Event::JobEnded { job, result } => self.stand(*job, Standing::Settled(result.clone())),
            Event::Drifted { job, seen } => {
                self.change(*job, |record| record.drifted_to = Some(seen.clone()));
            }
            Event::SoakStarted { wave, .. } => self.soak(*wave, Soak::UnderWay),
            Event::SoakEnded { wave, verify: true } => self.soak(*wave, Soak::Kept),
            Event::SoakEnded { wave, verify: false } => self.soak(*wave, Soak::Waited),
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

    fn soak(&mut self, wave: usize, soak: Soak) {
        if let Some(of_wave) = self.soaks.get_mut(wave) {
            *of_wave = soak;
        }
    }

    fn stop(&mut self, reason: &StopReason) {
        if matches!(reason, StopReason::SoakFailed(_)) {
            // waves soak one at a time
            for soak in self.soaks.iter_mut().filter(|soak| **soak == Soak::UnderWay) {
                *soak = Soak::Failed;
            }
        }
        self.stopped = Some(reason.clone());
    }

    /// Moves a job and its counts together. Only a later verdict moves a job that has ended: the last one said
    /// is the truth, and an answer that comes late must not reopen a job.
    fn stand(&mut self, job: JobIndex, standing: Standing) {
        self.change(job, |record| {
            let ended = matches!(record.standing, Standing::Settled(_));
            if !ended || matches!(standing, Standing::Settled(_)) {
                record.standing = standing;
            }
        });
    }

    /// Changes a record, and moves the counts along.
    fn change(&mut self, job: JobIndex, change: impl FnOnce(&mut Record)) {
        let Some(record) = self.records.get_mut(job.0) else { return };
        let (wave, overall) = (&mut self.waves[record.wave], &mut self.overall);
        for counts in [&mut *wave, &mut *overall] {
            *counts.place(&record.standing) -= 1;
            counts.drifted -= usize::from(record.drifted());
        }
        change(record);
        for counts in [wave, overall] {
            *counts.place(&record.standing) += 1;
            counts.drifted += usize::from(record.drifted());
        }
    }

    /// Counts over the whole plan.
    pub fn overall(&self) -> &Counts {
        &self.overall
    }

    /// Counts of each wave, in the order in which they go.
    pub fn waves(&self) -> &[Counts] {
        &self.waves
    }

    /// How far the soak of each wave came, in the order in which they go.
    pub fn soaks(&self) -> &[Soak] {
        &self.soaks
    }

    /// Where a job stands; none if the plan has no such job.
    pub fn standing(&self, job: JobIndex) -> Option<&Standing> {
        self.records.get(job.0).map(|record| &record.standing)
    }

    /// The verdict on a job; none while it has not ended.
    pub fn result(&self, job: JobIndex) -> Option<&JobResult> {
        match self.standing(job) {
            Some(Standing::Settled(result)) => Some(result),
            _ => None,
        }
    }

    /// The outcome of a job if the run ended now, by the rule of [`Counts::outcomes`].
    pub fn outcome(&self, job: JobIndex) -> Outcome {
        match self.standing(job) {
            Some(Standing::Settled(result)) => result.outcome,
            Some(Standing::Converging) => Outcome::TimedOut,
            Some(Standing::InFlight | Standing::Unconfirmed) => Outcome::Unknown,
            Some(Standing::Waiting | Standing::Retrying) | None => Outcome::NotStarted,
        }
    }

    /// The outcomes of the whole plan if the run ended now; they add up to the plan.
    pub fn outcomes(&self) -> Outcomes {
        self.overall.outcomes()
    }

    /// Switch requests sent: [`Self::jobs_sent`], [`Self::retries`] and [`Self::throttles`] together.
    pub fn attempts(&self) -> usize {
        self.sum(|record| record.attempts)
    }

    /// Jobs with a request in this run that was not refused merely because it came too fast.
    pub fn jobs_sent(&self) -> usize {
        self.records.iter().filter(|record| record.looked_at() > 0).count()
    }

    fn sum(&self, number: impl Fn(&Record) -> u32) -> usize {
        self.records.iter().map(|record| number(record) as usize).sum()
    }

    /// Switch requests sent for one job.
    pub fn attempts_of(&self, job: JobIndex) -> u32 {
        self.records.get(job.0).map_or(0, |record| record.attempts)
    }

    /// Requests that were sent again because an earlier one of this run did not go through; what is sent again
    /// after a throttle is not among them.
    pub fn retries(&self) -> usize {
        self.sum(|record| record.looked_at().saturating_sub(1))
    }

    /// Requests the service refused because they came too fast.
    pub fn throttles(&self) -> usize {
        self.sum(|record| record.throttled)
    }

    /// Requests of this run that may have been applied: without a readable answer, or answered with a server fault.
    pub fn unconfirmed(&self) -> usize {
        self.unconfirmed
    }

    /// Requests of earlier runs whose end was not known and that were read back first.
    pub fn unconfirmed_from_earlier_runs(&self) -> usize {
        self.unconfirmed_from_earlier_runs
    }

    /// Jobs that an earlier run settled and this one left alone.
    pub fn from_earlier_runs(&self) -> usize {
        let verdicts = (0..self.records.len()).filter_map(|at| self.result(JobIndex(at)));
        verdicts.filter(|result| result.from_earlier_run).count()
    }

    /// The image version a job was found on although an earlier run switched it.
    pub fn drifted_to(&self, job: JobIndex) -> Option<&str> {
        self.records.get(job.0)?.drifted_to.as_deref()
    }

    /// Requests per second allowed at the moment.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Why nothing more is sent, once that is so.
    pub fn stopped(&self) -> Option<&StopReason> {
        self.stopped.as_ref()
    }
}

#[cfg(test)]
mod tests;
