//! Lines for pipes and CI: notices as they come, and the status now and then.

use std::io::{self, Write};
use std::time::Duration;

use anstream::AutoStream;

use super::clock::{self, Clock};
use super::notices::Notices;
use super::sink::Sink;
use super::state::ProgressState;
use super::status;
use crate::event::Event;
use crate::report::print;
use crate::tally::Counts;

/// The status is shown at most once in this time,
const AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// and only if this part of the current wave (one in so many) has moved on,
const PART: usize = 20;
/// unless nothing was shown for so long.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// While a wave soaks, the status is shown after one part in so many of the soak,
const SOAK_PART: u32 = 20;
/// and at least once in this time.
const SOAK_AT_LEAST_EVERY: Duration = Duration::from_secs(5 * 60);

/// A sink that writes lines, with the time of day in front.
pub struct Lines<W> {
    out: W,
    clock: Clock,
    columns: Option<usize>,
    notices: Notices,
    last_status: Duration,
    last_steps: usize,
}

impl Lines<AutoStream<io::Stderr>> {
    /// Lines on stderr.
    pub fn on_stderr() -> Self {
        Self { columns: print::stderr_columns(), ..Self::new(print::stderr(), clock::local_time) }
    }
}

impl<W: Write> Lines<W> {
    /// Lines into any writer, colours included.
    fn new(out: W, clock: Clock) -> Self {
        let notices = Notices::default();
        Self { out, clock, columns: None, notices, last_status: Duration::ZERO, last_steps: 0 }
    }

    fn line(&mut self, after: Duration, text: &str) -> io::Result<()> {
        // one write for each line, so that lines of other writers do not break it
        self.out.write_all(clock::line((self.clock)(after), text, self.columns).as_bytes())?;
        self.out.flush()
    }

    fn is_status_due(&self, after: Duration, state: &ProgressState) -> bool {
        let since = after.saturating_sub(self.last_status);
        let soak = state.soaking.and_then(|(wave, _)| state.header.waves.get(wave)).map(|wave| wave.soak);
        let soak_part = soak.map_or(Duration::ZERO, |soak| (soak / SOAK_PART).min(SOAK_AT_LEAST_EVERY));
        if since >= soak_part.max(AT_LEAST_EVERY) {
            return true;
        }
        let Some(counts) = current_wave(state) else { return false };
        let moved = steps(counts).saturating_sub(self.last_steps);
        // when all jobs have ended, the end of the wave is shown soon
        since >= AT_MOST_EVERY && counts.unfinished() > 0 && moved * PART >= counts.jobs() * STEPS_OF_A_JOB
    }

    fn status_shown(&mut self, after: Duration, steps: usize) {
        self.last_status = after;
        self.last_steps = steps;
    }
}

fn current_wave(state: &ProgressState) -> Option<&Counts> {
    state.tally.waves().get(state.wave?.0)
}

/// A job moves on when its request is accepted and when it ends.
const STEPS_OF_A_JOB: usize = 2;

fn steps(counts: &Counts) -> usize {
    counts.converging + counts.confirming + STEPS_OF_A_JOB * counts.ended.total()
}

impl<W: Write + Send> Sink for Lines<W> {
    fn show(&mut self, after: Duration, state: &ProgressState, event: &Event) -> io::Result<()> {
        for text in self.notices.take(after, state, event) {
            self.line(after, &text)?;
        }
        match event {
            Event::WaveStarted { .. } => self.status_shown(after, current_wave(state).map_or(0, steps)),
            Event::WaveEnded { .. } | Event::SoakStarted { .. } | Event::SoakEnded { .. } => {
                self.status_shown(after, 0);
            }
            Event::RunEnded => {}
            _ if self.is_status_due(after, state) => {
                self.line(after, &status::log_line(after, state))?;
                self.status_shown(after, current_wave(state).map_or(0, steps));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::civil::Time;

    use super::*;
    use crate::event::RunHeader;
    use crate::job::Wave;
    use crate::report::fixtures::{self, SampleRun};
    use crate::report::style::plain;

    /// Starts at midnight, so that the same events give the same lines.
    fn from_midnight(after: Duration) -> Time {
        Time::midnight().wrapping_add(SignedDuration::try_from(after).expect("a short time"))
    }

    fn lines_of(run: &SampleRun) -> String {
        let mut lines = Lines::new(Vec::new(), from_midnight);
        run.show_to(&mut lines);
        plain(&String::from_utf8_lossy(&lines.out))
    }

    #[test]
    fn the_lines_of_a_run_with_problems() {
        insta::assert_snapshot!(lines_of(&fixtures::mixed()));
    }

    #[test]
    fn the_lines_of_a_plan_with_one_wave_name_no_wave() {
        let lines = lines_of(&fixtures::all_good());
        assert!(!lines.contains("wave"), "{lines}");
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn the_lines_of_an_interrupted_run() {
        insta::assert_snapshot!(lines_of(&fixtures::stopped()));
    }

    #[test]
    fn the_lines_of_waves_that_soak() {
        insta::assert_snapshot!(lines_of(&fixtures::soaking()));
    }

    #[test]
    fn a_long_soak_is_shown_every_five_minutes() {
        let mut run = fixtures::soaking();
        let mut header = RunHeader::clone(&run.header);
        let soak = Duration::from_secs(24 * 60 * 60);
        header.waves = header.waves.iter().map(|wave| Wave { soak, ..wave.clone() }).collect();
        run.set_header(header);
        run.events.truncate(1);
        run.push(0, Event::SoakStarted { wave: 0, left: soak, verify: true });
        (1..=3600).for_each(|second| run.push(second * 1000, Event::Tick));
        let lines = lines_of(&run);
        let shown = lines.lines().filter(|line| line.contains("soaking canary, ")).count();
        assert_eq!(shown, 12, "in one hour: {lines}");
    }

    #[test]
    fn a_thousand_failures_in_one_second_give_fewer_than_ten_lines() {
        let lines = lines_of(&fixtures::flood(1000));
        assert!(lines.lines().count() < 10, "{lines}");
    }

    #[test]
    fn a_run_in_which_nothing_moves_is_shown_every_minute() {
        let mut run = fixtures::fleet(100);
        run.push(0, Event::WaveStarted { wave: 0 });
        (1..=300).for_each(|second| run.push(second * 1000, Event::Tick));
        let lines = lines_of(&run);
        let shown = lines.lines().filter(|line| line.contains("0 of 100 on target, 100 waiting")).count();
        assert_eq!(shown, 5, "{lines}");
    }

    #[test]
    fn the_status_is_shown_at_most_every_ten_seconds() {
        let lines = lines_of(&fixtures::all_good());
        let shown = lines.lines().filter(|line| line.contains("converging"));
        let times: Vec<Time> =
            shown.map(|line| line.split(' ').next().expect("a time").parse().expect("a time")).collect();
        assert!(times.len() > 1, "{lines}");
        assert!(times.windows(2).all(|pair| pair[1].duration_since(pair[0]).as_secs() >= 10), "{lines}");
    }

    #[test]
    fn long_lines_wrap_at_spaces_behind_the_time() {
        let mut lines = Lines { columns: Some(60), ..Lines::new(Vec::new(), from_midnight) };
        fixtures::mixed().show_to(&mut lines);
        let lines = plain(&String::from_utf8_lossy(&lines.out));
        for line in lines.lines() {
            assert!(line.chars().count() <= 60, "{line}");
            let is_continued = line.starts_with("          ");
            assert!(is_continued || line.starts_with("00:"), "{line}");
        }
    }
}
