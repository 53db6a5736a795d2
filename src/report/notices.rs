//! Which notices are shown: all at first, and no flood when a thousand engines say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Scene, paint, wording};
use crate::event::Event;
use crate::format;
use crate::job::Outcome;

/// So many notices of one sort are shown as they come.
const SHOWN_AT_ONCE: u32 = 3;
/// After those, one notice of that sort is shown in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// The kind of notices that are left out where they would only repeat the last one.
const THROTTLED: &str = "throttled";

/// What makes notices the same sort of notice: what happened, and the code it happened with.
type Sort = (&'static str, String);

/// What is remembered of one sort.
#[derive(Debug, Default)]
struct Held {
    shown: u32,
    last_shown: Duration,
    waiting: usize,
    last_text: String,
    last_told: String,
    /// Notices that would have said again what was told last.
    repeated: usize,
}

/// Lets notices through, holds back what would be a flood, and owns up to how many it held back.
#[derive(Debug, Default)]
pub struct Notices {
    held: BTreeMap<Sort, Held>,
    /// That a wave opened, held back until something happens in it.
    opened: Vec<String>,
}

impl Notices {
    /// The notices to show now, oldest first.
    pub fn take(&mut self, after: Duration, scene: &Scene, event: &Event) -> Vec<String> {
        let mut shown = match event {
            Event::Tick => self.release(|held| after >= held.last_shown + PAUSE, after),
            Event::RunEnded => self.release(|_| true, after),
            _ => Vec::new(),
        };
        let texts = wording::wording(after, scene, event);
        match event {
            Event::WaveStarted { .. } => {
                self.opened = texts;
                return shown;
            }
            Event::WaveEnded { wave } if !self.opened.is_empty() => {
                self.opened.clear();
                shown.extend(wording::idle_wave(scene, *wave));
                return shown;
            }
            // another slowing after full speed is news again
            Event::RateRestored { .. } => self.forget_told(THROTTLED),
            _ => {}
        }
        if !costs_nothing(event) {
            shown.append(&mut self.opened);
        }
        match sort(event) {
            None => shown.extend(texts),
            Some(sort) => {
                let is_throttle = sort.0 == THROTTLED;
                let held = self.held.entry(sort).or_default();
                for text in texts {
                    if is_throttle && text == held.last_told {
                        held.repeated += 1;
                    } else {
                        shown.extend(held.pass(after, text));
                    }
                }
            }
        }
        shown
    }

    fn forget_told(&mut self, kind: &str) {
        for (_, held) in self.held.iter_mut().filter(|(sort, _)| sort.0 == kind) {
            held.last_told.clear();
        }
    }

    fn release(&mut self, due: impl Fn(&Held) -> bool, after: Duration) -> Vec<String> {
        let due = self.held.values_mut().filter(|held| held.waiting > 0 && due(held));
        due.map(|held| held.tell(after)).collect()
    }
}

impl Held {
    fn pass(&mut self, after: Duration, text: String) -> Option<String> {
        self.waiting += 1;
        self.last_text = text;
        if self.shown >= SHOWN_AT_ONCE && after < self.last_shown + PAUSE {
            return None;
        }
        Some(self.tell(after))
    }

    /// The latest notice stands for all that wait.
    fn tell(&mut self, after: Duration) -> String {
        let others = self.waiting.saturating_sub(1) + std::mem::take(&mut self.repeated);
        self.shown = self.shown.saturating_add(1);
        self.last_shown = after;
        self.waiting = 0;
        let text = std::mem::take(&mut self.last_text);
        self.last_told.clone_from(&text);
        match others {
            0 => text,
            others => format!("{text} {}", paint::quiet(&format!("(and {} more)", format::count(others)))),
        }
    }
}

/// True for what is known of a job without a request: a wave in which nothing else happens had nothing to do.
fn costs_nothing(event: &Event) -> bool {
    match event {
        Event::JobEnded { result, .. } => result.from_earlier_run || result.outcome == Outcome::UpToDate,
        Event::RunStarted(_) | Event::Drifted { .. } => true,
        _ => false,
    }
}

/// The sort of an event's notice; none for what happens rarely enough to be shown always.
fn sort(event: &Event) -> Option<Sort> {
    let sort = match event {
        Event::Throttled { reason, .. } => (THROTTLED, reason.code.clone()),
        Event::RateRestored { .. } => ("full speed", String::new()),
        Event::ClockSkew { .. } => ("clock", String::new()),
        Event::WillRetry { reason, .. } => ("retry", reason.code.clone()),
        Event::Unconfirmed { reason, .. } => ("unconfirmed", reason.code.clone()),
        Event::NotApplied { .. } => ("not-applied", String::new()),
        Event::ReadFailed { reason } => ("sweep", reason.code.clone()),
        Event::Drifted { .. } => ("drifted", String::new()),
        Event::JobEnded { result, .. } => {
            let kind = match result.outcome {
                Outcome::Failed => "failed",
                Outcome::TimedOut => "timed-out",
                Outcome::Unknown => "unknown",
                _ => return None,
            };
            (kind, result.reason.as_ref().map_or_else(String::new, |reason| reason.code.clone()))
        }
        Event::RunStarted(_)
        | Event::WaveStarted { .. }
        | Event::WaveEnded { .. }
        | Event::SoakStarted { .. }
        | Event::SoakEnded { .. }
        | Event::Sent { .. }
        | Event::Accepted { .. }
        | Event::Stopping(_)
        | Event::Tick
        | Event::RunEnded => return None,
    };
    Some(sort)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobIndex;
    use crate::report::paint::plain;
    use crate::report::script;

    fn failures(
        notices: &mut Notices,
        scene: &Scene,
        after: Duration,
        jobs: usize,
        code: &str,
    ) -> Vec<String> {
        (0..jobs).flat_map(|at| notices.take(after, scene, &script::failed(at, code))).collect()
    }

    #[test]
    fn a_thousand_failures_in_one_second_do_not_flood_a_log() {
        let scene = script::fleet(1000).scene();
        let mut notices = Notices::default();
        let shown = failures(&mut notices, &scene, Duration::from_secs(1), 1000, "InternalError");
        assert_eq!(shown.len(), 3);
        let at_the_tick = notices.take(Duration::from_secs(11), &scene, &Event::Tick);
        assert_eq!(at_the_tick.len(), 1);
        assert!(plain(&at_the_tick[0]).ends_with("(and 996 more)"), "{at_the_tick:?}");
    }

    #[test]
    fn a_minute_of_the_same_failure_gives_one_line_in_ten_seconds() {
        let scene = script::fleet(20).scene();
        let mut notices = Notices::default();
        let mut shown = 0;
        for second in 1..=60 {
            let now = Duration::from_secs(second);
            shown += failures(&mut notices, &scene, now, 20, "InternalError").len();
            shown += notices.take(now, &scene, &Event::Tick).len();
        }
        assert!((8..=9).contains(&shown), "{shown} lines");
    }

    #[test]
    fn another_code_is_another_sort_and_is_shown_at_once() {
        let scene = script::fleet(1000).scene();
        let mut notices = Notices::default();
        failures(&mut notices, &scene, Duration::from_secs(1), 100, "InternalError");
        let other = failures(&mut notices, &scene, Duration::from_secs(1), 1, "InvalidParameter");
        assert_eq!(other.len(), 1);

        let retry = |code: &str| Event::WillRetry {
            job: JobIndex(0),
            attempt: 1,
            reason: script::reason(code, "may pass", "wait"),
            after: Duration::from_secs(1),
        };
        let mut retries = |code| notices.take(Duration::from_secs(1), &scene, &retry(code)).len();
        let shown: usize = (0..5).map(|_| retries("InternalError")).sum();
        assert_eq!((shown, retries("ResourceUnavailable")), (3, 1));
    }

    #[test]
    fn a_throttle_at_the_rate_told_last_is_counted_and_not_told() {
        let scene = script::fleet(10).scene();
        let mut notices = Notices::default();
        let mut throttled = |second, rate| {
            let reason = script::reason("RequestLimitExceeded", "requests come too fast", "none needed");
            let event = Event::Throttled { job: JobIndex(0), reason, rate };
            notices.take(Duration::from_secs(second), &scene, &event)
        };
        assert_eq!(throttled(1, 10.0).len(), 1);
        assert!(throttled(2, 10.0).is_empty() && throttled(20, 10.0).is_empty());
        let slower = throttled(21, 5.0);
        assert!(plain(&slower[0]).ends_with("slowed to 5.0/s (and 2 more)"), "{slower:?}");
        notices.take(Duration::from_secs(30), &scene, &Event::RateRestored { rate: 20.0 });
        let reason = script::reason("RequestLimitExceeded", "requests come too fast", "none needed");
        let again = Event::Throttled { job: JobIndex(0), reason, rate: 5.0 };
        assert_eq!(
            notices.take(Duration::from_secs(40), &scene, &again).len(),
            1,
            "after full speed it is news"
        );
    }

    #[test]
    fn a_wave_that_earlier_runs_settled_is_one_line() {
        let mut story = script::Story::new(&[("canary", 2), ("rest", 1)]);
        story.push(0, Event::WaveStarted { wave: 0 });
        for job in 0..2 {
            let mut event = script::settled(job, Outcome::Switched, None);
            if let Event::JobEnded { result, .. } = &mut event {
                result.from_earlier_run = true;
            }
            story.push(0, event);
        }
        story.push(1, Event::WaveEnded { wave: 0 });
        story.push(1, Event::WaveStarted { wave: 1 });
        story.switches(10, 2, 500);
        story.push(600, Event::WaveEnded { wave: 1 });
        let (mut scene, mut notices, mut told) = (story.scene(), Notices::default(), Vec::new());
        for (after, event) in &story.events[1..] {
            scene.take(*after, event);
            told.extend(notices.take(*after, &scene, event));
            scene.leave(event);
        }
        let expected = [
            "wave 1 of 2, canary: nothing left to do",
            "wave 2 of 2, rest, opens: 1 engine",
            "wave 2 of 2, rest, over after 0.6s: 1 of 1 on target",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_was_held_back_is_owned_up_to_at_the_end() {
        let scene = script::fleet(10).scene();
        let mut notices = Notices::default();
        failures(&mut notices, &scene, Duration::from_secs(1), 5, "InternalError");
        let last = notices.take(Duration::from_secs(2), &scene, &Event::RunEnded);
        assert!(plain(&last[0]).ends_with("(and 1 more)"), "{last:?}");
    }
}
