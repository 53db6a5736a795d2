//! What must hold when a request leaves.

use crate::oracle::Rule;
use crate::process::Stage;
use crate::records::{Key, SENT};
use crate::world::World;

/// Codes under which the tool holds back an engine that is not where a request brought it.
pub const HELD: [&str; 5] =
    ["moved-by-another-client", "engine-failed", "moved-by-another-client", "engine-failed", "left-target"];

impl World {
    /// Judges a request that leaves the tool now.
    pub fn check_departure(&mut self, key: &Key) {
        let run = self.process.run;
        self.trace.say("request", || format!("{} to {} leaves in run {run}", key.1, key.2));
        let (now, rate) = (self.moment, self.process.options.rate.per_second() as usize);
        let in_a_second = self.process.switches.start(now);
        if in_a_second > rate {
            self.violate(Rule::TooFast, format!("{in_a_second} starts in a second where {rate} are allowed"));
        }
        self.process.left += 1;
        if self.process.stage == Stage::Over || self.process.left > self.process.told {
            self.violate(Rule::SentAfterStop, format!("a request for {} left", key.1));
        }
        self.check_intent(key);
        self.check_wave(key);
    }

    /// Its intent is durable, belongs to no other request, and follows an answer to the one before.
    fn check_intent(&mut self, key: &Key) {
        let (kind, line, before, held) = self.platter.with_records(|records| {
            let of_job = records.of(key);
            let last = of_job.last();
            let before = of_job.iter().rev().nth(1).map(|record| record.kind.clone());
            // a request that was sent ends the hold, and the last line is about this one
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
                Rule::AnswerMissing,
                format!("{} goes again without a word on the last answer", key.1),
            );
        }
        if let Some(held) = held.filter(|_| !self.is_released(key)) {
            let what = format!("{} goes again after {} in line {}", key.1, held.code, held.line);
            self.violate(Rule::TakenBack, what);
        }
        self.check_image_before(key);
    }

    /// True where the plan or a flag says that an engine may be switched from where it is now.
    fn is_released(&self, key: &Key) -> bool {
        let row = self.row_of(key).map(|row| &self.process.rows[row]);
        self.process.retry_moved || row.is_some_and(|row| row.expected.is_some())
    }

    /// The image that the engine is sent from is the one that the plan expects, and the one that the request before was
    /// sent from: on another one, somebody moved it.
    fn check_image_before(&mut self, key: &Key) {
        let (now, before, line) = self.platter.with_records(|records| {
            let mut sent = records.of(key).iter().rev().filter(|record| record.kind == SENT);
            let (now, before) = (sent.next().cloned(), sent.next().cloned());
            (now.and_then(|now| now.image_before), before.clone(), before.map_or(0, |before| before.line))
        });
        // where the target is a minor version, so is this
        let before = before.and_then(|before| before.image_before);
        let major = |image: String| self.versions_of(&image).map_or(image, |(major, _)| major);
        let (now, before) = (now.map(major), before.map(major));
        let Some(now) = now else { return };
        let expected = self.row_of(key).and_then(|row| self.process.rows[row].expected.clone());
        // what was sent from where it still is may be sent again whatever the plan says by now
        let is_again = before.as_ref() == Some(&now);
        if let Some(expected) = expected.filter(|expected| *expected != now && !is_again) {
            let what = format!("{} is sent from {now} and was expected on {expected}", key.1);
            self.violate(Rule::ExpectedIgnored, what);
        }
        // a request to another target in between moved it as well
        let is_ours = self.platter.with_records(|records| records.was_sent_since(key, line));
        let before = before.filter(|before| *before != now);
        if let Some(before) = before.filter(|_| !is_ours && !self.is_released(key)) {
            let what = format!("{} was sent from {before} and goes again from {now}", key.1);
            self.violate(Rule::TakenBack, what);
        }
    }

    /// True where the ledger says that a job stays failed until somebody releases it.
    pub fn is_held(&self, key: &Key) -> bool {
        self.platter.with_records(|records| {
            let mut since_sent = records.of(key).iter().rev().take_while(|record| record.kind != SENT);
            since_sent.any(|record| HELD.contains(&record.code.as_str()))
        })
    }

    /// The row of the plan that is this job.
    pub fn row_of(&self, key: &Key) -> Option<usize> {
        self.process.rows.iter().position(|row| self.key_of_row(row) == *key)
    }

    /// Every wave before this one has ended and soaked.
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
            let what =
                format!("{} of wave {wave} goes; row {unended:?} is open, wave {unsoaked:?} soaks", key.1);
            self.violate(Rule::WaveTooEarly, what);
        }
    }
}
