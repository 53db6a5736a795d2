//! The rate of the moment: even slots, half as many after a throttle, and step by step back to the full rate.

use std::time::Duration;

use tokio::time::Instant;

/// Between two throttles that count, and between two steps back up.
const STEP: Duration = Duration::from_secs(1);

/// Part of the full rate that is regained in one step.
const REGAIN: f64 = 0.05;

/// Part of the full rate that is never given up.
const FLOOR: f64 = 0.05;

/// Starts that may be made up after they came late.
pub(super) const LATE_STARTS: u32 = 4;

/// Hands out evenly spaced slots.
#[derive(Debug)]
pub(super) struct AdaptiveRate {
    /// Gap between two slots at full rate.
    full_gap: Duration,
    /// Part of the full rate in force, `FLOOR..=1`.
    part: f64,
    /// The next free slot.
    slot: Instant,
    /// When the rate last went down or up, or the first call passed after it went down.
    changed: Option<Instant>,
    /// True between a throttle and the next call that passes: nothing is regained then.
    throttled: bool,
}

impl AdaptiveRate {
    pub(super) fn new(full_gap: Duration, now: Instant) -> Self {
        Self { full_gap, part: 1.0, slot: now, changed: None, throttled: false }
    }

    /// When the next start has its slot.
    pub(super) fn slot(&self) -> Instant {
        self.slot
    }

    /// Part of the full rate in force.
    pub(super) fn part(&self) -> f64 {
        self.part
    }

    /// Takes the slot for a start at `now`. A start that came late does not move the slots after it, so that
    /// the rate holds; more lateness than [`LATE_STARTS`] gaps is forgotten, so that a pause is not made up in a burst.
    pub(super) fn take(&mut self, now: Instant) {
        self.regain(now);
        let gap = self.full_gap.div_f64(self.part);
        let oldest = now.checked_sub(gap * LATE_STARTS).unwrap_or(now);
        self.slot = self.slot.max(oldest) + gap;
    }

    /// The service said "too fast". Answers that were under way together count once.
    pub(super) fn throttled(&mut self, now: Instant) {
        self.throttled = true;
        let counts = self.part >= 1.0 || self.changed.is_none_or(|changed| now >= changed + STEP);
        if counts {
            self.part = (self.part / 2.0).max(FLOOR);
            self.changed = Some(now);
            self.slot = self.slot.max(now + self.full_gap.div_f64(self.part));
        }
    }

    /// A call passed the limit: from now on the rate comes back.
    pub(super) fn passed(&mut self, now: Instant) {
        if self.throttled {
            self.throttled = false;
            self.changed = Some(now);
        }
    }

    /// One step for each second without a throttle, whether or not anything was sent in it.
    fn regain(&mut self, now: Instant) {
        if self.throttled {
            return;
        }
        while let Some(changed) = self.changed.filter(|changed| self.part < 1.0 && now >= *changed + STEP) {
            self.part = (self.part + REGAIN).min(1.0);
            self.changed = Some(changed + STEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(50);

    #[tokio::test(start_paused = true)]
    async fn throttles_that_come_together_halve_the_rate_once() {
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
    async fn the_rate_is_regained_step_by_step_and_never_exceeded() {
        let mut now = Instant::now();
        let mut adaptive = AdaptiveRate::new(GAP, now);
        adaptive.throttled(now);
        adaptive.take(now + STEP * 5);
        assert!((adaptive.part() - 0.5).abs() < 1e-9, "nothing is regained before a call passes");
        adaptive.passed(now);
        let mut steps = 0;
        while adaptive.part() < 1.0 {
            now += STEP;
            let before = adaptive.part();
            adaptive.take(now);
            assert!(adaptive.part() > before);
            steps += 1;
        }
        assert_eq!(steps, 10);
        adaptive.take(now + STEP);
        assert!(adaptive.part() <= 1.0);
        adaptive.throttled(now + STEP * 2);
        adaptive.passed(now + STEP * 2);
        adaptive.take(now + STEP * 7);
        assert!((adaptive.part() - 0.75).abs() < 1e-9, "an idle time counts as well: {}", adaptive.part());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_never_falls_to_nothing() {
        let mut now = Instant::now();
        let mut adaptive = AdaptiveRate::new(GAP, now);
        for _ in 0..50 {
            adaptive.throttled(now);
            now += STEP;
        }
        assert!(adaptive.part() >= FLOOR);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_start_does_not_move_the_slots_after_it() {
        let start = Instant::now();
        let mut adaptive = AdaptiveRate::new(GAP, start);
        adaptive.take(start + Duration::from_millis(20));
        assert_eq!(adaptive.slot(), start + GAP);
        let much_later = start + Duration::from_secs(5);
        adaptive.take(much_later);
        assert_eq!(
            adaptive.slot(),
            much_later - GAP * (LATE_STARTS - 1),
            "a pause is not made up in a burst"
        );
    }
}
