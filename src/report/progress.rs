//! The words and strokes that say how far a run is, shared by bars and lines.

use std::time::Duration;

use super::{Scene, paint};
use crate::event::Opening;
use crate::job::Outcome;
use crate::tally::Counts;
use crate::words;

/// Between the parts of a status line.
const SEPARATOR: &str = " · ";

/// `wave 2 of 3, early`; none if the plan has a single wave, because then there is nothing to tell apart.
pub fn wave_title(opening: &Opening, wave: usize) -> Option<String> {
    let waves = opening.waves.len();
    let name = opening.waves.get(wave).filter(|_| waves > 1)?;
    Some(format!("wave {} of {waves}, {}", wave + 1, words::one_line(name)))
}

/// `14 of 24 done, 3 in flight, 4 converging, 1 failed, 2 waiting`: every job is in exactly one of the numbers.
pub fn standing(counts: &Counts) -> String {
    let mut parts =
        vec![format!("{} of {} done", words::count(counts.settled.good()), words::count(counts.jobs()))];
    parts.extend(steady(counts));
    parts.extend(unsteady(counts));
    parts.extend(troubles(counts));
    if counts.waiting > 0 {
        parts.push(format!("{} waiting", words::count(counts.waiting)));
    }
    parts.join(", ")
}

/// The calm line of a log: `wave 2 of 3, early: 14 of 24 done, 3 in flight, 19.6 requests/s`.
pub fn calm_line(after: Duration, scene: &Scene) -> String {
    let Some((wave, _)) = scene.wave else { return between_waves(scene) };
    let Some(counts) = scene.tally.waves().get(wave) else { return between_waves(scene) };
    let title = wave_title(&scene.opening, wave).map_or_else(String::new, |title| format!("{title}: "));
    let rate = match scene.pulse.sent_per_second(after) {
        // while all converge, nothing is sent
        rate if rate < 0.05 => String::new(),
        rate => format!(", {rate:.1} requests/s"),
    };
    format!("{title}{}{rate}", standing(counts))
}

fn between_waves(scene: &Scene) -> String {
    let standing = standing(scene.tally.overall());
    match wave_title(&scene.opening, scene.next_wave) {
        Some(title) => format!("{title} has not opened yet; overall {standing}"),
        None => standing,
    }
}

/// The status line below the bars: `0:42  19.6/s · 3 in flight · 4 converging · about 2 min left`.
pub fn status(after: Duration, scene: &Scene) -> String {
    let overall = scene.tally.overall();
    let mut parts = vec![pace(after, scene)];
    parts.push(format!("{} in flight", words::count(overall.in_flight)));
    parts.push(format!("{} converging", words::count(overall.converging)));
    parts.extend(time_left(after, scene));
    format!("{}  {}", paint::quiet(&format!("{:>6}", words::clock(after))), parts.join(SEPARATOR))
}

/// The line below the status line, when not all is well: `12 failed · 2 in doubt · 1 to go again`.
pub fn trouble(scene: &Scene) -> Option<String> {
    let overall = scene.tally.overall();
    let mut parts = troubles(overall);
    parts.extend(unsteady(overall));
    (!parts.is_empty()).then(|| format!("{:8}{}", "", parts.join(SEPARATOR)))
}

fn pace(after: Duration, scene: &Scene) -> String {
    if scene.tally.stopped().is_some() {
        return paint::bad("stopping");
    }
    let measured = words::per_second(scene.pulse.sent_per_second(after));
    let allowed = scene.tally.rate();
    if allowed < f64::from(scene.opening.rate) {
        return format!("{measured}, {}", paint::warn(&format!("limit {allowed:.1}")));
    }
    measured
}

fn steady(counts: &Counts) -> Vec<String> {
    some([(counts.in_flight, "in flight"), (counts.converging, "converging")])
}

fn unsteady(counts: &Counts) -> Vec<String> {
    some([(counts.doubtful, "in doubt"), (counts.retrying, "to go again")])
}

fn some(columns: [(usize, &str); 2]) -> Vec<String> {
    let shown = columns.into_iter().filter(|(jobs, _)| *jobs > 0);
    shown.map(|(jobs, word)| format!("{} {word}", words::count(jobs))).collect()
}

fn troubles(counts: &Counts) -> Vec<String> {
    let columns = [Outcome::Failed, Outcome::Unconverged, Outcome::Unknown, Outcome::NotStarted];
    let some = columns.into_iter().filter(|&outcome| counts.settled.of(outcome) > 0);
    some.map(|outcome| {
        let text = format!("{} {outcome}", words::count(counts.settled.of(outcome)));
        paint::as_outcome(outcome, &text)
    })
    .collect()
}

/// Time left for the open wave: how long later waves soak and converge nobody knows.
fn time_left(after: Duration, scene: &Scene) -> Option<String> {
    let (wave, _) = scene.wave?;
    let counts = scene.tally.waves().get(wave)?;
    let left = scene.pulse.time_left(after, counts.unsettled())?;
    let of_what = if scene.opening.waves.len() > 1 { " in wave" } else { "" };
    Some(format!("about {} left{of_what}", words::about(left)))
}

/// One bar: what has ended in full strokes, what is under way in thin ones, what waits in dots.
///
/// The three can be told apart without colour. Nothing is rounded away: a single job that waits or is under way
/// keeps its sign as long as there is room.
pub fn bar(counts: &Counts, width: usize) -> String {
    let jobs = counts.jobs();
    let ended = share(counts.settled.total(), jobs, width);
    let gone = share(counts.settled.total() + counts.under_way(), jobs, width);
    let full = "━".repeat(ended);
    let full = match counts.settled.total() - counts.settled.good() {
        0 => paint::good(&full),
        _ => paint::bad(&full),
    };
    format!("{full}{}{}", "─".repeat(gone - ended), paint::quiet(&"·".repeat(width - gone)))
}

/// How much of the width so many jobs take, rounded down, so that a bar is full only when all have ended.
fn share(some: usize, all: usize, width: usize) -> usize {
    (some * width).checked_div(all).unwrap_or(0).min(width)
}

/// Widths that all rows of a screen share, in characters.
#[derive(Clone, Copy, Debug)]
pub struct Widths {
    /// Of the name of a wave.
    pub name: usize,
    /// Of the bar itself.
    pub bar: usize,
    /// Of the largest count.
    pub count: usize,
}

/// A whole row of bars: `canary  ━━━━━━━━━━──····  4/6  1 failed`.
pub fn bar_row(name: &str, counts: &Counts, widths: Widths) -> String {
    let Widths { name: name_width, bar: bar_width, count: count_width } = widths;
    let (ended, jobs) = (words::count(counts.settled.total()), words::count(counts.jobs()));
    let name = words::cut(&words::one_line(name), name_width);
    let bar = bar(counts, bar_width);
    let mut row = format!("{name:<name_width$}  {bar}  {ended:>count_width$}/{jobs:<count_width$}");
    for trouble in troubles(counts) {
        row.push_str("  ");
        row.push_str(&trouble);
    }
    row.truncate(row.trim_end().len());
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::paint::plain;
    use crate::report::script;

    #[test]
    fn a_bar_tells_ended_under_way_and_waiting_apart_without_colour() {
        let tally = script::mixed().tally_at(22);
        let bar = plain(&bar(tally.overall(), 20));
        assert_eq!(bar.chars().count(), 20);
        for sign in ['━', '─', '·'] {
            assert!(bar.contains(sign), "{bar} lacks {sign}");
        }
    }

    #[test]
    fn a_bar_is_full_only_when_all_have_ended() {
        let counts = script::counts(999, 1);
        assert_eq!(plain(&bar(&counts, 30)), format!("{}{}", "━".repeat(29), "·"));
        assert_eq!(plain(&bar(&script::counts(1000, 0), 30)), "━".repeat(30));
    }

    #[test]
    fn a_bar_over_no_jobs_is_no_reason_to_panic() {
        assert_eq!(plain(&bar(&Counts::default(), 3)), "···");
    }

    #[test]
    fn the_numbers_of_a_standing_add_up_to_its_jobs() {
        let story = script::mixed();
        for events in 0..=story.events.len() {
            let tally = story.tally_after(events);
            for counts in tally.waves() {
                let text = plain(&standing(counts));
                let mut numbers =
                    text.split(", ").filter_map(|part| part.split(' ').next()?.parse::<usize>().ok());
                assert_eq!(numbers.by_ref().sum::<usize>(), counts.jobs(), "{text}");
            }
        }
    }

    #[test]
    fn the_status_of_a_busy_moment_fits_eighty_columns() {
        let scene = script::busy_scene();
        let status = plain(&status(Duration::from_secs(44), &scene));
        let trouble = plain(&trouble(&scene).expect("a busy moment has troubles"));
        for line in [&status, &trouble] {
            assert!(line.chars().count() <= 80, "{line}");
        }
        insta::assert_snapshot!(format!("{status}\n{trouble}"));
    }

    #[test]
    fn a_stopping_run_says_so_where_the_rate_was() {
        let story = script::stopped();
        let mut scene = story.scene();
        scene.tally = story.tally_at(11);
        let status = plain(&status(Duration::from_secs(10), &scene));
        assert_eq!(status, "  0:10  stopping · 0 in flight · 12 converging");
    }

    #[test]
    fn a_run_without_trouble_has_no_line_for_it() {
        assert_eq!(trouble(&script::all_good().scene()), None);
    }

    #[test]
    fn a_row_shows_name_bar_and_numbers() {
        let tally = script::mixed().tally();
        let widths = Widths { name: 12, bar: 20, count: 2 };
        let row = plain(&bar_row("a wave with a very long name", &tally.waves()[1], widths));
        assert_eq!(row, "a wave with…  ━━━━━━━━━━━━━━━━━━━━  24/24  12 failed  1 unconverged  1 unknown");
    }
}
