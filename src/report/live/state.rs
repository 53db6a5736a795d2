//! The state of a run as its events show it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::throughput::Throughput;
use crate::event::{Event, RunHeader};
use crate::job::{JobIndex, Reason};
use crate::report::text;
use crate::tally::Tally;

/// A failed read is part of the state for this long; no event says that a later read succeeded.
const READ_FAILURE_COUNTS: Duration = Duration::from_secs(60);

/// The fold of all events so far. All times are times since the run started.
#[derive(Debug)]
pub struct ProgressState {
    /// What was known when the run started.
    pub header: Arc<RunHeader>,
    /// How far every job has come.
    pub tally: Tally,
    /// How fast requests are sent and engines converge.
    pub throughput: Throughput,
    /// The current wave, and when it started.
    pub wave: Option<(usize, Duration)>,
    /// The wave that soaks, and when its soak ends.
    pub soaking: Option<(usize, Duration)>,
    /// The wave that starts next.
    pub next_wave: usize,
    /// Jobs for which only verification is left.
    pub unverified: BTreeMap<JobIndex, Unverified>,
    /// When engines could last not be read, and why.
    read_failure: Option<(Duration, Reason)>,
    several_regions: bool,
}

/// A job for which only verification is left.
#[derive(Debug)]
pub struct Unverified {
    /// Since when.
    pub since: Duration,
    /// Why its request is unconfirmed; none for an accepted one.
    pub unconfirmed: Option<Reason>,
    /// Since when its engine is seen running on its target.
    pub ready_since: Option<Duration>,
}

impl ProgressState {
    /// The state before the first event.
    pub fn new(header: Arc<RunHeader>) -> Self {
        let mut regions = header.jobs.iter().map(|job| &job.key.region);
        let first = regions.next();
        Self {
            tally: Tally::new(&header),
            throughput: Throughput::default(),
            wave: None,
            soaking: None,
            next_wave: 0,
            unverified: BTreeMap::new(),
            read_failure: None,
            several_regions: regions.any(|region| Some(region) != first),
            header,
        }
    }

    /// Adds one event.
    pub fn take(&mut self, after: Duration, event: &Event) {
        self.tally.take(event);
        self.throughput.take(after, event);
        let mut verify = |job: &JobIndex, unconfirmed| {
            self.unverified.insert(*job, Unverified { since: after, unconfirmed, ready_since: None });
        };
        match event {
            Event::Accepted { job } => verify(job, None),
            Event::Unconfirmed { job, reason } => verify(job, Some(reason.clone())),
            Event::Ready { job } => self.set_ready(*job, Some(after)),
            Event::NotReady { job } => self.set_ready(*job, None),
            Event::Sent { job, .. } | Event::NotApplied { job } | Event::JobEnded { job, .. } => {
                self.unverified.remove(job);
            }
            Event::ReadFailed { reason } => self.read_failure = Some((after, reason.clone())),
            Event::WaveStarted { wave } => {
                self.wave = Some((*wave, after));
                self.next_wave = wave + 1;
            }
            Event::SoakStarted { wave, left, .. } => self.soaking = Some((*wave, after + *left)),
            Event::SoakEnded { .. } | Event::Stopping(_) => self.soaking = None,
            _ => {}
        }
    }

    /// Must be called after an event was shown: the end of a wave is shown as part of that wave.
    pub fn shown(&mut self, event: &Event) {
        if matches!(event, Event::WaveEnded { .. }) {
            self.wave = None;
        }
    }

    fn set_ready(&mut self, job: JobIndex, since: Option<Duration>) {
        if let Some(unverified) = self.unverified.get_mut(&job) {
            unverified.ready_since = since;
        }
    }

    /// How long until every engine that was seen running on its target may count as switched.
    pub fn confirming_left(&self, after: Duration) -> Duration {
        let min_ready = self.header.min_ready.unwrap_or_default();
        let last = self.unverified.values().filter_map(|unverified| unverified.ready_since).max();
        last.map_or(Duration::ZERO, |since| (since + min_ready).saturating_sub(after))
    }

    /// Why the last read of engines failed, if it failed lately.
    pub fn read_failure(&self, after: Duration) -> Option<&Reason> {
        let (failed, reason) = self.read_failure.as_ref()?;
        (after < *failed + READ_FAILURE_COUNTS).then_some(reason)
    }

    /// The engine of a job as it is named in notices.
    pub fn engine(&self, job: JobIndex) -> String {
        let of_plan = self.header.jobs.get(job.0);
        of_plan.map_or_else(|| format!("job {}", job.0 + 1), |job| text::engine(job, self.several_regions))
    }
}
