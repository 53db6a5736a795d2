//! Compares the table with a second list, written by hand from the documents.

use std::collections::BTreeSet;

use super::*;

const ENGINE: ErrorClass = ErrorClass::Final(ErrorScope::Engine);
const IMAGE: ErrorClass = ErrorClass::Final(ErrorScope::Image);
const REGION: ErrorClass = ErrorClass::Final(ErrorScope::Region);
const STOP: ErrorClass = ErrorClass::Final(ErrorScope::Account);

/// Asserts one class for many codes, and that each has an entry of its own.
fn assert_class(class: ErrorClass, codes: &str) {
    for code in codes.split_whitespace() {
        let entry = look_up(code);
        assert_eq!((entry.code, entry.class), (code, class), "entry of {code}");
    }
}

#[test]
fn no_code_occurs_twice_and_the_table_is_sorted() {
    let sorted: BTreeSet<&str> = all().iter().map(|entry| entry.code).collect();
    let as_written: Vec<&str> = all().iter().map(|entry| entry.code).collect();
    assert_eq!(as_written, sorted.into_iter().collect::<Vec<_>>());
    assert_eq!(as_written.len(), 70);
}

#[test]
fn all_documented_codes_of_the_switch_have_an_entry_of_their_own() {
    let distinct: BTreeSet<&str> = SWITCH_CODES.into_iter().collect();
    assert_eq!(distinct.len(), 24);
    let without: Vec<&str> = SWITCH_CODES.into_iter().filter(|code| look_up(code).code != *code).collect();
    assert_eq!(without, Vec::<&str>::new());
}

#[test]
fn each_code_of_the_switch_has_its_class() {
    let groups = [
        (ErrorClass::Transient, "InternalError InternalError.InternalSystemException"),
        (ErrorClass::NotRunning, "ResourceNotFound.DataEngineNotActivity"),
        (
            ErrorClass::Denied,
            "FailedOperation.NoPermissionToUseTheDataEngine
             UnauthorizedOperation.UnauthorizedOperationCode_NoEngineCamPermissions",
        ),
        (
            IMAGE,
            "InvalidParameter.ImageClusterParametersFormatNotJson InvalidParameter.ImageIsPublicNotMatch
             InvalidParameter.ImageParameterNotFound InvalidParameter.ImageSessionParametersFormatNotJson
             InvalidParameter.ImageStateNotMatch InvalidParameter.ImageUserRecordsTypeNotMatch
             ResourceNotFound.ImageSessionConfigNotFound ResourceNotFound.ImageSessionConfigNotUnique
             ResourceNotFound.ImageVersionNotActivity ResourceNotFound.ImageVersionNotFound",
        ),
        (
            ENGINE,
            "FailedOperation InvalidParameter.DataEngineExecTypeNotMatch
             InvalidParameter.DataEnginePayModeTypeNotMatch InvalidParameter.ImageEngineTypeNotMatch
             InvalidParameter.ParameterNotFoundOrBeNone ResourceNotFound.DataEngineConfigInstanceNotFound
             ResourceNotFound.DataEngineConfigInstanceNotUnique ResourceNotFound.DataEngineNotFound
             ResourceNotFound.DataEngineNotMultiVersion",
        ),
    ];
    let listed: BTreeSet<&str> = groups.iter().flat_map(|(_, codes)| codes.split_whitespace()).collect();
    assert_eq!(listed, SWITCH_CODES.into_iter().collect());
    for (class, codes) in groups {
        assert_class(class, codes);
    }
}

#[test]
fn each_common_code_has_its_class() {
    assert_class(
        STOP,
        "ActionOffline AuthFailure.InvalidAuthorization AuthFailure.InvalidSecretId AuthFailure.MFAFailure
         AuthFailure.SecretIdNotFound AuthFailure.SignatureExpire AuthFailure.SignatureFailure
         AuthFailure.TokenFailure InvalidAction InvalidRequest IpInBlacklist IpNotInWhitelist MissingParameter
         NoSuchProduct NoSuchVersion UnknownParameter UnsupportedProtocol",
    );
    assert_class(ErrorClass::Denied, "AuthFailure.UnauthorizedOperation UnauthorizedOperation");
    assert_class(ErrorClass::Transient, "InternalError ServiceUnavailable");
    assert_class(ErrorClass::Busy, "ResourceInUse ResourceInsufficient ResourceUnavailable");
    assert_class(
        ErrorClass::Throttled,
        "RequestLimitExceeded RequestLimitExceeded.GlobalRegionUinLimitExceeded
         RequestLimitExceeded.IPLimitExceeded RequestLimitExceeded.UinLimitExceeded",
    );
    assert_class(REGION, "UnsupportedRegion");
    assert_class(
        ENGINE,
        "DryRunOperation FailedOperation InvalidParameter InvalidParameterValue LimitExceeded
         RequestSizeLimitExceeded ResourceNotFound ResponseSizeLimitExceeded UnsupportedOperation",
    );
}

#[test]
fn codes_of_other_actions_have_their_class() {
    assert_class(
        ErrorClass::Busy,
        "FailedOperation.AnotherProcessRunning FailedOperation.AnotherRequestProcessing
         InvalidParameter.InstanceInProcess",
    );
    assert_class(
        ErrorClass::Denied,
        "UnauthorizedOperation.OperateComputingEngine UnauthorizedOperation.ModifyComputingEngine
         UnauthorizedOperation.UseComputingEngine",
    );
    assert_class(
        STOP,
        "AuthFailure RegionError ResourceUnavailable.BalanceInsufficient ResourceUnavailable.WhiteListFunction",
    );
}

#[test]
fn an_unknown_sub_code_inherits_from_its_first_segment() {
    for (code, first_segment, class) in [
        ("InternalError.Novelty", "InternalError", ErrorClass::Transient),
        ("InternalError.Novelty.Deeper", "InternalError", ErrorClass::Transient),
        ("RequestLimitExceeded.Novelty", "RequestLimitExceeded", ErrorClass::Throttled),
        ("AuthFailure.Novelty", "AuthFailure", STOP),
        ("UnauthorizedOperation.Novelty", "UnauthorizedOperation", ErrorClass::Denied),
        ("ResourceInUse.Novelty", "ResourceInUse", ErrorClass::Busy),
        ("InvalidParameter.Novelty", "InvalidParameter", ENGINE),
        ("UnsupportedRegion.Novelty", "UnsupportedRegion", REGION),
    ] {
        let entry = look_up(code);
        assert_eq!((entry.code, entry.class), (first_segment, class), "entry of {code}");
    }
}

#[test]
fn an_undocumented_code_fails_only_its_engine() {
    for code in ["Novelty", "Novelty.Internal", "", ".", ".InternalError", "internalerror"] {
        assert_eq!(look_up(code), &UNKNOWN_CODE, "entry of {code:?}");
    }
    assert_eq!(UNKNOWN_CODE.class, ENGINE);
}

#[test]
fn only_checks_that_come_before_the_operation_prove_that_nothing_was_applied() {
    let unproven: Vec<&str> =
        all().iter().filter(|entry| !entry.proves_not_applied).map(|entry| entry.code).collect();
    assert_eq!(
        unproven,
        [
            "DryRunOperation",
            "FailedOperation",
            "FailedOperation.AnotherProcessRunning",
            "FailedOperation.AnotherRequestProcessing",
            "FailedOperation.NoPermissionToUseTheDataEngine",
            "InternalError",
            "InternalError.InternalSystemException",
            "InvalidParameter.InstanceInProcess",
            "LimitExceeded",
            "ResourceInsufficient",
            "ResourceUnavailable",
            "ResourceUnavailable.BalanceInsufficient",
            "ResourceUnavailable.WhiteListFunction",
            "ResponseSizeLimitExceeded",
            "ServiceUnavailable",
        ]
    );
    assert!(proves_not_applied("InvalidParameter"));
    for code in ["InvalidParameter.Novelty", "RequestLimitExceeded.Novelty", "Novelty", ""] {
        assert!(!proves_not_applied(code), "{code:?} is not in the table");
    }
}

#[test]
fn causes_and_remedies_are_clauses_without_capital_and_full_stop() {
    for entry in all().iter().chain([&UNKNOWN_CODE]) {
        for text in [entry.cause, entry.remedy] {
            let first = text.chars().next();
            assert!(first.is_some_and(char::is_lowercase), "{}: {text:?} needs a small letter", entry.code);
            assert!(!text.ends_with(['.', '!', ' ', ':']), "{}: {text:?} needs no end mark", entry.code);
            assert!(!text.contains(". "), "{}: {text:?} is more than a clause", entry.code);
            assert!(text.chars().count() <= 100, "{}: {text:?} is too long", entry.code);
        }
    }
}

#[test]
fn a_refusal_is_definitive_if_it_is_about_the_caller_or_the_parameters() {
    let definitive = "AuthFailure AuthFailure.Novelty UnauthorizedOperation.Novelty IpNotInWhitelist InvalidParameter \
         InvalidParameterValue.Novelty MissingParameter UnknownParameter ResourceNotFound.DataEngineNotFound \
         InvalidAction UnsupportedRegion UnsupportedOperation ResourceUnavailable.BalanceInsufficient \
         FailedOperation.NoPermissionToUseTheDataEngine RequestSizeLimitExceeded";
    let passing = "FailedOperation FailedOperation.Novelty FailedOperation.AnotherRequestProcessing InternalError \
         InternalError.Novelty ServiceUnavailable ResourceUnavailable ResourceUnavailable.Novelty ResourceInsufficient \
         ResourceInUse LimitExceeded RequestLimitExceeded.UinLimitExceeded Novelty Novelty.Deeper";
    for (codes, expected) in [(definitive, true), (passing, false)] {
        for code in codes.split_whitespace() {
            assert_eq!(is_definitive(code), expected, "{code}");
        }
    }
}
