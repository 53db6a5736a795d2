//! Forecasts the soaks of a run for the dry run: their duration, and the first wave that would not pass its soak check.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fleet_view::FleetView;
use super::soak_check::{EngineCheck, check_engine};
use crate::event::SoakFailure;
use crate::job::{Decision, Job, Outcome, Wave};

/// The forecast of the soaks of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoakForecast {
    /// How long the run would soak after each wave, in plan order.
    pub times: Vec<Duration>,
    /// The first wave that would not pass its soak check if the fleet stays as it is, so that no later wave starts.
    pub failure: Option<SoakFailure>,
}

/// Forecasts the soaks of a run. `left` is the remaining soak time of each wave from earlier runs; `waits` is false with
/// `--no-wait` or `--no-verify`.
pub fn forecast_soaks(
    jobs: &[Job],
    waves: &[Wave],
    decisions: &[Decision],
    view: Option<&FleetView>,
    left: &[Option<Duration>],
    waits: bool,
) -> SoakForecast {
    let left = |number: usize| left.get(number).copied().flatten();
    let rows = || jobs.iter().zip(decisions);
    let unfinished: BTreeSet<usize> =
        rows().filter(|row| is_unfinished(row.1, waits)).map(|(job, _)| job.wave).collect();
    let drifted = drifted_by_wave(rows(), view);
    let mut forecast = SoakForecast { times: Vec::new(), failure: None };
    for (number, wave) in waves.iter().enumerate() {
        let is_switched = unfinished.contains(&number);
        let time = if is_switched { wave.soak } else { left(number).unwrap_or_default() };
        forecast.times.push(time);
        // the same rule by which the run decides whether a wave is verified
        let follows = unfinished.last().is_some_and(|last| *last > number);
        let is_verified = is_switched || (left(number).is_some() && (!time.is_zero() || follows));
        if is_verified && waits && !wave.soak.is_zero() && forecast.failure.is_none() {
            forecast.failure = drifted.get(&number).map(|(engines, first, seen)| SoakFailure {
                wave: wave.name.clone(),
                engines: *engines,
                first: first.key.data_engine_id.clone(),
                seen: seen.clone(),
            });
        }
    }
    forecast
}

/// True for a job that the run would try to bring to its target.
fn is_unfinished(decision: &Decision, waits: bool) -> bool {
    match decision {
        Decision::Send { .. } | Decision::Verify { .. } | Decision::Wait(_) => true,
        Decision::Watch => waits,
        _ => false,
    }
}

/// The engines that earlier runs switched and that have drifted or do not run: for each wave their number, the first of
/// them, and what it shows.
fn drifted_by_wave<'a>(
    rows: impl Iterator<Item = (&'a Job, &'a Decision)>,
    view: Option<&FleetView>,
) -> BTreeMap<usize, (usize, &'a Job, String)> {
    let mut drifted = BTreeMap::new();
    for (job, decision) in rows {
        if let Some(seen) = drifted_to(job, decision, view) {
            drifted.entry(job.wave).or_insert((0, job, seen)).0 += 1;
        }
    }
    drifted
}

fn drifted_to(job: &Job, decision: &Decision, view: Option<&FleetView>) -> Option<String> {
    match decision {
        Decision::Keep { drift: Some(seen), .. } => Some(seen.clone()),
        Decision::Keep { outcome: Outcome::Switched, .. } => {
            let view = view?;
            match check_engine(view.observe(&job.key, None), view.absence_text(), true) {
                EngineCheck::Drifted(seen) => Some(seen),
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
    use crate::run::{FleetView, reasons};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One job for each decision, each in its own wave with a soak of ten minutes.
    fn plan(decisions: &[Decision]) -> (Vec<Job>, Vec<Wave>) {
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
        ((0..decisions.len()).map(job).collect(), (0..decisions.len()).map(wave).collect())
    }

    fn send() -> Decision {
        Decision::Send { from: Some(ImageVersionId::new("old")) }
    }

    #[test]
    fn a_failed_soak_check_is_forecast_if_the_run_would_check_the_wave() {
        let forecast_failure = |decisions: &[Decision], left: u64, state: i64| {
            let (jobs, waves) = plan(decisions);
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
            view.add_records(&jobs[0].key.region, vec![record]);
            let left = vec![Some(seconds(left)); jobs.len()];
            let forecast = forecast_soaks(&jobs, &waves, decisions, Some(&view), &left, true);
            forecast.failure.map(|failure| (failure.wave, failure.engines, failure.seen))
        };
        let drifted =
            || Decision::Keep { outcome: Outcome::Switched, reason: None, drift: Some("on old".into()) };
        let done = || Decision::Keep { outcome: Outcome::Switched, reason: None, drift: None };
        let drift = |wave: &str, seen: &str| Some((wave.to_owned(), 1, seen.to_owned()));
        assert_eq!(forecast_failure(&[drifted(), send()], 0, 2), drift("w0", "on old"));
        assert_eq!(
            forecast_failure(&[drifted(), done()], 40, 2),
            drift("w0", "on old"),
            "the soak is not over"
        );
        assert_eq!(
            forecast_failure(&[drifted(), done()], 0, 2),
            None,
            "the soak is over and no wave follows"
        );
        assert_eq!(forecast_failure(&[done(), send()], 0, 1), drift("w0", "suspended (State 1)"));
        assert_eq!(forecast_failure(&[done(), send()], 0, 2), None);
        assert_eq!(forecast_failure(&[Decision::UpToDate, send()], 0, 1), None, "nothing was sent to it");
        assert_eq!(
            forecast_failure(&[send(), drifted()], 0, 2),
            None,
            "it is the last wave, and its soak is over"
        );
    }

    #[test]
    fn a_wave_soaks_for_its_full_time_if_a_request_is_sent_and_else_for_the_remaining_time() {
        let cases = [
            (send(), 600),
            (Decision::Verify { image_before: None }, 600),
            (Decision::Wait(reasons::found(reasons::ENGINE_UNCLEAR, "")), 600),
            (Decision::Watch, 600),
            (Decision::UpToDate, 40),
            (Decision::Keep { outcome: Outcome::Switched, reason: None, drift: None }, 40),
            (Decision::Keep { outcome: Outcome::Switched, reason: None, drift: Some("on old".into()) }, 40),
            (Decision::Fail(reasons::found(reasons::ENGINE_NOT_FOUND, "")), 40),
        ];
        let decisions: Vec<Decision> = cases.iter().map(|(decision, _)| decision.clone()).collect();
        let (jobs, waves) = plan(&decisions);
        let times = |left: &[Option<Duration>], waits| {
            forecast_soaks(&jobs, &waves, &decisions, None, left, waits).times
        };
        let left = vec![Some(seconds(40)); cases.len()];
        let expected: Vec<Duration> = cases.iter().map(|(_, soak)| seconds(*soak)).collect();
        assert_eq!(times(&left, true), expected);
        let without_wait = times(&left, false);
        assert_eq!(
            without_wait[3],
            seconds(40),
            "without a wait, the soak started when the request was accepted"
        );
        assert_eq!(times(&[], true)[4], Duration::ZERO);
    }
}
