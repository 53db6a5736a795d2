//! The words and strokes that say how far a run is, shared by bars and lines.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::{Scene, paint, soaking};
use crate::event::RunHeader;
use crate::format;
use crate::job::Outcome;
use crate::tally::Counts;

/// Between the parts of a status line.
const SEPARATOR: &str = " · ";
/// Longer names of waves are cut.
const LONGEST_NAME: usize = 16;
/// A bar gives way to the numbers beside it,
const LONGEST_BAR: usize = 30;
/// down to this length.
const SHORTEST_BAR: usize = 10;
/// Between the parts of a row.
const GAP: &str = "  ";

/// `wave 2 of 3, early`; none if the plan has a single wave, because then there is nothing to tell apart.
pub fn wave_title(header: &RunHeader, wave: usize) -> Option<String> {
    let waves = header.waves.len();
    let name = &header.waves.get(wave).filter(|_| waves > 1)?.name;
    Some(format!("wave {} of {waves}, {}", wave + 1, name))
}

/// `14 of 24 on target, 3 in flight, 4 converging, 1 failed, 2 waiting`: every job is in exactly one of the numbers.
pub fn standing(counts: &Counts) -> String {
    let mut parts =
        vec![format!("{} of {} on target", format::count(counts.on_target()), format::count(counts.jobs()))];
    parts.extend(steady(counts));
    parts.extend(unsteady(counts));
    parts.extend(troubles(counts));
    if counts.waiting > 0 {
        parts.push(format!("{} waiting", format::count(counts.waiting)));
    }
    parts.join(", ")
}

/// The calm line of a log: `wave 2 of 3, early: 14 of 24 on target, 3 in flight, 19.6 requests/s`.
pub fn calm_line(after: Duration, scene: &Scene) -> String {
    if let Some(soaking) = soaking::under_way(after, scene) {
        return format!("{soaking}; overall {}", standing(scene.tally.overall()));
    }
    let Some((wave, _)) = scene.wave else { return between_waves(scene) };
    let Some(counts) = scene.tally.waves().get(wave) else { return between_waves(scene) };
    let title = wave_title(&scene.header, wave).map_or_else(String::new, |title| format!("{title}: "));
    let rate = match scene.pulse.sent_per_second(after) {
        // while all converge, nothing is sent
        rate if rate < 0.05 => String::new(),
        rate => format!(", {rate:.1} requests/s"),
    };
    format!("{title}{}{rate}", standing(counts))
}

fn between_waves(scene: &Scene) -> String {
    let standing = standing(scene.tally.overall());
    match wave_title(&scene.header, scene.next_wave) {
        Some(title) => format!("{title} has not opened yet; overall {standing}"),
        None => standing,
    }
}

/// The status line below the bars: `0:42  19.6/s · about 2 min left · 3 in flight · 4 converging`.
pub fn status(after: Duration, scene: &Scene, columns: usize) -> String {
    let overall = scene.tally.overall();
    let clock = paint::quiet(&format!("{:>6}", format::clock(after)));
    let mut parts = vec![format!("{clock}  {}", pace(after, scene))];
    parts.extend(time_left(after, scene));
    parts.push(format!("{} in flight", format::count(overall.in_flight)));
    parts.push(format!("{} converging", format::count(overall.converging)));
    fit(parts, SEPARATOR, columns)
}

/// The line below the status line, when not all is well: `12 failed · 2 in doubt · 1 to go again`.
pub fn trouble(scene: &Scene, columns: usize) -> Option<String> {
    let overall = scene.tally.overall();
    let mut parts = troubles(overall);
    parts.extend(unsteady(overall));
    (!parts.is_empty()).then(|| format!("{:8}{}", "", fit(parts, SEPARATOR, columns.saturating_sub(8))))
}

/// As many whole parts as fit into so many columns, and the first one always: half a number is a wrong number.
fn fit(parts: Vec<String>, separator: &str, columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        if line.is_empty() {
            line = part;
        } else if measure_text_width(&line) + measure_text_width(separator) + measure_text_width(&part)
            <= columns
        {
            line = line + separator + &part;
        } else {
            break;
        }
    }
    line
}

fn pace(after: Duration, scene: &Scene) -> String {
    if scene.tally.stopped().is_some() {
        return paint::bad("stopping");
    }
    if let Some(soaking) = soaking::under_way(after, scene) {
        return soaking;
    }
    let measured = format::per_second(scene.pulse.sent_per_second(after));
    let allowed = scene.tally.rate();
    if allowed < f64::from(scene.header.rate) {
        return format!("{measured}, {}", paint::warn(&format!("limit {allowed:.1}")));
    }
    measured
}

fn steady(counts: &Counts) -> Vec<String> {
    some([(counts.in_flight, "in flight"), (counts.converging, "converging")])
}

fn unsteady(counts: &Counts) -> Vec<String> {
    some([(counts.unconfirmed, "in doubt"), (counts.retrying, "to go again")])
}

fn some<const N: usize>(columns: [(usize, &str); N]) -> Vec<String> {
    let shown = columns.into_iter().filter(|(jobs, _)| *jobs > 0);
    shown.map(|(jobs, word)| format!("{} {word}", format::count(jobs))).collect()
}

/// What has ended and is not on its target.
fn troubles(counts: &Counts) -> Vec<String> {
    let drifted = some([(counts.drifted, "drifted")]).into_iter().map(|text| paint::warn(&text));
    let columns =
        [Outcome::Accepted, Outcome::Failed, Outcome::TimedOut, Outcome::Unknown, Outcome::NotStarted];
    let some = columns.into_iter().filter(|&outcome| counts.settled.of(outcome) > 0);
    let ended = some.map(|outcome| {
        let text = format!("{} {outcome}", format::count(counts.settled.of(outcome)));
        paint::as_outcome(outcome, &text)
    });
    ended.chain(drifted).collect()
}

/// Time left for the open wave: how long later waves converge nobody knows.
fn time_left(after: Duration, scene: &Scene) -> Option<String> {
    let (wave, _) = scene.wave.filter(|_| scene.tally.stopped().is_none())?;
    let counts = scene.tally.waves().get(wave)?;
    let left = scene.pulse.time_left(after, counts, scene.tally.rate())?;
    let of_what = if scene.header.waves.len() > 1 { " in wave" } else { "" };
    Some(format!("about {} left{of_what}", format::about(left)))
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
    let full = match counts.settled.total() - counts.settled.good() + counts.drifted {
        0 => paint::good(&full),
        _ => paint::bad(&full),
    };
    format!("{full}{}{}", "─".repeat(gone - ended), paint::quiet(&"·".repeat(width - gone)))
}

/// How much of the width so many jobs take, rounded down, so that a bar is full only when all have ended.
fn share(some: usize, all: usize, width: usize) -> usize {
    (some * width).checked_div(all).unwrap_or(0).min(width)
}

/// A row for each wave: `canary  ━━━━━━━━━━──····  4/6 on target  1 failed`.
pub fn rows(scene: &Scene, columns: usize) -> Vec<String> {
    let (waves, counts) = (&scene.header.waves, scene.tally.waves());
    let longest_count = counts.iter().map(|counts| format::count(counts.jobs()).len()).max().unwrap_or(0);
    let numbers: Vec<_> = counts.iter().map(|counts| numbers(counts, longest_count)).collect();
    let longest_numbers = numbers.iter().map(|parts| measure_text_width(&parts.join(GAP))).max().unwrap_or(0);
    let names: Vec<&str> = waves.iter().map(|wave| wave.name.as_str()).collect();
    let longest_name = names.iter().map(|name| measure_text_width(name)).max().unwrap_or(0).min(LONGEST_NAME);
    let room = columns.saturating_sub(longest_name + longest_numbers + 2 * GAP.len());
    let bar_width = room.clamp(SHORTEST_BAR, LONGEST_BAR);
    let row = |((name, counts), numbers): ((&&str, &Counts), Vec<String>)| {
        let name = truncate_str(name, longest_name, "…");
        let mut parts = vec![pad_str(&name, longest_name, Alignment::Left, None).into_owned()];
        let first = numbers.first().map_or(0, |first| measure_text_width(first));
        if longest_name + bar_width + first + 2 * GAP.len() <= columns {
            parts.push(bar(counts, bar_width));
        }
        parts.extend(numbers);
        fit(parts, GAP, columns).trim_end().to_owned()
    };
    names.iter().zip(counts).zip(numbers).map(row).collect()
}

fn numbers(counts: &Counts, width: usize) -> Vec<String> {
    let (on_target, jobs) = (format::count(counts.on_target()), format::count(counts.jobs()));
    let share = format!("{on_target}/{jobs}");
    let mut parts = vec![format!("{share:>0$} on target", 2 * width + 1)];
    parts.extend(troubles(counts));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Wave;
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
        let status = plain(&status(Duration::from_secs(44), &scene, 80));
        let trouble = plain(&trouble(&scene, 80).expect("a busy moment has troubles"));
        for line in [&status, &trouble] {
            assert!(line.chars().count() <= 80, "{line}");
        }
        insta::assert_snapshot!(format!("{status}\n{trouble}"));
    }

    #[test]
    fn a_stopping_run_says_so_where_the_rate_was() {
        let story = script::stopped();
        let mut scene = story.scene();
        scene.tally = story.tally_at(10);
        let status = plain(&status(Duration::from_secs(10), &scene, 80));
        assert_eq!(status, "  0:10  stopping · 0 in flight · 12 converging");
    }

    #[test]
    fn a_run_without_trouble_has_no_line_for_it() {
        assert_eq!(trouble(&script::all_good().scene(), 80), None);
    }

    #[test]
    fn a_row_shows_name_bar_and_numbers() {
        let mut story = script::mixed();
        let mut header = RunHeader::clone(&story.header);
        header.waves = ["canary", "a wave with a very long name", "rest"].map(Wave::named).into();
        story.replace_opening(header);
        let mut scene = story.scene();
        scene.tally = story.tally();
        let row = plain(&rows(&scene, 80)[1]);
        let expected = "a wave with a v…  ━━━━━━━━━━  10/24 on target  12 failed  1 timed-out  1 unknown";
        assert_eq!(row, expected);
    }

    #[test]
    fn a_narrow_terminal_shows_fewer_parts_and_no_half_ones() {
        let scene = script::busy_scene();
        let lines = |columns| {
            let mut lines = rows(&scene, columns);
            lines.push(status(Duration::from_secs(44), &scene, columns));
            lines.extend(trouble(&scene, columns));
            lines.iter().map(|line| plain(line)).collect::<Vec<_>>()
        };
        let whole = lines(500);
        for columns in 30..200 {
            for (line, whole) in lines(columns).iter().zip(&whole) {
                assert!(measure_text_width(line) <= columns, "{columns}: {line}");
                let parts = |line: &str| -> Vec<String> {
                    line.replace(SEPARATOR, GAP).split(GAP).map(|part| part.trim().to_owned()).collect()
                };
                let known = parts(whole);
                for part in parts(line).iter().filter(|part| !part.is_empty() && !part.contains(['━', '─']))
                {
                    assert!(known.contains(part), "{columns}: {part} of {line} is not in {whole}");
                }
            }
        }
    }
}
