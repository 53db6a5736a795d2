//! The look at a wave that has soaked: which of its engines are still where they were brought.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Rules;
use super::looked::Look;
use super::sight::{Sight, in_state};
use super::track::spell;
use crate::cloud::EngineState;
use crate::job::{Job, JobIndex};

/// A wave that is read back.
#[derive(Debug)]
pub(super) struct ReadBack {
    since: Instant,
    /// The engines of which it is not known yet.
    open: BTreeMap<JobIndex, Awaited>,
    /// The engines that two looks found to be elsewhere, and where.
    strayed: Vec<(JobIndex, String)>,
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
pub(super) struct Strays {
    /// How many there are.
    pub(super) count: usize,
    /// One of them.
    pub(super) first: JobIndex,
    /// What is wrong with it.
    pub(super) seen: String,
    /// Those that were found elsewhere, and where; of the others no look told in time.
    pub(super) strayed: Vec<(JobIndex, String)>,
}

/// What came of reading a wave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Not every engine is known yet.
    NotYet,
    /// All are where they were left.
    Kept,
    /// Some are not.
    Strayed(Strays),
}

/// How an engine was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Where it was left.
    Kept,
    /// Elsewhere.
    Strayed(String),
    /// The service did not say enough.
    Unclear,
}

impl ReadBack {
    /// Wants a look at each of these engines that is asked for from now on; the second word says whether it must run.
    pub(super) fn new(engines: Vec<(JobIndex, bool)>, now: Instant) -> Self {
        let awaited = |must_run| Awaited { due: now, from: now, must_run, suspected: None };
        let open = engines.into_iter().map(|(job, must_run)| (job, awaited(must_run))).collect();
        Self { since: now, open, strayed: Vec::new() }
    }

    /// When each engine wants its next look.
    pub(super) fn looks_due(&self) -> impl Iterator<Item = (JobIndex, Instant)> {
        self.open.iter().map(|(job, awaited)| (*job, awaited.due))
    }

    /// When it is given up.
    pub(super) fn deadline(&self, rules: &Rules) -> Instant {
        self.since + rules.wait_timeout
    }

    /// This process stood still: the wait begins again.
    pub(super) fn extend_wait(&mut self, now: Instant) {
        self.since = now;
    }

    /// Takes in a look at those engines whose part of the fleet it covers.
    pub(super) fn looked(
        &mut self,
        look: Look<'_>,
        jobs: &[Job],
        covers: impl Fn(&Job) -> bool,
        rules: &Rules,
    ) {
        let strayed = &mut self.strayed;
        self.open.retain(|index, awaited| {
            let job = &jobs[index.0];
            if look.asked < awaited.from || !covers(job) {
                return true;
            }
            awaited.due = look.seen + rules.sweep_every;
            let found = match look.view.doubt(&job.key) {
                Some(doubt) => Found::Strayed(doubt.message.clone().unwrap_or_else(|| doubt.cause.clone())),
                None => found(look.view.sight(&job.key, None), look.view.absence(), awaited.must_run),
            };
            match found {
                Found::Kept => return false,
                Found::Unclear => {}
                Found::Strayed(seen) if awaited.suspected.is_some() => {
                    strayed.push((*index, seen));
                    return false;
                }
                Found::Strayed(seen) => {
                    awaited.suspected = Some(seen);
                    awaited.from = look.seen;
                }
            }
            true
        });
    }

    /// What came of it, once that is known of every engine or the time is over.
    pub(super) fn told(&self, now: Instant, rules: &Rules) -> Told {
        if !self.open.is_empty() && now < self.deadline(rules) {
            return Told::NotYet;
        }
        let unread = self.open.keys().next();
        let unread = unread.map(|job| (*job, format!("not read back within {}", spell(rules.wait_timeout))));
        match self.strayed.first().cloned().or(unread) {
            None => Told::Kept,
            Some((first, seen)) => {
                let count = self.strayed.len() + self.open.len();
                Told::Strayed(Strays { count, first, seen, strayed: self.strayed.clone() })
            }
        }
    }
}

/// Judges an engine that was on its target; where nothing was sent to it, it need not run. `absence` says that it was not
/// shown.
pub(super) fn found(sight: Sight, absence: &str, must_run: bool) -> Found {
    match sight {
        Sight::Missing => Found::Strayed(absence.to_owned()),
        Sight::Old { image, .. } | Sight::Third(image) => Found::Strayed(format!("on {image}")),
        Sight::Target { .. } if !must_run => Found::Kept,
        Sight::Target { state: Some(EngineState::RUNNING) } => Found::Kept,
        Sight::Lost(state) | Sight::Target { state: Some(state) } => Found::Strayed(in_state(state)),
        Sight::Target { state: None } | Sight::Blank | Sight::Unclear | Sight::NotShown => Found::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cloud::{EngineKind, EngineRecord};
    use crate::job::{DataEngineId, ImageVersionId, JobKey, Region};
    use crate::run::sight::FleetView;

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
        read_back: ReadBack,
        now: Instant,
    }

    impl Stage {
        fn new(jobs: usize) -> Self {
            let now = Instant::now();
            let engines = (0..jobs).map(|number| (JobIndex(number), true)).collect();
            Self { jobs: (0..jobs).map(job).collect(), read_back: ReadBack::new(engines, now), now }
        }

        /// A look at one region ten seconds later: what it shows of each job, and none where it shows nothing.
        fn look(&mut self, region: &str, shown: &[Option<Shown>]) -> Told {
            self.now += Duration::from_secs(10);
            let mut view = FleetView::default();
            for (job, shown) in self.jobs.iter().zip(shown) {
                view.take(&job.key.region, shown.iter().map(|shown| record(job, *shown)).collect());
                if shown.is_none() {
                    view.take_absent(&job.key.region, &job.key.data_engine_id);
                }
            }
            let look = Look { view: &view, asked: self.now, seen: self.now };
            let covers = |job: &Job| job.key.region.as_str() == region;
            self.read_back.looked(look, &self.jobs, covers, &Rules::default());
            self.told()
        }

        fn told(&self) -> Told {
            self.read_back.told(self.now, &Rules::default())
        }
    }

    fn strays(told: &Told) -> (usize, usize, &str) {
        match told {
            Told::Strayed(strays) => (strays.count, strays.first.0, &strays.seen),
            other => panic!("some were to stray: {other:?}"),
        }
    }

    #[test]
    fn a_look_at_one_region_says_nothing_about_the_engines_of_another() {
        let mut stage = Stage::new(2);
        assert_eq!(stage.look("ap-near", &[Some(GOOD), None]), Told::NotYet);
        assert_eq!(stage.look("ap-near", &[Some(GOOD), None]), Told::NotYet);
        assert_eq!(stage.look("ap-far", &[None, Some(GOOD)]), Told::Kept);
    }

    #[test]
    fn a_look_that_was_asked_for_before_the_soak_was_over_does_not_count() {
        let mut stage = Stage::new(1);
        let mut view = FleetView::default();
        view.take(&stage.jobs[0].key.region, vec![record(&stage.jobs[0], GOOD)]);
        let asked = stage.now.checked_sub(Duration::from_millis(1)).expect("a moment");
        let look = Look { view: &view, asked, seen: stage.now + Duration::from_secs(1) };
        stage.read_back.looked(look, &stage.jobs, |_| true, &Rules::default());
        assert_eq!(stage.told(), Told::NotYet);
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
            assert_eq!(stage.look("ap-near", &[bad]), Told::NotYet, "{bad:?}");
            assert_eq!(stage.look("ap-near", &[Some(GOOD)]), Told::Kept, "{bad:?}");
            let mut stage = Stage::new(1);
            assert_eq!(stage.look("ap-near", &[bad]), Told::NotYet, "{bad:?}");
            assert_eq!(strays(&stage.look("ap-near", &[bad])).0, 1, "{bad:?}");
        }
    }

    #[test]
    fn an_engine_of_which_the_service_says_too_little_is_looked_at_until_the_time_is_over() {
        for little in [(None, Some(2)), (Some("new"), None)] {
            let mut stage = Stage::new(1);
            for _ in 0..100 {
                assert_eq!(stage.look("ap-near", &[Some(little)]), Told::NotYet, "{little:?}");
            }
            stage.now += Rules::default().wait_timeout;
            assert_eq!(strays(&stage.told()), (1, 0, "not read back within 30m"));
        }
    }

    #[test]
    fn those_elsewhere_and_those_unread_are_counted_together_and_only_the_former_are_called_strayed() {
        let mut stage = Stage::new(2);
        for _ in 0..2 {
            assert_eq!(stage.look("ap-far", &[None, Some((Some("other"), Some(2)))]), Told::NotYet);
        }
        stage.now += Rules::default().wait_timeout;
        let told = stage.told();
        assert_eq!(strays(&told), (2, 1, "on other"));
        let Told::Strayed(strays) = told else { panic!("some strayed") };
        assert_eq!(strays.strayed, [(JobIndex(1), "on other".to_owned())]);
    }
}
