//! Writes and checks the reasons in the unit tests of `report`, which may not import the modules that make them.

use dlc_fleet::ledger::LastError;
use dlc_fleet::run::recorded_error;

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
        let error = LastError { code: Some(code.to_owned()), message: None, request_id: None };
        serde_json::to_string(&recorded_error(&error)).expect("JSON")
    };
    let settings = (CODES.map(reason).join("\n"), "../../src/report/fixtures");
    insta::with_settings!({snapshot_path => settings.1, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("reasons", settings.0);
    });
}
