//! Verifies the engines of a wave after its soak: which of them are still on their target.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::job_state::Snapshot;
use super::job_state::duration_text;
use super::observation::{Observation, state_text};
use super::options::RunOptions;
use crate::cloud::EngineState;
use crate::job::{Job, JobIndex};

/// The verification of one wave.
#[derive(Debug)]
pub(super) struct SoakCheck {
    since: Instant,
    /// The engines without a result.
    pending: BTreeMap<JobIndex, Pending>,
    /// The engines that two reads showed drifted, and what they showed.
    drifted: Vec<(JobIndex, String)>,
}

/// An engine without a result.
#[derive(Debug)]
struct Pending {
    /// When the next read is due.
    due: Instant,
    /// Only a read that starts at this moment or later counts.
    from: Instant,
    must_run: bool,
    /// What the first read showed, if the engine had drifted. A second read must confirm it, because a listing can omit an
    /// engine while other engines are created or deleted.
    suspected: Option<String>,
}

/// The engines of a wave that did not pass its soak check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DriftedEngines {
    /// How many there are.
    pub(super) count: usize,
    /// One of them.
    pub(super) first: JobIndex,
    /// What that one shows.
    pub(super) seen: String,
    /// Those that reads showed drifted, and what they showed; the others could not be verified in time.
    pub(super) drifted: Vec<(JobIndex, String)>,
}

/// The result of a soak check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SoakResult {
    /// Some engines have no result yet.
    Pending,
    /// No engine drifted.
    Passed,
    /// Some engines drifted or could not be verified in time.
    Failed(DriftedEngines),
}

/// The result for one engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EngineCheck {
    /// On its target.
    Unchanged,
    /// Drifted: what the engine shows now.
    Drifted(String),
    /// The record is incomplete or contradictory.
    Unclear,
}

impl SoakCheck {
    /// A check of these engines from now on; the flag says whether the engine must be running.
    pub(super) fn new(engines: Vec<(JobIndex, bool)>, now: Instant) -> Self {
        let pending = |must_run| Pending { due: now, from: now, must_run, suspected: None };
        let pending = engines.into_iter().map(|(job, must_run)| (job, pending(must_run))).collect();
        Self { since: now, pending, drifted: Vec::new() }
    }

    /// When the next read of each engine is due.
    pub(super) fn reads_due(&self) -> impl Iterator<Item = (JobIndex, Instant)> {
        self.pending.iter().map(|(job, pending)| (*job, pending.due))
    }

    /// When the check times out.
    pub(super) fn deadline(&self, options: &RunOptions) -> Instant {
        self.since + options.wait_timeout
    }

    /// Restarts the wait, because this process was suspended.
    pub(super) fn extend_wait(&mut self, now: Instant) {
        self.since = now;
    }

    /// Adds a read of the engines that it covers.
    pub(super) fn on_observation(
        &mut self,
        snapshot: Snapshot<'_>,
        jobs: &[Job],
        covers: impl Fn(&Job) -> bool,
        options: &RunOptions,
    ) {
        let drifted = &mut self.drifted;
        self.pending.retain(|index, pending| {
            let job = &jobs[index.0];
            if snapshot.started < pending.from || !covers(job) {
                return true;
            }
            pending.due = snapshot.finished + options.poll_interval;
            let check = match snapshot.view.unreadable(&job.key) {
                Some(reason) => {
                    EngineCheck::Drifted(reason.message.clone().unwrap_or_else(|| reason.cause.clone()))
                }
                None => check_engine(
                    snapshot.view.observe(&job.key, None),
                    snapshot.view.absence_text(),
                    pending.must_run,
                ),
            };
            match check {
                EngineCheck::Unchanged => return false,
                EngineCheck::Unclear => {}
                EngineCheck::Drifted(seen) if pending.suspected.is_some() => {
                    drifted.push((*index, seen));
                    return false;
                }
                EngineCheck::Drifted(seen) => {
                    pending.suspected = Some(seen);
                    pending.from = snapshot.finished;
                }
            }
            true
        });
    }

    /// The result, once every engine has one or the time is over.
    pub(super) fn result(&self, now: Instant, options: &RunOptions) -> SoakResult {
        if !self.pending.is_empty() && now < self.deadline(options) {
            return SoakResult::Pending;
        }
        let unread = self.pending.keys().next();
        let unread =
            unread.map(|job| (*job, format!("not verified within {}", duration_text(options.wait_timeout))));
        match self.drifted.first().cloned().or(unread) {
            None => SoakResult::Passed,
            Some((first, seen)) => {
                let count = self.drifted.len() + self.pending.len();
                SoakResult::Failed(DriftedEngines { count, first, seen, drifted: self.drifted.clone() })
            }
        }
    }
}

/// Checks an engine that was on its target. If nothing was sent to it, it need not be running. `absence_text` is the message
/// for an engine that does not exist.
pub(super) fn check_engine(observation: Observation, absence_text: &str, must_run: bool) -> EngineCheck {
    match observation {
        Observation::Missing => EngineCheck::Drifted(absence_text.to_owned()),
        Observation::OldImage { image, .. } | Observation::OtherImage(image) => {
            EngineCheck::Drifted(format!("on {image}"))
        }
        Observation::Target { .. } if !must_run => EngineCheck::Unchanged,
        Observation::Target { state: Some(EngineState::RUNNING) } => EngineCheck::Unchanged,
        Observation::Broken(state) | Observation::Target { state: Some(state) } => {
            EngineCheck::Drifted(state_text(state))
        }
        Observation::Target { state: None }
        | Observation::NoImage
        | Observation::Contradictory
        | Observation::NotShown => EngineCheck::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cloud::{EngineKind, EngineRecord};
    use crate::job::{DataEngineId, ImageVersionId, JobKey, Region};
    use crate::run::fleet_view::FleetView;

    fn job(number: usize) -> Job {
        Job {
            key: JobKey {
                region: Region::new(["ap-near", "ap-far"][number % 2]),
                data_engine_id: DataEngineId::new(format!("DataEngine-{number}")),
                new_image_version_id: ImageVersionId::new("new"),
            },
            wave: 0,
            expected_image_version_id: None,
            data_engine_name: None,
            note: None,
        }
    }

    /// Image and state in a record; none for a missing field.
    type Shown = (Option<&'static str>, Option<i64>);

    const ON_TARGET: Shown = (Some("new"), Some(2));

    fn record(job: &Job, (image, state): Shown) -> EngineRecord {
        EngineRecord {
            data_engine_id: job.key.data_engine_id.clone(),
            name: None,
            state: state.map(EngineState),
            image_version_id: image.map(ImageVersionId::new),
            image_version_name: None,
            child_image_version_id: None,
            engine_type_detail: None,
            kind: Some(EngineKind::ALL[0]),
        }
    }

    /// A soak check with a clock that the test moves.
    struct Fixture {
        jobs: Vec<Job>,
        soak_check: SoakCheck,
        now: Instant,
    }

    impl Fixture {
        fn new(jobs: usize) -> Self {
            let now = Instant::now();
            let engines = (0..jobs).map(|number| (JobIndex(number), true)).collect();
            Self { jobs: (0..jobs).map(job).collect(), soak_check: SoakCheck::new(engines, now), now }
        }

        /// Reads one region ten seconds later: the record of each job, or none for an engine that does not exist.
        fn read(&mut self, region: &str, shown: &[Option<Shown>]) -> SoakResult {
            self.now += Duration::from_secs(10);
            let mut view = FleetView::default();
            for (job, shown) in self.jobs.iter().zip(shown) {
                view.add_records(&job.key.region, shown.iter().map(|shown| record(job, *shown)).collect());
                if shown.is_none() {
                    view.mark_absent(&job.key.region, &job.key.data_engine_id);
                }
            }
            let snapshot = Snapshot { view: &view, started: self.now, finished: self.now };
            let covers = |job: &Job| job.key.region.as_str() == region;
            self.soak_check.on_observation(snapshot, &self.jobs, covers, &RunOptions::default());
            self.result()
        }

        fn result(&self) -> SoakResult {
            self.soak_check.result(self.now, &RunOptions::default())
        }
    }

    fn drifted(result: &SoakResult) -> (usize, usize, &str) {
        match result {
            SoakResult::Failed(drifted) => (drifted.count, drifted.first.0, &drifted.seen),
            other => panic!("expected a failed check: {other:?}"),
        }
    }

    #[test]
    fn a_read_of_one_region_gives_no_result_for_engines_of_another_region() {
        let mut fixture = Fixture::new(2);
        assert_eq!(fixture.read("ap-near", &[Some(ON_TARGET), None]), SoakResult::Pending);
        assert_eq!(fixture.read("ap-near", &[Some(ON_TARGET), None]), SoakResult::Pending);
        assert_eq!(fixture.read("ap-far", &[None, Some(ON_TARGET)]), SoakResult::Passed);
    }

    #[test]
    fn a_read_that_started_before_the_end_of_the_soak_is_ignored() {
        let mut fixture = Fixture::new(1);
        let mut view = FleetView::default();
        view.add_records(&fixture.jobs[0].key.region, vec![record(&fixture.jobs[0], ON_TARGET)]);
        let started =
            fixture.now.checked_sub(Duration::from_millis(1)).expect("the clock allows an earlier instant");
        let snapshot = Snapshot { view: &view, started, finished: fixture.now + Duration::from_secs(1) };
        fixture.soak_check.on_observation(snapshot, &fixture.jobs, |_| true, &RunOptions::default());
        assert_eq!(fixture.result(), SoakResult::Pending);
    }

    #[test]
    fn an_engine_counts_as_drifted_only_after_two_reads() {
        for drifted_record in [
            None,
            Some((Some("other"), Some(2))),
            Some((Some("new"), Some(1))),
            Some((Some("new"), Some(-1))),
        ] {
            let mut fixture = Fixture::new(1);
            assert_eq!(fixture.read("ap-near", &[drifted_record]), SoakResult::Pending, "{drifted_record:?}");
            assert_eq!(fixture.read("ap-near", &[Some(ON_TARGET)]), SoakResult::Passed, "{drifted_record:?}");
            let mut fixture = Fixture::new(1);
            assert_eq!(fixture.read("ap-near", &[drifted_record]), SoakResult::Pending, "{drifted_record:?}");
            assert_eq!(drifted(&fixture.read("ap-near", &[drifted_record])).0, 1, "{drifted_record:?}");
        }
    }

    #[test]
    fn an_engine_with_an_incomplete_record_is_read_until_the_timeout() {
        for incomplete in [(None, Some(2)), (Some("new"), None)] {
            let mut fixture = Fixture::new(1);
            for _ in 0..100 {
                assert_eq!(
                    fixture.read("ap-near", &[Some(incomplete)]),
                    SoakResult::Pending,
                    "{incomplete:?}"
                );
            }
            fixture.now += RunOptions::default().wait_timeout;
            assert_eq!(drifted(&fixture.result()), (1, 0, "not verified within 30m"));
        }
    }

    #[test]
    fn the_failure_counts_drifted_and_unverified_engines_and_lists_only_the_drifted_ones() {
        let mut fixture = Fixture::new(2);
        for _ in 0..2 {
            assert_eq!(fixture.read("ap-far", &[None, Some((Some("other"), Some(2)))]), SoakResult::Pending);
        }
        fixture.now += RunOptions::default().wait_timeout;
        let result = fixture.result();
        assert_eq!(drifted(&result), (2, 1, "on other"));
        let SoakResult::Failed(drifted) = result else { panic!("expected a failed check") };
        assert_eq!(drifted.drifted, [(JobIndex(1), "on other".to_owned())]);
    }
}
