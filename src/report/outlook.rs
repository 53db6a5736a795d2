//! What a dry run says of the real run as a whole: how many requests, and how long.

use super::preview::Preview;
use super::{listed_soaks, soaking};
use crate::format;

/// What the real run would send: surely, perhaps, and after a look.
pub fn outlook(preview: &Preview) -> String {
    let blocked = preview.count("blocked");
    if blocked > 0 {
        let (rows, are) = (format::plural(blocked, "row"), if blocked == 1 { "is" } else { "are" });
        return format!(
            "the real run would be refused before anything is sent: {rows} {are} blocked; correct \
             new_image_version_id, or pass --allow-unlisted-images\n"
        );
    }
    let (requests, in_doubt) = (preview.requests(), preview.count("in-doubt"));
    let time = |requests| format!("about {}", format::about(preview.sending(requests)));
    let rate = format!("at {} requests/s", preview.rate);
    let told = format::plural(requests, "request");
    let up_to = if preview.count("cannot-tell") > 0 { "up to " } else { "" };
    let text = match (requests, in_doubt) {
        (0, 0) => return "the real run would send nothing\n".to_owned() + &soaks(preview),
        (0, _) => {
            let (told, they) =
                (format::plural(in_doubt, "request"), if in_doubt == 1 { "it" } else { "them" });
            let were = if in_doubt == 1 { "it was" } else { "they were" };
            let time = time(in_doubt);
            format!(
                "read back {told} of earlier runs, and send {they} again, {time} {rate}, if {were} not applied"
            )
        }
        _ => format!("send {up_to}{told}, {} {rate}", time(requests)),
    };
    let more = if requests > 0 && in_doubt > 0 {
        let (more, all) = (format::count(in_doubt), time(requests + in_doubt));
        format!(
            "up to {more} more, {all} in all, if read-back shows that requests of earlier runs were not applied\n"
        )
    } else {
        String::new()
    };
    format!("the real run would {text}; the engines converge after that\n{more}{}", soaks(preview))
}

/// How long it would take with the waits between waves; nothing where there are none.
fn soaks(preview: &Preview) -> String {
    let shut = preview.soak_failure.as_ref().map_or_else(String::new, |failure| {
        let (wave, strays) = (&failure.wave, soaking::strays(failure));
        format!("as things stand, wave {wave} would not come through its soak: {strays}; no wave after it would open\n")
    });
    let Some(listed) = listed_soaks(&preview.soaks) else { return shut };
    let requests = preview.requests() + preview.count("in-doubt");
    let about = format::about(preview.sending(requests) + preview.soaking());
    let what = if requests > 0 { "sending and soaking take" } else { "soaking takes" };
    format!("{what} about {about} in all; soaks: {listed}\n{shut}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::{Outcome, Wave};
    use crate::report::preview::Prediction;
    use crate::report::preview::tests::{dry_run, row, switch};

    #[test]
    fn the_outlook_counts_what_may_be_sent_and_no_more() {
        let of = |predictions: &[Prediction]| {
            let rows = predictions.iter().enumerate();
            outlook(&dry_run(rows.map(|(at, prediction)| row(at, "all", prediction.clone(), None)).collect()))
        };
        let (doubt, unclear) = (Prediction::InDoubt, Prediction::CannotTell);
        let converge = "; the engines converge after that\n";
        let idle = [Prediction::UpToDate, Prediction::Done(Outcome::Failed), Prediction::Watch];
        assert_eq!(of(&idle), "the real run would send nothing\n");
        let two = [switch(), switch()];
        let sent = "the real run would send 2 requests, about 1s at 20 requests/s".to_owned();
        assert_eq!(of(&two), sent + converge);
        let sent = "the real run would send up to 1 request, about 1s at 20 requests/s".to_owned();
        assert_eq!(of(&[unclear]), sent + converge);
        let many = [vec![switch(); 60], vec![doubt.clone(); 30]].concat();
        let sent = "the real run would send 60 requests, about 4s at 20 requests/s".to_owned();
        let more = "up to 30 more, about 5s in all, if read-back shows that requests of earlier runs were not \
                    applied\n";
        assert_eq!(of(&many), sent + converge + more);
        let sent =
            "the real run would read back 1 request of earlier runs, and send it again, about 1s at 20 \
                    requests/s, if it was not applied"
                .to_owned();
        assert_eq!(of(&[doubt]), sent + converge);
    }

    #[test]
    fn soaks_are_part_of_the_time_and_listed() {
        let soak = |name: &str, seconds| Wave { soak: Duration::from_secs(seconds), ..Wave::named(name) };
        let of = |predictions: &[Prediction], soaks: &[Wave]| {
            let rows = predictions.iter().enumerate();
            let rows = rows.map(|(at, prediction)| row(at, "all", prediction.clone(), None)).collect();
            outlook(&Preview { soaks: soaks.to_vec(), ..dry_run(rows) })
        };
        let soaks = [soak("canary", 600), soak("early", 45), soak("rest", 0)];
        let told = of(&vec![switch(); 100], &soaks);
        let end = "sending and soaking take about 11m in all; soaks: canary for 10m, early for 45s\n";
        assert!(told.ends_with(end), "{told}");
        let rest = "the real run would send nothing\nsoaking takes about 5m in all; soaks: canary for 5m\n";
        assert_eq!(of(&[Prediction::Done(Outcome::Switched)], &[soak("canary", 300)]), rest);
        assert!(!of(&[switch()], &[soak("rest", 0)]).contains("soak"));
    }

    #[test]
    fn a_wave_that_would_keep_the_next_ones_shut_is_told() {
        let failure = crate::report::script::soak_failure();
        let rows =
            vec![row(0, "early", Prediction::Drifted, Some("on 5f2c11aa")), row(1, "rest", switch(), None)];
        let told = outlook(&Preview { soak_failure: Some(failure), ..dry_run(rows) });
        let end = "as things stand, wave early would not come through its soak: DataEngine-early1 is on 5f2c11aa (and \
                   1 more); no wave after it would open\n";
        assert!(told.ends_with(end), "{told}");
    }
}
