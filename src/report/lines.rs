//! Calm lines for pipes and CI: notices as they come, and progress now and then.

use std::io::{self, Write};
use std::time::Duration;

use anstream::AutoStream;

use super::notices::Notices;
use super::{Scene, Sink, paint, print, progress, soaking};
use crate::event::Event;
use crate::format;
use crate::tally::Counts;

/// Progress is told at most once in this time,
const AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// and only when this part of the open wave (one in so many) has moved on,
const PART: usize = 20;
/// unless nothing was told for so long that a reader would think it hangs.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);

/// A sink that writes one line for one thing, with the elapsed time in front. It takes time from the events
/// alone, so the same events always give the same lines.
pub struct Lines<W> {
    out: W,
    notices: Notices,
    last_progress: Duration,
    last_steps: usize,
}

impl Lines<AutoStream<io::Stderr>> {
    /// Lines on stderr.
    pub fn on_stderr() -> Self {
        Self::new(print::stderr())
    }
}

impl<W: Write> Lines<W> {
    /// Lines into any writer, colours included.
    pub fn new(out: W) -> Self {
        Self { out, notices: Notices::default(), last_progress: Duration::ZERO, last_steps: 0 }
    }

    fn line(&mut self, after: Duration, text: &str) -> io::Result<()> {
        // one write for one line, so that lines of other writers fall between and never into it
        self.out.write_all(timed(after, text).as_bytes())?;
        self.out.flush()
    }

    fn progress_due(&self, after: Duration, scene: &Scene) -> bool {
        let since = after.saturating_sub(self.last_progress);
        let silence = match scene.soaking {
            Some((wave, _)) => soaking::silence(scene, wave).max(AT_LEAST_EVERY),
            None => AT_LEAST_EVERY,
        };
        if since >= silence {
            return true;
        }
        let Some((wave, _)) = scene.wave else { return false };
        let Some(counts) = scene.tally.waves().get(wave) else { return false };
        let moved = steps(counts).saturating_sub(self.last_steps);
        // when all have ended, the end of the wave says it in a moment
        since >= AT_MOST_EVERY && counts.unfinished() > 0 && moved * PART >= counts.jobs() * STEPS_OF_A_JOB
    }

    fn told(&mut self, after: Duration, steps: usize) {
        self.last_progress = after;
        self.last_steps = steps;
    }
}

/// A job moves on when it is taken and when it ends.
const STEPS_OF_A_JOB: usize = 2;

fn steps(counts: &Counts) -> usize {
    counts.converging + STEPS_OF_A_JOB * counts.settled.total()
}

/// A line with the elapsed time in front and its line break.
pub(super) fn timed(after: Duration, text: &str) -> String {
    format!("{}  {text}\n", paint::quiet(&format!("{:>6}", format::clock(after))))
}

impl<W: Write + Send> Sink for Lines<W> {
    fn show(&mut self, after: Duration, scene: &Scene, event: &Event) -> io::Result<()> {
        for text in self.notices.take(after, scene, event) {
            self.line(after, &text)?;
        }
        match event {
            Event::WaveStarted { wave } => {
                let steps = scene.tally.waves().get(*wave).map_or(0, steps);
                self.told(after, steps);
            }
            Event::WaveEnded { .. } | Event::SoakStarted { .. } | Event::SoakEnded { .. } => {
                self.told(after, 0);
            }
            Event::RunEnded => {}
            _ if self.progress_due(after, scene) => {
                self.line(after, &progress::calm_line(after, scene))?;
                let open = scene.wave.and_then(|(wave, _)| scene.tally.waves().get(wave));
                self.told(after, open.map_or(0, steps));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RunHeader;
    use crate::job::Wave;
    use crate::report::paint::plain;
    use crate::report::script::{self, Story};

    fn lines_of(story: &Story) -> String {
        let mut lines = Lines::new(Vec::new());
        story.show_to(&mut lines);
        plain(&String::from_utf8_lossy(&lines.out))
    }

    #[test]
    fn a_mixed_run_reads_as_a_story() {
        insta::assert_snapshot!(lines_of(&script::mixed()));
    }

    #[test]
    fn a_run_of_one_wave_does_not_speak_of_waves() {
        let lines = lines_of(&script::all_good());
        assert!(!lines.contains("wave"), "{lines}");
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn a_stopped_run_says_why_and_what_happens_next() {
        insta::assert_snapshot!(lines_of(&script::stopped()));
    }

    #[test]
    fn a_soak_is_told_when_it_begins_now_and_then_and_when_it_ends() {
        insta::assert_snapshot!(lines_of(&script::soaking()));
    }

    #[test]
    fn a_soak_of_days_fills_no_log_and_leaves_nobody_without_a_word() {
        let mut story = script::soaking();
        let mut header = RunHeader::clone(&story.header);
        let soak = Duration::from_secs(24 * 60 * 60);
        header.waves = header.waves.iter().map(|wave| Wave { soak, ..wave.clone() }).collect();
        story.replace_opening(header);
        story.events.truncate(1);
        story.push(0, Event::SoakStarted { wave: 0, left: soak, verify: true });
        (1..=3600).for_each(|second| story.push(second * 1000, Event::Tick));
        let lines = lines_of(&story);
        let told = lines.lines().filter(|line| line.contains("soaking canary, ")).count();
        assert_eq!(told, 12, "every five minutes of an hour: {lines}");
    }

    #[test]
    fn a_thousand_failures_in_a_second_give_fewer_than_ten_lines() {
        let lines = lines_of(&script::flood(1000));
        assert!(lines.lines().count() < 10, "{lines}");
    }

    #[test]
    fn a_run_in_which_nothing_moves_still_shows_that_it_lives() {
        let mut story = script::fleet(100);
        story.push(0, Event::WaveStarted { wave: 0 });
        (1..=300).for_each(|second| story.push(second * 1000, Event::Tick));
        let progress =
            lines_of(&story).lines().filter(|line| line.contains("0 of 100 on target, 100 waiting")).count();
        assert_eq!(progress, 5);
    }

    #[test]
    fn progress_comes_no_faster_than_every_ten_seconds() {
        let lines = lines_of(&script::all_good());
        let told =
            lines.lines().filter(|line| line.contains("converging")).map(|line| line.split(':').nth(1));
        let seconds: Vec<u64> = told.filter_map(|second| second?.split(' ').next()?.parse().ok()).collect();
        assert!(seconds.len() > 1 && seconds.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{lines}");
    }
}
