//! What must hold when a row ends.

use std::time::Duration;

use dlc_fleet::job::{ImageVersionId, JobResult, Outcome};

use crate::oracle::Rule;
use crate::oracle::departures::HELD;
use crate::plan::Row;
use crate::records::{ACCEPTED, FAILED};
use crate::requests::Reply;
use crate::sights::Observation;
use crate::world::World;

/// Codes that the tool gives for an engine that is not there.
const MISSING: [&str; 1] = ["engine-not-found"];

/// The code of a region that the service does not serve.
const UNSERVED: &str = "UnsupportedRegion";

/// Codes for an engine that is in a state in which it cannot be switched.
const BROKEN: [&str; 3] = ["engine-failed", "engine-not-switchable", "engine-failed"];

/// Codes for an engine that is on another image than it should be.
const MOVED: [&str; 4] =
    ["moved-by-another-client", "moved-by-another-client", "unexpected-image", "left-target"];

/// The one of them that is about what the plan expects.
const UNEXPECTED: &str = "unexpected-image";

/// Codes for an end that time brought about.
const TIMEOUTS: [&str; 3] = ["target-not-reached", "not-verified", "not-verified"];

/// Codes of failures that say nothing about whether a request was applied.
const OTHERS: [&str; 5] = [UNSERVED, "earlier-request-open", "wrong-name", "held-back", "drifted"];

impl World {
    /// Judges the end of a row.
    pub fn judge_outcome(&mut self, row: usize, result: &JobResult) {
        self.catch_up();
        self.figures.outcomes += 1;
        let Some(planned) = self.process.rows.get(row).cloned() else {
            self.violate(Rule::RowsDoNotAddUp, format!("row {row} is not in the plan"));
            return;
        };
        self.process.endings[row] += 1;
        self.process.codes[row] = Some((result.outcome, code_of(result).to_owned()));
        match result.outcome {
            Outcome::Switched => self.judge_switched(&planned, result),
            Outcome::UpToDate => self.judge_already(&planned, result),
            Outcome::Accepted => self.judge_accepted(&planned),
            Outcome::Failed => self.judge_failed(&planned, result),
            Outcome::NotStarted => {
                self.judge_not_started(&planned);
                self.judge_timeout(&planned, result);
            }
            Outcome::TimedOut | Outcome::Unknown => self.judge_timeout(&planned, result),
        }
    }

    fn judge_switched(&mut self, row: &Row, result: &JobResult) {
        if result.from_earlier_run {
            return self.judge_earlier(row, &["switched"]);
        }
        let wave = &mut self.process.switched[row.wave];
        *wave = Some(self.moment);
        let apart = self.process.options.min_ready;
        if !self.sights.prove(row.engine, &row.target, apart) {
            let sights = self.sights.of(row.engine);
            let what =
                format!("engine {}: {:?}", row.engine, sights.iter().rev().take(3).collect::<Vec<_>>());
            self.violate(Rule::SwitchedUnseen, what);
        }
    }

    /// What an earlier run settled is on record.
    fn judge_earlier(&mut self, row: &Row, kinds: &[&str]) {
        let key = self.key_of_row(row);
        let is_on_record =
            |records: &crate::records::Records| records.last(&key).map(|record| record.kind.clone());
        let last = self.platter.with_records(is_on_record);
        if !last.as_ref().is_some_and(|last| kinds.contains(&last.as_str())) {
            self.violate(
                Rule::SwitchedUnseen,
                format!("engine {}: the last line is {last:?}, not {kinds:?}", row.engine),
            );
        }
    }

    fn judge_already(&mut self, row: &Row, result: &JobResult) {
        if result.from_earlier_run {
            return self.judge_earlier(row, &["up-to-date", "up-to-date"]);
        }
        let shown = self
            .sights
            .of(row.engine)
            .iter()
            .any(|sight| sight.is_on(&row.target) && !sight.is_initialising());
        if !shown {
            self.violate(
                Rule::AlreadyUnseen,
                format!("engine {} was not shown on {}", row.engine, row.target),
            );
        }
    }

    fn judge_accepted(&mut self, row: &Row) {
        let key = self.key_of_row(row);
        let shown = self.sights.of(row.engine).iter().any(|sight| sight.is_on(&row.target));
        let taken = self
            .requests
            .iter()
            .any(|request| request.key == key && matches!(request.delivered, Some(Reply::Accepted { .. })));
        let run = self.process.name();
        let (recorded, earlier) = self.platter.with_records(|records| {
            let mut accepted = records.of(&key).iter().filter(|record| record.kind == ACCEPTED);
            let first = accepted.next();
            (first.is_some(), first.is_some_and(|record| record.run != run))
        });
        if !(recorded || self.process.ledger_lost) || !(shown || taken || earlier) {
            self.violate(Rule::AcceptedUnseen, format!("engine {}", row.engine));
        }
    }

    fn judge_failed(&mut self, row: &Row, result: &JobResult) {
        let code = code_of(result);
        if result.from_earlier_run {
            if !HELD.contains(&code) {
                let what = format!("engine {} is left alone because of {code}", row.engine);
                self.violate(Rule::HeldForAnotherReason, what);
            }
            return self.judge_earlier(row, &[FAILED]);
        }
        // one that is held again was judged by what an earlier run was shown
        let key = self.key_of_row(row);
        let is_told_again = self.platter.with_records(|records| records.is_told_again(&key, code));
        if HELD.contains(&code) && is_told_again {
            return;
        }
        if let Some((rule, what)) = self.contradiction(row, code, result) {
            self.violate(rule, format!("engine {} {what}", row.engine));
        }
    }

    /// What the world knows better than a failure of this code says.
    fn contradiction(&self, row: &Row, code: &str, result: &JobResult) -> Option<(Rule, &'static str)> {
        let sights = self.sights.of(row.engine);
        let since = self.process.began.saturating_sub(self.faults.longest_staleness);
        if MISSING.contains(&code) {
            let is_there = self.engines[row.engine].existed_since(since);
            return is_there.then_some((Rule::MissingButThere, "is there"));
        }
        if code == UNSERVED {
            return (!sights.is_empty()).then_some((Rule::RegionIsServed, "was shown"));
        }
        if MOVED.contains(&code) {
            let before = result.image_before.as_ref().map(ImageVersionId::as_str);
            // the plan may expect another image than the one before the request
            let usual =
                if code == UNEXPECTED { row.expected.as_deref() } else { before.or(row.expected.as_deref()) };
            let is_elsewhere = |sight: &Observation| {
                !sight.is_on(&row.target) && sight.image.as_deref().is_none_or(|image| Some(image) != usual)
            };
            let what = "was always shown on its old image or on its target";
            return (!sights.iter().any(is_elsewhere)).then_some((Rule::MovedUnseen, what));
        }
        let is_unseen = BROKEN.contains(&code) && !sights.iter().any(Observation::is_broken);
        is_unseen.then_some((Rule::BrokenUnseen, "was never shown broken"))
    }

    fn judge_not_started(&mut self, row: &Row) {
        let (run, key) = (self.process.run, self.key_of_row(row));
        let staleness = self.faults.longest_staleness;
        let applied = self.requests.iter().any(|request| {
            let is_ours = request.run == run && request.key == key;
            is_ours && request.left.is_none() && request.shows_in_time(staleness)
        });
        if applied {
            self.violate(Rule::NotStartedButApplied, format!("engine {}", row.engine));
        }
    }

    /// No row ends by the passing of time in which the tool could not look, or after it has seen all it wants.
    fn judge_timeout(&mut self, row: &Row, result: &JobResult) {
        if !TIMEOUTS.contains(&code_of(result)) {
            return;
        }
        self.judge_shown(row, result);
        let Some((since, line)) = self.process.stood_still_until else { return };
        let key = self.key_of_row(row);
        let decided = self.platter.with_records(|records| records.last(&key).map_or(0, |record| record.line));
        if result.outcome != Outcome::NotStarted && decided <= line {
            // it was on record before, and is only told now
            return;
        }
        let engine = &self.engines[row.engine];
        let read = self.sights.was_covered_since(row.engine, (&engine.region, engine.kind), since);
        // where no read comes back at all, the job ends once there was time for one
        let options = &self.process.options;
        let enough = options.wait_timeout.min((options.request_timeout + options.poll_interval) * 2);
        if !read && self.moment < since + enough {
            let what = format!(
                "engine {}: {} without one read since the suspension",
                row.engine,
                result.outcome.word()
            );
            self.violate(Rule::EndedUnread, what);
        }
    }

    /// Two reads showed the engine running its target, long enough ago for the tool to have taken them in.
    fn judge_shown(&mut self, row: &Row, result: &JobResult) {
        let options = &self.process.options;
        let sights = self.sights.of(row.engine);
        // reads of other parts of the fleet may hang, and are taken in together with this one
        let long_ago = options.request_timeout * 6 + Duration::from_secs(120);
        let latest = sights.last().map_or(self.moment, |sight| sight.delivered);
        let is_there = self.engines[row.engine].existed_since(self.process.began);
        let is_taken_in =
            is_there && latest + long_ago < self.moment && self.process.stood_still_until.is_none();
        if is_taken_in && self.sights.prove(row.engine, &row.target, options.min_ready) {
            let what = format!("engine {} is called {} and was shown", row.engine, result.outcome);
            self.violate(Rule::ShownInTime, what);
        }
    }

    /// No row is called failed at the end of a run whose request was applied in time.
    pub fn judge_failures(&mut self) {
        let staleness = self.faults.longest_staleness;
        let mut wrong = Vec::new();
        for (row, ended) in self.process.rows.iter().zip(&self.process.codes) {
            let Some((Outcome::Failed, code)) = ended else { continue };
            let code = code.as_str();
            let is_explained = [&MISSING[..], &BROKEN[..], &MOVED[..], &HELD[..], &OTHERS[..]]
                .iter()
                .any(|codes| codes.contains(&code));
            if is_explained {
                continue;
            }
            let key = self.key_of_row(row);
            let applied = self.requests.iter().position(|request| {
                request.key == key && request.left.is_none() && request.shows_in_time(staleness)
            });
            if let Some(request) = applied {
                wrong.push(format!("engine {}: {code}, and request {request} was applied", row.engine));
            }
        }
        for what in wrong {
            self.violate(Rule::FailedButApplied, what);
        }
    }
}

fn code_of(result: &JobResult) -> &str {
    result.reason.as_ref().map_or("", |reason| reason.code.as_str())
}
