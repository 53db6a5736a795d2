//! Writes and checks the reasons in the unit tests of `report`, which may not import the modules that make them.

use dlc_fleet::ledger::RecordedReason;
use dlc_fleet::run::remembered;

const CODES: [&str; 13] = [
    "AuthFailure.SecretIdNotFound",
    "FailedOperation",
    "InternalError",
    "InvalidParameter",
    "RequestLimitExceeded",
    "ResourceNotFound.DataEngineNotMultiVersion",
    "UnauthorizedOperation",
    "no-credentials",
    "no-response",
    "not-verified",
    "run-ended",
    "soak-failed",
    "target-not-reached",
];

#[test]
fn the_sample_reasons_of_the_report_have_the_texts_of_the_real_ones() {
    let reason = |code: &str| {
        let recorded = RecordedReason {
            code: code.to_owned(),
            message: None,
            request_id: None,
            latency_ms: None,
            needs_release: false,
        };
        serde_json::to_string(&remembered(&recorded)).expect("JSON")
    };
    let settings = (CODES.map(reason).join("\n"), "../../src/report/fixtures");
    insta::with_settings!({snapshot_path => settings.1, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("reasons", settings.0);
    });
}
