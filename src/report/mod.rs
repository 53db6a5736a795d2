//! Everything people read: progress while a run goes, and what it came to at the end.
//!
//! The run tells events; a [`Reporter`] folds them once into a [`Scene`] and shows event and scene to its sinks:
//! [`Bars`] on a terminal, [`Lines`] elsewhere. A sink that breaks is retired and the others go on. The closing
//! documents ([`summary()`], [`json()`], [`preview()`], [`whoami()`]) are pure functions into text. Nothing outside this room
//! writes to stdout or stderr; [`mod@print`] is the way there.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Event, Listener, RunHeader};
use crate::tally::Tally;

mod bars;
mod json;
mod lines;
mod notices;
mod outlook;
mod paint;
mod preview;
mod preview_json;
pub mod print;
mod progress;
mod pulse;
mod reasons;
mod soaking;
mod summary;
mod table;
mod whoami;
mod wording;

#[cfg(test)]
mod script;

pub use bars::{Bars, LogLine, LogWriter, Screen, log_writer};
pub use json::json;
pub use lines::Lines;
pub use preview::{Prediction, Preview, PreviewRow, preview};
pub use preview_json::preview_json;
pub use print::{ColorChoice, set_color};
pub use pulse::Pulse;
pub use soaking::listed_soaks;
pub use summary::{Closing, summary};
pub use table::{Columns, table};
pub use whoami::{Validity, Whoami, whoami, whoami_json};
pub use wording::clock_note;

/// What a run looks like at the moment: the fold of all events so far.
#[derive(Debug)]
pub struct Scene {
    /// What was known when the run opened.
    pub header: Arc<RunHeader>,
    /// Where every job stands.
    pub tally: Tally,
    /// How fast it goes.
    pub pulse: Pulse,
    /// The wave whose jobs may go, and when it opened.
    pub wave: Option<(usize, Duration)>,
    /// The wave that soaks, and the time at which that is over.
    pub soaking: Option<(usize, Duration)>,
    /// The wave that comes next.
    pub next_wave: usize,
    /// True if the plan has engines in several regions, so that a region is worth naming.
    pub several_regions: bool,
}

impl Scene {
    /// The scene in which nothing has happened yet.
    pub fn new(header: Arc<RunHeader>) -> Self {
        Self {
            tally: Tally::new(&header),
            pulse: Pulse::default(),
            wave: None,
            soaking: None,
            next_wave: 0,
            several_regions: several_regions(&header),
            header,
        }
    }

    fn take(&mut self, after: Duration, event: &Event) {
        self.tally.take(event);
        self.pulse.take(after, event);
        match event {
            Event::WaveStarted { wave } => {
                self.wave = Some((*wave, after));
                self.next_wave = wave + 1;
            }
            Event::SoakStarted { wave, left, .. } => self.soaking = Some((*wave, after + *left)),
            Event::SoakEnded { .. } | Event::Stopping(_) => self.soaking = None,
            _ => {}
        }
    }

    /// A wave that closed is part of the scene in which its end is told, and gone afterwards.
    fn leave(&mut self, event: &Event) {
        if matches!(event, Event::WaveEnded { .. }) {
            self.wave = None;
        }
    }
}

fn several_regions(header: &RunHeader) -> bool {
    let mut regions = header.jobs.iter().map(|job| &job.key.region);
    let first = regions.next();
    regions.any(|region| Some(region) != first)
}

/// Somebody who shows events to people. `Err` means that it can show nothing any more.
pub trait Sink: Send {
    /// Shows one event, `after` the run opened; the scene includes it already.
    fn show(&mut self, after: Duration, scene: &Scene, event: &Event) -> io::Result<()>;
}

/// Hears the events of a run and hands them on to every sink that still works.
#[derive(Default)]
pub struct Reporter {
    sinks: Vec<Box<dyn Sink>>,
    witness: Witness,
}

/// Knows what a reporter has heard, also after the run took the reporter away and dropped it.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<Option<Scene>>>);

impl Witness {
    /// The tally as it stands; none before the run opened.
    pub fn tally(&self) -> Option<Tally> {
        self.scene().as_ref().map(|scene| scene.tally.clone())
    }

    fn scene(&self) -> MutexGuard<'_, Option<Scene>> {
        // a sink that panicked leaves a scene that is whole: it changes before the sinks see it
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter {
    /// A reporter over these sinks; with none of them it only keeps the scene.
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self { sinks, witness: Witness::default() }
    }

    /// Bars if stderr is a terminal that can draw them, else calm lines.
    pub fn on_stderr(screen: &Screen) -> Self {
        let sink: Box<dyn Sink> =
            if screen.can_draw() { Box::new(Bars::new(screen)) } else { Box::new(Lines::on_stderr()) };
        Self::new(vec![sink])
    }

    /// Somebody to ask for the tally when the run is over.
    pub fn witness(&self) -> Witness {
        self.witness.clone()
    }
}

impl Listener for Reporter {
    fn on_event(&mut self, after: Duration, event: &Event) {
        let mut scene = self.witness.scene();
        if let Event::RunStarted(header) = event {
            *scene = Some(Scene::new(Arc::clone(header)));
        }
        // a run opens before anything else happens, so there is nothing to show without a scene
        let Some(scene) = scene.as_mut() else { return };
        scene.take(after, event);
        self.sinks.retain_mut(|sink| sink.show(after, scene, event).is_ok());
        scene.leave(event);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Broken;

    impl Sink for Broken {
        fn show(&mut self, _: Duration, _: &Scene, _: &Event) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[derive(Clone, Default)]
    struct Counting(Arc<Mutex<usize>>);

    impl Sink for Counting {
        fn show(&mut self, _: Duration, _: &Scene, _: &Event) -> io::Result<()> {
            *self.0.lock().expect("no test panics with the lock") += 1;
            Ok(())
        }
    }

    #[test]
    fn a_broken_sink_does_not_silence_the_others() {
        let (first, last) = (Counting::default(), Counting::default());
        let mut reporter =
            Reporter::new(vec![Box::new(first.clone()), Box::new(Broken), Box::new(last.clone())]);
        let story = script::mixed();
        story.play(&mut reporter);
        for sink in [first, last] {
            assert_eq!(*sink.0.lock().expect("no test panics with the lock"), story.events.len());
        }
    }

    #[test]
    fn a_witness_knows_the_tally_after_the_reporter_is_gone() {
        let mut reporter = Reporter::default();
        let witness = reporter.witness();
        let story = script::mixed();
        story.play(&mut reporter);
        drop(reporter);
        let tally = witness.tally().expect("the run opened");
        assert_eq!(tally.outcomes(), story.tally().outcomes());
    }

    #[test]
    fn events_before_the_opening_are_no_reason_to_panic() {
        let mut reporter = Reporter::default();
        reporter.on_event(Duration::ZERO, &Event::Tick);
        assert!(reporter.witness().tally().is_none());
    }
}
