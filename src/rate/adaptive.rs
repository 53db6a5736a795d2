//! Adapts the rate: evenly spaced slots, half the rate after throttling, and back to the full rate in steps.

use std::time::Duration;

use tokio::time::Instant;

/// Least time between two reductions of the rate, and between two increases.
const STEP: Duration = Duration::from_secs(1);

/// Part of the full rate that is added in one step.
const INCREASE: f64 = 0.05;

/// Lowest part of the full rate.
const FLOOR: f64 = 0.05;

/// Late starts that may be made up for.
pub(super) const LATE_STARTS: u32 = 4;

/// Evenly spaced slots for starts, at a rate that adapts.
#[derive(Debug)]
pub(super) struct AdaptiveRate {
    /// Gap between two slots at full rate.
    full_gap: Duration,
    /// Current rate as a part of the full rate, `FLOOR..=1`.
    part: f64,
    /// The next free slot.
    slot: Instant,
    /// When the rate last changed, or the first call after a reduction was not throttled.
    changed: Option<Instant>,
    /// True from a throttled call to the next call that is not throttled; the rate does not increase in between.
    throttled: bool,
}

impl AdaptiveRate {
    pub(super) fn new(full_gap: Duration, now: Instant) -> Self {
        Self { full_gap, part: 1.0, slot: now, changed: None, throttled: false }
    }

    /// The next free slot.
    pub(super) fn slot(&self) -> Instant {
        self.slot
    }

    /// Current rate as a part of the full rate.
    pub(super) fn part(&self) -> f64 {
        self.part
    }

    /// Uses the slot for a start at `now`. A late start does not delay the slots after it, so that the rate is kept; a delay
    /// of more than [`LATE_STARTS`] gaps is not made up for, so that no burst follows a pause.
    pub(super) fn use_slot(&mut self, now: Instant) {
        self.increase(now);
        let gap = self.full_gap.div_f64(self.part);
        let oldest = now.checked_sub(gap * LATE_STARTS).unwrap_or(now);
        self.slot = self.slot.max(oldest) + gap;
    }

    /// The service throttled a call. Responses to calls that were in flight together count once.
    pub(super) fn throttled(&mut self, now: Instant) {
        self.throttled = true;
        let is_new = self.part >= 1.0 || self.changed.is_none_or(|changed| now >= changed + STEP);
        if is_new {
            self.part = (self.part / 2.0).max(FLOOR);
            self.changed = Some(now);
            self.slot = self.slot.max(now + self.full_gap.div_f64(self.part));
        }
    }

    /// A call was not throttled: the rate increases from now on.
    pub(super) fn not_throttled(&mut self, now: Instant) {
        if self.throttled {
            self.throttled = false;
            self.changed = Some(now);
        }
    }

    /// Increases the rate by one step for each second without throttling, even if no call was made in it.
    fn increase(&mut self, now: Instant) {
        if self.throttled {
            return;
        }
        while let Some(changed) = self.changed.filter(|changed| self.part < 1.0 && now >= *changed + STEP) {
            self.part = (self.part + INCREASE).min(1.0);
            self.changed = Some(changed + STEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(50);

    #[tokio::test(start_paused = true)]
    async fn throttled_responses_at_the_same_time_halve_the_rate_once() {
        let now = Instant::now();
        let mut adaptive = AdaptiveRate::new(GAP, now);
        for _ in 0..5 {
            adaptive.throttled(now);
        }
        assert!((adaptive.part() - 0.5).abs() < 1e-9, "{}", adaptive.part());
        adaptive.throttled(now + STEP);
        assert!((adaptive.part() - 0.25).abs() < 1e-9, "{}", adaptive.part());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_increases_in_steps_up_to_the_full_rate() {
        let mut now = Instant::now();
        let mut adaptive = AdaptiveRate::new(GAP, now);
        adaptive.throttled(now);
        adaptive.use_slot(now + STEP * 5);
        assert!((adaptive.part() - 0.5).abs() < 1e-9, "no increase before a call succeeds");
        adaptive.not_throttled(now);
        let mut steps = 0;
        while adaptive.part() < 1.0 {
            now += STEP;
            let before = adaptive.part();
            adaptive.use_slot(now);
            assert!(adaptive.part() > before);
            steps += 1;
        }
        assert_eq!(steps, 10);
        adaptive.use_slot(now + STEP);
        assert!(adaptive.part() <= 1.0);
        adaptive.throttled(now + STEP * 2);
        adaptive.not_throttled(now + STEP * 2);
        adaptive.use_slot(now + STEP * 7);
        assert!((adaptive.part() - 0.75).abs() < 1e-9, "idle time counts as well: {}", adaptive.part());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_never_falls_below_the_floor() {
        let mut now = Instant::now();
        let mut adaptive = AdaptiveRate::new(GAP, now);
        for _ in 0..50 {
            adaptive.throttled(now);
            now += STEP;
        }
        assert!(adaptive.part() >= FLOOR);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_start_does_not_delay_the_slots_after_it() {
        let start = Instant::now();
        let mut adaptive = AdaptiveRate::new(GAP, start);
        adaptive.use_slot(start + Duration::from_millis(20));
        assert_eq!(adaptive.slot(), start + GAP);
        let much_later = start + Duration::from_secs(5);
        adaptive.use_slot(much_later);
        assert_eq!(adaptive.slot(), much_later - GAP * (LATE_STARTS - 1), "no burst follows a pause");
    }
}
