//! The fold of a run's events into the standing of each job and counts that always add up to the plan.

use std::ops::AddAssign;

use crate::event::{Event, Opening, StopReason};
use crate::job::{JobIndex, Outcome, Verdict};

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was sent yet.
    Waiting,
    /// A request left and is not answered yet.
    InFlight,
    /// The last request did not go through; the job goes again.
    Retrying,
    /// The last request has no readable answer and is being read back.
    Doubtful,
    /// The service took the request; read-back has not confirmed the end yet.
    Converging,
    /// It ended.
    Settled(Verdict),
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
        self.of(Outcome::Switched) + self.of(Outcome::Already) + self.of(Outcome::Accepted)
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

/// How many jobs stand where. The fields and the settled outcomes together are all jobs counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs for which nothing was sent yet.
    pub waiting: usize,
    /// Jobs with an unanswered request.
    pub in_flight: usize,
    /// Jobs that go again.
    pub retrying: usize,
    /// Jobs being read back because an answer is missing.
    pub doubtful: usize,
    /// Jobs whose request was taken.
    pub converging: usize,
    /// Jobs that ended, by outcome.
    pub settled: Outcomes,
}

impl Counts {
    /// All jobs counted here.
    pub fn jobs(&self) -> usize {
        self.unsettled() + self.settled.total()
    }

    /// Jobs that have not ended.
    pub fn unsettled(&self) -> usize {
        self.waiting + self.under_way()
    }

    /// Jobs for which a request was sent and that have not ended.
    pub fn under_way(&self) -> usize {
        self.in_flight + self.retrying + self.doubtful + self.converging
    }

    /// The outcomes if the run ended now.
    ///
    /// A job that was never settled is `not-started`, unless a request of it may have been applied: to call that
    /// one not started would be a lie, so it is `unknown`, or `unconverged` when the service took it.
    pub fn outcomes(&self) -> Outcomes {
        let mut outcomes = self.settled;
        outcomes.add(Outcome::Unconverged, self.converging);
        outcomes.add(Outcome::Unknown, self.in_flight + self.doubtful);
        outcomes.add(Outcome::NotStarted, self.waiting + self.retrying);
        outcomes
    }

    fn place(&mut self, standing: &Standing) -> &mut usize {
        match standing {
            Standing::Waiting => &mut self.waiting,
            Standing::InFlight => &mut self.in_flight,
            Standing::Retrying => &mut self.retrying,
            Standing::Doubtful => &mut self.doubtful,
            Standing::Converging => &mut self.converging,
            Standing::Settled(verdict) => &mut self.settled.0[verdict.outcome as usize],
        }
    }

    fn moved(&mut self, from: &Standing, to: &Standing) {
        *self.place(from) -= 1;
        *self.place(to) += 1;
    }
}

/// What the tally remembers of one job.
#[derive(Clone, Debug)]
struct Record {
    wave: usize,
    standing: Standing,
    attempts: u32,
    drifted_to: Option<String>,
}

/// The fold. Feed it every event of a run, in order, and ask it at any time.
#[derive(Clone, Debug)]
pub struct Tally {
    records: Vec<Record>,
    waves: Vec<Counts>,
    overall: Counts,
    attempts: usize,
    retries: usize,
    throttles: usize,
    doubts: usize,
    rate: f64,
    stopped: Option<StopReason>,
}

impl Tally {
    /// A tally in which every job of the plan is waiting.
    pub fn new(opening: &Opening) -> Self {
        let named = opening.waves.len();
        let used = opening.jobs.iter().map(|job| job.wave + 1).max().unwrap_or(0);
        let mut tally = Self {
            records: Vec::with_capacity(opening.jobs.len()),
            waves: vec![Counts::default(); named.max(used)],
            overall: Counts::default(),
            attempts: 0,
            retries: 0,
            throttles: 0,
            doubts: 0,
            rate: f64::from(opening.rate),
            stopped: None,
        };
        for job in opening.jobs.iter() {
            tally.waves[job.wave].waiting += 1;
            tally.overall.waiting += 1;
            tally.records.push(Record {
                wave: job.wave,
                standing: Standing::Waiting,
                attempts: 0,
                drifted_to: None,
            });
        }
        tally
    }

    /// Takes one event in. Events about jobs that are not in the plan change nothing but the overall numbers.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Sent { job, .. } => {
                self.attempts += 1;
                if let Some(record) = self.records.get_mut(job.0) {
                    record.attempts += 1;
                }
                self.stand(*job, Standing::InFlight);
            }
            Event::Accepted { job } => self.stand(*job, Standing::Converging),
            Event::Throttled { job, rate, .. } => {
                self.throttles += 1;
                self.rate = *rate;
                self.stand(*job, Standing::Retrying);
            }
            Event::FullSpeed { rate } => self.rate = *rate,
            Event::WillRetry { job, .. } => {
                self.retries += 1;
                self.stand(*job, Standing::Retrying);
            }
            Event::Doubtful { job, .. } => {
                self.doubts += 1;
                self.stand(*job, Standing::Doubtful);
            }
            Event::Cleared { job } => self.stand(*job, Standing::Retrying),
            Event::Settled { job, verdict } => self.stand(*job, Standing::Settled(verdict.clone())),
            Event::Drifted { job, image_version_id } => {
                if let Some(record) = self.records.get_mut(job.0) {
                    record.drifted_to = Some(image_version_id.clone());
                }
            }
            Event::Stopping(reason) => self.stopped = Some(reason.clone()),
            Event::Opened(_)
            | Event::WaveOpened { .. }
            | Event::WaveClosed { .. }
            | Event::SweepFailed { .. }
            | Event::Tick
            | Event::Closed => {}
        }
    }

    /// Moves a job and its counts together. Only a later verdict moves a job that has ended: the last one said
    /// is the truth, and an answer that comes late must not reopen a job.
    fn stand(&mut self, job: JobIndex, standing: Standing) {
        let Some(record) = self.records.get_mut(job.0) else { return };
        let ended = matches!(record.standing, Standing::Settled(_));
        if ended && !matches!(standing, Standing::Settled(_)) {
            return;
        }
        self.waves[record.wave].moved(&record.standing, &standing);
        self.overall.moved(&record.standing, &standing);
        record.standing = standing;
    }

    /// Counts over the whole plan.
    pub fn overall(&self) -> &Counts {
        &self.overall
    }

    /// Counts of each wave, in the order in which they go.
    pub fn waves(&self) -> &[Counts] {
        &self.waves
    }

    /// Where a job stands; none if the plan has no such job.
    pub fn standing(&self, job: JobIndex) -> Option<&Standing> {
        self.records.get(job.0).map(|record| &record.standing)
    }

    /// The verdict on a job; none while it has not ended.
    pub fn verdict(&self, job: JobIndex) -> Option<&Verdict> {
        match self.standing(job) {
            Some(Standing::Settled(verdict)) => Some(verdict),
            _ => None,
        }
    }

    /// The outcome of a job if the run ended now, by the rule of [`Counts::outcomes`].
    pub fn outcome(&self, job: JobIndex) -> Outcome {
        match self.standing(job) {
            Some(Standing::Settled(verdict)) => verdict.outcome,
            Some(Standing::Converging) => Outcome::Unconverged,
            Some(Standing::InFlight | Standing::Doubtful) => Outcome::Unknown,
            Some(Standing::Waiting | Standing::Retrying) | None => Outcome::NotStarted,
        }
    }

    /// The outcomes of the whole plan if the run ended now; they add up to the plan.
    pub fn outcomes(&self) -> Outcomes {
        self.overall.outcomes()
    }

    /// Switch requests sent.
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// Switch requests sent for one job.
    pub fn attempts_of(&self, job: JobIndex) -> u32 {
        self.records.get(job.0).map_or(0, |record| record.attempts)
    }

    /// Requests that did not go through and were scheduled again.
    pub fn retries(&self) -> usize {
        self.retries
    }

    /// Requests the service refused because they came too fast.
    pub fn throttles(&self) -> usize {
        self.throttles
    }

    /// Requests that had no readable answer.
    pub fn doubts(&self) -> usize {
        self.doubts
    }

    /// Jobs that an earlier run settled and this one left alone.
    pub fn earlier(&self) -> usize {
        let verdicts = (0..self.records.len()).filter_map(|at| self.verdict(JobIndex(at)));
        verdicts.filter(|verdict| verdict.earlier).count()
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
