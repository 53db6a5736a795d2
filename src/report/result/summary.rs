//! The summary of a run for people: the result, why, and the command that resumes.

use super::closing::{Closing, SKIP_FAILED};
use super::reasons;
use crate::event::{RunHeader, StopReason};
use crate::format::{self, count, duration, plural};
use crate::job::{JobIndex, Outcome};
use crate::report::table::{Columns, table};
use crate::report::{print, style, text};
use crate::tally::{Outcomes, Soak, Tally};

/// How the table and the JSON document call drifted engines.
const DRIFTED: &str = "drifted";

/// The summary: headline, table, soaks, reasons, numbers, and the command that resumes. Sentences wrap at so many
/// columns; table and command do not.
pub fn summary(header: &RunHeader, tally: &Tally, closing: &Closing, columns: Option<usize>) -> String {
    let wrap = |text: String| print::wrap(&text, columns, 2);
    let headline = text::headline(tally.overall(), closing.stopped.as_ref());
    let mut paragraphs = vec![wrap(headline + "\n"), counts(header, tally)];
    paragraphs.extend(soaks(header, tally));
    paragraphs.extend(reasons::paragraphs(header, tally, columns));
    paragraphs.push(wrap(numbers(header, tally, closing)));
    paragraphs.extend(resume(tally, closing, wrap));
    paragraphs.join("\n")
}

/// One row for each wave and one for all; the columns of a row add up to its jobs.
fn counts(header: &RunHeader, tally: &Tally) -> String {
    let overall = tally.outcomes();
    let present: Vec<_> = Outcome::ALL.into_iter().filter(|&outcome| overall.of(outcome) > 0).collect();
    let mut columns = vec!["wave", "jobs"];
    columns.extend(present.iter().map(|outcome| outcome.word()));
    columns.extend((overall.drifted > 0).then_some(DRIFTED));
    let row = |name: &str, outcomes: &Outcomes| {
        let mut numbers: Vec<usize> = present.iter().map(|&outcome| outcomes.of(outcome)).collect();
        numbers.extend((overall.drifted > 0).then_some(outcomes.drifted));
        let numbers = numbers.into_iter().map(|jobs| if jobs == 0 { "-".to_owned() } else { count(jobs) });
        [format::cut(name, 32), count(outcomes.total())].into_iter().chain(numbers).collect()
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    if tally.waves().len() > 1 {
        let names = header.waves.iter().map(|wave| wave.name.as_str()).chain(std::iter::repeat(""));
        rows.extend(tally.waves().iter().zip(names).map(|(counts, name)| row(name, &counts.outcomes())));
    }
    rows.push(row("total", &overall));
    let earlier = text::from_earlier_runs(tally.from_earlier_runs());
    let earlier = earlier.map_or_else(String::new, |earlier| earlier + "\n");
    coloured(&table(&columns, &rows, Columns::Numbers), &present) + &earlier
}

/// Colours the outcomes in the header. The table is laid out before, because it counts colours as width.
fn coloured(table: &str, present: &[Outcome]) -> String {
    let (header, rest) = table.split_once('\n').unwrap_or((table, ""));
    let header = present.iter().fold(header.to_owned(), |header, &outcome| {
        header.replace(&format!(" {outcome}"), &format!(" {}", style::as_outcome(outcome, outcome.word())))
    });
    format!("{header}\n{rest}")
}

/// How each soak ended that started in this run.
fn soaks(header: &RunHeader, tally: &Tally) -> Option<String> {
    let waves = header.waves.iter().zip(tally.soaks());
    let ended =
        waves.filter_map(|(wave, soak)| Some(format!("{}: {}\n", wave.name, text::soak_result(*soak)?)));
    let ended: Vec<String> = ended.collect();
    (!ended.is_empty()).then(|| ended.concat())
}

fn numbers(header: &RunHeader, tally: &Tally, closing: &Closing) -> String {
    let plural_if_any = |number, noun| (number > 0).then(|| plural(number, noun));
    let requests = plural(tally.attempts(), "request");
    let mut numbers = vec![if tally.retries() + tally.throttles() == 0 {
        requests
    } else {
        // the numbers in brackets add up to the one before
        let mut parts = vec![plural(tally.jobs_sent(), "engine")];
        parts.extend(plural_if_any(tally.retries(), "retry"));
        parts.extend((tally.throttles() > 0).then(|| format!("{} throttled", count(tally.throttles()))));
        format!("{requests} ({})", parts.join(" + "))
    }];
    numbers.extend((tally.unconfirmed() > 0).then(|| format!("{} unconfirmed", count(tally.unconfirmed()))));
    let peak = closing.peak_requests_per_second.filter(|&peak| peak > 0);
    numbers.extend(peak.map(|peak| format!("at most {} in any second", plural(peak as usize, "request"))));
    numbers.push(duration(closing.elapsed));
    let earlier = text::unconfirmed_from_earlier_runs(tally.unconfirmed_from_earlier_runs());
    let earlier = earlier.map_or_else(String::new, |earlier| earlier + "\n");
    let ledger = format::shown_path(&header.ledger);
    format!("{}\n{earlier}run {}, ledger {ledger}\n", numbers.join(", "), header.run_id)
}

/// The command that resumes, what it does, and what `--skip-failed` would change.
fn resume(tally: &Tally, closing: &Closing, wrap: impl Fn(String) -> String) -> Option<String> {
    let outcomes = tally.outcomes();
    let failed = outcomes.of(Outcome::Failed);
    let not_started = outcomes.of(Outcome::NotStarted);
    let unverified = outcomes.of(Outcome::TimedOut) + outcomes.of(Outcome::Unknown);
    let left = failed + not_started + unverified;
    let soak = next_soak(tally, left == 0);
    let command = closing.resume().filter(|_| left > 0 || soak.is_some())?;

    let reasons = (0..outcomes.total()).filter_map(|row| tally.result(JobIndex(row))?.reason.as_ref());
    let need_release = left > 0 && reasons.filter(|reason| reason.needs_release).count() == left;
    let head = if need_release {
        format!("{} failed and are not sent again by the same command; to send them again:", count(failed))
    } else {
        let parts = [(not_started, "to switch"), (unverified, "to verify"), (failed, "to retry")];
        let parts = text::counted(parts).join(", ");
        if parts.is_empty() { "resume with:".to_owned() } else { format!("{parts}; resume with:") }
    };
    let head = match &closing.stopped {
        Some(StopReason::LedgerFailed { .. }) => format!("when the ledger is in place and writable: {head}"),
        _ => head,
    };
    let flag = if need_release { " --retry-moved" } else { "" };
    let command = style::strong(&format!("{command}{flag}"));
    let is_denied =
        matches!(&closing.stopped, Some(StopReason::AccountRefused(reason)) if text::is_denied(reason));
    let skip = (failed > 0).then(|| {
        let what =
            if is_denied { "continues past the engines that were denied" } else { "excludes failed engines" };
        format!("{SKIP_FAILED} {what}")
    });
    let notes: String = skip.into_iter().chain(soak).map(|note| wrap(note) + "\n").collect();
    Some(format!("{}\n  {command}\n{notes}", wrap(head)))
}

/// What the same command does about a soak that did not end well.
fn next_soak(tally: &Tally, nothing_left: bool) -> Option<String> {
    match tally.stopped() {
        Some(StopReason::SoakFailed(failure)) => Some(text::after_failed_soak(failure, nothing_left)),
        _ => tally.soaks().contains(&Soak::Soaking).then(|| text::SOAK_CONTINUES.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Event, SoakFailure};
    use crate::report::fixtures::{self, SampleRun};
    use crate::report::style::plain;

    fn summary_of(run: &SampleRun, columns: Option<usize>) -> String {
        let tally = run.tally();
        let closing = Closing {
            stopped: tally.stopped().cloned(),
            elapsed: run.elapsed(),
            peak_requests_per_second: Some(20),
            command: Some("dlc-fleet run fleet.yaml --skip-failed --yes".into()),
        };
        plain(&summary(&run.header, &tally, &closing, columns))
    }

    #[test]
    fn the_summary_of_a_run_without_problems_offers_no_resume() {
        insta::assert_snapshot!(summary_of(&fixtures::all_good(), None));
    }

    #[test]
    fn the_summary_groups_failures_by_reason() {
        insta::assert_snapshot!(summary_of(&fixtures::mixed(), None));
    }

    #[test]
    fn the_summary_of_an_interrupted_run_has_the_command_that_resumes() {
        insta::assert_snapshot!(summary_of(&fixtures::stopped(), None));
    }

    #[test]
    fn the_summary_of_a_resumed_run_counts_drifted_engines_apart() {
        insta::assert_snapshot!(summary_of(&fixtures::resumed(), None));
    }

    #[test]
    fn the_summary_of_a_denied_run_names_the_permission() {
        insta::assert_snapshot!(summary_of(&fixtures::refused_account(), None));
    }

    #[test]
    fn the_summary_of_a_failed_soak_says_what_to_do() {
        insta::assert_snapshot!(summary_of(&fixtures::soaking(), None));
    }

    #[test]
    fn the_summary_of_an_interrupted_soak_says_that_it_continues() {
        insta::assert_snapshot!(summary_of(&fixtures::interrupted_soak(), None));
    }

    #[test]
    fn sentences_wrap_at_spaces_on_a_terminal_and_the_command_does_not() {
        let summary = summary_of(&fixtures::soaking(), Some(60));
        assert!(summary.contains("\n  dlc-fleet run fleet.yaml --yes\n"), "{summary}");
        for line in summary.lines() {
            assert!(line.chars().count() <= 60, "{line}");
        }
    }

    /// Two engines that were switched, and a soak that starts after them.
    fn last_soak(end: Event) -> String {
        let mut run = fixtures::fleet(2);
        run.switches(0, 0, 1_000);
        run.switches(0, 1, 1_000);
        run.push(1_100, Event::SoakStarted { wave: 0, left: Duration::from_secs(60), verify: true });
        run.push(62_000, end);
        summary_of(&run.finish(), None)
    }

    #[test]
    fn after_the_last_wave_failed_its_soak_no_other_wave_is_announced() {
        let failure = SoakFailure { wave: "all".into(), ..fixtures::soak_failure() };
        let summary = last_soak(Event::Stopping(StopReason::SoakFailed(failure)));
        assert!(
            summary.contains("\nnothing is left to send; the same command verifies wave all"),
            "{summary}"
        );
    }

    #[test]
    fn a_run_that_is_interrupted_in_its_last_soak_can_be_resumed() {
        let summary = last_soak(Event::Stopping(StopReason::Interrupted { signal: "SIGINT" }));
        let end = format!("resume with:\n  dlc-fleet run fleet.yaml --yes\n{}\n", text::SOAK_CONTINUES);
        assert!(summary.contains("all: soak interrupted\n") && summary.ends_with(&end), "{summary}");
    }

    #[test]
    fn where_all_engines_that_are_left_have_failed_the_command_sends_them_again() {
        let summary = summary_of(&fixtures::flood(3), None);
        let end = "3 to retry; resume with:\n  dlc-fleet run fleet.yaml --yes\n--skip-failed excludes failed \
                   engines\n";
        assert!(summary.ends_with(end), "{summary}");
    }

    #[test]
    fn unconfirmed_requests_of_earlier_runs_are_counted_apart() {
        let mut run = fixtures::fleet(2);
        run.push(0, Event::Unconfirmed { job: JobIndex(0), reason: fixtures::reason("no-response") });
        let summary = summary_of(&run, None);
        assert!(summary.contains("1 unconfirmed request of earlier runs verified first\n"), "{summary}");
        assert!(!summary.contains("1 unconfirmed,"), "{summary}");
    }

    #[test]
    fn a_thousand_equal_failures_are_one_short_paragraph() {
        let summary = summary_of(&fixtures::flood(1000), None);
        assert!(summary.contains("and 995 more"), "{summary}");
        assert!(summary.lines().count() < 25, "{summary}");
    }

    #[test]
    fn the_columns_of_every_row_add_up_to_its_jobs() {
        for run in [fixtures::all_good(), fixtures::mixed(), fixtures::stopped(), fixtures::resumed()] {
            for events in 0..=run.events.len() {
                let text = plain(&counts(&run.header, &run.tally_after(events)));
                let rows = text.lines().skip(2).filter(|line| !line.contains("earlier runs"));
                for row in rows {
                    let numbers: Vec<usize> =
                        row.split_whitespace().skip(1).map(|cell| cell.parse().unwrap_or(0)).collect();
                    assert_eq!(numbers[0], numbers[1..].iter().sum::<usize>(), "{text}");
                    assert!(!row.starts_with("total") || numbers[0] == run.header.jobs.len(), "{text}");
                }
            }
        }
    }
}
