//! Which notices are shown: all at first, and no flood when a thousand engines say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Scene, paint, wording};
use crate::event::Event;
use crate::job::Outcome;
use crate::words;

/// So many notices of one sort are shown as they come.
const SHOWN_AT_ONCE: u32 = 3;
/// After those, one notice of that sort is shown in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// What makes notices the same sort of notice: what happened, and the code it happened with.
type Sort = (&'static str, String);

/// What is remembered of one sort.
#[derive(Debug, Default)]
struct Held {
    shown: u32,
    last_shown: Duration,
    waiting: usize,
    last_text: String,
}

/// Lets notices through, holds back what would be a flood, and owns up to how many it held back.
#[derive(Debug, Default)]
pub struct Notices {
    held: BTreeMap<Sort, Held>,
}

impl Notices {
    /// The notices to show now, oldest first.
    pub fn take(&mut self, after: Duration, scene: &Scene, event: &Event) -> Vec<String> {
        let mut shown = match event {
            Event::Tick => self.release(|held| after >= held.last_shown + PAUSE, after),
            Event::Closed => self.release(|_| true, after),
            _ => Vec::new(),
        };
        let texts = wording::wording(after, scene, event);
        match sort(event) {
            None => shown.extend(texts),
            Some(sort) => {
                let held = self.held.entry(sort).or_default();
                shown.extend(texts.into_iter().filter_map(|text| held.pass(after, text)));
            }
        }
        shown
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
        let others = self.waiting.saturating_sub(1);
        self.shown = self.shown.saturating_add(1);
        self.last_shown = after;
        self.waiting = 0;
        let text = std::mem::take(&mut self.last_text);
        match others {
            0 => text,
            others => format!("{text} {}", paint::quiet(&format!("(and {} more)", words::count(others)))),
        }
    }
}

/// The sort of an event's notice; none for what happens rarely enough to be shown always.
fn sort(event: &Event) -> Option<Sort> {
    let sort = match event {
        Event::Throttled { reason, .. } => ("throttled", reason.code.clone()),
        Event::FullSpeed { .. } => ("full speed", String::new()),
        Event::WillRetry { reason, .. } => ("retry", reason.code.clone()),
        Event::Doubtful { reason, .. } => ("doubtful", reason.code.clone()),
        Event::Cleared { .. } => ("cleared", String::new()),
        Event::SweepFailed { reason } => ("sweep", reason.code.clone()),
        Event::Drifted { .. } => ("drifted", String::new()),
        Event::Settled { verdict, .. } => {
            let kind = match verdict.outcome {
                Outcome::Failed => "failed",
                Outcome::Unconverged => "unconverged",
                Outcome::Unknown => "unknown",
                _ => return None,
            };
            (kind, verdict.reason.as_ref().map_or_else(String::new, |reason| reason.code.clone()))
        }
        Event::Opened(_)
        | Event::WaveOpened { .. }
        | Event::WaveClosed { .. }
        | Event::Sent { .. }
        | Event::Accepted { .. }
        | Event::Stopping(_)
        | Event::Tick
        | Event::Closed => return None,
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
    fn what_was_held_back_is_owned_up_to_at_the_end() {
        let scene = script::fleet(10).scene();
        let mut notices = Notices::default();
        failures(&mut notices, &scene, Duration::from_secs(1), 5, "InternalError");
        let last = notices.take(Duration::from_secs(2), &scene, &Event::Closed);
        assert!(plain(&last[0]).ends_with("(and 1 more)"), "{last:?}");
    }
}
