//! The flags that a seed gives to the command.

use std::time::Duration;

use dlc_fleet::pace::{Delays, Rate, Schedule};
use dlc_fleet::run::Rules;
use fastrand::Rng;

use crate::random::{between, chance};

const SECOND: Duration = Duration::from_secs(1);

/// Random flags. Without `unusual` ones the command looks at engines and waits for them.
pub fn draw(random: &mut Rng) -> Rules {
    let defaults = Rules::default();
    let rate = if chance(random, 0.5) { 20 } else { random.u32(1..=20) };
    let settle = between(random, SECOND / 2, SECOND * 10);
    let fast = |schedule: Schedule| Schedule { first: schedule.first / 4, longest: schedule.longest / 4 };
    let delays = defaults.delays;
    let fast = Delays { transient: fast(delays.transient), busy: fast(delays.busy) };
    Rules {
        rate: Rate::new(rate).unwrap_or(defaults.rate),
        concurrency: if chance(random, 0.3) { random.usize(1..=8) } else { defaults.concurrency },
        max_attempts: if chance(random, 0.5) { random.u32(1..=6) } else { defaults.max_attempts },
        request_timeout: between(random, SECOND, SECOND * 30),
        grace: between(random, SECOND * 3, SECOND * 60),
        wait_timeout: between(random, SECOND * 30, SECOND * 600),
        settle,
        sweep_every: (settle / 2).clamp(Duration::from_millis(200), defaults.sweep_every),
        delays: if chance(random, 0.5) { fast } else { delays },
        ..defaults
    }
}

/// Rarely used flags, for a single run.
pub fn with_unusual_flags(random: &mut Rng, rules: Rules) -> Rules {
    let mut rules = rules;
    match random.u8(..3) {
        0 => rules.wait = false,
        1 => (rules.wait, rules.read_back) = (false, false),
        _ => rules.grace = Duration::ZERO,
    }
    rules
}
