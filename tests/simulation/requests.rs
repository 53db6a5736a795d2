//! What becomes of a switch request: read, judged, answered, applied, and brought to its end by the service.

use std::time::Duration;

use crate::engine::{FAILED, INITIALISING, Moment, Operation, RUNNING, Shown};
use crate::faults::Kind;
use crate::oracle::Rule;
use crate::others::Deed;
use crate::random::{between, one_of, up_to};
use crate::records::Key;
use crate::world::{Happening, Meanwhile, World};

/// Refusals that pass and do not prove that nothing was applied.
const SERVER_FAULTS: [&str; 3] =
    ["InternalError", "InternalError.InternalSystemException", "ServiceUnavailable"];

/// Refusals that do not pass and do not prove it either.
const UNPROVEN: [&str; 6] = [
    "FailedOperation",
    "FailedOperation.SwitchFailed",
    "ResourceUnavailable",
    "ResourceUnavailable.EngineNotAvailable",
    "Strange.NeverHeardOf",
    "UnexpectedFailure",
];

/// Refusals as too fast.
const THROTTLES: [&str; 3] = [
    "RequestLimitExceeded",
    "RequestLimitExceeded.UinLimitExceeded",
    "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
];

/// Requests of one action that the service takes in a second.
const QUOTA: usize = 20;

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Accepted {
        problem: bool,
    },
    Refused(&'static str),
    /// The time or the token of the signature is not accepted.
    SignatureExpired,
    /// The connection breaks.
    Lost,
    /// Nothing ever comes back.
    Never,
}

/// One request of the tool.
#[derive(Clone, Debug)]
pub struct Request {
    pub key: Key,
    pub engine: Option<usize>,
    pub run: usize,
    pub departed: Moment,
    pub arrives: Moment,
    /// The shortest time that this or a later run waits before it sends again what is not confirmed.
    pub patience: Duration,
    /// What the service says, and when.
    pub reply: Option<(Moment, Reply)>,
    /// What the tool got of that, once it did.
    pub delivered: Option<Reply>,
    /// When it was applied.
    pub begun: Option<Moment>,
    /// When every read that is not stale shows that.
    pub shows: Option<Moment>,
    /// When the engine went to something else after it.
    pub left: Option<Moment>,
    /// True once its engine ran the target.
    pub arrived: bool,
}

impl Request {
    /// True where its effect showed so early that no other request must have left before it was seen.
    pub fn shows_in_time(&self, staleness: Duration) -> bool {
        self.shows.is_some_and(|shows| shows + staleness <= self.departed + self.patience)
    }

    /// True where its effect had gone before a `later` request left.
    fn was_gone_before(&self, later: &Self) -> bool {
        self.left.is_some_and(|left| left <= later.departed)
    }
}

impl World {
    /// A request leaves the tool. Returns its number.
    pub fn departs(&mut self, key: Key, engine: Option<usize>) -> usize {
        let patience = self.process.options.resend_after;
        let number = self.requests.len();
        let arrives = self.moment + self.latency();
        self.requests.push(Request {
            key,
            engine,
            run: self.process.run,
            departed: self.moment,
            arrives,
            patience,
            reply: None,
            delivered: None,
            begun: None,
            shows: None,
            left: None,
            arrived: false,
        });
        self.figures.requests += 1;
        self.schedule(arrives, Happening::Arrives(number));
        number
    }

    /// The service reads a request.
    pub fn arrives(&mut self, number: usize) {
        let reply = self.judge(number);
        let latency = self.latency();
        let request = &mut self.requests[number];
        request.reply = Some((self.moment + latency, reply.clone()));
        let key = request.key.clone();
        self.trace.say_at(self.moment, "service", || {
            format!("reads request {number} for {} to {}: {reply:?}", key.1, key.2)
        });
        if matches!(reply, Reply::Lost | Reply::Never) {
            self.figures.lost_answers += 1;
        }
        if let Some(engine) = self.requests[number].engine {
            self.meddle_soon(engine);
        }
    }

    /// The tool has the answer.
    pub fn answered(&mut self, number: usize, reply: Reply) {
        let is_throttle = matches!(reply, Reply::Refused(code) if THROTTLES.contains(&code));
        let is_answer = matches!(reply, Reply::Refused(_) | Reply::Accepted { .. });
        let moment = self.now();
        if is_throttle {
            self.process.throttled_since.get_or_insert((moment, Duration::ZERO));
        } else if is_answer {
            self.process.throttled_since = None;
        }
        self.requests[number].delivered = Some(reply);
    }

    /// What the service answers, and whether it does what it was asked.
    fn judge(&mut self, number: usize) -> Reply {
        let quota_is_used = self.quota_is_used();
        if quota_is_used || self.strikes(Kind::Throttled) {
            return Reply::Refused(one_of(&mut self.random, &THROTTLES));
        }
        if self.strikes(Kind::SignatureExpired) {
            return Reply::SignatureExpired;
        }
        if self.strikes(Kind::AccountRefused) {
            return Reply::Refused(one_of(
                &mut self.random,
                &["AuthFailure.SecretIdNotFound", "IpInBlacklist"],
            ));
        }
        if self.strikes(Kind::Denied) {
            let codes = ["UnauthorizedOperation", "FailedOperation.NoPermissionToUseTheDataEngine"];
            return Reply::Refused(one_of(&mut self.random, &codes));
        }
        if self.strikes(Kind::LostBefore) {
            return self.lost();
        }
        if self.strikes(Kind::RefusedOnly) {
            return self.unproven();
        }
        if let Some(code) = self.objection(number) {
            return Reply::Refused(code);
        }
        self.take(number)
    }

    /// The service takes a request. What it answers may be something else.
    fn take(&mut self, number: usize) -> Reply {
        if !self.strikes(Kind::Dropped) {
            let at = self.begins(number);
            self.schedule(at, Happening::Applied(number));
        }
        if self.strikes(Kind::LostAfter) {
            return self.lost();
        }
        if self.strikes(Kind::Hang) {
            return Reply::Never;
        }
        if self.strikes(Kind::RefusedApplied) {
            return self.unproven();
        }
        Reply::Accepted { problem: self.strikes(Kind::DoubtfulReceipt) }
    }

    /// When a request that was taken is applied.
    fn begins(&mut self, number: usize) -> Moment {
        let late = self.strikes(Kind::Late);
        let latest = self.faults.latest_effect;
        let drawn = up_to(&mut self.random, latest);
        let at_latest = self.random.bool();
        if !late {
            return self.moment;
        }
        // the very last moment is where mistakes are
        let delay = if at_latest { latest.mul_f64(0.98) } else { drawn };
        self.moment.max(self.requests[number].departed + delay)
    }

    fn lost(&mut self) -> Reply {
        if self.random.u8(..4) == 0 { Reply::Never } else { Reply::Lost }
    }

    fn unproven(&mut self) -> Reply {
        let server_fault = self.random.bool();
        let (first, second) = (one_of(&mut self.random, &SERVER_FAULTS), one_of(&mut self.random, &UNPROVEN));
        Reply::Refused(if server_fault { first } else { second })
    }

    fn quota_is_used(&mut self) -> bool {
        let second = Duration::from_secs(1);
        let (now, habits) = (self.moment, &self.habits);
        let others = habits.other_clients.filter(|(from, until, _)| (*from..*until).contains(&now));
        let others = others.filter(|_| !self.faults.are_over()).map_or(0, |(_, _, takes)| takes);
        self.arrivals.retain(|arrival| *arrival + second > now);
        self.arrivals.push(now);
        // messages bunch up on their way, which is no fault of the tool, so there is some room
        others > 0 && self.arrivals.len() + others > QUOTA
    }

    /// What the service checks before it does anything.
    fn objection(&mut self, number: usize) -> Option<&'static str> {
        let request = &self.requests[number];
        let shown = request.engine.and_then(|engine| self.engines[engine].now());
        let Some(shown) = shown else { return Some("ResourceNotFound.DataEngineNotFound") };
        let is_minor = !self.images.iter().any(|image| image.id == request.key.2);
        match shown.state {
            _ if self.versions_of(&request.key.2).is_none() => Some("ResourceNotFound.ImageVersionNotFound"),
            _ if is_minor && !self.habits.accepts_minor => {
                Some("InvalidParameter.ImageUserRecordsTypeNotMatch")
            }
            RUNNING => None,
            INITIALISING if self.habits.takes_while_busy => None,
            INITIALISING => {
                let codes =
                    ["FailedOperation.AnotherRequestProcessing", "FailedOperation.AnotherProcessRunning"];
                Some(one_of(&mut self.random, &codes))
            }
            _ => Some("ResourceNotFound.DataEngineNotActivity"),
        }
    }

    /// A request is applied, unless its engine cannot be switched any more.
    pub fn applied(&mut self, number: usize) {
        let Some(engine) = self.requests[number].engine else { return };
        let target = self.requests[number].key.2.clone();
        let Some(to) = self.versions_of(&target) else { return };
        let able =
            self.engines[engine].now().is_some_and(|shown| [INITIALISING, RUNNING].contains(&shown.state));
        let moment = self.moment;
        if !able || self.requests[number].begun.is_some_and(|begun| begun == moment) {
            return;
        }
        let again = self.requests[number].begun.is_some();
        self.trace.say_at(self.moment, "service", || {
            format!("applies request {number} for engine {engine}{}", if again { " again" } else { "" })
        });
        let finishes = self.begin_switch(engine, to);
        if again {
            self.figures.doubled_by_service += 1;
            return;
        }
        if self.strikes(Kind::Doubled) {
            let later = moment + between(&mut self.random, Duration::from_secs(1), Duration::from_secs(90));
            self.schedule(later, Happening::Applied(number));
        }
        let request = &mut self.requests[number];
        request.begun = Some(moment);
        let is_silent = self.habits.shows == Meanwhile::Nothing;
        request.shows = if is_silent { finishes } else { Some(moment) };
        self.compare_with_others(number);
    }

    /// An engine begins to switch. Returns when that will be over, if ever.
    pub fn begin_switch(&mut self, engine: usize, to: (String, String)) -> Option<Moment> {
        let shown = self.engines[engine].now().cloned()?;
        let (moment, serial) = (self.moment, self.next_serial());
        let from = match &self.engines[engine].operation {
            Some(operation) => operation.from.clone(),
            None => shown.clone(),
        };
        let (least, most) = self.habits.switching;
        let takes = least + up_to(&mut self.random, most.saturating_sub(least));
        let stuck = self.strikes(Kind::Stuck);
        let finishes = (!stuck).then_some(moment + takes);
        self.pass_on(engine, &to, finishes);
        if self.habits.shows != Meanwhile::Nothing && (stuck || !takes.is_zero()) {
            let is_new = self.habits.shows == Meanwhile::NewImage;
            let (image, child) = if is_new { to.clone() } else { (shown.image, shown.child) };
            self.engines[engine].show(moment, Some(Shown { state: INITIALISING, image, child }));
        }
        self.engines[engine].operation = Some(Operation { serial, to, from });
        if let Some(finishes) = finishes {
            self.schedule(finishes, Happening::Finished { engine, serial });
        }
        finishes
    }

    /// What a new switch means for the requests that were applied to its engine before.
    fn pass_on(&mut self, engine: usize, to: &(String, String), finishes: Option<Moment>) {
        let (moment, is_silent) = (self.moment, self.habits.shows == Meanwhile::Nothing);
        let is_affected = |request: &&mut Request| {
            request.engine == Some(engine) && request.begun.is_some() && request.left.is_none()
        };
        for request in self.requests.iter_mut().filter(is_affected) {
            let stays = request.key.2 == to.0 || request.key.2 == to.1;
            request.left = (!stays).then_some(moment);
            if is_silent && request.shows.is_none_or(|shows| shows > moment) {
                request.shows = finishes;
            }
        }
    }

    /// A switch comes to its end, one way or another.
    pub fn finished(&mut self, engine: usize, serial: u64) {
        let breaks = self.strikes(Kind::Breaks);
        let Some(operation) = self.engines[engine].operation.take_if(|operation| operation.serial == serial)
        else {
            return;
        };
        if self.engines[engine].now().is_none() {
            return;
        }
        let (image, child) = operation.to;
        let moment = self.moment;
        if breaks {
            self.trace.say_at(self.moment, "service", || format!("engine {engine} fails after its switch"));
            self.leave(engine);
            self.engines[engine].disturbed = true;
            self.engines[engine].show(moment, Some(Shown { state: FAILED, image, child }));
            let back = moment + between(&mut self.random, Duration::from_secs(1), Duration::from_secs(300));
            self.schedule(back, Happening::Deed { engine, deed: Deed::ComeBack(operation.from) });
            return;
        }
        self.trace.say_at(self.moment, "service", || format!("engine {engine} runs {image} ({child})"));
        for request in self.requests.iter_mut().filter(|request| request.engine == Some(engine)) {
            let is_target = request.key.2 == image || request.key.2 == child;
            request.arrived |= request.begun.is_some() && is_target;
        }
        self.engines[engine].show(moment, Some(Shown { state: RUNNING, image, child }));
        self.disturb_later(engine);
    }

    /// Whatever was applied to an engine is gone from it.
    pub fn leave(&mut self, engine: usize) {
        for request in &mut self.requests {
            if request.engine == Some(engine) && request.begun.is_some() && request.left.is_none() {
                request.left = Some(self.moment);
            }
        }
    }

    /// Whether a request that has just been applied should not have been sent, or an earlier one of the same engine was
    /// passed by it.
    fn compare_with_others(&mut self, number: usize) {
        let staleness = self.faults.longest_staleness;
        let one = self.requests[number].clone();
        let mut found = Vec::new();
        for (other_number, other) in self.requests.iter().enumerate() {
            if other_number == number || other.engine != one.engine || other.begun.is_none() {
                continue;
            }
            let (earlier, later) = if other.departed <= one.departed { (other, &one) } else { (&one, other) };
            if earlier.was_gone_before(later) {
                continue;
            }
            let within = earlier.shows_in_time(staleness);
            let same = earlier.key == later.key;
            // a request to another target may follow once the earlier one is at its end
            if same || earlier.shows > Some(later.departed) {
                found.push((same, within, other_number));
            }
        }
        for (same, within, other) in found {
            let what = format!("requests {other} and {number} for {} were both applied", one.key.1);
            match (same, within) {
                (true, true) => {
                    self.figures.twice_within_promise += 1;
                    self.violate(Rule::AppliedTwice, what);
                }
                (true, false) => self.figures.twice_beyond_promise += 1,
                (false, true) => self.violate(Rule::Overtaken, what),
                (false, false) => {}
            }
        }
    }
}

impl World {
    /// A run begins whose flags may be less patient than those of the runs before.
    pub fn be_patient(&mut self) {
        let patience = self.process.options.resend_after;
        for request in &mut self.requests {
            request.patience = request.patience.min(patience);
        }
    }
}
