//! Draws the flags of the command.

use std::time::Duration;

use dlc_fleet::rate::{Delays, Rate, Schedule};
use dlc_fleet::run::RunOptions;
use fastrand::Rng;

use crate::random::{between, chance};

const SECOND: Duration = Duration::from_secs(1);

/// Draws flags with which the command verifies engines and waits for them.
pub fn draw(random: &mut Rng) -> RunOptions {
    let defaults = RunOptions::default();
    let rate = if chance(random, 0.5) { 20 } else { random.u32(1..=20) };
    let min_ready = between(random, SECOND / 2, SECOND * 10);
    let shorter = |schedule: Schedule| Schedule { first: schedule.first / 4, longest: schedule.longest / 4 };
    let delays = defaults.delays;
    let short = Delays { transient: shorter(delays.transient), busy: shorter(delays.busy) };
    RunOptions {
        rate: Rate::new(rate).unwrap_or(defaults.rate),
        concurrency: if chance(random, 0.3) { random.usize(1..=8) } else { defaults.concurrency },
        max_attempts: if chance(random, 0.5) { random.u32(1..=6) } else { defaults.max_attempts },
        request_timeout: between(random, SECOND, SECOND * 30),
        resend_after: between(random, SECOND * 3, SECOND * 60),
        wait_timeout: between(random, SECOND * 30, SECOND * 600),
        min_ready,
        poll_interval: (min_ready / 2).clamp(Duration::from_millis(200), defaults.poll_interval),
        delays: if chance(random, 0.5) { short } else { delays },
        ..defaults
    }
}

/// Draws rarely used flags for a single run.
pub fn with_unusual_flags(random: &mut Rng, options: RunOptions) -> RunOptions {
    let mut options = options;
    match random.u8(..3) {
        0 => options.wait = false,
        1 => (options.wait, options.verify) = (false, false),
        _ => options.resend_after = Duration::ZERO,
    }
    options
}
