//! Judgements about refusals that may pass: throttles, signatures out of time, server faults.

use super::*;

/// An unconfirmed request is sent again at the first read.
fn trusting() -> RunOptions {
    RunOptions { resend_after: Duration::ZERO, ..RunOptions::default() }
}

#[test]
fn a_throttled_attempt_does_not_count() {
    let mut stage = Stage::in_flight(RunOptions { max_attempts: 1, ..RunOptions::default() });
    for _ in 0..50 {
        stage.refuse("RequestLimitExceeded.UinLimitExceeded");
        assert_eq!(stage.job_state.phase, Phase::Ready);
        assert!(matches!(stage.effect, Some(Effect::Throttled(_))));
        stage.send();
    }
    stage.accept().snapshot("new", 2).wait(10).snapshot("new", 2);
    assert_eq!(stage.outcome(), Some(Outcome::Switched));
}

#[test]
fn a_signature_out_of_time_is_sent_again_at_once_and_the_second_time_it_stops_the_run() {
    let mut stage = Stage::in_flight(RunOptions { max_attempts: 1, ..RunOptions::default() });
    let signature_expired = || {
        Err(CallError::SignatureExpired(Refusal {
            code: "AuthFailure.SignatureExpire".to_owned(),
            message: String::new(),
            request_id: None,
        }))
    };
    stage.answer(signature_expired());
    assert_eq!(
        (&stage.job_state.phase, stage.effect.clone()),
        (&Phase::Ready, Some(Effect::SignatureExpired))
    );
    stage.send().answer(signature_expired());
    assert_eq!(stage.outcome(), Some(Outcome::Failed));
    assert!(matches!(stage.effect, Some(Effect::Stop(_))));
}

#[test]
fn a_server_fault_is_sent_again_only_after_the_back_off_and_the_grace_time() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.refuse("InternalError").snapshot("old", 2).wait(1);
    assert!(
        matches!(stage.job_state.phase, Phase::Unconfirmed { old_image_since: None, .. }),
        "a look during the back-off"
    );
    stage.snapshot("old", 2).wait(59).snapshot("old", 2);
    assert!(matches!(stage.job_state.phase, Phase::Unconfirmed { .. }), "{:?}", stage.job_state.phase);
    stage.wait(1).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready);
    let kinds: Vec<Step> = stage.steps;
    assert!(
        matches!(kinds[..], [Step::Unconfirmed { code: Some(_), .. }, Step::NotApplied { .. }]),
        "{kinds:?}"
    );
}

#[test]
fn the_back_off_after_server_faults_grows() {
    let waits = |attempts| {
        let mut stage = Stage::in_flight(RunOptions::default());
        stage.job_state.attempts = attempts;
        stage.refuse("InternalError");
        let Phase::Unconfirmed { since, .. } = stage.job_state.phase else {
            panic!("{:?}", stage.job_state.phase)
        };
        since - stage.now
    };
    assert!(waits(1) < Duration::from_millis(501) && waits(5) >= Duration::from_secs(4), "{:?}", waits(5));
}

#[test]
fn without_resend_time_a_server_fault_is_sent_again_at_the_first_read_after_the_back_off() {
    let mut stage = Stage::in_flight(trusting());
    stage.refuse("InternalError").snapshot("old", 2);
    assert!(
        matches!(stage.job_state.phase, Phase::Unconfirmed { .. }),
        "a read during the wait is too early"
    );
    stage.wait(1).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready);
}

/// Codes whose refusals do not prove that nothing was applied, whatever they say of the engine or the account.
const UNPROVEN: [&str; 7] = [
    "FailedOperation",
    "FailedOperation.NoPermissionToUseTheDataEngine",
    "ResourceUnavailable.BalanceInsufficient",
    "ResponseSizeLimitExceeded",
    "InvalidParameter.Novelty",
    "AuthFailure.Novelty",
    "Novelty",
];

#[test]
fn a_final_refusal_that_proves_nothing_fails_only_after_the_engine_stayed_where_it_was() {
    for code in UNPROVEN {
        let mut stage = Stage::in_flight(RunOptions::default());
        stage.refuse(code).snapshot("old", 2).wait(59).snapshot("old", 2);
        assert_eq!(stage.outcome(), None, "{code}");
        stage.wait(1).snapshot("old", 2);
        assert_eq!((stage.outcome(), stage.code()), (Some(Outcome::Failed), Some(code)));
        let kinds = &stage.steps;
        assert!(
            matches!(kinds[..], [Step::Unconfirmed { .. }, Step::NotApplied { .. }, Step::Failed(_)]),
            "{kinds:?}"
        );
    }
}

#[test]
fn a_final_refusal_that_was_applied_all_the_same_ends_switched() {
    for code in UNPROVEN {
        let mut stage = Stage::in_flight(RunOptions::default());
        stage.refuse(code).snapshot("old", 2).wait(16).snapshot("new", 2).wait(10).snapshot("new", 2);
        assert_eq!((stage.outcome(), stage.job_state.attempts), (Some(Outcome::Switched), 1), "{code}");
    }
}

#[test]
fn without_verification_a_refusal_that_proves_nothing_ends_unknown() {
    for code in UNPROVEN {
        let mut stage = Stage::in_flight(RunOptions { verify: false, wait: false, ..RunOptions::default() });
        stage.refuse(code);
        assert_eq!(stage.outcome(), Some(Outcome::Unknown), "{code}");
    }
}

#[test]
fn a_throttle_of_an_unknown_kind_slows_the_run_and_is_unconfirmed() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.refuse("RequestLimitExceeded.Novelty");
    assert!(matches!(stage.effect, Some(Effect::Throttled(_))));
    assert!(matches!(stage.job_state.phase, Phase::Unconfirmed { .. }));
}

#[test]
fn a_server_fault_whose_switch_was_applied_is_not_sent_again() {
    for options in [RunOptions::default(), trusting()] {
        let mut stage = Stage::in_flight(options);
        stage.refuse("InternalError.InternalSystemException").wait(1).snapshot("old", 0);
        assert!(!stage.job_state.is_idle(), "busy engines are waited for");
        stage.wait(5).snapshot("new", 2).wait(10).snapshot("new", 2);
        assert_eq!(stage.outcome(), Some(Outcome::Switched));
        assert_eq!(stage.job_state.attempts, 1);
    }
}

#[test]
fn a_receipt_that_may_not_be_the_services_is_read_back_and_its_request_id_is_kept() {
    let receipt = || Receipt { request_id: "id".into(), problem: Some("called text/html".into()) };
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.answer(Ok(receipt())).snapshot("old", 2).wait(60).snapshot("old", 2);
    assert_eq!(stage.job_state.phase, Phase::Ready, "it was not applied");
    stage.send().answer(Ok(receipt())).snapshot("new", 2).wait(10).snapshot("new", 2);
    assert_eq!((stage.outcome(), stage.job_state.attempts), (Some(Outcome::Switched), 2));
    let accepted = |step: &Step| match step {
        Step::Accepted { request_id, verified, .. } => Some((request_id.clone(), *verified)),
        _ => None,
    };
    let accepted: Vec<_> = stage.steps.iter().filter_map(accepted).collect();
    assert_eq!(accepted, [(Some("id".to_owned()), true)]);
    // nobody may look, so nobody knows
    let mut stage = Stage::in_flight(RunOptions { verify: false, wait: false, ..RunOptions::default() });
    stage.answer(Ok(receipt()));
    assert_eq!(stage.outcome(), Some(Outcome::Unknown));
    let Phase::Ended(result) = stage.job_state.phase else { panic!("it has ended") };
    assert_eq!(result.reason.and_then(|reason| reason.request_id).as_deref(), Some("id"));
}

#[test]
fn the_request_id_of_a_receipt_that_proved_untrue_does_not_stay_with_the_next_request() {
    let mut stage = Stage::in_flight(RunOptions::default());
    stage.answer(Ok(Receipt { request_id: "untrue".into(), problem: Some("called text/html".into()) }));
    stage.snapshot("old", 2).wait(60).snapshot("old", 2).send().lose_answer().snapshot("new", 2);
    assert_eq!(stage.job_state.request_id, None);
}
