//! The responses to reads: engines in their current or an earlier state, some omitted or repeated, or no response at all.

use std::time::Duration;

use dlc_fleet::cloud::{CallError, EngineKind, EngineListing, EngineRecord, EngineState, Refusal};
use dlc_fleet::job::{ImageVersionId, Region};

use crate::engine::{Moment, Shown};
use crate::faults::Kind;
use crate::oracle::Rule;
use crate::process::Stage;
use crate::random::{chance, one_of, up_to};
use crate::read_log::{Covered, Observation};
use crate::world::World;

/// Temporary refusals of reads.
const TEMPORARY: [&str; 4] =
    ["InternalError", "InternalError.InternalSystemException", "ServiceUnavailable", "FailedOperation"];

/// Reads of one action that may start in a second.
const LIMIT: usize = 20;

/// The read actions.
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

/// A read in progress.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub number: u64,
    pub started: Moment,
    /// Transmission time of the request.
    pub out: Duration,
    /// Transmission time of the response.
    pub back: Duration,
    pub failure: Option<Failure>,
    staleness: Duration,
}

impl World {
    /// The tool sends a read.
    pub fn start_read(&mut self, action: Action) -> Ticket {
        self.catch_up();
        self.figures.reads += 1;
        let now = self.moment;
        let starts = match action {
            Action::List => &mut self.process.listings,
            Action::Show => &mut self.process.by_name,
            Action::Images => &mut self.process.images,
        };
        let in_a_second = starts.add(now);
        if in_a_second > LIMIT {
            self.violate(Rule::ReadTooFast, format!("{in_a_second} starts of {action:?} in a second"));
        }
        if self.process.stage == Stage::Over {
            self.violate(Rule::SentAfterStop, "a read was sent after the run had ended".to_owned());
        }
        let failure = self.draw_failure(action);
        let stale = self.occurs(Kind::Stale);
        let longest = self.faults.longest_staleness;
        let (far, farthest) = (up_to(&mut self.random, longest), self.random.bool());
        let staleness = match (stale, farthest) {
            (false, _) => Duration::ZERO,
            (true, true) => longest,
            (true, false) => far,
        };
        Ticket {
            number: self.next_serial(),
            started: now,
            out: self.latency(),
            back: self.latency(),
            failure,
            staleness,
        }
    }

    fn draw_failure(&mut self, action: Action) -> Option<Failure> {
        let listed = action == Action::List;
        if listed && self.behavior.by_name {
            return Some(Failure::Refused("InvalidAction"));
        }
        let refused = one_of(&mut self.random, &TEMPORARY);
        let drawn = [
            (Kind::ReadRefused, Failure::Refused(refused)),
            (Kind::ReadThrottled, Failure::Refused("RequestLimitExceeded")),
            (Kind::ReadLost, if self.random.bool() { Failure::Lost } else { Failure::NotSent }),
            (Kind::ReadHangs, Failure::Never),
        ];
        let mut failure = None;
        for (kind, how) in drawn {
            if self.occurs(kind) {
                failure.get_or_insert(how);
            }
        }
        let once =
            [(Kind::ReadUnknownAction, "InvalidAction"), (Kind::ReadUnservedRegion, "UnsupportedRegion")];
        for (kind, code) in once {
            if self.occurs(kind) && listed && self.process.occurred_once.insert(code) {
                failure.get_or_insert(Failure::Refused(code));
            }
        }
        failure
    }

    /// Draws the moment that a record of this read shows.
    fn moment_of(&mut self, ticket: &Ticket) -> Moment {
        let part = self.random.f64();
        let staleness = if self.faults.mixed_moments && !self.faults.have_ended() {
            ticket.staleness.mul_f64(part)
        } else {
            ticket.staleness
        };
        (ticket.started + ticket.out).saturating_sub(staleness)
    }

    /// One page of a listing or of a query by id.
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
            let is_queried = ids.is_none_or(|ids| ids.contains(&number));
            if engine.region != *region || engine.kind != kind || !is_queried {
                continue;
            }
            let moment = self.moment_of(ticket);
            if let Some(shows) = self.engines[number].at(moment).cloned() {
                shown.push((number, shows));
            }
        }
        let total = u32::try_from(shown.len()).unwrap_or(u32::MAX);
        if self.occurs(Kind::Shift) && !shown.is_empty() {
            let by = self.random.usize(..shown.len());
            shown.rotate_left(by);
        }
        let mut engines: Vec<(usize, EngineRecord)> = Vec::new();
        for (number, shows) in shown.into_iter().skip(offset).take(limit) {
            if self.occurs(Kind::Omit) {
                continue;
            }
            let repeats = self.occurs(Kind::Repeat);
            if let Some(last) = engines.last().filter(|_| repeats).cloned() {
                engines.push(last);
                continue;
            }
            if self.occurs(Kind::Duplicate) {
                let back = self.faults.longest_staleness;
                let earlier = (ticket.started + ticket.out).saturating_sub(up_to(&mut self.random, back));
                if let Some(earlier) = self.engines[number].at(earlier).cloned() {
                    engines.push((number, self.record(number, &earlier, Some(kind))));
                }
            }
            engines.push((number, self.record(number, &shows, Some(kind))));
        }
        self.trace.say("service", || {
            let texts = engines.iter().map(|(number, record)| record_text(*number, record));
            format!("read {}: {} of {total}: {}", ticket.number, region, texts.collect::<Vec<_>>().join(", "))
        });
        EngineListing { engines: engines.into_iter().map(|(_, record)| record).collect(), total }
    }

    /// The response to a read by name.
    pub fn named(&mut self, ticket: &Ticket, number: usize) -> Option<EngineRecord> {
        self.catch_up();
        let moment = self.moment_of(ticket);
        let shows = self.engines[number].at(moment).cloned();
        let record = shows.map(|shows| self.record(number, &shows, None));
        self.trace.say("service", || {
            format!("read {}: {:?}", ticket.number, record.as_ref().map(|record| record_text(number, record)))
        });
        record
    }

    fn record(&mut self, number: usize, shown: &Shown, kind: Option<EngineKind>) -> EngineRecord {
        let blank = self.occurs(Kind::Blank);
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

    /// The tool receives a response with these engines.
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
            let observation = Observation {
                read: ticket.number,
                started: ticket.started,
                delivered: self.moment,
                by_id: matches!(covered, Covered::Engines(_)) && !self.behavior.by_name,
                state: record.state.map(|state| state.0),
                image: record.image_version_id.as_ref().map(|image| image.as_str().to_owned()),
                child: record.child_image_version_id.clone(),
            };
            self.read_log.add_observation(number, observation);
        }
        self.read_log.add_read(ticket.started, covered);
    }
}

fn record_text(number: usize, record: &EngineRecord) -> String {
    let state = record.state.map_or_else(|| "-".to_owned(), |state| state.0.to_string());
    let image = record.image_version_id.as_ref().map_or("-", ImageVersionId::as_str);
    let child = record.child_image_version_id.as_deref().unwrap_or("-");
    format!("{number}: {image}/{child} in {state}")
}
