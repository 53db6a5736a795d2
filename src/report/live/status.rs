//! The status of a run in one line or a few: counts, rates, bars.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::state::ProgressState;
use super::time_left::time_left;
use crate::format::{self, count};
use crate::report::{style, text};
use crate::tally::Counts;

/// Between the parts of a status line.
const SEPARATOR: &str = " · ";
/// Longer names of waves are cut.
const LONGEST_NAME: usize = 16;
/// The longest bar, if the numbers beside it leave room for it.
const LONGEST_BAR: usize = 30;
/// The shortest bar.
const SHORTEST_BAR: usize = 10;
/// Between the parts of a row.
const GAP: &str = "  ";
/// Requests per second below this are shown as none.
const NO_RATE: f64 = 0.05;

/// The status in one line of a log: `wave 2 of 3 (early): 14 of 24 on target, 3 in flight, 19.6/s, about 2m left`.
pub fn log_line(after: Duration, state: &ProgressState) -> String {
    let overall = || text::counts(state.tally.overall());
    let mut parts = match (soaking(after, state), state.wave) {
        (Some(soaking), _) => vec![format!("{soaking}; overall {}", overall())],
        (None, Some((wave, _))) if wave < state.tally.waves().len() => {
            let title = text::wave_title(&state.header, wave).map_or_else(String::new, |title| title + ": ");
            let rate = state.throughput.sent_per_second(after);
            let counts = format!("{title}{}", text::counts(&state.tally.waves()[wave]));
            let rate = (rate >= NO_RATE).then(|| format::per_second(rate));
            [counts].into_iter().chain(rate).collect()
        }
        _ => vec![match text::wave_title(&state.header, state.next_wave) {
            Some(title) => format!("{title} has not started; overall {}", overall()),
            None => overall(),
        }],
    };
    parts.extend(time_left_text(after, state));
    parts.join(", ")
}

/// The status line below the bars: `0:42  19.6/s · 3 in flight · 4 converging · about 2m left`.
pub fn status(after: Duration, state: &ProgressState, columns: usize) -> String {
    let overall = state.tally.overall();
    let clock = style::quiet(&format!("{:>6}", format::clock(after)));
    let mut parts = Vec::new();
    if state.tally.stopped().is_some() {
        parts.push(style::bad("stopping"));
    } else if let Some(soaking) = soaking(after, state) {
        parts.push(soaking);
    } else if is_sending(state) {
        parts.push(rate(after, state));
    }
    parts.extend(text::counted([(overall.in_flight, "in flight"), (overall.converging, "converging")]));
    if overall.confirming > 0 {
        parts.push(text::confirming(overall.confirming, state.confirming_left(after)));
    }
    parts.extend(time_left_text(after, state));
    format!("{clock}  {}", fit(parts, SEPARATOR, columns.saturating_sub(8)))
}

/// The line below the status line if there are problems: `12 failed · 2 unconfirmed · 1 retrying`.
pub fn problems(state: &ProgressState, columns: usize) -> Option<String> {
    let overall = state.tally.overall();
    let mut parts = text::final_problems(overall);
    parts.extend(text::pending_problems(overall));
    (!parts.is_empty()).then(|| format!("{:8}{}", "", fit(parts, SEPARATOR, columns.saturating_sub(8))))
}

/// As many whole parts as fit into so many columns, and always the first: half a number is a wrong number.
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

/// True if requests of the current wave are left to send.
fn is_sending(state: &ProgressState) -> bool {
    let counts = state.wave.and_then(|(wave, _)| state.tally.waves().get(wave));
    counts.is_some_and(|counts| counts.waiting + counts.in_flight + counts.retrying > 0)
}

fn rate(after: Duration, state: &ProgressState) -> String {
    let measured = format::per_second(state.throughput.sent_per_second(after));
    let allowed = state.tally.rate();
    if allowed < f64::from(state.header.rate) {
        return format!("{measured}, {}", style::warn(&format!("limit {allowed:.1}")));
    }
    measured
}

fn soaking(after: Duration, state: &ProgressState) -> Option<String> {
    let (wave, until) = state.soaking?;
    Some(text::soaking(&state.header, wave, until.saturating_sub(after)))
}

fn time_left_text(after: Duration, state: &ProgressState) -> Option<String> {
    let left = time_left(after, state)?;
    Some(text::time_left(left.left, left.at_least))
}

/// One bar: jobs that have ended in thick strokes, jobs under way in thin ones, waiting jobs in dots.
///
/// The three differ without colour, and are rounded so that a bar is full only when all jobs have ended.
pub fn bar(counts: &Counts, width: usize) -> String {
    let jobs = counts.jobs();
    let ended = share(counts.ended.total(), jobs, width);
    let started = share(counts.ended.total() + counts.under_way(), jobs, width);
    let thick = "━".repeat(ended);
    let thick =
        if counts.ended.good() == counts.ended.total() { style::good(&thick) } else { style::bad(&thick) };
    format!("{thick}{}{}", "─".repeat(started - ended), style::quiet(&"·".repeat(width - started)))
}

/// How much of the width so many jobs take, rounded down.
fn share(some: usize, all: usize, width: usize) -> usize {
    (some * width).checked_div(all).unwrap_or(0).min(width)
}

/// A row for each wave: `canary  ━━━━━━━━━━──····  4/6 on target  1 failed`.
pub fn rows(state: &ProgressState, columns: usize) -> Vec<String> {
    let (waves, counts) = (&state.header.waves, state.tally.waves());
    let longest_count = counts.iter().map(|counts| count(counts.jobs()).len()).max().unwrap_or(0);
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
    let share = format!("{}/{}", count(counts.ended.on_target()), count(counts.jobs()));
    let mut parts = vec![format!("{share:>0$} on target", 2 * width + 1)];
    parts.extend(text::final_problems(counts));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, RunHeader};
    use crate::job::{JobIndex, Wave};
    use crate::report::fixtures;
    use crate::report::style::plain;

    #[test]
    fn ended_running_and_waiting_jobs_differ_in_a_bar_without_colour() {
        let tally = fixtures::mixed().tally_at(22);
        let bar = plain(&bar(tally.overall(), 20));
        assert_eq!(bar.chars().count(), 20);
        for sign in ['━', '─', '·'] {
            assert!(bar.contains(sign), "{bar} lacks {sign}");
        }
    }

    #[test]
    fn a_bar_is_full_only_when_all_have_ended() {
        let counts = fixtures::counts(999, 1);
        assert_eq!(plain(&bar(&counts, 30)), format!("{}{}", "━".repeat(29), "·"));
        assert_eq!(plain(&bar(&fixtures::counts(1000, 0), 30)), "━".repeat(30));
    }

    #[test]
    fn a_bar_without_jobs_is_empty() {
        assert_eq!(plain(&bar(&Counts::default(), 3)), "···");
    }

    #[test]
    fn the_numbers_of_a_line_add_up_to_its_jobs() {
        let run = fixtures::mixed();
        for events in 0..=run.events.len() {
            let tally = run.tally_after(events);
            for counts in tally.waves() {
                let line = plain(&text::counts(counts));
                let mut numbers =
                    line.split(", ").filter_map(|part| part.split(' ').next()?.parse::<usize>().ok());
                assert_eq!(numbers.by_ref().sum::<usize>(), counts.jobs(), "{line}");
            }
        }
    }

    #[test]
    fn the_status_of_a_busy_moment_fits_eighty_columns() {
        let state = fixtures::busy_state();
        let status = plain(&status(Duration::from_secs(44), &state, 80));
        let problems = plain(&problems(&state, 80).expect("a busy moment has problems"));
        for line in [&status, &problems] {
            assert!(line.chars().count() <= 80, "{line}");
        }
        insta::assert_snapshot!(format!("{status}\n{problems}"));
    }

    #[test]
    fn a_small_wave_that_only_waits_for_min_ready_says_so_and_for_how_long() {
        let mut state = fixtures::fleet(3).state();
        let at = Duration::from_secs;
        state.take(at(0), &Event::WaveStarted { wave: 0 });
        for job in (0..3).map(JobIndex) {
            state.take(at(1), &Event::Sent { job, attempt: 1 });
            state.take(at(1), &Event::Accepted { job });
            state.take(at(3), &Event::Ready { job });
        }
        let left = |seconds| format::about(at(seconds));
        let line = |seconds| plain(&status(at(seconds), &state, 80));
        let expected =
            format!("  0:06  3 on the new image, confirming for {} · at least {} left", left(7), left(5));
        assert_eq!(line(6), expected);
        assert_eq!(line(15), "  0:15  3 on the new image, confirming");
    }

    #[test]
    fn a_stopping_run_says_so_in_place_of_the_rate() {
        let run = fixtures::stopped();
        let mut state = run.state();
        state.tally = run.tally_at(10);
        assert_eq!(plain(&status(Duration::from_secs(10), &state, 80)), "  0:10  stopping · 12 converging");
    }

    #[test]
    fn the_status_counts_a_soak_down() {
        let run = fixtures::soaking();
        let status = |seconds| {
            let after = Duration::from_secs(seconds);
            plain(&status(after, &run.state_at(after), 80))
        };
        insta::assert_snapshot!([29, 608, 665].map(status).join("\n"));
        for without in [5, 610, 669] {
            assert!(!status(without).contains("soak"), "{}", status(without));
        }
    }

    #[test]
    fn a_run_without_problems_has_no_line_for_them() {
        assert_eq!(problems(&fixtures::all_good().state(), 80), None);
    }

    #[test]
    fn a_row_shows_name_bar_and_numbers() {
        let mut run = fixtures::mixed();
        let mut header = RunHeader::clone(&run.header);
        header.waves = ["canary", "a wave with a very long name", "rest"].map(Wave::named).into();
        run.set_header(header);
        let mut state = run.state();
        state.tally = run.tally();
        let row = plain(&rows(&state, 80)[1]);
        let expected = "a wave with a v…  ━━━━━━━━━━  10/24 on target  12 failed  1 timed-out  1 unknown";
        assert_eq!(row, expected);
    }

    #[test]
    fn a_narrow_terminal_shows_fewer_parts_and_no_half_ones() {
        let state = fixtures::busy_state();
        let lines = |columns| {
            let mut lines = rows(&state, columns);
            lines.push(status(Duration::from_secs(44), &state, columns));
            lines.extend(problems(&state, columns));
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
