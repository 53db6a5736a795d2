//! The time as the service believes it to be: this machine's, until the service refuses a signature because of it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::fmt::rfc2822::DateTimeParser;

/// Seconds by which a service's clock is believed to differ from ours. Every time zone mistake is smaller; what is
/// larger would have us sign for another day on the word of whoever answered.
const FURTHEST: i64 = 24 * 60 * 60;

/// `Date` has whole seconds (RFC 9110, section 5.6.7), and so have our time stamps.
const COARSE: i64 = 2;

/// Longest time between request and answer in which the service's clock can be read: half of it is how wrong the
/// reading may be, and signatures are good for five minutes (document 1155/48995).
const LONGEST_WAIT: i64 = 120;

/// This machine's clock, and how far the service's is ahead of it.
#[derive(Debug, Default)]
pub struct ServiceClock {
    ahead: AtomicI64,
}

/// When an answer came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// By this machine's clock, in Unix seconds.
    pub(super) at: i64,
    /// Since its request left.
    pub(super) after: Duration,
}

impl ServiceClock {
    /// Unix seconds, as the service counts them.
    pub fn now(&self) -> i64 {
        unix_seconds(SystemTime::now()).saturating_add(self.ahead())
    }

    /// Seconds by which the service's clock is ahead of this machine's.
    pub fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Learns from the `Date` of an answer that refused a signature as too old or too new. The error says why
    /// nothing could be learned.
    pub(super) fn learn(&self, date: Option<&str>, came: Came) -> Result<(), String> {
        let date = date.ok_or("the answer has no Date, so the service's time is not known")?;
        let theirs = DateTimeParser::new()
            .parse_timestamp(date)
            // it may hold anything, also what was sent
            .map_err(|_| "the answer's Date is no date".to_owned())?;
        let ahead = settle(theirs.as_second(), came, self.ahead())?;
        self.ahead.store(ahead, Ordering::Relaxed);
        Ok(())
    }
}

/// How far the service is ahead. It wrote its date some time between request and answer, so every difference in
/// that span is possible; one that is in use already, or none at all, is kept if it is among them. So a process that
/// was suspended between request and answer learns nothing wrong from it.
fn settle(theirs: i64, came: Came, in_use: i64) -> Result<i64, String> {
    let waited = i64::try_from(came.after.as_secs()).unwrap_or(i64::MAX);
    let least = theirs.saturating_sub(came.at).saturating_sub(COARSE);
    let most = theirs.saturating_sub(came.at).saturating_add(waited).saturating_add(COARSE);
    if let Some(possible) = [in_use, 0].into_iter().find(|ahead| (least..=most).contains(ahead)) {
        return Ok(possible);
    }
    if waited > LONGEST_WAIT {
        return Err(format!("the answer took {waited} s, too long to tell the service's time from it"));
    }
    let ahead = theirs.saturating_sub(came.at).saturating_add(waited / 2);
    if ahead.abs() > FURTHEST {
        return Err(format!(
            "by the answer's Date the service's clock is {} away, too far to be believed",
            crate::format::about(Duration::from_secs(ahead.unsigned_abs()))
        ));
    }
    Ok(ahead)
}

/// Seconds since 1970. A clock before that gives 0, which the service answers with `AuthFailure.SignatureExpire`.
pub(super) fn unix_seconds(moment: SystemTime) -> i64 {
    moment
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_oneof, proptest};

    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn came(after: u64) -> Came {
        Came { at: NOW, after: Duration::from_secs(after) }
    }

    #[test]
    fn a_clock_that_is_off_is_found_out_to_within_the_wait() {
        assert_eq!(settle(NOW + 600, came(0), 0), Ok(600));
        assert_eq!(settle(NOW - 600, came(0), 0), Ok(-600));
        assert_eq!(settle(NOW + 600, came(10), 0), Ok(605));
        assert_eq!(settle(NOW + 600, came(0), -900), Ok(600), "what was learned before is corrected");
    }

    #[test]
    fn a_process_that_was_suspended_between_request_and_answer_learns_nothing_from_it() {
        // the answer was written as soon as the request had come, or only just now
        assert_eq!(settle(NOW - 3_600, came(3_600), 0), Ok(0));
        assert_eq!(settle(NOW, came(3_600), 0), Ok(0));
        assert_eq!(settle(NOW + 600, came(3_600), 600), Ok(600), "nor does it forget what it knew");
        assert!(settle(NOW + 9_000, came(3_600), 0).is_err());
    }

    #[test]
    fn a_clock_that_was_set_right_meanwhile_needs_no_correction_any_more() {
        assert_eq!(settle(NOW, came(0), 600), Ok(0));
    }

    #[test]
    fn an_absurd_date_or_none_at_all_is_not_believed() {
        let clock = ServiceClock::default();
        for date in [
            None,
            Some(""),
            Some("yesterday"),
            Some("Thu, 01 Jan 1970 00:00:00 GMT"),
            Some("Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert!(clock.learn(date, came(0)).is_err(), "{date:?}");
            assert_eq!(clock.ahead(), 0, "{date:?}");
        }
        assert_eq!(clock.learn(Some("Mon, 21 Sep 2026 14:23:20 GMT"), came(0)), Ok(()));
        assert_eq!(clock.ahead(), 1_790_000_600 - NOW);
    }

    proptest! {
        #[test]
        fn no_text_in_place_of_a_date_is_believed_beyond_a_day_or_makes_an_error_of_several_lines(
            date in prop_oneof![".{0,40}", "[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,5} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"],
        ) {
            let clock = ServiceClock::default();
            match clock.learn(Some(&date), came(0)) {
                Ok(()) => prop_assert!(clock.ahead().abs() <= FURTHEST),
                Err(why) => prop_assert!(!why.contains(char::is_control) && clock.ahead() == 0, "{}", why),
            }
        }
    }
}
