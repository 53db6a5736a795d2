//! What a read brings: engines as they are or were, some left out or shown twice, or no answer at all.

use std::time::Duration;

use dlc_fleet::cloud::{CallError, EngineKind, EngineListing, EngineRecord, EngineState, Refusal};
use dlc_fleet::job::{ImageVersionId, Region};

use crate::engine::{Moment, Shown};
use crate::faults::Kind;
use crate::oracle::Rule;
use crate::process::Stage;
use crate::random::{chance, one_of, up_to};
use crate::sights::{Covered, Observation};
use crate::world::World;

/// Refusals of reads that pass.
const PASSING: [&str; 4] =
    ["InternalError", "InternalError.InternalSystemException", "ServiceUnavailable", "FailedOperation"];

/// Reads of one action that may start in a second.
const LIMIT: usize = 20;

/// Actions that read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    List,
    Show,
    Images,
}

/// How a read fails.
#[derive(Clone, Debug)]
pub enum Failure {
    Refused(&'static str),
    NotSent,
    Lost,
    Never,
}

impl Failure {
    pub fn into_fault(self) -> CallError {
        match self {
            Self::Refused(code) => CallError::Refused(refusal(code)),
            Self::NotSent => CallError::NotSent { cause: "simulated: connection refused".into() },
            Self::Lost | Self::Never => {
                CallError::NoResponse { cause: "simulated: connection reset".into(), http_status: None }
            }
        }
    }
}

/// The service's refusal with this code.
pub fn refusal(code: &str) -> Refusal {
    Refusal { code: code.into(), message: "simulated".into(), request_id: Some(format!("no-{code}")) }
}

/// A read on its way.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub number: u64,
    pub asked: Moment,
    /// How long until the service reads it.
    pub out: Duration,
    /// How long until its answer is back.
    pub back: Duration,
    pub failure: Option<Failure>,
    staleness: Duration,
}

impl World {
    /// A read leaves the tool.
    pub fn read_departs(&mut self, action: Action) -> Ticket {
        self.catch_up();
        self.figures.reads += 1;
        let now = self.moment;
        let pace = match action {
            Action::List => &mut self.process.listings,
            Action::Show => &mut self.process.namings,
            Action::Images => &mut self.process.images,
        };
        let in_a_second = pace.start(now);
        if in_a_second > LIMIT {
            self.violate(Rule::ReadTooFast, format!("{in_a_second} starts of {action:?} in a second"));
        }
        if self.process.stage == Stage::Over {
            self.violate(Rule::SentAfterStop, "a read left after the run had ended".to_owned());
        }
        let failure = self.read_fails(action);
        let stale = self.strikes(Kind::Stale);
        let longest = self.faults.longest_staleness;
        let (far, farthest) = (up_to(&mut self.random, longest), self.random.bool());
        let staleness = match (stale, farthest) {
            (false, _) => Duration::ZERO,
            (true, true) => longest,
            (true, false) => far,
        };
        Ticket {
            number: self.next_serial(),
            asked: now,
            out: self.latency(),
            back: self.latency(),
            failure,
            staleness,
        }
    }

    fn read_fails(&mut self, action: Action) -> Option<Failure> {
        let listed = action == Action::List;
        if listed && self.habits.by_name {
            return Some(Failure::Refused("InvalidAction"));
        }
        let refused = one_of(&mut self.random, &PASSING);
        let drawn = [
            (Kind::ReadRefused, Failure::Refused(refused)),
            (Kind::ReadThrottled, Failure::Refused("RequestLimitExceeded")),
            (Kind::ReadLost, if self.random.bool() { Failure::Lost } else { Failure::NotSent }),
            (Kind::ReadHangs, Failure::Never),
        ];
        let mut failure = None;
        for (kind, how) in drawn {
            if self.strikes(kind) {
                failure.get_or_insert(how);
            }
        }
        let once =
            [(Kind::ReadUnknownAction, "InvalidAction"), (Kind::ReadUnservedRegion, "UnsupportedRegion")];
        for (kind, code) in once {
            if self.strikes(kind) && listed && self.process.struck_once.insert(code) {
                failure.get_or_insert(Failure::Refused(code));
            }
        }
        failure
    }

    /// The moment that a record of this read shows.
    fn moment_of(&mut self, ticket: &Ticket) -> Moment {
        let part = self.random.f64();
        let staleness = if self.faults.mixed_moments && !self.faults.are_over() {
            ticket.staleness.mul_f64(part)
        } else {
            ticket.staleness
        };
        (ticket.asked + ticket.out).saturating_sub(staleness)
    }

    /// One page of a listing, or of what was asked for by ids.
    pub fn page(
        &mut self,
        ticket: &Ticket,
        region: &Region,
        kind: EngineKind,
        (ids, offset, limit): (Option<&[usize]>, usize, usize),
    ) -> EngineListing {
        self.catch_up();
        let mut shown = Vec::new();
        for number in 0..self.engines.len() {
            let engine = &self.engines[number];
            let asked_for = ids.is_none_or(|ids| ids.contains(&number));
            if engine.region != *region || engine.kind != kind || !asked_for {
                continue;
            }
            let moment = self.moment_of(ticket);
            if let Some(shows) = self.engines[number].at(moment).cloned() {
                shown.push((number, shows));
            }
        }
        let total = u32::try_from(shown.len()).unwrap_or(u32::MAX);
        if self.strikes(Kind::Shift) && !shown.is_empty() {
            let by = self.random.usize(..shown.len());
            shown.rotate_left(by);
        }
        let mut engines: Vec<(usize, EngineRecord)> = Vec::new();
        for (number, shows) in shown.into_iter().skip(offset).take(limit) {
            if self.strikes(Kind::Omit) {
                continue;
            }
            let repeats = self.strikes(Kind::Repeat);
            if let Some(last) = engines.last().filter(|_| repeats).cloned() {
                engines.push(last);
                continue;
            }
            if self.strikes(Kind::Duplicate) {
                let back = self.faults.longest_staleness;
                let earlier = (ticket.asked + ticket.out).saturating_sub(up_to(&mut self.random, back));
                if let Some(earlier) = self.engines[number].at(earlier).cloned() {
                    engines.push((number, self.record(number, &earlier, Some(kind))));
                }
            }
            engines.push((number, self.record(number, &shows, Some(kind))));
        }
        self.trace.say("service", || {
            let told = engines.iter().map(|(number, record)| told(*number, record));
            format!("read {}: {} of {total}: {}", ticket.number, region, told.collect::<Vec<_>>().join(", "))
        });
        EngineListing { engines: engines.into_iter().map(|(_, record)| record).collect(), total }
    }

    /// One engine that was asked for by its name.
    pub fn named(&mut self, ticket: &Ticket, number: usize) -> Option<EngineRecord> {
        self.catch_up();
        let moment = self.moment_of(ticket);
        let shows = self.engines[number].at(moment).cloned();
        let record = shows.map(|shows| self.record(number, &shows, None));
        self.trace.say("service", || {
            format!("read {}: {:?}", ticket.number, record.as_ref().map(|record| told(number, record)))
        });
        record
    }

    fn record(&mut self, number: usize, shown: &Shown, kind: Option<EngineKind>) -> EngineRecord {
        let blank = self.strikes(Kind::Blank);
        let (no_state, no_image) = (chance(&mut self.random, 0.5), self.random.bool());
        let engine = &self.engines[number];
        EngineRecord {
            data_engine_id: engine.id.clone(),
            name: Some(engine.name.clone()),
            state: (!(blank && no_state)).then_some(EngineState(shown.state)),
            image_version_id: (!(blank && no_image)).then(|| ImageVersionId::new(&*shown.image)),
            image_version_name: Some(format!("Name of {}", shown.image)),
            child_image_version_id: (!(blank && no_image)).then(|| shown.child.clone()),
            engine_type_detail: Some(engine.type_detail.to_owned()),
            kind,
        }
    }

    /// The tool has an answer that shows these engines.
    pub fn delivered(
        &mut self,
        ticket: &Ticket,
        records: &[EngineRecord],
        region: &Region,
        covered: Covered,
    ) {
        self.catch_up();
        for record in records {
            let Some(number) = self.find(region, &record.data_engine_id) else { continue };
            let sight = Observation {
                read: ticket.number,
                asked: ticket.asked,
                delivered: self.moment,
                by_id: matches!(covered, Covered::Engines(_)) && !self.habits.by_name,
                state: record.state.map(|state| state.0),
                image: record.image_version_id.as_ref().map(|image| image.as_str().to_owned()),
                child: record.child_image_version_id.clone(),
            };
            self.sights.see(number, sight);
        }
        self.sights.cover(ticket.asked, covered);
    }
}

fn told(number: usize, record: &EngineRecord) -> String {
    let state = record.state.map_or_else(|| "-".to_owned(), |state| state.0.to_string());
    let image = record.image_version_id.as_ref().map_or("-", ImageVersionId::as_str);
    let child = record.child_image_version_id.as_deref().unwrap_or("-");
    format!("{number}: {image}/{child} in {state}")
}
