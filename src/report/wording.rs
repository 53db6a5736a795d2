//! The words for what happens in a run, shared by bars and lines.

use std::time::Duration;

use super::{Scene, paint, progress, soaking};
use crate::event::{Event, RunHeader, StopReason};
use crate::format;
use crate::job::{JobIndex, JobResult, Origin, Outcome, Reason};

/// How many waves are listed with their sizes before it gets too much.
pub(super) const LISTED_WAVES: usize = 6;

/// Most characters of what the network said; the ledger has all of it.
const LONGEST_MESSAGE: usize = 80;

/// The code of what ended only because its run did.
const RUN_ENDED: &str = "run-ended";

/// What there is to say about an event: no line for most, several for some.
pub fn wording(after: Duration, scene: &Scene, event: &Event) -> Vec<String> {
    match event {
        Event::RunStarted(header) => opened(header),
        Event::WaveStarted { wave } => wave_opened(scene, *wave),
        Event::WaveEnded { wave } => wave_closed(after, scene, *wave),
        Event::SoakStarted { wave, left, verify } => {
            vec![soaking::begins(scene, *wave, *left, *verify)]
        }
        Event::SoakEnded { wave, verify } => vec![soaking::ends(scene, *wave, *verify)],
        Event::RunEnded => vec![closed(after, scene)],
        Event::Throttled { reason, rate, .. } => {
            let slowed = paint::warn(&format!("slowed to {}", format::per_second(*rate)));
            vec![format!("requests come too fast ({}): {slowed}", reason.code)]
        }
        Event::ClockSkew { ahead } => vec![clock_off(*ahead)],
        Event::RateRestored { rate } => vec![format!("full speed again: {}", format::per_second(*rate))],
        Event::WillRetry { job, attempt, reason, after } => {
            vec![format!("{}: {}", name(scene, *job), goes_again(scene, *attempt, reason, *after))]
        }
        Event::Unconfirmed { job, reason } => vec![format!(
            "{}: {}, {}; read back for {} before anything is sent again",
            name(scene, *job),
            paint::warn("in doubt"),
            doubt(reason),
            format::duration(scene.header.resend_after),
        )],
        Event::NotApplied { job } => {
            vec![format!("{}: read back, the request was not applied; goes again", name(scene, *job))]
        }
        Event::JobEnded { job, result } => settled(scene, *job, result).into_iter().collect(),
        Event::ReadFailed { reason } => vec![sweep_failed(reason)],
        Event::Drifted { job, seen } => vec![drifted(scene, *job, seen)],
        Event::Stopping(reason) => vec![stopping(scene, reason)],
        Event::Sent { .. } | Event::Accepted { .. } | Event::Tick => Vec::new(),
    }
}

fn goes_again(scene: &Scene, attempt: u32, reason: &Reason, after: Duration) -> String {
    let most = scene.header.max_attempts;
    let (code, cause) = (&reason.code, &reason.cause);
    let when = match after {
        Duration::ZERO => "at once".to_owned(),
        after => format!("in {}", format::duration(after)),
    };
    format!("{code} on attempt {attempt} of {most} ({cause}), goes again {when}")
}

/// What casts the doubt: a refusal by its code, which says more than its message, or what the network said.
fn doubt(reason: &Reason) -> String {
    match &reason.message {
        _ if reason.origin == Origin::Service => format!("{} ({})", reason.code, reason.cause),
        Some(said) => format::quoted(said, LONGEST_MESSAGE),
        None => reason.cause.clone(),
    }
}

fn sweep_failed(reason: &Reason) -> String {
    let said = reason.message.as_ref().map(|said| format!(": {}", format::quoted(said, LONGEST_MESSAGE)));
    let why = format!("{}{}", reason.cause, said.unwrap_or_default());
    format!("read-back did not work, {} ({why}); it is tried again", reason.code)
}

/// The same for a command that is no run; none where nothing is known to be wrong.
pub fn clock_note(ahead: i64) -> Option<String> {
    (ahead != 0).then(|| clock_off(ahead))
}

/// How far the clocks are apart. Seconds alone would not be telling: what was refused is minutes off.
fn clock_off(ahead: i64) -> String {
    let apart = format::about(Duration::from_secs(ahead.unsigned_abs()));
    match ahead {
        0 => "this machine's clock agrees with the service's again".to_owned(),
        1.. => format!(
            "{}: {apart} behind the service's; requests are signed with the service's time; synchronise it",
            paint::warn("this machine's clock is wrong")
        ),
        _ => format!(
            "{}: {apart} ahead of the service's; requests are signed with the service's time; synchronise it",
            paint::warn("this machine's clock is wrong")
        ),
    }
}

/// Why nothing more is sent, in one clause.
pub fn stop_cause(reason: &StopReason) -> String {
    match reason {
        StopReason::Interrupted { signal } => format!("interrupted by {signal}"),
        StopReason::AccountRefused(reason) => {
            let what = if is_denied(reason) {
                "the account was denied a permission"
            } else if reason.origin == Origin::Tool {
                // the service was never asked
                return format!("{}: {}", reason.code, reason.cause);
            } else {
                "the account was refused, not these engines"
            };
            format!("{what} ({}: {})", reason.code, reason.cause)
        }
        StopReason::SoakFailed(failure) => soaking::failed(failure),
        StopReason::LedgerFailed { cause } => {
            format!("the ledger can no longer be written: {cause}")
        }
    }
}

/// True if a permission is missing, which a policy can grant for some engines and deny for others.
pub fn is_denied(reason: &Reason) -> bool {
    ["UnauthorizedOperation", "NoPermission"].iter().any(|word| reason.code.contains(word))
}

/// True if an engine was accepted and all that is wrong is that its run ended before the proof.
pub fn is_unproven(outcome: Outcome, reason: Option<&Reason>) -> bool {
    outcome == Outcome::TimedOut && reason.is_none_or(|reason| reason.code == RUN_ENDED)
}

/// The engine of a job, with its region where the plan has several.
pub fn name(scene: &Scene, job: JobIndex) -> String {
    let Some(job) = scene.header.jobs.get(job.0) else { return format!("job {}", job.0 + 1) };
    let id = &job.key.data_engine_id;
    if scene.several_regions { format!("{id} in {}", job.key.region) } else { id.to_string() }
}

fn opened(header: &RunHeader) -> Vec<String> {
    let engines = format::plural(header.jobs.len(), "engine");
    let waves = match header.waves.len() {
        0 | 1 => String::new(),
        several => format!(" in {}", format::plural(several, "wave")),
    };
    let parent = header.parent_run_id.as_deref();
    let parent = parent.map_or_else(String::new, |id| format!(", goes on from run {id}"));
    let plan = format::shown_path(&header.plan);
    let ledger = format::shown_path(&header.ledger);
    let (endpoint, rate) = (&header.endpoint, header.rate);
    let mut lines = vec![
        format!("run {}{parent}", header.run_id),
        format!("{plan}: {engines}{waves}{}", wave_sizes(header)),
    ];
    lines.extend(soaking::announced(header));
    lines.push(format!("to {endpoint}, at most {rate} requests/s; ledger {ledger}"));
    lines
}

fn wave_sizes(header: &RunHeader) -> String {
    if !(2..=LISTED_WAVES).contains(&header.waves.len()) {
        return String::new();
    }
    let sizes = header.waves.iter().enumerate().map(|(at, wave)| {
        let jobs = header.jobs.iter().filter(|job| job.wave == at).count();
        format!("{} {}", wave.name, format::count(jobs))
    });
    format!(" ({})", sizes.collect::<Vec<_>>().join(", "))
}

fn wave_opened(scene: &Scene, wave: usize) -> Vec<String> {
    match progress::wave_title(&scene.header, wave) {
        // with a single wave the opening has said it all
        None => Vec::new(),
        Some(title) => {
            let jobs = scene.tally.waves().get(wave).map_or(0, crate::tally::Counts::jobs);
            vec![format!("{title}, opens: {}", format::plural(jobs, "engine"))]
        }
    }
}

fn wave_closed(after: Duration, scene: &Scene, wave: usize) -> Vec<String> {
    let Some(counts) = scene.tally.waves().get(wave) else { return Vec::new() };
    // with a single wave the end of the run says it
    let Some(title) = progress::wave_title(&scene.header, wave) else { return Vec::new() };
    let opened = scene.wave.map_or(after, |(_, opened)| opened);
    let took = format::duration(after.saturating_sub(opened));
    vec![format!("{title}, over after {took}: {}", progress::standing(counts))]
}

fn drifted(scene: &Scene, job: JobIndex, seen: &str) -> String {
    // what an earlier run settled is told of before its verdict is
    let now = scene.tally.result(job).is_some_and(|result| !result.from_earlier_run);
    let before = if now { "it was on its target" } else { "an earlier run brought it to its target" };
    let name = name(scene, job);
    format!("{name}: {}, {before} and now it is {seen}; it is left alone", paint::warn("drifted"))
}

/// The end of a wave for which nothing was sent, watched or read back.
pub fn idle_wave(scene: &Scene, wave: usize) -> Option<String> {
    let counts = scene.tally.waves().get(wave)?;
    let title = progress::wave_title(&scene.header, wave)?;
    let standing = match counts.jobs() - counts.on_target() {
        0 => String::new(),
        _ => format!(", {}", progress::standing(counts)),
    };
    Some(format!("{title}: nothing left to do{standing}"))
}

fn closed(after: Duration, scene: &Scene) -> String {
    format!("over after {}: {}", format::duration(after), progress::standing(scene.tally.overall()))
}

fn settled(scene: &Scene, job: JobIndex, result: &JobResult) -> Option<String> {
    let outcome = result.outcome;
    let worth_a_line = matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Unknown);
    // what the end of the run leaves open is no news about the engine, and the summary has it
    let left_open = is_unproven(outcome, result.reason.as_ref());
    if result.from_earlier_run || !worth_a_line || left_open {
        return None;
    }
    let name = name(scene, job);
    let word = paint::as_outcome(outcome, outcome.word());
    Some(match &result.reason {
        Some(reason) => format!("{name}: {word}, {} ({})", reason.code, reason.cause),
        None => format!("{name}: {word}"),
    })
}

/// What a stop means for the engines under way: a refused account may still read, so what was accepted is watched
/// to its end; after a signal or without a ledger only answers are worth the wait.
fn stopping(scene: &Scene, reason: &StopReason) -> String {
    let counts = scene.tally.overall();
    let answers = match counts.in_flight {
        0 => "no answer is outstanding".to_owned(),
        answers => format!("waiting for {}", format::plural(answers, "answer")),
    };
    let watched = counts.converging + counts.unconfirmed;
    let then = match reason {
        StopReason::Interrupted { .. } => {
            let again = if counts.in_flight > 0 { " (again to leave at once)" } else { "" };
            let left = match watched {
                0 => String::new(),
                1 => "; 1 engine not yet proven is left to the next run".to_owned(),
                left => {
                    format!("; {} not yet proven are left to the next run", format::plural(left, "engine"))
                }
            };
            format!("{answers}{again}{left}")
        }
        StopReason::AccountRefused(reason) => {
            format!("{answers}, {}; {}", still_watched(watched), reason.remedy)
        }
        StopReason::LedgerFailed { .. } => format!("{answers}, {}", still_watched(watched)),
        StopReason::SoakFailed(_) => match watched {
            0 => "no further wave opens".to_owned(),
            watched => format!("no further wave opens; {}", still_watched(watched)),
        },
    };
    format!("{}, {}: nothing more is sent; {then}", paint::bad("stopping"), stop_cause(reason))
}

fn still_watched(engines: usize) -> String {
    match engines {
        0 => "nothing is left to be watched".to_owned(),
        engines => format!("{} still watched (Ctrl-C to leave)", format::plural(engines, "engine")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::paint::plain;
    use crate::report::script;

    fn stopping_while_busy(reason: StopReason) -> String {
        let mut scene = script::busy_scene();
        for at in 34..37 {
            scene.take(Duration::from_secs(44), &Event::Sent { job: JobIndex(at), attempt: 1 });
        }
        let counts = scene.tally.overall();
        assert_eq!((counts.in_flight, counts.converging, counts.unconfirmed), (7, 1, 2));
        plain(&wording(Duration::from_secs(45), &scene, &Event::Stopping(reason))[0])
    }

    #[test]
    fn a_signal_says_that_only_answers_are_awaited_and_what_is_left_to_the_next_run() {
        assert_eq!(
            stopping_while_busy(StopReason::Interrupted { signal: "SIGTERM" }),
            "stopping, interrupted by SIGTERM: nothing more is sent; waiting for 7 answers (again to leave at \
             once); 3 engines not yet proven are left to the next run"
        );
    }

    #[test]
    fn a_refused_account_says_that_what_was_accepted_is_still_watched() {
        let refused = script::reason("AuthFailure.InvalidSecretId", "no such key", "check the key");
        assert_eq!(
            stopping_while_busy(StopReason::AccountRefused(refused)),
            "stopping, the account was refused, not these engines (AuthFailure.InvalidSecretId: no such key): \
             nothing more is sent; waiting for 7 answers, 3 engines still watched (Ctrl-C to leave); check the key"
        );
    }

    #[test]
    fn a_lost_ledger_says_that_what_was_accepted_is_still_watched() {
        assert_eq!(
            stopping_while_busy(StopReason::LedgerFailed { cause: "no space left on device".into() }),
            "stopping, the ledger can no longer be written: no space left on device: nothing more is sent; \
             waiting for 7 answers, 3 engines still watched (Ctrl-C to leave)"
        );
    }

    #[test]
    fn a_cause_found_here_is_not_called_a_refusal_of_the_account() {
        let untrusted = script::reason("untrusted-peer", "the certificate was not accepted", "check it");
        let cause = stop_cause(&StopReason::AccountRefused(untrusted));
        assert_eq!(cause, "untrusted-peer: the certificate was not accepted");
    }

    #[test]
    fn a_refusal_that_may_have_been_applied_is_in_doubt_by_its_code() {
        let scene = script::fleet(1).scene();
        let reason = Reason {
            message: Some("an internal error has occurred".to_owned()),
            ..script::reason("InternalError", "server fault", "repeat later")
        };
        let text =
            plain(&wording(Duration::ZERO, &scene, &Event::Unconfirmed { job: JobIndex(0), reason })[0]);
        assert!(
            text.ends_with(
                ": in doubt, InternalError (server fault); read back for 1m before anything is sent again"
            ),
            "{text}"
        );
    }

    #[test]
    fn what_the_network_said_is_quoted_and_short() {
        let reason = Reason {
            message: Some(format!("HTTP 502: <html>\\r\\n<h1>Bad \"Gateway\"</h1>{}", "x".repeat(200))),
            ..script::reason("no-response", "no answer", "none")
        };
        let scene = script::fleet(1).scene();
        let text =
            plain(&wording(Duration::ZERO, &scene, &Event::Unconfirmed { job: JobIndex(0), reason })[0]);
        let (start, end) = (
            ": in doubt, \"HTTP 502: Bad 'Gateway' xx…xxx",
            "xx\"; read back for 1m before anything is sent again",
        );
        assert!(text.contains(start) && text.ends_with(end), "{text}");
    }
}
