//! One bad input: its name, what has to come of it, and the limits under which it is tried.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest time for one case; only a guard, none comes near it.
const CEILING: Duration = Duration::from_secs(180);

/// What kind of input it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    CsvPlan,
    YamlPlan,
    Scenario,
    Ledger,
    SwitchAnswer,
    Listing,
}

impl Kind {
    pub fn words(self) -> &'static str {
        match self {
            Self::CsvPlan => "CSV plans",
            Self::YamlPlan => "YAML plans",
            Self::Scenario => "scenarios",
            Self::Ledger => "ledgers",
            Self::SwitchAnswer => "answers to a switch",
            Self::Listing => "listings",
        }
    }
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Refused, with file and line, what is wrong and what to do.
    RefusedAtLine,
    /// Refused as a whole, with the file, what is wrong and what to do.
    RefusedWhole,
    /// Odd, but sound: taken for what it says.
    Sound,
    /// Nobody can say what the service did, and nobody does.
    Unconfirmed,
    /// The service truly said no.
    RefusedByService,
    /// The service truly said yes.
    Accepted,
    /// The fleet could not be read, which is said.
    NotRead,
}

impl Class {
    pub fn words(self) -> &'static str {
        match self {
            Self::RefusedAtLine => "refused with file and line",
            Self::RefusedWhole => "refused with the file",
            Self::Sound => "odd but sound, taken for what they say",
            Self::Unconfirmed => "in doubt",
            Self::RefusedByService => "refusals of the service",
            Self::Accepted => "true receipts",
            Self::NotRead => "listings not believed",
        }
    }
}

/// One bad input.
pub struct Case {
    pub kind: Kind,
    pub name: String,
    pub expected: Class,
    /// Finds out what comes of it, or says what is wrong with that.
    pub attempt: Box<dyn FnOnce() -> Result<Class, String> + Send>,
}

/// What came of all cases.
#[derive(Default)]
pub struct Counts {
    pub kinds: BTreeMap<Kind, usize>,
    pub classes: BTreeMap<Class, usize>,
    pub panics: usize,
    pub hangs: usize,
    pub wrong: Vec<String>,
}

impl Counts {
    pub fn total(&self) -> usize {
        self.kinds.values().sum()
    }
}

/// Tries every case, several at once, each in a thread of its own.
pub fn try_all(cases: Vec<Case>) -> Counts {
    let counts = Mutex::new(Counts::default());
    let queue = Mutex::new(cases);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = { queue.lock().expect("no panic").pop() } {
                    try_one(case, &counts);
                }
            });
        }
    });
    counts.into_inner().expect("no panic")
}

fn try_one(case: Case, counts: &Mutex<Counts>) {
    let Case { kind, name, expected, attempt } = case;
    let (sender, receiver) = channel();
    let panicked = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&panicked);
    std::thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
            *flag.lock().expect("no panic") = true;
            Err("it panicked".to_owned())
        });
        let _ = sender.send(outcome);
    });
    let outcome = receiver.recv_timeout(CEILING);
    let mut counts = counts.lock().expect("no panic");
    *counts.kinds.entry(kind).or_default() += 1;
    counts.panics += usize::from(*panicked.lock().expect("no panic"));
    match outcome {
        Err(_) => {
            counts.hangs += 1;
            counts.wrong.push(format!("{}: {name}: it hung", kind.words()));
        }
        Ok(Ok(class)) if class == expected => *counts.classes.entry(class).or_default() += 1,
        Ok(Ok(class)) => {
            counts.wrong.push(format!("{}: {name}: {class:?} where {expected:?} is due", kind.words()));
        }
        Ok(Err(what)) => counts.wrong.push(format!("{}: {name}: {what}", kind.words())),
    }
}
