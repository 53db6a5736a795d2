//! The words for waves that soak: beforehand, meanwhile and afterwards.

use std::time::Duration;

use super::wording::LISTED_WAVES;
use super::{Scene, paint, progress};
use crate::event::{RunHeader, SoakFailure, StopReason};
use crate::format;
use crate::job::Wave;
use crate::tally::{Soak, Tally};

/// One part in so many of a soak passes from one line about it to the next,
const PART: u32 = 20;
/// and never more than this: who reads along would think that it hangs.
const LONGEST_SILENCE: Duration = Duration::from_secs(5 * 60);

/// `soaks: canary for 10 min, early for 30 s`; none where no wave soaks.
pub fn announced(header: &RunHeader) -> Option<String> {
    listed_soaks(&header.waves).map(|soaks| format!("soaks: {soaks}"))
}

/// `canary for 10 min, early for 30 s`; none where no wave soaks.
pub fn listed_soaks(waves: &[Wave]) -> Option<String> {
    let soaking = waves.iter().filter(|wave| !wave.soak.is_zero());
    let told = soaking.map(|wave| format!("{} for {}", wave.name, format::duration(wave.soak)));
    let mut told: Vec<String> = told.collect();
    let more = told.len().saturating_sub(LISTED_WAVES);
    told.truncate(LISTED_WAVES);
    let more = if more > 0 { format!(" and {} more", format::count(more)) } else { String::new() };
    (!told.is_empty()).then(|| told.join(", ") + &more)
}

/// A wave has ended and soaks.
pub fn begins(scene: &Scene, wave: usize, left: Duration, verify: bool) -> String {
    let title = title(scene, wave);
    let soaks = match (left.is_zero(), scene.header.waves.get(wave)) {
        (true, _) => "has soaked".to_owned(),
        (false, Some(whole)) if left < whole.soak => format!("soaks for another {}", format::duration(left)),
        (false, _) => format!("soaks for {}", format::duration(left)),
    };
    let then = match scene.header.waves.len() {
        waves if wave + 1 < waves => format!("wave {} opens", wave + 2),
        _ => "the run ends".to_owned(),
    };
    if verify {
        format!("{title}, {soaks}; then its engines are read back, and {then}")
    } else {
        format!("{title}, {soaks}; then {then}, and nobody looks at its engines")
    }
}

/// A wave has soaked.
pub fn ends(scene: &Scene, wave: usize, verify: bool) -> String {
    let title = title(scene, wave);
    if verify {
        format!("{title}, has soaked: its engines are as they were left")
    } else {
        format!("{title}, has soaked; nobody looked at its engines")
    }
}

/// A wave by number and name where there are several.
fn title(scene: &Scene, wave: usize) -> String {
    progress::wave_title(&scene.header, wave).unwrap_or_else(|| name(&scene.header, wave))
}

fn name(header: &RunHeader, wave: usize) -> String {
    header.waves.get(wave).map_or_else(String::new, |wave| wave.name.clone())
}

/// `wave canary did not come through its soak: DataEngine-a1 is on 5f2c11aa (and 2 more)`.
pub fn failed(failure: &SoakFailure) -> String {
    format!("wave {} did not come through its soak: {}", failure.wave, strays(failure))
}

/// `DataEngine-a1 is on 5f2c11aa (and 2 more)`.
pub fn strays(failure: &SoakFailure) -> String {
    let (first, seen) = (&failure.first, &failure.seen);
    let others = match failure.engines.saturating_sub(1) {
        0 => String::new(),
        others => format!(" (and {} more)", format::count(others)),
    };
    format!("{first} is {seen}{others}")
}

/// `soaking canary, 9 min 40 s left`; none where no wave soaks.
pub fn under_way(after: Duration, scene: &Scene) -> Option<String> {
    let (wave, over) = scene.soaking?;
    let (name, left) = (name(&scene.header, wave), over.saturating_sub(after));
    Some(if left.is_zero() {
        format!("reading {name} back after its soak")
    } else {
        // whole seconds, and none too few
        let left =
            Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).div_ceil(1000) * 1000);
        format!("soaking {name}, {} left", format::duration(left))
    })
}

/// How long a soak is not told of again: long ones fill no log.
pub fn silence(scene: &Scene, wave: usize) -> Duration {
    let soak = scene.header.waves.get(wave).map_or(Duration::ZERO, |wave| wave.soak);
    (soak / PART).min(LONGEST_SILENCE)
}

/// What became of each soak that began, for the closing summary.
pub fn closing(header: &RunHeader, tally: &Tally) -> Option<String> {
    let told: Vec<String> = header.waves.iter().zip(tally.soaks()).filter_map(ended).collect();
    (!told.is_empty()).then(|| told.concat())
}

fn ended((wave, soak): (&Wave, &Soak)) -> Option<String> {
    let name = &wave.name;
    Some(match soak {
        Soak::None => return None,
        Soak::Kept => format!("{name} has soaked, and its engines are as they were left\n"),
        Soak::Waited => format!("{name} has soaked; nobody looked at its engines\n"),
        Soak::UnderWay => paint::warn(&format!("{name} was still soaking")) + "\n",
        Soak::Failed => paint::bad(&format!("{name} did not come through its soak")) + "\n",
    })
}

/// What there is to do, and what the command that goes on does, about a soak that did not end well.
pub fn to_go_on(tally: &Tally) -> Option<String> {
    let unfinished = tally.soaks().contains(&Soak::UnderWay);
    let Some(StopReason::SoakFailed(failure)) = tally.stopped() else {
        return unfinished.then(|| "it goes on with the rest of the soak".to_owned());
    };
    let mend = "first bring its engines back to their target, running, or take them out of the plan";
    let wave = &failure.wave;
    let outcomes = tally.outcomes();
    Some(if outcomes.good() < outcomes.total() {
        format!("it reads {wave} back again before another wave opens: {mend}")
    } else {
        format!("nothing is left to be sent, and it looks at {wave} again: {mend}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::report::paint::plain;
    use crate::report::script::{self, Story};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The scene of a story after so many seconds.
    fn scene_at(story: &Story, seconds: u64) -> Scene {
        let mut scene = story.scene();
        for (after, event) in story.events.iter().filter(|(after, _)| *after <= at(seconds)) {
            scene.take(*after, event);
            scene.leave(event);
        }
        scene
    }

    #[test]
    fn the_status_line_counts_a_soak_down() {
        let story = script::soaking();
        let status = |seconds| plain(&progress::status(at(seconds), &scene_at(&story, seconds), 80));
        assert_eq!(status(29), "  0:29  soaking canary, 9m40s left · 0 in flight · 0 converging");
        assert_eq!(status(608), " 10:08  soaking canary, 1s left · 0 in flight · 0 converging");
        assert_eq!(status(665), " 11:05  reading early back after its soak · 0 in flight · 0 converging");
        for without in [5, 610, 669] {
            assert!(!status(without).contains("soak"), "{}", status(without));
        }
    }

    #[test]
    fn what_is_left_of_a_soak_is_rounded_up_to_whole_seconds() {
        let mut scene = script::soaking().scene();
        scene
            .take(at(0), &Event::SoakStarted { wave: 0, left: Duration::from_millis(600_400), verify: true });
        let under_way = |ms| under_way(Duration::from_millis(ms), &scene).expect("it soaks");
        assert_eq!(under_way(0), "soaking canary, 10m1s left");
        assert_eq!(under_way(400), "soaking canary, 10m left");
        assert_eq!(under_way(599_000), "soaking canary, 2s left");
        assert_eq!(under_way(600_400), "reading canary back after its soak");
    }

    #[test]
    fn a_soak_says_how_long_it_is_what_follows_and_whether_anybody_looks() {
        let scene = script::soaking().scene();
        let said = |wave, seconds, verify| begins(&scene, wave, at(seconds), verify);
        assert_eq!(
            said(0, 600, true),
            "wave 1 of 3, canary, soaks for 10m; then its engines are read back, and wave 2 opens"
        );
        assert_eq!(
            said(0, 340, true),
            "wave 1 of 3, canary, soaks for another 5m40s; then its engines are read back, and wave 2 opens"
        );
        assert_eq!(
            said(0, 0, true),
            "wave 1 of 3, canary, has soaked; then its engines are read back, and wave 2 opens"
        );
        assert_eq!(
            said(2, 600, false),
            "wave 3 of 3, rest, soaks for 10m; then the run ends, and nobody looks at its engines"
        );
        let single = script::fleet(1).scene();
        assert_eq!(
            begins(&single, 0, at(60), true),
            "all, soaks for 1m; then its engines are read back, and the run ends"
        );
    }

    #[test]
    fn a_stop_says_that_no_further_wave_opens() {
        let story = script::soaking();
        let failure = Event::Stopping(StopReason::SoakFailed(script::soak_failure()));
        let told = crate::report::wording::wording(at(668), &scene_at(&story, 660), &failure);
        let expected = "stopping, wave early did not come through its soak: DataEngine-early1 is on 5f2c11aa (and 1 \
                        more): nothing more is sent; no further wave opens";
        assert_eq!(plain(&told[0]), expected);
    }

    #[test]
    fn many_soaks_are_not_all_listed() {
        let wave = |number| Wave { soak: at(60), ..Wave::named(format!("w{number}")) };
        let listed = listed_soaks(&(1..=9).map(wave).collect::<Vec<_>>());
        let expected = "w1 for 1m, w2 for 1m, w3 for 1m, w4 for 1m, w5 for 1m, w6 for 1m and 3 more";
        assert_eq!(listed.as_deref(), Some(expected));
    }
}
