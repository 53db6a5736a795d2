//! The words for what happens in a run, shared by bars and lines.

use std::time::Duration;

use super::{Scene, paint, progress};
use crate::event::{Event, Opening, StopReason};
use crate::job::{JobIndex, Outcome, Reason, Verdict};
use crate::words;

/// How many waves are listed with their sizes before it gets too much.
const LISTED_WAVES: usize = 6;

/// Most characters of what the network said; the ledger has all of it.
const LONGEST_CAUSE: usize = 120;

/// What there is to say about an event: no line for most, several for some.
pub fn wording(after: Duration, scene: &Scene, event: &Event) -> Vec<String> {
    match event {
        Event::Opened(opening) => opened(opening),
        Event::WaveOpened { wave } => wave_opened(scene, *wave),
        Event::WaveClosed { wave } => wave_closed(after, scene, *wave),
        Event::Closed => vec![closed(after, scene)],
        Event::Throttled { reason, rate, .. } => {
            let slowed = paint::warn(&format!("slowed to {}", words::per_second(*rate)));
            vec![format!("requests come too fast ({}): {slowed}", words::one_line(&reason.code))]
        }
        Event::FullSpeed { rate } => vec![format!("full speed again: {}", words::per_second(*rate))],
        Event::WillRetry { job, attempt, reason, after } => {
            let most = scene.opening.max_attempts;
            let (code, cause, wait) = (code(reason), cause(reason), words::duration(*after));
            vec![format!(
                "{}: {code} on attempt {attempt} of {most} ({cause}), goes again in {wait}",
                name(scene, *job)
            )]
        }
        Event::Doubtful { job, reason } => vec![format!(
            "{}: {}, {}; read back before anything is sent again",
            name(scene, *job),
            paint::warn("in doubt"),
            words::cut(&words::one_line(reason.message.as_ref().unwrap_or(&reason.cause)), LONGEST_CAUSE),
        )],
        Event::Cleared { job } => {
            vec![format!("{}: read back, the request was not applied; goes again", name(scene, *job))]
        }
        Event::Settled { job, verdict } => settled(scene, *job, verdict).into_iter().collect(),
        Event::SweepFailed { reason } => {
            vec![format!("read-back did not work, {} ({}); it is tried again", code(reason), cause(reason))]
        }
        Event::Drifted { job, image_version_id } => vec![format!(
            "{}: {}, an earlier run switched it but now it is on {}; it is left alone",
            name(scene, *job),
            paint::warn("drifted"),
            words::one_line(image_version_id),
        )],
        Event::Stopping(reason) => vec![stopping(scene, reason)],
        Event::Sent { .. } | Event::Accepted { .. } | Event::Tick => Vec::new(),
    }
}

/// Why nothing more is sent, in one clause.
pub fn stop_cause(reason: &StopReason) -> String {
    match reason {
        StopReason::Interrupted { signal } => format!("interrupted by {signal}"),
        StopReason::AccountRefused(reason) => {
            format!("the account is refused, {}: {}", code(reason), cause(reason))
        }
        StopReason::LedgerLost { cause } => {
            format!("the ledger can no longer be written: {}", words::one_line(cause))
        }
    }
}

/// The engine of a job, with its region where the plan has several.
pub fn name(scene: &Scene, job: JobIndex) -> String {
    let Some(job) = scene.opening.jobs.get(job.0) else { return format!("job {}", job.0 + 1) };
    let id = words::one_line(job.key.data_engine_id.as_str());
    if scene.several_regions { format!("{id} in {}", words::one_line(job.key.region.as_str())) } else { id }
}

fn code(reason: &Reason) -> String {
    words::one_line(&reason.code)
}

fn cause(reason: &Reason) -> String {
    words::one_line(&reason.cause)
}

fn opened(opening: &Opening) -> Vec<String> {
    let engines = words::plural(opening.jobs.len(), "engine");
    let waves = match opening.waves.len() {
        0 | 1 => String::new(),
        several => format!(" in {}", words::plural(several, "wave")),
    };
    let parent = opening.parent_run_id.as_deref();
    let parent = parent.map_or_else(String::new, |id| format!(", goes on from run {id}"));
    let plan = words::one_line(&opening.plan.display().to_string());
    let ledger = words::one_line(&opening.ledger.display().to_string());
    let (endpoint, rate) = (&opening.endpoint, opening.rate);
    vec![
        format!("run {}{parent}", opening.run_id),
        format!("{plan}: {engines}{waves}{}", wave_sizes(opening)),
        format!("to {endpoint}, at most {rate} requests/s; ledger {ledger}"),
    ]
}

fn wave_sizes(opening: &Opening) -> String {
    if !(2..=LISTED_WAVES).contains(&opening.waves.len()) {
        return String::new();
    }
    let sizes = opening.waves.iter().enumerate().map(|(wave, name)| {
        let jobs = opening.jobs.iter().filter(|job| job.wave == wave).count();
        format!("{} {}", words::one_line(name), words::count(jobs))
    });
    format!(" ({})", sizes.collect::<Vec<_>>().join(", "))
}

fn wave_opened(scene: &Scene, wave: usize) -> Vec<String> {
    match progress::wave_title(&scene.opening, wave) {
        // with a single wave the opening has said it all
        None => Vec::new(),
        Some(title) => {
            let jobs = scene.tally.waves().get(wave).map_or(0, crate::tally::Counts::jobs);
            vec![format!("{title}, opens: {}", words::plural(jobs, "engine"))]
        }
    }
}

fn wave_closed(after: Duration, scene: &Scene, wave: usize) -> Vec<String> {
    let Some(counts) = scene.tally.waves().get(wave) else { return Vec::new() };
    // with a single wave the end of the run says it
    let Some(title) = progress::wave_title(&scene.opening, wave) else { return Vec::new() };
    let opened = scene.wave.map_or(after, |(_, opened)| opened);
    let took = words::duration(after.saturating_sub(opened));
    vec![format!("{title}, over after {took}: {}", progress::standing(counts))]
}

fn closed(after: Duration, scene: &Scene) -> String {
    format!("over after {}: {}", words::duration(after), progress::standing(scene.tally.overall()))
}

fn settled(scene: &Scene, job: JobIndex, verdict: &Verdict) -> Option<String> {
    let outcome = verdict.outcome;
    let worth_a_line = matches!(outcome, Outcome::Failed | Outcome::Unconverged | Outcome::Unknown);
    if verdict.earlier || !worth_a_line {
        return None;
    }
    let name = name(scene, job);
    let word = paint::as_outcome(outcome, outcome.word());
    Some(match &verdict.reason {
        Some(reason) => format!("{name}: {word}, {} ({})", code(reason), cause(reason)),
        None => format!("{name}: {word}"),
    })
}

fn stopping(scene: &Scene, reason: &StopReason) -> String {
    let engines = scene.tally.overall().under_way();
    let then = match engines {
        0 => "nothing is under way".to_owned(),
        1 => "the one engine under way is settled first".to_owned(),
        several => format!("the {} engines under way are settled first", words::count(several)),
    };
    let advice = match reason {
        StopReason::Interrupted { .. } if engines > 0 => "; a second signal leaves at once".to_owned(),
        StopReason::AccountRefused(reason) => format!("; {}", words::one_line(&reason.remedy)),
        _ => String::new(),
    };
    format!("{}, {}: nothing more is sent, {then}{advice}", paint::bad("stopping"), stop_cause(reason))
}
