//! The sentences that a run, a dry run and a summary print, each of them once.

use std::time::Duration;

use super::style;
use crate::event::{RunHeader, SoakFailure, StopReason};
use crate::format::{self, count, duration, per_second, plural};
use crate::job::{Job, Origin, Outcome, Reason, Wave};
use crate::tally::{Counts, Soak};

/// Most waves that are listed one by one.
const LISTED_WAVES: usize = 6;
/// Most characters of a message of the network; the ledger has all of it.
const LONGEST_MESSAGE: usize = 80;

/// `3 in flight`, for each number that is not zero.
pub fn counted<const N: usize>(numbers: [(usize, &str); N]) -> Vec<String> {
    let present = numbers.into_iter().filter(|(number, _)| *number > 0);
    present.map(|(number, what)| format!("{} {what}", count(number))).collect()
}

/// The engine of a job, with its region if the plan has several.
pub fn engine(job: &Job, with_region: bool) -> String {
    let id = &job.key.data_engine_id;
    if with_region { format!("{id} in {}", job.key.region) } else { id.to_string() }
}

/// `wave 2 of 3 (early)`; none if the plan has a single wave.
pub fn wave_title(header: &RunHeader, wave: usize) -> Option<String> {
    let waves = header.waves.len();
    let name = &header.waves.get(wave).filter(|_| waves > 1)?.name;
    Some(format!("wave {} of {waves} ({name})", wave + 1))
}

fn wave_name(header: &RunHeader, wave: usize) -> &str {
    header.waves.get(wave).map_or("", |wave| &wave.name)
}

/// `14 of 24 on target, 3 in flight, 1 failed, 2 waiting`: every job is in exactly one of the numbers.
pub fn counts(counts: &Counts) -> String {
    let on_target = counts.ended.on_target();
    let mut parts = vec![format!("{} of {} on target", count(on_target), count(counts.jobs()))];
    parts.extend(counted([
        (counts.in_flight, "in flight"),
        (counts.converging, "converging"),
        (counts.confirming, "confirming"),
    ]));
    parts.extend(pending_problems(counts));
    parts.extend(final_problems(counts));
    parts.extend(counted([(counts.waiting, "waiting")]));
    parts.join(", ")
}

/// Jobs that have a problem and have not ended.
pub fn pending_problems(counts: &Counts) -> Vec<String> {
    counted([(counts.unconfirmed, "unconfirmed"), (counts.retrying, "retrying")])
}

/// Jobs that have ended and are not known to be on their target.
pub fn final_problems(counts: &Counts) -> Vec<String> {
    let outcomes =
        [Outcome::Accepted, Outcome::Failed, Outcome::TimedOut, Outcome::Unknown, Outcome::NotStarted];
    let outcomes = outcomes.into_iter().flat_map(|outcome| {
        let text = counted([(counts.ended.of(outcome), outcome.word())]);
        text.into_iter().map(move |text| style::as_outcome(outcome, &text))
    });
    outcomes
        .chain(counted([(counts.ended.drifted, "drifted")]).iter().map(|text| style::warn(text)))
        .collect()
}

/// The lines that open a run.
pub fn run_started(header: &RunHeader) -> Vec<String> {
    let parent = header.parent_run_id.as_ref();
    let parent = parent.map_or_else(String::new, |run| format!(", continues run {run}"));
    let waves = match header.waves.len() {
        0 | 1 => String::new(),
        several => format!(" in {}{}", plural(several, "wave"), wave_sizes(header)),
    };
    let plan = format::shown_path(&header.plan);
    let mut lines = vec![
        format!("run {}{parent}", header.run_id),
        format!("{plan}: {}{waves}", plural(header.jobs.len(), "engine")),
    ];
    lines.extend(soaks(&header.waves).map(|soaks| format!("soaks: {soaks}")));
    let (endpoint, rate, ledger) = (&header.endpoint, header.rate, format::shown_path(&header.ledger));
    lines.push(format!("endpoint {endpoint}, at most {rate} requests/s, ledger {ledger}"));
    lines
}

fn wave_sizes(header: &RunHeader) -> String {
    if header.waves.len() > LISTED_WAVES {
        return String::new();
    }
    let sizes = header.waves.iter().enumerate().map(|(at, wave)| {
        let jobs = header.jobs.iter().filter(|job| job.wave == at).count();
        format!("{} {}", wave.name, count(jobs))
    });
    format!(" ({})", sizes.collect::<Vec<_>>().join(", "))
}

/// `canary for 10m, early for 30s`; none if no wave soaks.
pub fn soaks(waves: &[Wave]) -> Option<String> {
    let soaking: Vec<&Wave> = waves.iter().filter(|wave| !wave.soak.is_zero()).collect();
    let listed = soaking.iter().take(LISTED_WAVES);
    let listed: Vec<String> =
        listed.map(|wave| format!("{} for {}", wave.name, duration(wave.soak))).collect();
    let more = match soaking.len() - listed.len() {
        0 => String::new(),
        more => format!(" and {} more", count(more)),
    };
    (!listed.is_empty()).then(|| listed.join(", ") + &more)
}

/// A wave starts.
pub fn wave_started(title: &str, jobs: usize) -> String {
    format!("{title} started: {}", plural(jobs, "engine"))
}

/// A wave ended.
pub fn wave_ended(title: &str, took: Duration, of_wave: &Counts) -> String {
    format!("{title} finished in {}: {}", duration(took), counts(of_wave))
}

/// A wave ended for which nothing was sent or verified.
pub fn wave_skipped(title: &str, of_wave: &Counts) -> String {
    format!("{title}: nothing to do, {}", counts(of_wave))
}

/// A wave starts to soak for the time left of its soak.
pub fn soak_started(header: &RunHeader, wave: usize, left: Duration, verify: bool) -> String {
    let title = wave_title(header, wave).unwrap_or_else(|| wave_name(header, wave).to_owned());
    let is_rest = header.waves.get(wave).is_some_and(|wave| left < wave.soak);
    let soaks = match (left.is_zero(), is_rest) {
        (true, _) => "has soaked".to_owned(),
        (false, true) => format!("soaks for the remaining {}", duration(left)),
        (false, false) => format!("soaks for {}", duration(left)),
    };
    let next = match header.waves.len() {
        waves if wave + 1 < waves => format!("wave {} starts", wave + 2),
        _ => "the run ends".to_owned(),
    };
    let verification = if verify { "its engines are verified and " } else { "" };
    let unverified = if verify { "" } else { ", without verification" };
    format!("{title} {soaks}; then {verification}{next}{unverified}")
}

/// The soak of a wave ended; it did not fail.
pub fn soak_ended(header: &RunHeader, wave: usize, verify: bool) -> String {
    let title = wave_title(header, wave).unwrap_or_else(|| wave_name(header, wave).to_owned());
    let result = if verify { Soak::Passed } else { Soak::NotVerified };
    format!("{title}: {}", soak_result(result).unwrap_or_default())
}

/// `soaking canary, 9m 40s left`.
pub fn soaking(header: &RunHeader, wave: usize, left: Duration) -> String {
    let name = wave_name(header, wave);
    if left.is_zero() {
        return format!("verifying {name} after its soak");
    }
    let seconds = u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    format!("soaking {name}, {} left", duration(Duration::from_secs(seconds)))
}

/// How the soak of a wave ended; none if it did not start.
pub fn soak_result(soak: Soak) -> Option<String> {
    Some(match soak {
        Soak::NotStarted => return None,
        Soak::Passed => "soak passed, engines verified".to_owned(),
        Soak::NotVerified => "soak ended, engines not verified".to_owned(),
        Soak::Soaking => style::warn("soak interrupted"),
        Soak::Failed => style::bad("soak failed"),
    })
}

/// What the same command does about a soak that was interrupted.
pub const SOAK_CONTINUES: &str = "the same command continues the soak";

/// What to do about a failed soak before the next run. `nothing_left` is true if no other job is left.
pub fn after_failed_soak(failure: &SoakFailure, nothing_left: bool) -> String {
    let wave = &failure.wave;
    let next = if nothing_left {
        format!("nothing is left to send; the same command verifies wave {wave} again")
    } else {
        format!("the same command verifies wave {wave} again before it starts another wave")
    };
    format!("{next}; first bring its engines back to their target, running, or remove them from the plan")
}

/// The service throttles requests, and the rate becomes lower.
pub fn throttled(reason: &Reason, rate: f64) -> String {
    let reduced = style::warn(&format!("rate reduced to {}", per_second(rate)));
    format!("throttled ({}): {reduced}", reason.code)
}

/// The rate is as high as it may be again.
pub fn rate_restored(rate: f64) -> String {
    format!("rate restored to {}", per_second(rate))
}

/// The difference of the clocks, in seconds by which the service is ahead.
pub fn clock_skew(ahead: i64) -> String {
    let difference = format::about(Duration::from_secs(ahead.unsigned_abs()));
    let direction = match ahead {
        0 => return "the local clock agrees with the service's clock again".to_owned(),
        1.. => "behind",
        _ => "ahead of",
    };
    format!(
        "{}: it is {difference} {direction} the service's clock; requests are signed with the service's time; \
         synchronize the local clock",
        style::warn("the local clock is wrong")
    )
}

/// A note about the clocks for a command that is no run; none if they agree.
pub fn clock_note(ahead: i64) -> Option<String> {
    (ahead != 0).then(|| clock_skew(ahead))
}

/// A request was refused and is sent again.
pub fn will_retry(engine: &str, reason: &Reason, attempt: u32, max_attempts: u32, after: Duration) -> String {
    let when = if after.is_zero() { "now".to_owned() } else { format!("in {}", duration(after)) };
    let (code, cause) = (&reason.code, &reason.cause);
    format!("{engine}: {code} on attempt {attempt} of {max_attempts} ({cause}), retrying {when}")
}

/// A request may have been applied.
pub fn unconfirmed(engine: &str, reason: &Reason, resend_after: Duration) -> String {
    let (unconfirmed, why) = (style::warn("unconfirmed"), brief(reason));
    let condition = sent_again_if(resend_after);
    format!("{engine}: {unconfirmed}, {why}; verifying: the request is sent again only if {condition}")
}

fn sent_again_if(resend_after: Duration) -> String {
    if resend_after.is_zero() {
        return "the engine is on its old image, running".to_owned();
    }
    format!("the engine stays on its old image, running, for {}", duration(resend_after))
}

/// A request is unconfirmed for a long time.
pub fn still_unconfirmed(
    engine: &str,
    reason: &Reason,
    since: Duration,
    left: Duration,
    reads: &str,
) -> String {
    let (still, since) = (style::warn("still unconfirmed"), format::about(since));
    let why = brief(reason);
    format!(
        "{engine}: {still} after {since}, {why}; {reads}; unknown if that does not change within {}",
        format::about(left)
    )
}

/// An accepted engine is not verified for a long time.
pub fn still_converging(engine: &str, since: Duration, left: Duration, reads: &str) -> String {
    let (still, since) = (style::warn("not verified"), format::about(since));
    format!(
        "{engine}: {still} {since} after it was accepted; {reads}; timed-out if that does not change within {}",
        format::about(left)
    )
}

/// What reads show of an engine that is not verified for a long time: `failed` is why the last one failed, if it did.
pub fn reads(failed: Option<&Reason>, is_unconfirmed: bool) -> String {
    match failed {
        Some(reason) => format!("reads fail, {}", brief(reason)),
        None if is_unconfirmed => {
            "reads show neither the target nor, for long enough, the old image, running".into()
        }
        None => "reads do not show it running on its target".into(),
    }
}

/// What a reason says in a few words: the code of the service, or the message of the network.
fn brief(reason: &Reason) -> String {
    match &reason.message {
        _ if reason.origin == Origin::Service => format!("{} ({})", reason.code, reason.cause),
        Some(message) => format::quoted(message, LONGEST_MESSAGE),
        None => reason.cause.clone(),
    }
}

/// Verification shows that an unconfirmed request was not applied.
pub fn not_applied(engine: &str) -> String {
    format!("{engine}: verified, the request was not applied; sending again")
}

/// The engines could not be read.
pub fn read_failed(reason: &Reason) -> String {
    let message = reason.message.as_ref();
    let message =
        message.map_or_else(String::new, |said| format!(": {}", format::quoted(said, LONGEST_MESSAGE)));
    format!("reading engines failed, {} ({}{message}); retrying", reason.code, reason.cause)
}

/// A job ended with a problem.
pub fn job_ended(engine: &str, outcome: Outcome, reason: Option<&Reason>) -> String {
    let outcome = style::as_outcome(outcome, outcome.word());
    match reason {
        Some(reason) => format!("{engine}: {outcome}, {} ({})", reason.code, reason.cause),
        None => format!("{engine}: {outcome}"),
    }
}

/// An engine is not where this run or an earlier one left it.
pub fn drifted(engine: &str, seen: &str, by_this_run: bool) -> String {
    let drifted = style::warn("drifted");
    let before = if by_this_run { "it was on its target" } else { "an earlier run left it on its target" };
    format!("{engine}: {drifted}, {before} and now it is {seen}; nothing is sent for it")
}

/// Why nothing more is sent, in one clause.
pub fn stop_reason(reason: &StopReason) -> String {
    match reason {
        StopReason::Interrupted { signal } => format!("interrupted by {signal}"),
        StopReason::AccountRefused(reason) => {
            let (code, cause) = (&reason.code, &reason.cause);
            match reason.origin {
                _ if is_denied(reason) => format!("permission denied ({code}: {cause})"),
                Origin::Tool => format!("{code}: {cause}"),
                Origin::Service => {
                    format!("the service refuses this account, not single engines ({code}: {cause})")
                }
            }
        }
        StopReason::SoakFailed(failure) => failure.to_string(),
        StopReason::LedgerFailed { cause } => format!("the ledger cannot be written: {cause}"),
    }
}

/// True if a permission is missing, which a policy can grant for some engines and deny for others.
pub fn is_denied(reason: &Reason) -> bool {
    ["UnauthorizedOperation", "NoPermission"].iter().any(|code| reason.code.contains(code))
}

/// The code of a job that ended only because its run did.
const RUN_ENDED: &str = "run-ended";

/// True if an engine was accepted, and only the end of the run kept it from being verified.
pub fn is_not_verified(outcome: Outcome, reason: Option<&Reason>) -> bool {
    outcome == Outcome::TimedOut && reason.is_none_or(|reason| reason.code == RUN_ENDED)
}

/// The run stops: why, and what it still waits for.
pub fn stopping(reason: &StopReason, counts: &Counts) -> String {
    let responses = match counts.in_flight {
        0 => "no request is in flight".to_owned(),
        requests => format!("waiting for {}", plural(requests, "response")),
    };
    let verifying = match counts.unverified() {
        0 => "no engine is left to verify".to_owned(),
        engines => format!("verifying {} (Ctrl-C exits)", plural(engines, "engine")),
    };
    let then = match reason {
        StopReason::Interrupted { .. } => {
            let exits = if counts.in_flight > 0 { " (a second signal exits now)" } else { "" };
            let unverified = match counts.unverified() {
                0 => String::new(),
                1 => "; the next run verifies 1 engine".to_owned(),
                engines => format!("; the next run verifies {}", plural(engines, "engine")),
            };
            format!("{responses}{exits}{unverified}")
        }
        StopReason::AccountRefused(reason) => format!("{responses}, {verifying}; {}", reason.remedy),
        StopReason::LedgerFailed { .. } => format!("{responses}, {verifying}"),
        StopReason::SoakFailed(_) => format!("no further wave starts; {verifying}"),
    };
    format!("{}, {}: nothing more is sent; {then}", style::bad("stopping"), stop_reason(reason))
}

/// The run ended.
pub fn run_ended(took: Duration, overall: &Counts, is_stopped: bool) -> String {
    let ended = if is_stopped { "stopped after" } else { "finished in" };
    format!("run {ended} {}: {}", duration(took), counts(overall))
}

/// The time that is left, `at_least` if parts of it are not known.
pub fn time_left(left: Duration, at_least: bool) -> String {
    format!("{} {} left", if at_least { "at least" } else { "about" }, format::about(left))
}

/// `3 on the new image, confirming for 7s`.
pub fn confirming(engines: usize, left: Duration) -> String {
    let engines = count(engines);
    if left.is_zero() {
        return format!("{engines} on the new image, confirming");
    }
    format!("{engines} on the new image, confirming for {}", format::about(left))
}

/// The first line of a summary.
pub fn headline(counts: &Counts, stopped: Option<&StopReason>) -> String {
    let outcomes = counts.outcomes();
    let jobs = outcomes.total();
    let engines = plural(jobs, "engine");
    let all = if jobs == 1 { "the only engine".to_owned() } else { format!("all {engines}") };
    let text = if outcomes.on_target() == jobs {
        style::good(&format!("{all} on target"))
    } else if outcomes.of(Outcome::Accepted) == jobs {
        style::good(&format!("{all} accepted, not verified"))
    } else {
        style::strong(&format!("{} of {engines} on target", count(outcomes.on_target())))
    };
    match stopped {
        Some(reason) => format!("{}, {}; {text}", style::bad("stopped"), stop_reason(reason)),
        None => text,
    }
}

/// How many jobs ended in earlier runs; none if all ended in this one.
pub fn from_earlier_runs(jobs: usize) -> Option<String> {
    (jobs > 0).then(|| format!("including {} that ended in earlier runs", plural(jobs, "engine")))
}

/// Requests of earlier runs that were unconfirmed; none if there were none.
pub fn unconfirmed_from_earlier_runs(requests: usize) -> Option<String> {
    (requests > 0)
        .then(|| format!("{} of earlier runs verified first", plural(requests, "unconfirmed request")))
}

/// The cause of jobs that ended drifted, and what to do.
pub const DRIFTED: (&str, &str) = (
    "they were on their target, by this run or an earlier one, and have left it",
    "find out who moved them; dlc-fleet sends nothing for them",
);

/// Cause and remedy of jobs that were accepted, and not verified before the run ended.
pub fn not_verified(stopped: Option<&StopReason>) -> (String, &'static str) {
    (ended_before("verification finished", stopped), "the same command verifies them")
}

/// The cause of jobs without a reason of their own.
pub fn unexplained(outcome: Outcome, stopped: Option<&StopReason>) -> String {
    ended_before(
        if outcome == Outcome::NotStarted { "their requests were sent" } else { "they ended" },
        stopped,
    )
}

fn ended_before(what: &str, stopped: Option<&StopReason>) -> String {
    let why = stopped.map_or_else(|| "the run ended".to_owned(), stop_reason);
    format!("{why} before {what}")
}

#[cfg(test)]
mod tests;
