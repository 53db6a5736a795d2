//! Scripted runs with waves that soak.

use std::time::Duration;

use super::{Story, reason, run_ended, settled};
use crate::event::{Event, RunHeader, SoakFailure, StopReason};
use crate::job::{DataEngineId, JobIndex, Outcome, Wave};

/// Three waves of which two soak: the canary for ten minutes, and comes through; the next one does not.
pub fn soaking() -> Story {
    let mut story = Story::new(&[("canary", 2), ("early", 3), ("rest", 20)]);
    let mut header = RunHeader::clone(&story.header);
    let soaks = [600, 45, 0].map(Duration::from_secs);
    header.waves = header.waves.iter().zip(soaks).map(|(wave, soak)| Wave { soak, ..wave.clone() }).collect();
    story.replace_opening(header);
    let soaking =
        |wave, seconds| Event::SoakStarted { wave, left: Duration::from_secs(seconds), verify: true };
    story.push(0, Event::WaveStarted { wave: 0 });
    story.switches(100, 0, 8_000);
    story.switches(150, 1, 8_500);
    story.push(8_700, Event::WaveEnded { wave: 0 });
    story.push(8_700, soaking(0, 600));
    story.push(609_000, Event::SoakEnded { wave: 0, verify: true });
    story.push(609_000, Event::WaveStarted { wave: 1 });
    (2..5).for_each(|job| story.switches(609_100, job, 9_000));
    story.push(618_200, Event::WaveEnded { wave: 1 });
    story.push(618_200, soaking(1, 45));
    for job in [3, 4] {
        story.push(668_000, Event::Drifted { job: JobIndex(job), seen: "on 5f2c11aa".into() });
    }
    story.push(668_000, Event::Stopping(StopReason::SoakFailed(soak_failure())));
    let reason = reason("soak-failed", "an earlier wave failed its soak", "see to its engines");
    (5..25).for_each(|job| story.push(668_000, settled(job, Outcome::NotStarted, Some(reason.clone()))));
    story.finish()
}

pub fn soak_failure() -> SoakFailure {
    SoakFailure {
        wave: "early".into(),
        engines: 2,
        first: DataEngineId::new("DataEngine-early1"),
        seen: "on 5f2c11aa".into(),
    }
}

/// The same run, interrupted while its canary soaks.
pub fn soak_cut_short() -> Story {
    let mut story = soaking();
    story.events.retain(|(after, _)| *after < Duration::from_secs(100));
    story.push(100_000, Event::Stopping(StopReason::Interrupted { signal: "SIGINT" }));
    (2..25).for_each(|job| story.push(100_000, settled(job, Outcome::NotStarted, Some(run_ended()))));
    story.push(100_000, Event::RunEnded);
    story
}
