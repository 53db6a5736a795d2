//! Checks each request that the tool sends.

use crate::oracle::Rule;
use crate::process::Stage;
use crate::records::{Key, SENT};
use crate::world::World;

/// Codes of failures that need a release.
pub const HELD: [&str; 2] = ["moved-by-another-client", "engine-failed"];

impl World {
    /// Checks a request that the tool sends now.
    pub fn check_sent_request(&mut self, key: &Key) {
        let run = self.process.run;
        self.trace.say("request", || format!("{} to {} is sent in run {run}", key.1, key.2));
        let (now, rate) = (self.moment, self.process.options.rate.per_second() as usize);
        let in_a_second = self.process.switches.add(now);
        if in_a_second > rate {
            self.violate(Rule::TooFast, format!("{in_a_second} starts in a second where {rate} are allowed"));
        }
        self.process.sent += 1;
        if self.process.stage == Stage::Over || self.process.sent > self.process.reported {
            self.violate(Rule::SentAfterStop, format!("a request for {} was sent", key.1));
        }
        self.check_intent(key);
        self.check_wave(key);
    }

    /// Its intent must be durable, belong to no other request, and follow the result of the one before.
    fn check_intent(&mut self, key: &Key) {
        let (kind, line, before, held) = self.disk.with_records(|records| {
            let of_job = records.of(key);
            let last = of_job.last();
            let before = of_job.iter().rev().nth(1).map(|record| record.kind.clone());
            // an earlier sent request released the row, and the last line belongs to this request
            let mut since = of_job.iter().rev().skip(1).take_while(|record| record.kind != SENT);
            let held = since.find(|record| HELD.contains(&record.code.as_str()));
            (last.map(|record| record.kind.clone()), last.map(|record| record.line), before, held.cloned())
        });
        if kind.as_deref() != Some(SENT) || !line.is_some_and(|line| self.process.intents_used.insert(line)) {
            self.violate(
                Rule::SentWithoutIntent,
                format!("the last durable line about {} is {kind:?}", key.1),
            );
        }
        if before.as_deref() == Some(SENT) {
            self.violate(
                Rule::ResponseMissing,
                format!("{} is sent again, and the ledger has no result of the last request", key.1),
            );
        }
        if let Some(held) = held.filter(|_| !self.is_released(key)) {
            let what = format!("{} is sent again after {} in line {}", key.1, held.code, held.line);
            self.violate(Rule::SentWhileHeld, what);
        }
        self.check_image_before(key);
    }

    /// True if the plan or a flag releases the row.
    fn is_released(&self, key: &Key) -> bool {
        let row = self.row_of(key).map(|row| &self.process.rows[row]);
        self.process.retry_moved || row.is_some_and(|row| row.expected.is_some())
    }

    /// The image before the request must be the one that the plan expects, and the one before the earlier request: otherwise
    /// another client moved the engine.
    fn check_image_before(&mut self, key: &Key) {
        let (now, before, line) = self.disk.with_records(|records| {
            let mut sent = records.of(key).iter().rev().filter(|record| record.kind == SENT);
            let (now, before) = (sent.next().cloned(), sent.next().cloned());
            (now.and_then(|now| now.image_before), before.clone(), before.map_or(0, |before| before.line))
        });
        // for a minor version as target, this is a minor version as well
        let before = before.and_then(|before| before.image_before);
        let major = |image: String| self.versions_of(&image).map_or(image, |(major, _)| major);
        let (now, before) = (now.map(major), before.map(major));
        let Some(now) = now else { return };
        let expected = self.row_of(key).and_then(|row| self.process.rows[row].expected.clone());
        // an engine on the image of its earlier request may be sent again, even if the plan was edited
        let is_again = before.as_ref() == Some(&now);
        if let Some(expected) = expected.filter(|expected| *expected != now && !is_again) {
            let what = format!("{} is sent from {now}, expected {expected}", key.1);
            self.violate(Rule::ExpectedIgnored, what);
        }
        // a request to another target in between also moved it
        let is_own_request = self.disk.with_records(|records| records.was_sent_since(key, line));
        let before = before.filter(|before| *before != now);
        if let Some(before) = before.filter(|_| !is_own_request && !self.is_released(key)) {
            let what = format!("{} was sent from {before} and is sent again from {now}", key.1);
            self.violate(Rule::SentWhileHeld, what);
        }
    }

    /// True if the ledger says that a job stays failed until it is released.
    pub fn is_held(&self, key: &Key) -> bool {
        self.disk.with_records(|records| {
            let mut since_sent = records.of(key).iter().rev().take_while(|record| record.kind != SENT);
            since_sent.any(|record| HELD.contains(&record.code.as_str()))
        })
    }

    /// The row of the plan that is this job.
    pub fn row_of(&self, key: &Key) -> Option<usize> {
        self.process.rows.iter().position(|row| self.key_of_row(row) == *key)
    }

    /// Every earlier wave must have ended and soaked.
    fn check_wave(&mut self, key: &Key) {
        let Some(row) = self.row_of(key) else {
            self.violate(Rule::SentWithoutIntent, format!("{key:?} is not in the plan"));
            return;
        };
        let wave = self.process.rows[row].wave;
        let process = &self.process;
        let unended = (0..process.rows.len())
            .find(|other| process.rows[*other].wave < wave && process.endings[*other] == 0);
        let unsoaked = (0..wave).find(|earlier| {
            let switched = process.switched.get(*earlier).copied().flatten();
            let soak = process.soaks.get(*earlier).copied().unwrap_or_default();
            switched.is_some_and(|switched| switched + soak > self.moment)
        });
        if unended.is_some() || unsoaked.is_some() {
            let what = format!(
                "{} of wave {wave} is sent; row {unended:?} has not ended, wave {unsoaked:?} soaks",
                key.1
            );
            self.violate(Rule::WaveTooEarly, what);
        }
    }
}
