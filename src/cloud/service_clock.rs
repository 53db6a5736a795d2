//! The service's clock: that of this machine, until the service refuses the time of a signature.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::fmt::rfc2822::DateTimeParser;

/// Largest accepted difference between the two clocks, in seconds. Every time zone mistake is smaller; a larger
/// difference would sign requests for another day because of one response.
const MAX_OFFSET: i64 = 24 * 60 * 60;

/// Rounding error in seconds: `Date` has whole seconds (RFC 9110, section 5.6.7), and so have our time stamps.
const ROUNDING: i64 = 2;

/// Longest round trip in seconds from which the offset is measured: the error is up to half of it, and signatures are
/// valid for five minutes (document 1155/48995).
const MAX_ROUND_TRIP: i64 = 120;

/// The clock of this machine, and by how much the service's clock is ahead of it.
#[derive(Debug, Default)]
pub struct ServiceClock {
    ahead: AtomicI64,
}

/// When a response arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// By this machine's clock, in Unix seconds.
    pub(super) at: i64,
    /// Since the request was sent.
    pub(super) round_trip: Duration,
}

impl ServiceClock {
    /// Unix seconds by the service's clock.
    pub fn now(&self) -> i64 {
        unix_seconds(SystemTime::now()).saturating_add(self.ahead())
    }

    /// Seconds by which the service's clock is ahead of this machine's.
    pub fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Measures the offset from the `Date` of a response that refused the time of a signature. The error says why that
    /// was not possible.
    pub(super) fn adjust(&self, date: Option<&str>, arrival: Arrival) -> Result<(), String> {
        let date = date.ok_or("the response has no Date header, so the service's time is unknown")?;
        let theirs = DateTimeParser::new()
            .parse_timestamp(date)
            // the header is not repeated: it may contain anything, also secrets of the request
            .map_err(|_| "the Date header of the response is not a date".to_owned())?;
        let ahead = offset(theirs.as_second(), arrival, self.ahead())?;
        self.ahead.store(ahead, Ordering::Relaxed);
        Ok(())
    }
}

/// The offset of the service's clock. The service wrote its date between request and response, so every offset in that
/// range is possible. The current offset, or zero, is kept if it is in the range: a process that was suspended between
/// request and response must not change it.
fn offset(theirs: i64, arrival: Arrival, current: i64) -> Result<i64, String> {
    let round_trip = i64::try_from(arrival.round_trip.as_secs()).unwrap_or(i64::MAX);
    let least = theirs.saturating_sub(arrival.at).saturating_sub(ROUNDING);
    let most = theirs.saturating_sub(arrival.at).saturating_add(round_trip).saturating_add(ROUNDING);
    if let Some(possible) = [current, 0].into_iter().find(|ahead| (least..=most).contains(ahead)) {
        return Ok(possible);
    }
    if round_trip > MAX_ROUND_TRIP {
        return Err(format!(
            "the response took {round_trip} s, too long to measure the service's time from it"
        ));
    }
    let ahead = theirs.saturating_sub(arrival.at).saturating_add(round_trip / 2);
    if ahead.abs() > MAX_OFFSET {
        return Err(format!(
            "by the Date header of the response the service's clock is {} off, which is not plausible",
            crate::format::about(Duration::from_secs(ahead.unsigned_abs()))
        ));
    }
    Ok(ahead)
}

/// Seconds since 1970. A clock before that gives 0, which the service refuses with `AuthFailure.SignatureExpire`.
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

    fn after(round_trip: u64) -> Arrival {
        Arrival { at: NOW, round_trip: Duration::from_secs(round_trip) }
    }

    #[test]
    fn the_offset_is_measured_to_half_of_the_round_trip() {
        assert_eq!(offset(NOW + 600, after(0), 0), Ok(600));
        assert_eq!(offset(NOW - 600, after(0), 0), Ok(-600));
        assert_eq!(offset(NOW + 600, after(10), 0), Ok(605));
        assert_eq!(offset(NOW + 600, after(0), -900), Ok(600), "an earlier offset is corrected");
    }

    #[test]
    fn a_process_that_was_suspended_between_request_and_response_keeps_its_offset() {
        // the service may have responded at once, or just now
        assert_eq!(offset(NOW - 3_600, after(3_600), 0), Ok(0));
        assert_eq!(offset(NOW, after(3_600), 0), Ok(0));
        assert_eq!(offset(NOW + 600, after(3_600), 600), Ok(600), "the current offset is kept as well");
        assert!(offset(NOW + 9_000, after(3_600), 0).is_err());
    }

    #[test]
    fn the_offset_is_zero_again_once_this_machine_s_clock_is_corrected() {
        assert_eq!(offset(NOW, after(0), 600), Ok(0));
    }

    #[test]
    fn an_implausible_or_missing_date_changes_nothing() {
        let clock = ServiceClock::default();
        for date in [
            None,
            Some(""),
            Some("yesterday"),
            Some("Thu, 01 Jan 1970 00:00:00 GMT"),
            Some("Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert!(clock.adjust(date, after(0)).is_err(), "{date:?}");
            assert_eq!(clock.ahead(), 0, "{date:?}");
        }
        assert_eq!(clock.adjust(Some("Mon, 21 Sep 2026 14:23:20 GMT"), after(0)), Ok(()));
        assert_eq!(clock.ahead(), 1_790_000_600 - NOW);
    }

    proptest! {
        #[test]
        fn any_date_header_changes_the_offset_by_at_most_a_day_and_errors_have_one_line(
            date in prop_oneof![".{0,40}", "[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,5} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"],
        ) {
            let clock = ServiceClock::default();
            match clock.adjust(Some(&date), after(0)) {
                Ok(()) => prop_assert!(clock.ahead().abs() <= MAX_OFFSET),
                Err(why) => prop_assert!(!why.contains(char::is_control) && clock.ahead() == 0, "{}", why),
            }
        }
    }
}
