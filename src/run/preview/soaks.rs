//! What a dry run foresees of soaks: how long they would take, and the wave that would not come through as things stand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Prediction;
use crate::event::SoakFailure;
use crate::job::{Job, Outcome, Wave};
use crate::run::preflight::Preflight;
use crate::run::soak_check::{EngineCheck, found};

/// What a dry run foresees of soaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoaksForeseen {
    /// How long the run would soak after each wave, in plan order.
    pub times: Vec<Duration>,
    /// The first wave that would not come through, as things stand, so that none after it opens.
    pub failure: Option<SoakFailure>,
}

/// Foresees the soaks of a run. `left` is what earlier runs left of each; `waits` is false where accepted is the end.
pub fn foresee_soaks(
    jobs: &[Job],
    waves: &[Wave],
    predictions: &[Prediction],
    seen: Option<&Preflight>,
    left: &[Option<Duration>],
    waits: bool,
) -> SoaksForeseen {
    let left = |number: usize| left.get(number).copied().flatten();
    let rows = || jobs.iter().zip(predictions);
    let open: BTreeSet<usize> = rows().filter(|row| is_open(row.1, waits)).map(|(job, _)| job.wave).collect();
    let drifted = drifted(rows(), seen);
    let mut foreseen = SoaksForeseen { times: Vec::new(), failure: None };
    for (number, wave) in waves.iter().enumerate() {
        let is_switched = open.contains(&number);
        let time = if is_switched { wave.soak } else { left(number).unwrap_or_default() };
        foreseen.times.push(time);
        // the same rule by which the run decides whether a wave is read back
        let follows = open.last().is_some_and(|last| *last > number);
        let is_read_back = is_switched || (left(number).is_some() && (!time.is_zero() || follows));
        if is_read_back && waits && !wave.soak.is_zero() && foreseen.failure.is_none() {
            foreseen.failure = drifted.get(&number).map(|(engines, first, seen)| SoakFailure {
                wave: wave.name.clone(),
                engines: *engines,
                first: first.key.data_engine_id.clone(),
                seen: seen.clone(),
            });
        }
    }
    foreseen
}

/// True for a job that the run would bring to its target, or at least try to.
fn is_open(prediction: &Prediction, waits: bool) -> bool {
    match prediction {
        Prediction::Switch { .. } | Prediction::Settle | Prediction::CannotTell(_) => true,
        Prediction::Watch => waits,
        _ => false,
    }
}

/// The engines that earlier runs brought to their target and that are not there, or do not run: for each wave how many,
/// the first of them, and where that one is.
fn drifted<'a>(
    rows: impl Iterator<Item = (&'a Job, &'a Prediction)>,
    seen: Option<&Preflight>,
) -> BTreeMap<usize, (usize, &'a Job, String)> {
    let mut drifted = BTreeMap::new();
    for (job, prediction) in rows {
        if let Some(elsewhere) = drift(job, prediction, seen) {
            drifted.entry(job.wave).or_insert((0, job, elsewhere)).0 += 1;
        }
    }
    drifted
}

fn drift(job: &Job, prediction: &Prediction, seen: Option<&Preflight>) -> Option<String> {
    match prediction {
        Prediction::Drifted(elsewhere) => Some(elsewhere.clone()),
        Prediction::Done(Outcome::Switched) => {
            let view = &seen?.view;
            match found(view.observe(&job.key, None), view.absence_text(), true) {
                EngineCheck::Drifted(elsewhere) => Some(elsewhere),
                EngineCheck::Unchanged | EngineCheck::Unclear => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{EngineKind, EngineRecord, EngineState};
    use crate::job::{DataEngineId, ImageVersionId, JobKey, Region};
    use crate::run::FleetView;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One job for each prediction, each in a wave of its own that soaks ten minutes.
    fn plan(predictions: &[Prediction]) -> (Vec<Job>, Vec<Wave>) {
        let job = |wave| Job {
            key: JobKey {
                region: Region::new("ap-guangzhou"),
                data_engine_id: DataEngineId::new(format!("DataEngine-{wave}")),
                new_image_version_id: ImageVersionId::new("new"),
            },
            wave,
            expected_image_version_id: None,
            data_engine_name: None,
            note: None,
        };
        let wave = |number| Wave { soak: seconds(600), ..Wave::named(format!("w{number}")) };
        ((0..predictions.len()).map(job).collect(), (0..predictions.len()).map(wave).collect())
    }

    fn switch() -> Prediction {
        Prediction::Switch { from: ImageVersionId::new("old") }
    }

    #[test]
    fn a_wave_that_would_not_come_through_is_foreseen_where_anything_depends_on_it() {
        let foresee = |predictions: &[Prediction], left: u64, state: i64| {
            let (jobs, waves) = plan(predictions);
            let mut view = FleetView::default();
            let record = EngineRecord {
                data_engine_id: jobs[0].key.data_engine_id.clone(),
                name: None,
                state: Some(EngineState(state)),
                image_version_id: Some(ImageVersionId::new("new")),
                image_version_name: None,
                child_image_version_id: None,
                engine_type_detail: None,
                kind: Some(EngineKind::ALL[0]),
            };
            view.take(&jobs[0].key.region, vec![record]);
            let seen = Preflight::of(view);
            let left = vec![Some(seconds(left)); jobs.len()];
            let foreseen = foresee_soaks(&jobs, &waves, predictions, Some(&seen), &left, true);
            foreseen.failure.map(|failure| (failure.wave, failure.engines, failure.seen))
        };
        let drifted = || Prediction::Drifted("on old".into());
        let done = || Prediction::Done(Outcome::Switched);
        let drift = |wave: &str, seen: &str| Some((wave.to_owned(), 1, seen.to_owned()));
        assert_eq!(foresee(&[drifted(), switch()], 0, 2), drift("w0", "on old"));
        assert_eq!(foresee(&[drifted(), done()], 40, 2), drift("w0", "on old"), "it would soak on");
        assert_eq!(foresee(&[drifted(), done()], 0, 2), None, "nothing depends on it any more");
        assert_eq!(foresee(&[done(), switch()], 0, 1), drift("w0", "suspended (State 1)"));
        assert_eq!(foresee(&[done(), switch()], 0, 2), None);
        assert_eq!(foresee(&[Prediction::UpToDate, switch()], 0, 1), None, "nothing was sent to it");
        assert_eq!(foresee(&[switch(), drifted()], 0, 2), None, "the last wave, and its soak is over");
    }

    #[test]
    fn a_wave_soaks_in_full_where_something_is_sent_and_else_for_what_earlier_runs_left() {
        let cases = [
            (switch(), 600),
            (Prediction::Settle, 600),
            (Prediction::CannotTell("nobody looked".into()), 600),
            (Prediction::Watch, 600),
            (Prediction::UpToDate, 40),
            (Prediction::Done(Outcome::Switched), 40),
            (Prediction::Drifted("on old".into()), 40),
            (Prediction::NotFound, 40),
            (Prediction::Unfit("suspended".into()), 40),
        ];
        let predictions: Vec<Prediction> = cases.iter().map(|(prediction, _)| prediction.clone()).collect();
        let (jobs, waves) = plan(&predictions);
        let times = |left: &[Option<Duration>], waits| {
            foresee_soaks(&jobs, &waves, &predictions, None, left, waits).times
        };
        let left = vec![Some(seconds(40)); cases.len()];
        let expected: Vec<Duration> = cases.iter().map(|(_, soak)| seconds(*soak)).collect();
        assert_eq!(times(&left, true), expected);
        let unwatched = times(&left, false);
        assert_eq!(
            unwatched[3],
            seconds(40),
            "where nobody waits, an accepted engine has been soaking since"
        );
        assert_eq!(times(&[], true)[4], Duration::ZERO);
    }
}
