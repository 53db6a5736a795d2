//! The closing summary: what the run came to, why, and what to do next.

use std::time::Duration;

use super::table::{Columns, table};
use super::{paint, reasons, soaking, wording};
use crate::event::{RunHeader, StopReason};
use crate::format;
use crate::job::{JobIndex, Outcome};
use crate::tally::{Outcomes, Tally};

/// What is known only when the run is over.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// Why the run sent nothing more although jobs were left.
    pub stopped: Option<StopReason>,
    /// How long it took.
    pub elapsed: Duration,
    /// Most switch requests started in any one second, where it was measured.
    pub peak_requests_per_second: Option<u32>,
    /// The command of this run as it was typed; shown without `--skip-failed`, because that would leave out jobs.
    pub resume: Option<String>,
}

impl Closing {
    /// The exact command that goes on with all that is left, also with what failed.
    pub(super) fn goes_on(&self) -> Option<String> {
        let words = self.resume.as_ref()?.split(' ').filter(|word| *word != SKIP_FAILED);
        Some(words.collect::<Vec<_>>().join(" "))
    }
}

/// The flag that leaves alone what failed in an earlier run.
const SKIP_FAILED: &str = "--skip-failed";

/// The summary for people: headline, table, reasons, facts, ledger, and the command that goes on.
pub fn summary(header: &RunHeader, tally: &Tally, closing: &Closing) -> String {
    let mut paragraphs = vec![headline(tally, closing) + "\n", counts(header, tally)];
    paragraphs.extend(soaking::closing(header, tally));
    paragraphs.extend(reasons::paragraphs(header, tally));
    paragraphs.push(facts(header, tally, closing));
    paragraphs.extend(resume(tally, closing));
    paragraphs.join("\n")
}

fn headline(tally: &Tally, closing: &Closing) -> String {
    let outcomes = tally.outcomes();
    let jobs = outcomes.total();
    let on_target = tally.overall().on_target();
    let engines = format::plural(jobs, "engine");
    let all = if jobs == 1 { "the one engine".to_owned() } else { format!("all {engines}") };
    let text = if on_target == jobs {
        paint::good(&format!("{all} on target"))
    } else if outcomes.of(Outcome::Accepted) == jobs {
        paint::good(&format!("{all} accepted; nobody looked whether they arrive"))
    } else {
        paint::strong(&format!("{} of {engines} on target", format::count(on_target)))
    };
    match &closing.stopped {
        Some(reason) => format!("{}, {}; {text}", paint::bad("stopped"), wording::stop_cause(reason)),
        None => text,
    }
}

/// One row for each wave and one for all; the columns of a row add up to its jobs.
fn counts(header: &RunHeader, tally: &Tally) -> String {
    let overall = tally.outcomes();
    let occurring: Vec<_> = Outcome::ALL.into_iter().filter(|&outcome| overall.of(outcome) > 0).collect();
    let mut columns = vec!["wave", "jobs"];
    columns.extend(occurring.iter().map(|outcome| outcome.word()));

    let mut rows = Vec::new();
    if tally.waves().len() > 1 {
        for (wave, counts) in tally.waves().iter().enumerate() {
            let name = header.waves.get(wave).map_or("", |wave| wave.name.as_str());
            rows.push(count_row(&format::cut(name, 32), &counts.outcomes(), &occurring));
        }
    }
    rows.push(count_row("total", &overall, &occurring));

    let earlier = match tally.from_earlier_runs() {
        0 => String::new(),
        1 => "1 of these was settled by an earlier run\n".to_owned(),
        several => format!("{} of these were settled by earlier runs\n", format::count(several)),
    };
    painted(&table(&columns, &rows, Columns::Numbers), &occurring) + &earlier
}

fn count_row(name: &str, outcomes: &Outcomes, occurring: &[Outcome]) -> Vec<String> {
    let mut row = vec![name.to_owned(), format::count(outcomes.total())];
    row.extend(occurring.iter().map(|&outcome| match outcomes.of(outcome) {
        // a zero is noise beside numbers that mean work
        0 => "-".to_owned(),
        jobs => format::count(jobs),
    }));
    row
}

/// Colours the outcome words of the header. The table is laid out before, because it counts colours as width.
fn painted(table: &str, occurring: &[Outcome]) -> String {
    let (header, rest) = table.split_once('\n').unwrap_or((table, ""));
    let header = occurring.iter().fold(header.to_owned(), |header, &outcome| {
        header.replace(&format!(" {outcome}"), &format!(" {}", paint::as_outcome(outcome, outcome.word())))
    });
    format!("{header}\n{rest}")
}

fn facts(header: &RunHeader, tally: &Tally, closing: &Closing) -> String {
    let sent = format::plural(tally.attempts(), "request");
    let again = tally.retries() + tally.throttles();
    // the numbers in the brackets add up to the one before
    let mut facts = vec![if again == 0 {
        sent
    } else {
        let mut parts = vec![format::plural(tally.jobs_sent(), "engine")];
        parts.extend(some(tally.retries(), "retry"));
        parts.extend(some(tally.throttles(), "throttle"));
        format!("{sent} ({})", parts.join(" + "))
    }];
    facts.extend(some(tally.unconfirmed(), "unconfirmed answer"));
    if let Some(worst) = closing.peak_requests_per_second.filter(|&worst| worst > 0) {
        let starts = format::plural(worst as usize, "start");
        facts.push(format!("at most {starts} in any second"));
    }
    facts.push(format::duration(closing.elapsed));
    let ledger = format::shown_path(&header.ledger);
    let inherited = match tally.unconfirmed_from_earlier_runs() {
        0 => String::new(),
        1 => "1 request of an earlier run was read back first\n".to_owned(),
        several => format!("{} of earlier runs were read back first\n", format::plural(several, "request")),
    };
    format!("{}\n{inherited}run {}, ledger {ledger}\n", facts.join(", "), header.run_id)
}

fn some(number: usize, noun: &str) -> Option<String> {
    (number > 0).then(|| format::plural(number, noun))
}

/// The command that goes on, what `--skip-failed` would change, and what becomes of a soak.
fn resume(tally: &Tally, closing: &Closing) -> Option<String> {
    let outcomes = tally.outcomes();
    let (left, failed) = (outcomes.total() - outcomes.good(), outcomes.of(Outcome::Failed));
    let soak = soaking::to_go_on(tally);
    let command = closing.goes_on().filter(|_| left > 0 || soak.is_some())?;
    let engines = format::plural(left, "engine");
    let reasons = (0..outcomes.total()).filter_map(|row| tally.result(JobIndex(row))?.reason.as_ref());
    let is_held = left > 0 && reasons.filter(|reason| reason.needs_release).count() == left;
    let head = if left == 0 {
        "to go on:".to_owned()
    } else if is_held {
        format!("{engines} failed, and the same command leaves them alone; to switch them all the same:")
    } else if failed == left {
        format!("{engines} failed and nothing else is left; the same command tries again:")
    } else if failed > 0 {
        format!("to go on with the {engines} left, {} of them failed:", format::count(failed))
    } else {
        format!("to go on with the {engines} left:")
    };
    let head = match &closing.stopped {
        Some(StopReason::LedgerFailed { .. }) => {
            format!("once the ledger is in its place and can be written again, {head}")
        }
        _ => head,
    };
    let command = if is_held { format!("{command} --retry-moved") } else { command };
    let denied =
        matches!(&closing.stopped, Some(StopReason::AccountRefused(reason)) if wording::is_denied(reason));
    let tail = match failed {
        0 => String::new(),
        _ if denied => format!("with {SKIP_FAILED} it goes past the engines that were denied\n"),
        _ => format!("with {SKIP_FAILED} it leaves alone what failed\n"),
    };
    let soak = soak.map_or_else(String::new, |soak| format!("{soak}\n"));
    Some(format!("{head}\n  {}\n{tail}{soak}", paint::strong(&command)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::paint::plain;
    use crate::report::script::{self, Story};

    fn summary_of(story: &Story) -> String {
        let tally = story.tally();
        let closing = Closing {
            stopped: tally.stopped().cloned(),
            elapsed: story.elapsed(),
            peak_requests_per_second: Some(20),
            resume: Some("dlc-fleet run fleet.yaml --skip-failed --yes".into()),
        };
        plain(&summary(&story.header, &tally, &closing))
    }

    #[test]
    fn an_all_good_run_is_short_and_offers_no_resume() {
        insta::assert_snapshot!(summary_of(&script::all_good()));
    }

    #[test]
    fn a_mixed_run_groups_failures_by_reason() {
        insta::assert_snapshot!(summary_of(&script::mixed()));
    }

    #[test]
    fn a_stopped_run_names_the_stop_and_the_command_that_goes_on() {
        insta::assert_snapshot!(summary_of(&script::stopped()));
    }

    #[test]
    fn a_resumed_run_counts_earlier_jobs_and_tells_of_drift() {
        insta::assert_snapshot!(summary_of(&script::resumed()));
    }

    #[test]
    fn a_run_that_was_refused_as_a_whole_blames_the_account_and_offers_a_way_past() {
        insta::assert_snapshot!(summary_of(&script::refused_account()));
    }

    #[test]
    fn a_wave_that_did_not_come_through_its_soak_is_told_with_what_to_do_next() {
        insta::assert_snapshot!(summary_of(&script::soaking()));
    }

    #[test]
    fn a_last_wave_that_did_not_come_through_its_soak_promises_no_other_wave() {
        let mut story = script::fleet(2);
        story.switches(0, 0, 1_000);
        story.switches(0, 1, 1_000);
        let left = Duration::from_secs(60);
        story.push(1_100, crate::event::Event::SoakStarted { wave: 0, left, verify: true });
        let failure = crate::event::SoakFailure { wave: "all".into(), ..script::soak_failure() };
        story.push(62_000, crate::event::Event::Stopping(StopReason::SoakFailed(failure)));
        let summary = summary_of(&story.finish());
        let end = "nothing is left to be sent, and it looks at all again: first bring its engines back to their \
                   target, running, or take them out of the plan\n";
        assert!(summary.ends_with(end), "{summary}");
    }

    #[test]
    fn a_soak_that_was_cut_short_goes_on_with_the_same_command() {
        insta::assert_snapshot!(summary_of(&script::soak_cut_short()));
    }

    #[test]
    fn a_run_that_is_interrupted_in_its_last_soak_has_no_engine_left_and_still_goes_on() {
        let mut story = script::fleet(2);
        story.switches(0, 0, 1_000);
        story.switches(0, 1, 1_000);
        let left = Duration::from_secs(600);
        story.push(1_100, crate::event::Event::SoakStarted { wave: 0, left, verify: true });
        story.push(9_000, crate::event::Event::Stopping(StopReason::Interrupted { signal: "SIGINT" }));
        let summary = summary_of(&story.finish());
        let end = "to go on:\n  dlc-fleet run fleet.yaml --yes\nit goes on with the rest of the soak\n";
        assert!(summary.contains("all was still soaking\n") && summary.ends_with(end), "{summary}");
    }

    #[test]
    fn where_all_that_is_left_has_failed_the_same_command_tries_it_again() {
        let summary = summary_of(&script::flood(3));
        let end = "3 engines failed and nothing else is left; the same command tries again:\n  dlc-fleet run fleet.yaml --yes\nwith --skip-failed it leaves alone what failed\n";
        assert!(summary.ends_with(end), "{summary}");
    }

    #[test]
    fn requests_of_earlier_runs_are_told_apart_from_lost_answers() {
        let mut story = script::fleet(2);
        let reason = script::reason("no-response", "no answer", "none");
        story.push(0, crate::event::Event::Unconfirmed { job: JobIndex(0), reason });
        let summary = summary_of(&story);
        assert!(summary.contains("1 request of an earlier run was read back first\n"), "{summary}");
        assert!(!summary.contains("unconfirmed answer"), "{summary}");
    }

    #[test]
    fn a_thousand_equal_failures_are_one_short_paragraph() {
        let summary = summary_of(&script::flood(1000));
        assert!(summary.contains("and 995 more"), "{summary}");
        assert!(summary.lines().count() < 25, "{summary}");
    }

    #[test]
    fn the_columns_of_every_row_add_up_to_its_jobs() {
        for story in [script::all_good(), script::mixed(), script::stopped(), script::resumed()] {
            for events in 0..=story.events.len() {
                let text = plain(&counts(&story.header, &story.tally_after(events)));
                let rows = text.lines().skip(2).filter(|line| !line.contains(" of these "));
                for row in rows {
                    let numbers: Vec<usize> =
                        row.split_whitespace().skip(1).map(|cell| cell.parse().unwrap_or(0)).collect();
                    assert_eq!(numbers[0], numbers[1..].iter().sum::<usize>(), "{text}");
                    assert!(!row.starts_with("total") || numbers[0] == story.header.jobs.len(), "{text}");
                }
            }
        }
    }
}
