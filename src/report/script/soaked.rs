//! Scripted runs with waves that soak.

use std::time::Duration;

use super::{Story, reason, run_ended, settled};
use crate::event::{Event, Opening, SoakFailure, StopReason};
use crate::job::{DataEngineId, JobIndex, Outcome, Wave};

/// Three waves of which two soak: the canary for ten minutes, and comes through; the next one does not.
pub fn soaking() -> Story {
    let mut story = Story::new(&[("canary", 2), ("early", 3), ("rest", 20)]);
    let mut opening = Opening::clone(&story.opening);
    let soaks = [600, 45, 0].map(Duration::from_secs);
    opening.waves =
        opening.waves.iter().zip(soaks).map(|(wave, soak)| Wave { soak, ..wave.clone() }).collect();
    story.replace_opening(opening);
    let soaking =
        |wave, seconds| Event::WaveSoaking { wave, left: Duration::from_secs(seconds), read_back: true };
    story.push(0, Event::WaveOpened { wave: 0 });
    story.switches(100, 0, 8_000);
    story.switches(150, 1, 8_500);
    story.push(8_700, Event::WaveClosed { wave: 0 });
    story.push(8_700, soaking(0, 600));
    story.push(609_000, Event::WaveSoaked { wave: 0, read_back: true });
    story.push(609_000, Event::WaveOpened { wave: 1 });
    (2..5).for_each(|job| story.switches(609_100, job, 9_000));
    story.push(618_200, Event::WaveClosed { wave: 1 });
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
    story.push(100_000, Event::Closed);
    story
}
