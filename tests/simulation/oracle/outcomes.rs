//! Checks the outcome of a row against the state of the service.

use std::time::Duration;

use dlc_fleet::job::{ImageVersionId, JobResult, Outcome};

use crate::oracle::Rule;
use crate::oracle::sent_requests::HELD;
use crate::plan::Row;
use crate::read_log::Observation;
use crate::records::{ACCEPTED, FAILED};
use crate::requests::Reply;
use crate::world::World;

/// Code for an engine that does not exist.
const MISSING: [&str; 1] = ["engine-not-found"];

/// The code of a region that the service does not serve.
const UNSERVED: &str = "UnsupportedRegion";

/// Codes for an engine that is in a state in which it cannot be switched.
const BROKEN: [&str; 2] = ["engine-failed", "engine-not-switchable"];

/// Codes for an engine that is on an image that is neither the old one nor the target.
const MOVED: [&str; 2] = ["moved-by-another-client", "unexpected-image"];

/// The code of `MOVED` that is about the expected image of the plan.
const UNEXPECTED: &str = "unexpected-image";

/// Codes for a timeout.
const TIMEOUTS: [&str; 2] = ["target-not-reached", "not-verified"];

/// Codes of failures that do not say whether a request was applied.
const OTHERS: [&str; 5] = [UNSERVED, "earlier-request-open", "wrong-name", "held-back", "drifted"];

impl World {
    /// Checks the outcome of a row.
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
            Outcome::UpToDate => self.judge_up_to_date(&planned, result),
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
        if !self.read_log.shows_ready(row.engine, &row.target, apart) {
            let observations = self.read_log.of(row.engine);
            let what =
                format!("engine {}: {:?}", row.engine, observations.iter().rev().take(3).collect::<Vec<_>>());
            self.violate(Rule::SwitchedWithoutProof, what);
        }
    }

    /// The outcome of an earlier run must be recorded.
    fn judge_earlier(&mut self, row: &Row, kinds: &[&str]) {
        let key = self.key_of_row(row);
        let is_on_record =
            |records: &crate::records::Records| records.last(&key).map(|record| record.kind.clone());
        let last = self.disk.with_records(is_on_record);
        if !last.as_ref().is_some_and(|last| kinds.contains(&last.as_str())) {
            self.violate(
                Rule::SwitchedWithoutProof,
                format!("engine {}: the last line is {last:?}, not {kinds:?}", row.engine),
            );
        }
    }

    fn judge_up_to_date(&mut self, row: &Row, result: &JobResult) {
        if result.from_earlier_run {
            return self.judge_earlier(row, &["up-to-date"]);
        }
        let shown = self
            .read_log
            .of(row.engine)
            .iter()
            .any(|observation| observation.is_on(&row.target) && !observation.is_initialising());
        if !shown {
            self.violate(
                Rule::UpToDateWithoutProof,
                format!("engine {} was not shown on {}", row.engine, row.target),
            );
        }
    }

    fn judge_accepted(&mut self, row: &Row) {
        let key = self.key_of_row(row);
        let shown = self.read_log.of(row.engine).iter().any(|observation| observation.is_on(&row.target));
        let accepted = self
            .requests
            .iter()
            .any(|request| request.key == key && matches!(request.delivered, Some(Reply::Accepted { .. })));
        let run = self.process.name();
        let (recorded, earlier) = self.disk.with_records(|records| {
            let mut lines = records.of(&key).iter().filter(|record| record.kind == ACCEPTED);
            let first = lines.next();
            (first.is_some(), first.is_some_and(|record| record.run != run))
        });
        if !(recorded || self.process.ledger_lost) || !(shown || accepted || earlier) {
            self.violate(Rule::AcceptedWithoutProof, format!("engine {}", row.engine));
        }
    }

    fn judge_failed(&mut self, row: &Row, result: &JobResult) {
        let code = code_of(result);
        if result.from_earlier_run {
            if !HELD.contains(&code) {
                let what = format!("engine {} is kept as failed because of {code}", row.engine);
                self.violate(Rule::KeptForAnotherReason, what);
            }
            return self.judge_earlier(row, &[FAILED]);
        }
        // a row that failed with this code before was checked with the reads of an earlier run
        let key = self.key_of_row(row);
        let is_reported_again = self.disk.with_records(|records| records.is_reported_again(&key, code));
        if HELD.contains(&code) && is_reported_again {
            return;
        }
        if let Some((rule, what)) = self.contradiction(row, code, result) {
            self.violate(rule, format!("engine {} {what}", row.engine));
        }
    }

    /// The rule that a failure with this code breaks, if any.
    fn contradiction(&self, row: &Row, code: &str, result: &JobResult) -> Option<(Rule, &'static str)> {
        let observations = self.read_log.of(row.engine);
        let since = self.process.started.saturating_sub(self.faults.longest_staleness);
        if MISSING.contains(&code) {
            let is_there = self.engines[row.engine].existed_since(since);
            return is_there.then_some((Rule::MissingButExists, "exists"));
        }
        if code == UNSERVED {
            return (!observations.is_empty()).then_some((Rule::RegionIsServed, "was shown"));
        }
        if MOVED.contains(&code) {
            let before = result.image_before.as_ref().map(ImageVersionId::as_str);
            // the plan may expect another image than the one before the request
            let expected_image =
                if code == UNEXPECTED { row.expected.as_deref() } else { before.or(row.expected.as_deref()) };
            let is_elsewhere = |observation: &Observation| {
                !observation.is_on(&row.target)
                    && observation.image.as_deref().is_none_or(|image| Some(image) != expected_image)
            };
            let what = "was always shown on its old image or on its target";
            return (!observations.iter().any(is_elsewhere)).then_some((Rule::MovedWithoutProof, what));
        }
        let is_unseen = BROKEN.contains(&code) && !observations.iter().any(Observation::is_broken);
        is_unseen.then_some((Rule::BrokenWithoutProof, "was never shown broken"))
    }

    fn judge_not_started(&mut self, row: &Row) {
        let (run, key) = (self.process.run, self.key_of_row(row));
        let staleness = self.faults.longest_staleness;
        let applied = self.requests.iter().any(|request| {
            let is_ours = request.run == run && request.key == key;
            is_ours && request.replaced_at.is_none() && request.is_visible_in_time(staleness)
        });
        if applied {
            self.violate(Rule::NotStartedButApplied, format!("engine {}", row.engine));
        }
    }

    /// No row times out because of a suspension, or after reads have shown its engine ready.
    fn judge_timeout(&mut self, row: &Row, result: &JobResult) {
        if !TIMEOUTS.contains(&code_of(result)) {
            return;
        }
        self.check_not_ready(row, result);
        let Some((since, line)) = self.process.suspended_until else { return };
        let key = self.key_of_row(row);
        let decided = self.disk.with_records(|records| records.last(&key).map_or(0, |record| record.line));
        if result.outcome != Outcome::NotStarted && decided <= line {
            // it was recorded before the suspension, and is only reported now
            return;
        }
        let engine = &self.engines[row.engine];
        let read = self.read_log.was_covered_since(row.engine, (&engine.region, engine.kind), since);
        // if no read returns at all, the job ends once there was time for one
        let options = &self.process.options;
        let enough = options.wait_timeout.min((options.request_timeout + options.poll_interval) * 2);
        if !read && self.moment < since + enough {
            let what = format!(
                "engine {}: {} without one read since the suspension",
                row.engine,
                result.outcome.word()
            );
            self.violate(Rule::TimedOutWithoutRead, what);
        }
    }

    /// Two reads have shown the engine running on its target, long enough ago for the tool to have processed them.
    fn check_not_ready(&mut self, row: &Row, result: &JobResult) {
        let options = &self.process.options;
        let observations = self.read_log.of(row.engine);
        // reads of other parts of the fleet may hang, and are processed together with this one
        let long_ago = options.request_timeout * 6 + Duration::from_secs(120);
        let latest = observations.last().map_or(self.moment, |observation| observation.delivered);
        let is_there = self.engines[row.engine].existed_since(self.process.started);
        let is_processed =
            is_there && latest + long_ago < self.moment && self.process.suspended_until.is_none();
        if is_processed && self.read_log.shows_ready(row.engine, &row.target, options.min_ready) {
            let what = format!("engine {} is {} although reads showed it ready", row.engine, result.outcome);
            self.violate(Rule::TimedOutThoughReady, what);
        }
    }

    /// No row is failed at the end of a run if its request was applied in time.
    pub fn judge_failures(&mut self) {
        let staleness = self.faults.longest_staleness;
        let mut violations = Vec::new();
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
                request.key == key && request.replaced_at.is_none() && request.is_visible_in_time(staleness)
            });
            if let Some(request) = applied {
                violations.push(format!("engine {}: {code}, and request {request} was applied", row.engine));
            }
        }
        for what in violations {
            self.violate(Rule::FailedButApplied, what);
        }
    }
}

fn code_of(result: &JobResult) -> &str {
    result.reason.as_ref().map_or("", |reason| reason.code.as_str())
}
