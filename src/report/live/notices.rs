//! Notices about single events: each at first, and summarized when many engines have the same problem.

use std::collections::BTreeMap;
use std::time::Duration;

use super::state::ProgressState;
use crate::event::Event;
use crate::format;
use crate::job::{JobIndex, JobResult, Outcome};
use crate::report::{style, text};
use crate::tally::Counts;

/// So many notices on one topic are shown at once.
const SHOWN_AT_ONCE: u32 = 3;
/// After those, one notice on that topic is shown in this time, for all that were held back.
const PAUSE: Duration = Duration::from_secs(10);
/// A job that stays unverified is reported once in this time.
const REMIND_EVERY: Duration = Duration::from_secs(5 * 60);

/// What a notice is about. Notices on the same topic, with the same error code, are summarized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Throttled,
    RateRestored,
    ClockSkew,
    Retry,
    Unconfirmed,
    StillUnverified,
    NotApplied,
    ReadFailed,
    Drifted,
    Ended(Outcome),
}

/// Notices on one topic that are held back, and when one was last shown.
#[derive(Debug, Default)]
struct Held {
    shown: u32,
    last_shown: Duration,
    /// How many are held back.
    waiting: usize,
    /// The latest of those, and its number among all notices.
    latest: (usize, String),
    last_text: String,
    /// Notices that would have repeated the last text.
    repeated: usize,
}

/// Selects the notices to show.
#[derive(Debug, Default)]
pub struct Notices {
    held: BTreeMap<(Topic, String), Held>,
    /// Notices so far, to show those that were held back in their order.
    number: usize,
    /// That a wave has started, held back until there is something to do in it.
    wave_started: Option<String>,
    last_tick: Duration,
}

impl Notices {
    /// The notices to show after an event, oldest first.
    pub fn take(&mut self, after: Duration, state: &ProgressState, event: &Event) -> Vec<String> {
        match event {
            Event::WaveStarted { wave } => {
                let jobs = state.tally.waves().get(*wave).map_or(0, Counts::jobs);
                let title = text::wave_title(&state.header, *wave);
                self.wave_started = title.map(|title| text::wave_started(&title, jobs));
                return Vec::new();
            }
            Event::WaveEnded { wave } if self.wave_started.take().is_some() => {
                let counts = state.tally.waves().get(*wave).copied().unwrap_or_default();
                let title = text::wave_title(&state.header, *wave);
                return title.map(|title| text::wave_skipped(&title, &counts)).into_iter().collect();
            }
            // the next reduction of the rate is news again
            Event::RateRestored { .. } => self.forget_last_text(Topic::Throttled),
            _ => {}
        }
        let mut shown = Vec::new();
        if needs_work(event) {
            shown.extend(self.wave_started.take());
        }
        if let Some((topic, code, text)) = notice(state, event) {
            shown.extend(self.pass(after, topic, code, text));
        }
        let milestone = milestone(after, state, event);
        if !milestone.is_empty() {
            shown.extend(self.release(after, |_, _| true));
            shown.extend(milestone);
        }
        if matches!(event, Event::Tick) {
            shown.extend(self.release_due(after));
            shown.extend(self.reminders(after, state));
            self.last_tick = after;
        }
        shown
    }

    /// The notices to show when there is a new one: none if it is held back.
    fn pass(&mut self, after: Duration, topic: Topic, code: String, text: String) -> Vec<String> {
        self.number += 1;
        let number = self.number;
        let held = self.held.entry((topic, code)).or_default();
        if topic == Topic::Throttled && text == held.last_text {
            held.repeated += 1;
            return Vec::new();
        }
        held.waiting += 1;
        held.latest = (number, text);
        if held.shown >= SHOWN_AT_ONCE && after < held.last_shown + PAUSE {
            return Vec::new();
        }
        let text = held.show(after);
        // what was held back came before the end of a job
        let mut shown =
            if is_end(topic) { self.release(after, |other, _| !is_end(other)) } else { Vec::new() };
        shown.push(text);
        shown
    }

    /// What was held back for long enough; if the end of a job is among it, also what came before.
    fn release_due(&mut self, after: Duration) -> Vec<String> {
        let is_due = |held: &Held| held.waiting > 0 && after >= held.last_shown + PAUSE;
        let ended = self.held.iter().filter(|((topic, _), held)| is_end(*topic) && is_due(held));
        let last_ended = ended.map(|(_, held)| held.latest.0).max().unwrap_or(0);
        self.release(after, |topic, held| is_due(held) || !is_end(topic) && held.latest.0 < last_ended)
    }

    /// Notices that are held back and are to be shown, in their order.
    fn release(&mut self, after: Duration, is_shown: impl Fn(Topic, &Held) -> bool) -> Vec<String> {
        let held =
            self.held.iter_mut().filter(|((topic, _), held)| held.waiting > 0 && is_shown(*topic, held));
        let mut released: Vec<(usize, String)> =
            held.map(|(_, held)| (held.latest.0, held.show(after))).collect();
        released.sort_unstable();
        released.into_iter().map(|(_, text)| text).collect()
    }

    fn forget_last_text(&mut self, topic: Topic) {
        self.held.iter_mut().filter(|((of, _), _)| *of == topic).for_each(|(_, held)| held.last_text.clear());
    }

    /// Which jobs stay unverified, why, and for how long they are still verified.
    fn reminders(&mut self, after: Duration, state: &ProgressState) -> Vec<String> {
        let (header, last_tick) = (&state.header, self.last_tick);
        let periods = |until: Duration, since| until.saturating_sub(since).as_secs() / REMIND_EVERY.as_secs();
        let mut shown = Vec::new();
        for (job, unverified) in &state.unverified {
            let since = unverified.since;
            if periods(after, since) <= periods(last_tick, since) {
                continue;
            }
            let (engine, passed) = (state.engine(*job), after.saturating_sub(since));
            let reads = text::reads(state.read_failure(after), unverified.unconfirmed.is_some());
            let text = if let Some(reason) = &unverified.unconfirmed {
                let left = (header.wait_timeout + header.resend_after).saturating_sub(passed);
                text::still_unconfirmed(&engine, reason, passed, left, &reads)
            } else {
                let left = header.wait_timeout.saturating_sub(passed);
                text::still_converging(&engine, passed, left, &reads)
            };
            shown.extend(self.pass(after, Topic::StillUnverified, String::new(), text));
        }
        shown
    }
}

impl Held {
    /// Shows the latest notice, for all that were held back.
    fn show(&mut self, after: Duration) -> String {
        let others = self.waiting.saturating_sub(1) + std::mem::take(&mut self.repeated);
        self.shown = self.shown.saturating_add(1);
        self.last_shown = after;
        self.waiting = 0;
        let text = std::mem::take(&mut self.latest.1);
        self.last_text.clone_from(&text);
        match others {
            0 => text,
            others => format!("{text} {}", style::quiet(&format!("(and {} more)", format::count(others)))),
        }
    }
}

/// True for the end of a job: what came before is shown before it.
fn is_end(topic: Topic) -> bool {
    matches!(topic, Topic::Ended(_))
}

/// False for what is known of a job without a request: a wave with nothing else has nothing to do.
fn needs_work(event: &Event) -> bool {
    match event {
        Event::JobEnded { result, .. } => !result.from_earlier_run && result.outcome != Outcome::UpToDate,
        Event::RunStarted(_) | Event::Drifted { .. } => false,
        _ => true,
    }
}

/// Topic, error code and text of an event that many jobs can have; none for other events.
fn notice(state: &ProgressState, event: &Event) -> Option<(Topic, String, String)> {
    let header = &state.header;
    let code = |code: &str| code.to_owned();
    Some(match event {
        Event::Throttled { reason, rate, .. } => {
            (Topic::Throttled, code(&reason.code), text::throttled(reason, *rate))
        }
        Event::RateRestored { rate } => (Topic::RateRestored, String::new(), text::rate_restored(*rate)),
        Event::ClockSkew { ahead } => (Topic::ClockSkew, String::new(), text::clock_skew(*ahead)),
        Event::WillRetry { job, attempt, reason, after } => {
            let text = text::will_retry(&state.engine(*job), reason, *attempt, header.max_attempts, *after);
            (Topic::Retry, code(&reason.code), text)
        }
        Event::Unconfirmed { job, reason } => {
            let text = text::unconfirmed(&state.engine(*job), reason, header.resend_after);
            (Topic::Unconfirmed, code(&reason.code), text)
        }
        Event::NotApplied { job } => {
            (Topic::NotApplied, String::new(), text::not_applied(&state.engine(*job)))
        }
        Event::ReadFailed { reason } => (Topic::ReadFailed, code(&reason.code), text::read_failed(reason)),
        Event::Drifted { job, seen } => {
            // what an earlier run left is reported before the result of its job
            let by_this_run = state.tally.result(*job).is_some_and(|result| !result.from_earlier_run);
            (Topic::Drifted, String::new(), text::drifted(&state.engine(*job), seen, by_this_run))
        }
        Event::JobEnded { job, result } => return ended(state, *job, result),
        _ => return None,
    })
}

fn ended(state: &ProgressState, job: JobIndex, result: &JobResult) -> Option<(Topic, String, String)> {
    let (outcome, reason) = (result.outcome, result.reason.as_ref());
    let is_problem = matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Unknown);
    // what is open when the run ends is part of the summary
    if result.from_earlier_run || !is_problem || text::is_not_verified(outcome, reason) {
        return None;
    }
    let code = reason.map_or_else(String::new, |reason| reason.code.clone());
    Some((Topic::Ended(outcome), code, text::job_ended(&state.engine(job), outcome, reason)))
}

/// The lines of an event of the whole run or of a wave.
fn milestone(after: Duration, state: &ProgressState, event: &Event) -> Vec<String> {
    let header = &state.header;
    match event {
        Event::RunStarted(header) => text::run_started(header),
        // a plan with a single wave has no titles: the end of the run says the same
        Event::WaveEnded { wave } => text::wave_title(header, *wave)
            .zip(state.tally.waves().get(*wave))
            .map(|(title, counts)| {
                let started = state.wave.map_or(after, |(_, started)| started);
                text::wave_ended(&title, after.saturating_sub(started), counts)
            })
            .into_iter()
            .collect(),
        Event::SoakStarted { wave, left, verify } => vec![text::soak_started(header, *wave, *left, *verify)],
        Event::SoakEnded { wave, verify } => vec![text::soak_ended(header, *wave, *verify)],
        Event::Stopping(reason) => vec![text::stopping(reason, state.tally.overall())],
        Event::RunEnded => {
            vec![text::run_ended(after, state.tally.overall(), state.tally.stopped().is_some())]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
