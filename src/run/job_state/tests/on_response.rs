//! Responses: throttling, refusals, server faults, and responses that cannot be read.

use super::*;

/// Options with which an unconfirmed request is sent again at the first read.
fn resend_at_first_read() -> RunOptions {
    RunOptions { resend_after: Duration::ZERO, ..RunOptions::default() }
}

/// Codes of refusals that do not prove that the request was not applied.
const UNCONFIRMED_CODES: [&str; 7] = [
    "FailedOperation",
    "FailedOperation.NoPermissionToUseTheDataEngine",
    "ResourceUnavailable.BalanceInsufficient",
    "ResponseSizeLimitExceeded",
    "InvalidParameter.Undocumented",
    "AuthFailure.Undocumented",
    "Undocumented",
];

#[test]
fn a_throttled_attempt_does_not_count() {
    let mut fixture = JobFixture::in_flight(RunOptions { max_attempts: 1, ..RunOptions::default() });
    for _ in 0..50 {
        fixture.refuse("RequestLimitExceeded.UinLimitExceeded");
        assert_eq!(fixture.job_state.phase, Phase::Ready);
        assert!(matches!(fixture.effect, Some(Effect::Throttled(_))));
        fixture.send();
    }
    fixture.accept().read("new", 2).wait(10).read("new", 2);
    assert_eq!(fixture.outcome(), Some(Outcome::Switched));
}

#[test]
fn an_expired_signature_is_repeated_once_and_the_second_one_stops_the_run() {
    let mut fixture = JobFixture::in_flight(RunOptions { max_attempts: 1, ..RunOptions::default() });
    let signature_expired = || {
        Err(CallError::SignatureExpired(Refusal {
            code: "AuthFailure.SignatureExpire".to_owned(),
            message: String::new(),
            request_id: None,
        }))
    };
    fixture.respond(signature_expired());
    assert_eq!(
        (&fixture.job_state.phase, fixture.effect.clone()),
        (&Phase::Ready, Some(Effect::SignatureExpired))
    );
    fixture.send().respond(signature_expired());
    assert_eq!(fixture.outcome(), Some(Outcome::Failed));
    assert!(matches!(fixture.effect, Some(Effect::Stop(_))));
}

#[test]
fn a_server_fault_is_sent_again_only_after_the_backoff_and_resend_after() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.refuse("InternalError").read("old", 2).wait(1);
    assert!(
        matches!(fixture.job_state.phase, Phase::Unconfirmed { old_image_since: None, .. }),
        "a read during the backoff"
    );
    fixture.read("old", 2).wait(59).read("old", 2);
    assert!(matches!(fixture.job_state.phase, Phase::Unconfirmed { .. }), "{:?}", fixture.job_state.phase);
    fixture.wait(1).read("old", 2);
    assert_eq!(fixture.job_state.phase, Phase::Ready);
    let steps = fixture.steps;
    assert!(
        matches!(steps[..], [Step::Unconfirmed { code: Some(_), .. }, Step::NotApplied { .. }]),
        "{steps:?}"
    );
}

#[test]
fn the_backoff_after_server_faults_grows() {
    let waits = |attempts| {
        let mut fixture = JobFixture::in_flight(RunOptions::default());
        fixture.job_state.attempts = attempts;
        fixture.refuse("InternalError");
        let Phase::Unconfirmed { since, .. } = fixture.job_state.phase else {
            panic!("{:?}", fixture.job_state.phase)
        };
        since - fixture.now
    };
    assert!(waits(1) < Duration::from_millis(501) && waits(5) >= Duration::from_secs(4), "{:?}", waits(5));
}

#[test]
fn a_server_fault_is_sent_again_at_the_first_read_after_the_backoff_if_resend_after_is_zero() {
    let mut fixture = JobFixture::in_flight(resend_at_first_read());
    fixture.refuse("InternalError").read("old", 2);
    assert!(matches!(fixture.job_state.phase, Phase::Unconfirmed { .. }), "a read during the backoff");
    fixture.wait(1).read("old", 2);
    assert_eq!(fixture.job_state.phase, Phase::Ready);
}

#[test]
fn an_unconfirmed_final_refusal_fails_only_after_the_engine_stayed_on_its_old_image() {
    for code in UNCONFIRMED_CODES {
        let mut fixture = JobFixture::in_flight(RunOptions::default());
        fixture.refuse(code).read("old", 2).wait(59).read("old", 2);
        assert_eq!(fixture.outcome(), None, "{code}");
        fixture.wait(1).read("old", 2);
        assert_eq!((fixture.outcome(), fixture.code()), (Some(Outcome::Failed), Some(code)));
        let steps = &fixture.steps;
        assert!(
            matches!(steps[..], [Step::Unconfirmed { .. }, Step::NotApplied { .. }, Step::Failed(_)]),
            "{steps:?}"
        );
    }
}

#[test]
fn an_unconfirmed_final_refusal_that_was_applied_ends_switched() {
    for code in UNCONFIRMED_CODES {
        let mut fixture = JobFixture::in_flight(RunOptions::default());
        fixture.refuse(code).read("old", 2).wait(16).read("new", 2).wait(10).read("new", 2);
        assert_eq!((fixture.outcome(), fixture.job_state.attempts), (Some(Outcome::Switched), 1), "{code}");
    }
}

#[test]
fn an_unconfirmed_refusal_ends_unknown_without_verification() {
    for code in UNCONFIRMED_CODES {
        let mut fixture =
            JobFixture::in_flight(RunOptions { verify: false, wait: false, ..RunOptions::default() });
        fixture.refuse(code);
        assert_eq!(fixture.outcome(), Some(Outcome::Unknown), "{code}");
    }
}

#[test]
fn an_undocumented_throttling_code_slows_the_run_and_is_unconfirmed() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.refuse("RequestLimitExceeded.Undocumented");
    assert!(matches!(fixture.effect, Some(Effect::Throttled(_))));
    assert!(matches!(fixture.job_state.phase, Phase::Unconfirmed { .. }));
}

#[test]
fn a_server_fault_whose_request_was_applied_is_not_sent_again() {
    for options in [RunOptions::default(), resend_at_first_read()] {
        let mut fixture = JobFixture::in_flight(options);
        fixture.refuse("InternalError.InternalSystemException").wait(1).read("old", 0);
        assert!(!fixture.job_state.is_idle(), "the engine is busy");
        fixture.wait(5).read("new", 2).wait(10).read("new", 2);
        assert_eq!(fixture.outcome(), Some(Outcome::Switched));
        assert_eq!(fixture.job_state.attempts, 1);
    }
}

#[test]
fn an_unexpected_success_response_is_verified_and_its_request_id_is_kept() {
    let receipt = || Receipt { request_id: "id".into(), problem: Some("content type text/html".into()) };
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture.respond(Ok(receipt())).read("old", 2).wait(60).read("old", 2);
    assert_eq!(fixture.job_state.phase, Phase::Ready, "not applied");
    fixture.send().respond(Ok(receipt())).read("new", 2).wait(10).read("new", 2);
    assert_eq!((fixture.outcome(), fixture.job_state.attempts), (Some(Outcome::Switched), 2));
    let accepted = |step: &Step| match step {
        Step::Accepted { request_id, verified, .. } => Some((request_id.clone(), *verified)),
        _ => None,
    };
    let accepted: Vec<_> = fixture.steps.iter().filter_map(accepted).collect();
    assert_eq!(accepted, [(Some("id".to_owned()), true)]);
    // without verification the outcome is unknown
    let mut fixture =
        JobFixture::in_flight(RunOptions { verify: false, wait: false, ..RunOptions::default() });
    fixture.respond(Ok(receipt()));
    assert_eq!(fixture.outcome(), Some(Outcome::Unknown));
    let Phase::Ended(result) = fixture.job_state.phase else { panic!("it has ended") };
    assert_eq!(result.reason.and_then(|reason| reason.request_id).as_deref(), Some("id"));
}

#[test]
fn the_request_id_of_a_request_that_was_not_applied_is_not_kept() {
    let mut fixture = JobFixture::in_flight(RunOptions::default());
    fixture
        .respond(Ok(Receipt { request_id: "first".into(), problem: Some("content type text/html".into()) }));
    fixture.read("old", 2).wait(60).read("old", 2).send().lose_response().read("new", 2);
    assert_eq!(fixture.job_state.request_id, None);
}

#[test]
fn the_effect_of_a_refusal_on_other_jobs_follows_from_the_catalogue() {
    let effect_of = |code: &str| JobFixture::in_flight(RunOptions::default()).refuse(code).effect.clone();
    assert_eq!(effect_of("ResourceNotFound.DataEngineNotFound"), None);
    assert!(matches!(effect_of("ResourceNotFound.ImageVersionNotFound"), Some(Effect::HoldImage(_))));
    assert!(matches!(effect_of("UnsupportedRegion"), Some(Effect::HoldRegion(_))));
    assert!(matches!(effect_of("AuthFailure.SecretIdNotFound"), Some(Effect::Stop(_))));
    assert!(matches!(effect_of("UnauthorizedOperation"), Some(Effect::Denied(_))));
}

#[test]
fn a_request_that_was_not_sent_is_repeated_without_a_read() {
    let mut fixture = JobFixture::in_flight(RunOptions { max_attempts: 2, ..RunOptions::default() });
    let refused = || Err(CallError::NotSent { cause: "connection refused".into() });
    fixture.respond(refused()).wait(1);
    assert_eq!(fixture.job_state.phase, Phase::Ready);
    fixture.send().respond(refused());
    assert_eq!((fixture.outcome(), fixture.code()), (Some(Outcome::Failed), Some("not-sent")));
}

#[test]
fn without_verification_an_unconfirmed_request_ends_unknown_and_is_not_sent_again() {
    let options = RunOptions { verify: false, wait: false, ..RunOptions::default() };
    let mut fixture = JobFixture::in_flight(options);
    fixture.lose_response();
    assert_eq!((fixture.outcome(), fixture.code()), (Some(Outcome::Unknown), Some("verify-off")));
    let mut fixture = JobFixture::in_flight(options);
    fixture.refuse("InternalError");
    assert_eq!(fixture.outcome(), Some(Outcome::Unknown));
    let mut fixture = JobFixture::in_flight(options);
    fixture.accept();
    assert_eq!(fixture.outcome(), Some(Outcome::Accepted));
}
