//! How many requests a run would send, and how long it takes.

use super::preview::Preview;
use crate::format::{about, duration, plural};
use crate::report::text;

/// Requests and time of the run, each sentence on a line.
pub fn estimate(preview: &Preview) -> String {
    if preview.is_refused() {
        let blocked = preview.count("blocked");
        let (rows, are) = (plural(blocked, "row"), if blocked == 1 { "is" } else { "are" });
        return format!(
            "the run would be refused before anything is sent: {rows} {are} blocked; correct new_image_version_id, or \
             pass --allow-unlisted-images\n"
        );
    }
    let mut lines = vec![requests(preview)];
    lines.extend(unconfirmed(preview));
    lines.extend(time(preview));
    lines.extend(preview.soak_failure.as_ref().map(|failure| {
        let (wave, engines) = (&failure.wave, failure.engines_text());
        format!("wave {wave} would fail its soak, because {engines}; no later wave would start")
    }));
    lines.join("\n") + "\n"
}

fn requests(preview: &Preview) -> String {
    let verification = preview.min_ready.filter(|_| preview.verified_waves() > 0).map(|min_ready| {
        format!("verification (at least {} after each engine runs on its target)", duration(min_ready))
    });
    let requests = preview.requests();
    if requests == 0 {
        let verification =
            verification.map_or_else(String::new, |verification| format!("; only {verification}"));
        return format!("the run would send nothing{verification}");
    }
    let up_to = if preview.count("cannot-tell") > 0 { "up to " } else { "" };
    let (count, rate) = (plural(requests, "request"), preview.rate);
    let sending = about(preview.sending(requests));
    let verification = verification.map_or_else(String::new, |verification| format!(", then {verification}"));
    format!("the run would send {up_to}{count} at {rate} requests/s: sending {sending}{verification}")
}

fn unconfirmed(preview: &Preview) -> Option<String> {
    let requests = preview.unconfirmed();
    let sent = if requests == 1 { "it is sent again if it was" } else { "those are sent again that were" };
    (requests > 0)
        .then(|| format!("{} verified first; {sent} not applied", plural(requests, "unconfirmed request")))
}

/// The time in all, where it is more than sending and one verification.
fn time(preview: &Preview) -> Option<String> {
    let soaks = text::soaks(&preview.soaks);
    if soaks.is_none() && preview.verified_waves() < 2 {
        return None;
    }
    let soaks = soaks.map_or_else(String::new, |soaks| format!(", with soaks: {soaks}"));
    Some(format!("at least {} in all{soaks}", about(preview.least_time())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::{Outcome, Wave};
    use crate::report::fixtures::dry_runs::{dry_run, row, switch};
    use crate::report::fixtures::soak_failure;
    use crate::report::result::preview::Prediction;

    fn of(predictions: &[Prediction]) -> Preview {
        let rows = predictions.iter().enumerate();
        dry_run(rows.map(|(at, prediction)| row(at, "all", prediction.clone(), None)).collect())
    }

    #[test]
    fn the_estimate_counts_requests_and_verification() {
        let idle = [Prediction::UpToDate, Prediction::Done(Outcome::Failed)];
        let many = [vec![switch(); 60], vec![Prediction::Unconfirmed; 30]].concat();
        let estimates = [
            estimate(&of(&idle)),
            estimate(&of(&[Prediction::Accepted])),
            estimate(&of(&[switch(), switch()])),
            estimate(&of(&[Prediction::CannotTell])),
            estimate(&of(&[Prediction::Unconfirmed])),
            estimate(&of(&many)),
            estimate(&of(&[Prediction::Blocked, switch()])),
            estimate(&Preview { min_ready: None, ..of(&[switch()]) }),
        ];
        insta::assert_snapshot!(estimates.concat());
    }

    #[test]
    fn the_estimate_counts_soaks_and_every_wave() {
        let soak = |name: &str, seconds| Wave { soak: Duration::from_secs(seconds), ..Wave::named(name) };
        let rows = vec![row(0, "canary", switch(), None), row(1, "rest", switch(), None)];
        let soaks = vec![soak("canary", 600), soak("early", 45), soak("rest", 0)];
        let rest_of_a_soak = of(&[Prediction::Done(Outcome::Switched)]);
        let estimates = [
            estimate(&dry_run(rows.clone())),
            estimate(&Preview { soaks, ..dry_run(rows) }),
            estimate(&Preview { soaks: vec![soak("canary", 300)], ..rest_of_a_soak }),
        ];
        insta::assert_snapshot!(estimates.concat());
    }

    #[test]
    fn a_soak_that_would_fail_is_announced() {
        let rows =
            vec![row(0, "early", Prediction::Drifted, Some("on 5f2c11aa")), row(1, "rest", switch(), None)];
        let estimate = estimate(&Preview { soak_failure: Some(soak_failure()), ..dry_run(rows) });
        let end = "wave early would fail its soak, because DataEngine-early1 is on 5f2c11aa (and 1 more); no later wave \
                   would start\n";
        assert!(estimate.ends_with(end), "{estimate}");
    }
}
