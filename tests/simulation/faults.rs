//! The kinds of fault, which of them a seed has, and how often each occurs.

use std::time::Duration;

use fastrand::Rng;

use crate::random::{between, chance, up_to};

/// Declares the kinds of fault with the name and the share of seeds that have each of them.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $share:literal;)+) => {
        /// A kind of fault. Each can be disabled by its name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Its name in commands and reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// The share of seeds that have it.
            fn share(self) -> f64 {
                match self {
                    $(Self::$kind => $share,)+
                }
            }
        }
    };
}

kinds! {
    /// A read shows an earlier state.
    Stale = "stale", 0.15;
    /// A listing omits engines but counts them.
    Omit = "omit", 0.10;
    /// The order of a listing changes between its pages.
    Shift = "shift", 0.06;
    /// A listing shows an engine twice, possibly once in an earlier state.
    Duplicate = "duplicate", 0.06;
    /// A listing shows an engine again in the place of another one.
    Repeat = "repeat", 0.05;
    /// There are so many engines that listings have several pages.
    Crowd = "crowd", 0.03;
    /// A record has no image or no state.
    Blank = "blank", 0.06;
    /// A read is refused with a temporary code.
    ReadRefused = "read-refused", 0.10;
    /// A read has no response.
    ReadLost = "read-lost", 0.10;
    /// A read never returns.
    ReadHangs = "read-hangs", 0.06;
    /// A read is throttled.
    ReadThrottled = "read-throttled", 0.06;
    /// A read is refused once as an unknown action, although the action exists.
    ReadUnknownAction = "read-unknown-action", 0.03;
    /// A read is refused once because of the region, although the region is served.
    ReadUnservedRegion = "read-unserved-region", 0.03;
    /// A request is not sent.
    NotSent = "not-sent", 0.08;
    /// A request is lost before the service receives it.
    LostBefore = "lost-before", 0.12;
    /// The response to a request is lost.
    LostAfter = "lost-after", 0.15;
    /// The response to a request never arrives.
    Hang = "hang", 0.08;
    /// A request is applied, and refused with a code that does not prove that it was not applied.
    RefusedApplied = "refused-applied", 0.12;
    /// A request is refused with such a code and never applied.
    RefusedOnly = "refused-only", 0.12;
    /// A request is applied after its response.
    Late = "late", 0.15;
    /// A request is accepted and never applied.
    Dropped = "dropped", 0.06;
    /// An engine that is switched stays busy.
    Stuck = "stuck", 0.06;
    /// The service applies one request twice.
    Doubled = "doubled", 0.05;
    /// A success response does not have the JSON content type.
    UnexpectedResponse = "unexpected-response", 0.06;
    /// A request is throttled.
    Throttled = "throttled", 0.10;
    /// Other clients use up the quota.
    OtherClients = "other-clients", 0.08;
    /// Other clients switch engines of the plan.
    ThirdParty = "third-party", 0.20;
    /// An engine fails after its switch.
    Breaks = "breaks", 0.10;
    /// An engine is initialising for a moment.
    Flips = "flips", 0.08;
    /// An engine is deleted.
    Vanishes = "vanishes", 0.06;
    /// An engine is suspended.
    Suspends = "suspends", 0.06;
    /// A permission is missing.
    Denied = "denied", 0.04;
    /// The account is refused for a while.
    AccountRefused = "account-refused", 0.03;
    /// A signature is refused because of its time.
    SignatureExpired = "signature-expired", 0.05;
    /// Requests and responses are slow.
    Slow = "slow", 0.15;
    /// Effects and reads come later than promised.
    Beyond = "beyond", 0.06;
    /// The process is suspended.
    Suspension = "suspension", 0.15;
    /// The process crashes at any await.
    Crash = "crash", 0.40;
    /// The process crashes while it writes a line of the ledger.
    TornWrite = "torn-write", 0.25;
    /// The ledger cannot be written from some line on.
    DiskWrite = "disk-write", 0.06;
    /// The ledger cannot be synced from some line on.
    DiskSync = "disk-sync", 0.06;
    /// The wall clock is wrong and jumps.
    WrongClock = "wrong-clock", 0.15;
    /// A signal stops the run.
    Signal = "signal", 0.10;
    /// The plan is edited between runs.
    Edit = "edit", 0.25;
    /// Targets are minor versions.
    Minor = "minor", 0.12;
    /// The service cannot list engines, so they are read by name.
    ByName = "by-name", 0.08;
    /// Failed rows are released by their expected image.
    Release = "release", 0.15;
    /// Unusual flags.
    Flags = "flags", 0.12;
}

/// Kinds of fault that are disabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without(u64);

impl Without {
    /// Disables one more kind.
    pub fn and(self, kind: Kind) -> Self {
        Self(self.0 | (1 << kind as u64))
    }

    /// True if the kind is disabled.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u64) != 0
    }

    /// Disables all kinds but these names, separated by commas.
    pub fn all_but(names: &str) -> Result<Self, String> {
        let mut without = Kind::ALL.iter().fold(Self::default(), |without, kind| without.and(*kind));
        for name in names.split(',').filter(|name| !["", "none"].contains(name)) {
            let kind = Kind::ALL.iter().find(|kind| kind.name() == name);
            let kind = kind.ok_or_else(|| format!("there is no fault {name:?}"))?;
            without.0 &= !(1 << *kind as u64);
        }
        Ok(without)
    }
}

/// The faults of one seed.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The probability of each kind, zero if the seed does not have it.
    chances: Vec<f64>,
    /// Greatest age of the state that a read shows.
    pub longest_staleness: Duration,
    /// How long after it was sent a request may still be applied.
    pub latest_effect: Duration,
    /// True if the records of one read may show different moments.
    pub mixed_moments: bool,
    /// False once the faults have ended.
    on: bool,
}

impl Faults {
    /// The faults of a seed, for a service whose effects are visible within `promise`, unless the seed has `Beyond`.
    pub fn draw(random: &mut Rng, promise: Duration, without: Without) -> Self {
        let mut chances = Vec::with_capacity(Kind::ALL.len());
        for kind in Kind::ALL {
            let (on, often) = (chance(random, kind.share()), 0.02 * 25f64.powf(random.f64()));
            chances.push(if on && !without.contains(*kind) { often } else { 0.0 });
        }
        let (part, beyond) = (random.f64(), between(random, Duration::from_secs(1), Duration::from_secs(6)));
        let (late, mixed_moments) = (up_to(random, promise), random.bool());
        let mut faults = Self {
            chances,
            longest_staleness: Duration::ZERO,
            latest_effect: Duration::ZERO,
            mixed_moments,
            on: true,
        };
        if faults.has(Kind::Stale) {
            faults.longest_staleness = promise.mul_f64(part * 0.9);
        }
        if faults.has(Kind::Late) {
            faults.latest_effect = promise.saturating_sub(faults.longest_staleness).max(late / 100);
        }
        if faults.has(Kind::Beyond) {
            faults.longest_staleness = faults.longest_staleness.mul_f64(beyond.as_secs_f64());
            faults.latest_effect = faults.latest_effect.mul_f64(beyond.as_secs_f64());
        }
        faults
    }

    /// True if the seed has a kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.chances[kind as usize] > 0.0
    }

    /// The kinds that the seed has.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(|kind| self.has(*kind))
    }

    /// Draws whether a kind occurs now.
    pub fn occurs(&self, kind: Kind, random: &mut Rng) -> bool {
        // drawn in any case, so that disabling a kind changes as little else as possible
        let drawn = random.f64();
        self.on && drawn < self.chances[kind as usize]
    }

    /// True once the faults have ended.
    pub fn have_ended(&self) -> bool {
        !self.on
    }

    /// Ends all faults.
    pub fn end(&mut self) {
        self.on = false;
        self.longest_staleness = Duration::ZERO;
    }
}
