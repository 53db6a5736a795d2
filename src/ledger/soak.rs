//! Computes the remaining soak time of each wave from earlier runs. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::fold::{History, Standing};
use crate::job::{Job, Wave};

/// The remaining soak time of each wave, in plan order; none for a wave in which no earlier run switched an engine. If the
/// run does not wait for engines (`waits` is false), accepted counts as switched.
pub fn remaining_soaks(
    jobs: &[Job],
    waves: &[Wave],
    history: &History,
    waits: bool,
    now: Timestamp,
) -> Vec<Option<Duration>> {
    let mut latest: BTreeMap<usize, Timestamp> = BTreeMap::new();
    for job in jobs {
        let Some(known) = history.jobs.get(&job.key) else { continue };
        if known.record.standing == Standing::Switched
            || (known.record.standing == Standing::Accepted && !waits)
        {
            let latest = latest.entry(job.wave).or_insert(known.at);
            *latest = known.at.max(*latest);
        }
    }
    let of_wave =
        |(number, wave): (usize, &Wave)| latest.get(&number).map(|at| remaining(wave.soak, *at, now));
    waves.iter().enumerate().map(of_wave).collect()
}

/// The remaining time of a soak, at most the whole soak: clocks can be set back, and the ledger may come from another
/// machine.
fn remaining(soak: Duration, since: Timestamp, now: Timestamp) -> Duration {
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO);
    soak.saturating_sub(passed)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::entry::tests::key;
    use super::super::{Entry, Line, RunStarted, SCHEMA, Step};
    use super::*;

    const SOAK: Duration = Duration::from_secs(600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a valid time")
    }

    /// Four jobs in three waves; the last wave does not soak.
    fn plan() -> (Vec<Job>, Vec<Wave>) {
        let job = |(number, wave)| Job {
            key: key(number),
            wave,
            expected_image_version_id: None,
            data_engine_name: None,
            note: None,
        };
        let soaks = |name| Wave { soak: SOAK, ..Wave::named(name) };
        let jobs = [(0, 0), (1, 0), (2, 1), (3, 2)].map(job).to_vec();
        (jobs, vec![soaks("canary"), soaks("early"), Wave::named("rest")])
    }

    /// The fold over lines with their times.
    fn history(lines: &[(u32, i64, Step)]) -> History {
        let started = RunStarted {
            schema: SCHEMA.into(),
            parent_run: None,
            tool_version: "0".into(),
            plan: "plan.yaml".into(),
            plan_digest: "0".into(),
            regions: vec![],
            endpoint: "simulator".into(),
            simulated: true,
            rate: 20,
        };
        let mut history = History::default();
        let mut apply = |seq, seconds, entry| {
            history.apply(&Line { seq, at: at(seconds), run: "run-1".into(), entry }).expect("legal");
        };
        apply(1, 0, Entry::RunStarted(started));
        for ((number, seconds, step), seq) in lines.iter().zip(2..) {
            apply(seq, *seconds, Entry::Job { key: key(*number), step: step.clone() });
        }
        history
    }

    fn sent() -> Step {
        Step::Sent { attempt: 1, image_before: None }
    }

    fn accepted() -> Step {
        Step::Accepted { request_id: None, latency_ms: None, verified: false }
    }

    fn switched() -> Step {
        Step::Switched { image_before: None, image_name_after: None, child_image_after: None }
    }

    /// The engines of wave canary are switched at 50 s and 20 s; the engine of the next wave is accepted at 60 s.
    fn interrupted() -> History {
        history(&[
            (0, 1, sent()),
            (1, 1, sent()),
            (0, 2, accepted()),
            (1, 2, accepted()),
            (1, 20, switched()),
            (0, 50, switched()),
            (2, 58, sent()),
            (2, 60, accepted()),
        ])
    }

    fn seconds(left: &[Option<Duration>]) -> Vec<Option<u64>> {
        left.iter().map(|left| left.map(|left| left.as_secs())).collect()
    }

    #[test]
    fn a_soak_is_counted_from_the_latest_switch_of_its_wave() {
        let (jobs, waves) = plan();
        let left = |now, waits| seconds(&remaining_soaks(&jobs, &waves, &interrupted(), waits, at(now)));
        assert_eq!(left(50, true), [Some(600), None, None]);
        assert_eq!(left(350, true), [Some(300), None, None]);
        assert_eq!(left(649, true), [Some(1), None, None]);
        assert_eq!(left(650, true), [Some(0), None, None], "zero, not none");
        assert_eq!(left(90_000, true), [Some(0), None, None]);
    }

    #[test]
    fn without_a_wait_an_accepted_engine_counts_as_switched() {
        let (jobs, waves) = plan();
        let left = seconds(&remaining_soaks(&jobs, &waves, &interrupted(), false, at(360)));
        assert_eq!(left, [Some(290), Some(300), None]);
    }

    #[test]
    fn a_wave_without_a_switched_engine_has_no_remaining_soak() {
        let (jobs, waves) = plan();
        let history = history(&[(0, 1, Step::UpToDate), (1, 1, Step::UpToDate), (2, 1, sent())]);
        assert_eq!(remaining_soaks(&jobs, &waves, &history, true, at(10)), [None, None, None]);
    }

    #[test]
    fn a_wave_that_does_not_soak_has_zero_remaining() {
        let (jobs, waves) = plan();
        let history = history(&[(3, 1, sent()), (3, 2, accepted()), (3, 3, switched())]);
        assert_eq!(remaining_soaks(&jobs, &waves, &history, true, at(3)), [None, None, Some(Duration::ZERO)]);
    }

    #[test]
    fn a_changed_clock_never_makes_a_soak_longer_than_in_the_plan() {
        let since = at(0);
        let hours = |hours| since + SignedDuration::from_hours(hours);
        for (now, expected) in [
            (hours(-24 * 365), SOAK),
            (hours(-1), SOAK),
            (at(-1), SOAK),
            (at(0), SOAK),
            (at(1), Duration::from_secs(599)),
            (hours(24 * 365), Duration::ZERO),
            (Timestamp::MIN, SOAK),
            (Timestamp::MAX, Duration::ZERO),
        ] {
            assert_eq!(remaining(SOAK, since, now), expected, "{now}");
        }
        assert_eq!(remaining(SOAK, Timestamp::MAX, Timestamp::MIN), SOAK);
    }
}
