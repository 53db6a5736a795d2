//! Judgements about refusals that may pass: throttles, signatures out of time, server faults.

use super::*;

#[test]
fn a_throttled_attempt_does_not_count() {
    let mut stage = Stage::in_flight(Rules { max_attempts: 1, ..Rules::default() });
    for _ in 0..50 {
        stage.refuse("RequestLimitExceeded.UinLimitExceeded");
        assert_eq!(stage.track.phase, Phase::Ready);
        assert!(matches!(stage.effect, Some(Effect::Throttled(_))));
        stage.send();
    }
    stage.accept().look("new", 2).wait(10).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_signature_out_of_time_is_sent_again_at_once_and_the_second_time_it_stops_the_run() {
    let mut stage = Stage::in_flight(Rules { max_attempts: 1, ..Rules::default() });
    let outdated = || {
        Err(Fault::Outdated(Refusal {
            code: "AuthFailure.SignatureExpire".to_owned(),
            message: String::new(),
            request_id: None,
        }))
    };
    stage.answer(outdated());
    assert_eq!((&stage.track.phase, stage.effect.clone()), (&Phase::Ready, Some(Effect::Outdated)));
    stage.send().answer(outdated());
    assert_eq!(stage.outcome(), Some(Outcome::Failed));
    assert!(matches!(stage.effect, Some(Effect::Stop(_))));
}

#[test]
fn a_server_fault_is_read_back_before_it_goes_again() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.refuse("InternalError");
    assert!(matches!(stage.track.phase, Phase::BackingOff { .. }));
    stage.look("old", 2);
    assert!(matches!(stage.track.phase, Phase::BackingOff { .. }), "a look during the wait is too early");
    stage.wait(1);
    assert!(matches!(stage.track.phase, Phase::Looking { .. }));
    stage.look("old", 2);
    assert_eq!(stage.track.phase, Phase::Ready);
}

#[test]
fn a_server_fault_whose_switch_was_applied_is_not_sent_again() {
    let mut stage = Stage::in_flight(Rules::default());
    stage.refuse("InternalError.InternalSystemException").wait(1).look("old", 0);
    assert!(matches!(stage.track.phase, Phase::Looking { .. }), "busy engines are waited for");
    stage.wait(5).look("new", 2).wait(10).look("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
    assert_eq!(stage.track.attempts, 1);
}

#[test]
fn a_distrusted_server_fault_is_sent_again_only_after_the_grace_time() {
    let rules = Rules { distrust_internal_errors: true, ..Rules::default() };
    let mut stage = Stage::in_flight(rules);
    stage.refuse("InternalError").look("old", 2).wait(59).look("old", 2);
    assert!(matches!(stage.track.phase, Phase::Doubtful { .. }), "{:?}", stage.track.phase);
    stage.wait(2).look("old", 2);
    assert_eq!(stage.track.phase, Phase::Ready);
    // other refusals that may pass are still what they say
    let mut stage = Stage::in_flight(rules);
    stage.refuse("RequestLimitExceeded");
    assert_eq!(stage.track.phase, Phase::Ready);
}
