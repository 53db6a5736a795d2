//! The look at a wave that has soaked: which of its engines are still where they were brought.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::job_state::Snapshot;
use super::job_state::spell;
use super::observation::{Observation, state_text};
use super::options::RunOptions;
use crate::cloud::EngineState;
use crate::job::{Job, JobIndex};

/// A wave that is read back.
#[derive(Debug)]
pub(super) struct SoakCheck {
    since: Instant,
    /// The engines of which it is not known yet.
    open: BTreeMap<JobIndex, Awaited>,
    /// The engines that two looks found to be elsewhere, and where.
    drifted: Vec<(JobIndex, String)>,
}

/// An engine that is to be looked at.
#[derive(Debug)]
struct Awaited {
    /// When the next look is wanted.
    due: Instant,
    /// A look counts that was asked for at this moment or later.
    from: Instant,
    must_run: bool,
    /// What was wrong at the first look. One look is not believed: pages of a listing can hide an engine while others
    /// come and go.
    suspected: Option<String>,
}

/// The engines of a wave that did not come through its soak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DriftedEngines {
    /// How many there are.
    pub(super) count: usize,
    /// One of them.
    pub(super) first: JobIndex,
    /// What is wrong with it.
    pub(super) seen: String,
    /// Those that were found elsewhere, and where; of the others no look told in time.
    pub(super) drifted: Vec<(JobIndex, String)>,
}

/// What came of reading a wave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SoakResult {
    /// Not every engine is known yet.
    Pending,
    /// All are where they were left.
    Passed,
    /// Some are not.
    Failed(DriftedEngines),
}

/// How an engine was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EngineCheck {
    /// Where it was left.
    Unchanged,
    /// Elsewhere.
    Drifted(String),
    /// The service did not say enough.
    Unclear,
}

impl SoakCheck {
    /// Wants a look at each of these engines that is asked for from now on; the second word says whether it must run.
    pub(super) fn new(engines: Vec<(JobIndex, bool)>, now: Instant) -> Self {
        let awaited = |must_run| Awaited { due: now, from: now, must_run, suspected: None };
        let open = engines.into_iter().map(|(job, must_run)| (job, awaited(must_run))).collect();
        Self { since: now, open, drifted: Vec::new() }
    }

    /// When each engine wants its next look.
    pub(super) fn reads_due(&self) -> impl Iterator<Item = (JobIndex, Instant)> {
        self.open.iter().map(|(job, awaited)| (*job, awaited.due))
    }

    /// When it is given up.
    pub(super) fn deadline(&self, options: &RunOptions) -> Instant {
        self.since + options.wait_timeout
    }

    /// This process stood still: the wait begins again.
    pub(super) fn extend_wait(&mut self, now: Instant) {
        self.since = now;
    }

    /// Takes in a look at those engines whose part of the fleet it covers.
    pub(super) fn on_observation(
        &mut self,
        snapshot: Snapshot<'_>,
        jobs: &[Job],
        covers: impl Fn(&Job) -> bool,
        options: &RunOptions,
    ) {
        let drifted = &mut self.drifted;
        self.open.retain(|index, awaited| {
            let job = &jobs[index.0];
            if snapshot.started < awaited.from || !covers(job) {
                return true;
            }
            awaited.due = snapshot.finished + options.poll_interval;
            let found = match snapshot.view.unreadable(&job.key) {
                Some(doubt) => {
                    EngineCheck::Drifted(doubt.message.clone().unwrap_or_else(|| doubt.cause.clone()))
                }
                None => found(
                    snapshot.view.observe(&job.key, None),
                    snapshot.view.absence_text(),
                    awaited.must_run,
                ),
            };
            match found {
                EngineCheck::Unchanged => return false,
                EngineCheck::Unclear => {}
                EngineCheck::Drifted(seen) if awaited.suspected.is_some() => {
                    drifted.push((*index, seen));
                    return false;
                }
                EngineCheck::Drifted(seen) => {
                    awaited.suspected = Some(seen);
                    awaited.from = snapshot.finished;
                }
            }
            true
        });
    }

    /// What came of it, once that is known of every engine or the time is over.
    pub(super) fn result(&self, now: Instant, options: &RunOptions) -> SoakResult {
        if !self.open.is_empty() && now < self.deadline(options) {
            return SoakResult::Pending;
        }
        let unread = self.open.keys().next();
        let unread =
            unread.map(|job| (*job, format!("not read back within {}", spell(options.wait_timeout))));
        match self.drifted.first().cloned().or(unread) {
            None => SoakResult::Passed,
            Some((first, seen)) => {
                let count = self.drifted.len() + self.open.len();
                SoakResult::Failed(DriftedEngines { count, first, seen, drifted: self.drifted.clone() })
            }
        }
    }
}

/// Judges an engine that was on its target; where nothing was sent to it, it need not run. `absence` says that it was not
/// shown.
pub(super) fn found(observation: Observation, absence_text: &str, must_run: bool) -> EngineCheck {
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

    /// What a listing says of an engine; none where it leaves something out.
    type Shown = (Option<&'static str>, Option<i64>);

    const GOOD: Shown = (Some("new"), Some(2));

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

    /// Engines of a wave that has soaked, and a clock that only moves when told to.
    struct Stage {
        jobs: Vec<Job>,
        soak_check: SoakCheck,
        now: Instant,
    }

    impl Stage {
        fn new(jobs: usize) -> Self {
            let now = Instant::now();
            let engines = (0..jobs).map(|number| (JobIndex(number), true)).collect();
            Self { jobs: (0..jobs).map(job).collect(), soak_check: SoakCheck::new(engines, now), now }
        }

        /// A look at one region ten seconds later: what it shows of each job, and none where it shows nothing.
        fn snapshot(&mut self, region: &str, shown: &[Option<Shown>]) -> SoakResult {
            self.now += Duration::from_secs(10);
            let mut view = FleetView::default();
            for (job, shown) in self.jobs.iter().zip(shown) {
                view.take(&job.key.region, shown.iter().map(|shown| record(job, *shown)).collect());
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

    fn drifted(told: &SoakResult) -> (usize, usize, &str) {
        match told {
            SoakResult::Failed(drifted) => (drifted.count, drifted.first.0, &drifted.seen),
            other => panic!("some were to stray: {other:?}"),
        }
    }

    #[test]
    fn a_look_at_one_region_says_nothing_about_the_engines_of_another() {
        let mut stage = Stage::new(2);
        assert_eq!(stage.snapshot("ap-near", &[Some(GOOD), None]), SoakResult::Pending);
        assert_eq!(stage.snapshot("ap-near", &[Some(GOOD), None]), SoakResult::Pending);
        assert_eq!(stage.snapshot("ap-far", &[None, Some(GOOD)]), SoakResult::Passed);
    }

    #[test]
    fn a_look_that_was_asked_for_before_the_soak_was_over_does_not_count() {
        let mut stage = Stage::new(1);
        let mut view = FleetView::default();
        view.take(&stage.jobs[0].key.region, vec![record(&stage.jobs[0], GOOD)]);
        let asked = stage.now.checked_sub(Duration::from_millis(1)).expect("a moment");
        let snapshot = Snapshot { view: &view, started: asked, finished: stage.now + Duration::from_secs(1) };
        stage.soak_check.on_observation(snapshot, &stage.jobs, |_| true, &RunOptions::default());
        assert_eq!(stage.result(), SoakResult::Pending);
    }

    #[test]
    fn only_what_two_looks_say_is_believed() {
        for bad in [
            None,
            Some((Some("other"), Some(2))),
            Some((Some("new"), Some(1))),
            Some((Some("new"), Some(-1))),
        ] {
            let mut stage = Stage::new(1);
            assert_eq!(stage.snapshot("ap-near", &[bad]), SoakResult::Pending, "{bad:?}");
            assert_eq!(stage.snapshot("ap-near", &[Some(GOOD)]), SoakResult::Passed, "{bad:?}");
            let mut stage = Stage::new(1);
            assert_eq!(stage.snapshot("ap-near", &[bad]), SoakResult::Pending, "{bad:?}");
            assert_eq!(drifted(&stage.snapshot("ap-near", &[bad])).0, 1, "{bad:?}");
        }
    }

    #[test]
    fn an_engine_of_which_the_service_says_too_little_is_looked_at_until_the_time_is_over() {
        for little in [(None, Some(2)), (Some("new"), None)] {
            let mut stage = Stage::new(1);
            for _ in 0..100 {
                assert_eq!(stage.snapshot("ap-near", &[Some(little)]), SoakResult::Pending, "{little:?}");
            }
            stage.now += RunOptions::default().wait_timeout;
            assert_eq!(drifted(&stage.result()), (1, 0, "not read back within 30m"));
        }
    }

    #[test]
    fn those_elsewhere_and_those_unread_are_counted_together_and_only_the_former_are_called_strayed() {
        let mut stage = Stage::new(2);
        for _ in 0..2 {
            assert_eq!(
                stage.snapshot("ap-far", &[None, Some((Some("other"), Some(2)))]),
                SoakResult::Pending
            );
        }
        stage.now += RunOptions::default().wait_timeout;
        let told = stage.result();
        assert_eq!(drifted(&told), (2, 1, "on other"));
        let SoakResult::Failed(drifted) = told else { panic!("some strayed") };
        assert_eq!(drifted.drifted, [(JobIndex(1), "on other".to_owned())]);
    }
}
