//! What earlier runs left of the soak of each wave: pure, from the plan, what the ledger knows, and the time.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::fold::{History, Standing};
use crate::job::{Job, Wave};

/// What is left of the soak of each wave at a moment, in plan order; none for a wave in which no earlier run switched
/// anything. Where nobody waits for engines to run their image (`waits` is false), accepted counts as switched.
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
    let of_wave = |(number, wave): (usize, &Wave)| latest.get(&number).map(|at| left(wave.soak, *at, now));
    waves.iter().enumerate().map(of_wave).collect()
}

/// What is left of a soak. Clocks are stepped, and the ledger may come from another machine: whatever they say, no more
/// is left than the whole of it.
fn left(soak: Duration, since: Timestamp, now: Timestamp) -> Duration {
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
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
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
        let opened = RunStarted {
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
        let mut take = |seq, seconds, entry| {
            history.take(&Line { seq, at: at(seconds), run: "run-1".into(), entry }).expect("legal");
        };
        take(1, 0, Entry::RunStarted(opened));
        for ((number, seconds, step), seq) in lines.iter().zip(2..) {
            take(seq, *seconds, Entry::Job { key: key(*number), step: step.clone() });
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

    /// The canary's engines are switched after 50 and 20 seconds, the next wave's is accepted after 60.
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
        assert_eq!(left(650, true), [Some(0), None, None], "what is over is over, and told apart from none");
        assert_eq!(left(90_000, true), [Some(0), None, None]);
    }

    #[test]
    fn where_nobody_waits_an_accepted_engine_counts() {
        let (jobs, waves) = plan();
        let left = seconds(&remaining_soaks(&jobs, &waves, &interrupted(), false, at(360)));
        assert_eq!(left, [Some(290), Some(300), None]);
    }

    #[test]
    fn a_wave_in_which_nothing_was_switched_has_nothing_left() {
        let (jobs, waves) = plan();
        let history = history(&[(0, 1, Step::UpToDate), (1, 1, Step::UpToDate), (2, 1, sent())]);
        assert_eq!(remaining_soaks(&jobs, &waves, &history, true, at(10)), [None, None, None]);
    }

    #[test]
    fn a_wave_without_a_soak_has_no_time_left_of_it() {
        let (jobs, waves) = plan();
        let history = history(&[(3, 1, sent()), (3, 2, accepted()), (3, 3, switched())]);
        assert_eq!(remaining_soaks(&jobs, &waves, &history, true, at(3)), [None, None, Some(Duration::ZERO)]);
    }

    #[test]
    fn a_clock_that_was_stepped_never_makes_a_soak_longer_than_the_plan_says() {
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
            assert_eq!(left(SOAK, since, now), expected, "{now}");
        }
        assert_eq!(left(SOAK, Timestamp::MAX, Timestamp::MIN), SOAK);
    }
}
