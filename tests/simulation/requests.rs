//! The life of a switch request in the service: received, checked, responded to, applied, finished.

use std::time::Duration;

use crate::engine::{FAILED, INITIALISING, Moment, Operation, RUNNING, Shown};
use crate::faults::Kind;
use crate::oracle::Rule;
use crate::others::EngineEvent;
use crate::random::{between, one_of, up_to};
use crate::records::Key;
use crate::world::{DuringSwitch, World, WorldEvent};

/// Temporary refusals that do not prove that the request was not applied.
const SERVER_FAULTS: [&str; 3] =
    ["InternalError", "InternalError.InternalSystemException", "ServiceUnavailable"];

/// Permanent refusals that do not prove it either.
const UNCONFIRMED_CODES: [&str; 6] = [
    "FailedOperation",
    "FailedOperation.SwitchFailed",
    "ResourceUnavailable",
    "ResourceUnavailable.EngineNotAvailable",
    "Undocumented.Code",
    "UnexpectedFailure",
];

/// Throttling codes.
const THROTTLES: [&str; 3] = [
    "RequestLimitExceeded",
    "RequestLimitExceeded.UinLimitExceeded",
    "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
];

/// Requests of one action that the service accepts per second.
const QUOTA: usize = 20;

/// The response to a request.
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
    /// There is no response, and the connection stays open.
    Never,
}

/// One request of the tool.
#[derive(Clone, Debug)]
pub struct Request {
    pub key: Key,
    pub engine: Option<usize>,
    pub run: usize,
    pub sent_at: Moment,
    pub arrives: Moment,
    /// The shortest `resend_after` of this and later runs.
    pub resend_after: Duration,
    /// The response of the service, and when it was sent.
    pub reply: Option<(Moment, Reply)>,
    /// The response that the tool received, once it did.
    pub delivered: Option<Reply>,
    /// When it was applied.
    pub applied_at: Option<Moment>,
    /// When every read that is not stale shows the effect.
    pub visible_at: Option<Moment>,
    /// When its effect was replaced by another one.
    pub replaced_at: Option<Moment>,
    /// True once its engine ran on the target.
    pub reached_target: bool,
}

impl Request {
    /// True if its effect was visible so early that no other request may be sent before a read has shown it.
    pub fn is_visible_in_time(&self, staleness: Duration) -> bool {
        self.visible_at.is_some_and(|visible_at| visible_at + staleness <= self.sent_at + self.resend_after)
    }

    /// True if its effect was replaced before a `later` request was sent.
    fn was_replaced_before(&self, later: &Self) -> bool {
        self.replaced_at.is_some_and(|replaced_at| replaced_at <= later.sent_at)
    }
}

impl World {
    /// The tool sends a request. Returns its number.
    pub fn send(&mut self, key: Key, engine: Option<usize>) -> usize {
        let resend_after = self.process.options.resend_after;
        let number = self.requests.len();
        let arrives = self.moment + self.latency();
        self.requests.push(Request {
            key,
            engine,
            run: self.process.run,
            sent_at: self.moment,
            arrives,
            resend_after,
            reply: None,
            delivered: None,
            applied_at: None,
            visible_at: None,
            replaced_at: None,
            reached_target: false,
        });
        self.figures.requests += 1;
        self.schedule(arrives, WorldEvent::Arrives(number));
        number
    }

    /// The service receives a request.
    pub fn on_arrival(&mut self, number: usize) {
        let reply = self.response_to(number);
        let latency = self.latency();
        let request = &mut self.requests[number];
        request.reply = Some((self.moment + latency, reply.clone()));
        let key = request.key.clone();
        self.trace.say_at(self.moment, "service", || {
            format!("receives request {number} for {} to {}: {reply:?}", key.1, key.2)
        });
        if matches!(reply, Reply::Lost | Reply::Never) {
            self.figures.lost_responses += 1;
        }
        if let Some(engine) = self.requests[number].engine {
            self.plan_switch_by_other_client(engine);
        }
    }

    /// The tool receives the response.
    pub fn on_response(&mut self, number: usize, reply: Reply) {
        let is_throttled = matches!(reply, Reply::Refused(code) if THROTTLES.contains(&code));
        let is_response = matches!(reply, Reply::Refused(_) | Reply::Accepted { .. });
        let moment = self.now();
        if is_throttled {
            self.process.throttled_since.get_or_insert((moment, Duration::ZERO));
        } else if is_response {
            self.process.throttled_since = None;
        }
        self.requests[number].delivered = Some(reply);
    }

    /// Draws the response of the service, and whether the request is applied.
    fn response_to(&mut self, number: usize) -> Reply {
        let quota_is_used = self.quota_is_used();
        if quota_is_used || self.occurs(Kind::Throttled) {
            return Reply::Refused(one_of(&mut self.random, &THROTTLES));
        }
        if self.occurs(Kind::SignatureExpired) {
            return Reply::SignatureExpired;
        }
        if self.occurs(Kind::AccountRefused) {
            return Reply::Refused(one_of(
                &mut self.random,
                &["AuthFailure.SecretIdNotFound", "IpInBlacklist"],
            ));
        }
        if self.occurs(Kind::Denied) {
            let codes = ["UnauthorizedOperation", "FailedOperation.NoPermissionToUseTheDataEngine"];
            return Reply::Refused(one_of(&mut self.random, &codes));
        }
        if self.occurs(Kind::LostBefore) {
            return self.lost();
        }
        if self.occurs(Kind::RefusedOnly) {
            return self.unconfirmed_refusal();
        }
        if let Some(code) = self.objection(number) {
            return Reply::Refused(code);
        }
        self.accept(number)
    }

    /// The service accepts a request. Its response may say something else.
    fn accept(&mut self, number: usize) -> Reply {
        if !self.occurs(Kind::Dropped) {
            let at = self.time_of_effect(number);
            self.schedule(at, WorldEvent::Applied(number));
        }
        if self.occurs(Kind::LostAfter) {
            return self.lost();
        }
        if self.occurs(Kind::Hang) {
            return Reply::Never;
        }
        if self.occurs(Kind::RefusedApplied) {
            return self.unconfirmed_refusal();
        }
        Reply::Accepted { problem: self.occurs(Kind::UnexpectedResponse) }
    }

    /// When an accepted request is applied.
    fn time_of_effect(&mut self, number: usize) -> Moment {
        let late = self.occurs(Kind::Late);
        let latest = self.faults.latest_effect;
        let drawn = up_to(&mut self.random, latest);
        let at_latest = self.random.bool();
        if !late {
            return self.moment;
        }
        // the last moment is the most likely to reveal a bug
        let delay = if at_latest { latest.mul_f64(0.98) } else { drawn };
        self.moment.max(self.requests[number].sent_at + delay)
    }

    fn lost(&mut self) -> Reply {
        if self.random.u8(..4) == 0 { Reply::Never } else { Reply::Lost }
    }

    fn unconfirmed_refusal(&mut self) -> Reply {
        let server_fault = self.random.bool();
        let (first, second) =
            (one_of(&mut self.random, &SERVER_FAULTS), one_of(&mut self.random, &UNCONFIRMED_CODES));
        Reply::Refused(if server_fault { first } else { second })
    }

    fn quota_is_used(&mut self) -> bool {
        let second = Duration::from_secs(1);
        let (now, behavior) = (self.moment, &self.behavior);
        let others = behavior.other_clients.filter(|(from, until, _)| (*from..*until).contains(&now));
        let others = others.filter(|_| !self.faults.have_ended()).map_or(0, |(_, _, takes)| takes);
        self.arrivals.retain(|arrival| *arrival + second > now);
        self.arrivals.push(now);
        // the network changes the spacing of messages, so a small excess is not the fault of the tool
        others > 0 && self.arrivals.len() + others > QUOTA
    }

    /// The checks of the service before the operation.
    fn objection(&mut self, number: usize) -> Option<&'static str> {
        let request = &self.requests[number];
        let shown = request.engine.and_then(|engine| self.engines[engine].now());
        let Some(shown) = shown else { return Some("ResourceNotFound.DataEngineNotFound") };
        let is_minor = !self.images.iter().any(|image| image.id == request.key.2);
        match shown.state {
            _ if self.versions_of(&request.key.2).is_none() => Some("ResourceNotFound.ImageVersionNotFound"),
            _ if is_minor && !self.behavior.accepts_minor => {
                Some("InvalidParameter.ImageUserRecordsTypeNotMatch")
            }
            RUNNING => None,
            INITIALISING if self.behavior.accepts_while_busy => None,
            INITIALISING => {
                let codes =
                    ["FailedOperation.AnotherRequestProcessing", "FailedOperation.AnotherProcessRunning"];
                Some(one_of(&mut self.random, &codes))
            }
            _ => Some("ResourceNotFound.DataEngineNotActivity"),
        }
    }

    /// Applies a request, unless its engine can no longer be switched.
    pub fn applied(&mut self, number: usize) {
        let Some(engine) = self.requests[number].engine else { return };
        let target = self.requests[number].key.2.clone();
        let Some(to) = self.versions_of(&target) else { return };
        let can_switch =
            self.engines[engine].now().is_some_and(|shown| [INITIALISING, RUNNING].contains(&shown.state));
        let moment = self.moment;
        if !can_switch || self.requests[number].applied_at.is_some_and(|applied_at| applied_at == moment) {
            return;
        }
        let again = self.requests[number].applied_at.is_some();
        self.trace.say_at(self.moment, "service", || {
            format!("applies request {number} for engine {engine}{}", if again { " again" } else { "" })
        });
        let finishes = self.start_switch(engine, to);
        if again {
            self.figures.doubled_by_service += 1;
            return;
        }
        if self.occurs(Kind::Doubled) {
            let later = moment + between(&mut self.random, Duration::from_secs(1), Duration::from_secs(90));
            self.schedule(later, WorldEvent::Applied(number));
        }
        let request = &mut self.requests[number];
        request.applied_at = Some(moment);
        let is_silent = self.behavior.shows == DuringSwitch::Nothing;
        request.visible_at = if is_silent { finishes } else { Some(moment) };
        self.compare_with_others(number);
    }

    /// An engine starts to switch. Returns when the switch will finish, if ever.
    pub fn start_switch(&mut self, engine: usize, to: (String, String)) -> Option<Moment> {
        let shown = self.engines[engine].now().cloned()?;
        let (moment, serial) = (self.moment, self.next_serial());
        let from = match &self.engines[engine].operation {
            Some(operation) => operation.from.clone(),
            None => shown.clone(),
        };
        let (least, most) = self.behavior.switching;
        let takes = least + up_to(&mut self.random, most.saturating_sub(least));
        let stuck = self.occurs(Kind::Stuck);
        let finishes = (!stuck).then_some(moment + takes);
        self.update_earlier_requests(engine, &to, finishes);
        if self.behavior.shows != DuringSwitch::Nothing && (stuck || !takes.is_zero()) {
            let is_new = self.behavior.shows == DuringSwitch::NewImage;
            let (image, child) = if is_new { to.clone() } else { (shown.image, shown.child) };
            self.engines[engine].show(moment, Some(Shown { state: INITIALISING, image, child }));
        }
        self.engines[engine].operation = Some(Operation { serial, to, from });
        if let Some(finishes) = finishes {
            self.schedule(finishes, WorldEvent::Finished { engine, serial });
        }
        finishes
    }

    /// Updates the requests that were applied to the engine before a new switch.
    fn update_earlier_requests(&mut self, engine: usize, to: &(String, String), finishes: Option<Moment>) {
        let (moment, is_silent) = (self.moment, self.behavior.shows == DuringSwitch::Nothing);
        let is_affected = |request: &&mut Request| {
            request.engine == Some(engine) && request.applied_at.is_some() && request.replaced_at.is_none()
        };
        for request in self.requests.iter_mut().filter(is_affected) {
            let stays = request.key.2 == to.0 || request.key.2 == to.1;
            request.replaced_at = (!stays).then_some(moment);
            if is_silent && request.visible_at.is_none_or(|visible_at| visible_at > moment) {
                request.visible_at = finishes;
            }
        }
    }

    /// A switch finishes, or its engine fails.
    pub fn finished(&mut self, engine: usize, serial: u64) {
        let breaks = self.occurs(Kind::Breaks);
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
            self.replace_requests(engine);
            self.engines[engine].changed_by_others = true;
            self.engines[engine].show(moment, Some(Shown { state: FAILED, image, child }));
            let back = moment + between(&mut self.random, Duration::from_secs(1), Duration::from_secs(300));
            self.schedule(back, WorldEvent::Engine { engine, event: EngineEvent::Recover(operation.from) });
            return;
        }
        self.trace.say_at(self.moment, "service", || format!("engine {engine} runs {image} ({child})"));
        for request in self.requests.iter_mut().filter(|request| request.engine == Some(engine)) {
            let is_target = request.key.2 == image || request.key.2 == child;
            request.reached_target |= request.applied_at.is_some() && is_target;
        }
        self.engines[engine].show(moment, Some(Shown { state: RUNNING, image, child }));
        self.plan_events_after_switch(engine);
    }

    /// Marks the requests that were applied to an engine as replaced.
    pub fn replace_requests(&mut self, engine: usize) {
        for request in &mut self.requests {
            if request.engine == Some(engine) && request.applied_at.is_some() && request.replaced_at.is_none()
            {
                request.replaced_at = Some(self.moment);
            }
        }
    }

    /// Checks a request that has just been applied against the other requests for the same engine.
    fn compare_with_others(&mut self, number: usize) {
        let staleness = self.faults.longest_staleness;
        let one = self.requests[number].clone();
        let mut found = Vec::new();
        for (other_number, other) in self.requests.iter().enumerate() {
            if other_number == number || other.engine != one.engine || other.applied_at.is_none() {
                continue;
            }
            let (earlier, later) = if other.sent_at <= one.sent_at { (other, &one) } else { (&one, other) };
            if earlier.was_replaced_before(later) {
                continue;
            }
            let within = earlier.is_visible_in_time(staleness);
            let same = earlier.key == later.key;
            // a request to another target may follow once the earlier one has ended
            if same || earlier.visible_at > Some(later.sent_at) {
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
                (false, true) => self.violate(Rule::SentBeforeEffect, what),
                (false, false) => {}
            }
        }
    }
}

impl World {
    /// Applies the `resend_after` of a new run to earlier requests, if it is shorter.
    pub fn limit_resend_after(&mut self) {
        let resend_after = self.process.options.resend_after;
        for request in &mut self.requests {
            request.resend_after = request.resend_after.min(resend_after);
        }
    }
}
