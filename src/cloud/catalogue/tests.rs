//! Holds the table against a second list, written by hand from the documents.

use std::collections::BTreeSet;

use super::*;

const ENGINE: Class = Class::Final(Reach::Engine);
const IMAGE: Class = Class::Final(Reach::Image);
const REGION: Class = Class::Final(Reach::Region);
const STOP: Class = Class::Final(Reach::Account);

/// Asserts one class for many codes, and that each has a line of its own.
fn assert_class(class: Class, codes: &str) {
    for code in codes.split_whitespace() {
        let line = look_up(code);
        assert_eq!((line.code, line.class), (code, class), "line of {code}");
    }
}

#[test]
fn no_code_stands_twice_and_the_table_is_sorted() {
    let sorted: BTreeSet<&str> = all().iter().map(|line| line.code).collect();
    let as_written: Vec<&str> = all().iter().map(|line| line.code).collect();
    assert_eq!(as_written, sorted.into_iter().collect::<Vec<_>>());
    assert_eq!(as_written.len(), 70);
}

#[test]
fn all_documented_codes_of_the_switch_have_a_line_of_their_own() {
    let distinct: BTreeSet<&str> = SWITCH_CODES.into_iter().collect();
    assert_eq!(distinct.len(), 24);
    let without: Vec<&str> = SWITCH_CODES.into_iter().filter(|code| look_up(code).code != *code).collect();
    assert_eq!(without, Vec::<&str>::new());
}

#[test]
fn each_code_of_the_switch_has_its_class() {
    let groups = [
        (Class::Transient, "InternalError InternalError.InternalSystemException"),
        (Class::NotRunning, "ResourceNotFound.DataEngineNotActivity"),
        (
            Class::Denied,
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
    assert_class(Class::Denied, "AuthFailure.UnauthorizedOperation UnauthorizedOperation");
    assert_class(Class::Transient, "InternalError ServiceUnavailable");
    assert_class(Class::Busy, "ResourceInUse ResourceInsufficient ResourceUnavailable");
    assert_class(
        Class::Throttled,
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
fn codes_documented_for_other_actions_only_have_their_class_too() {
    assert_class(
        Class::Busy,
        "FailedOperation.AnotherProcessRunning FailedOperation.AnotherRequestProcessing
         InvalidParameter.InstanceInProcess",
    );
    assert_class(
        Class::Denied,
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
        ("InternalError.Novelty", "InternalError", Class::Transient),
        ("InternalError.Novelty.Deeper", "InternalError", Class::Transient),
        ("RequestLimitExceeded.Novelty", "RequestLimitExceeded", Class::Throttled),
        ("AuthFailure.Novelty", "AuthFailure", STOP),
        ("UnauthorizedOperation.Novelty", "UnauthorizedOperation", Class::Denied),
        ("ResourceInUse.Novelty", "ResourceInUse", Class::Busy),
        ("InvalidParameter.Novelty", "InvalidParameter", ENGINE),
        ("UnsupportedRegion.Novelty", "UnsupportedRegion", REGION),
    ] {
        let line = look_up(code);
        assert_eq!((line.code, line.class), (first_segment, class), "line of {code}");
    }
}

#[test]
fn an_unheard_of_code_fails_its_engine_only() {
    for code in ["Novelty", "Novelty.Internal", "", ".", ".InternalError", "internalerror"] {
        assert_eq!(look_up(code), &UNHEARD_OF, "line of {code:?}");
    }
    assert_eq!(UNHEARD_OF.class, ENGINE);
}

#[test]
fn only_checks_that_come_before_the_operation_prove_that_nothing_was_applied() {
    let unproven: Vec<&str> =
        all().iter().filter(|line| line.proof.is_none()).map(|line| line.code).collect();
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
    for line in all().iter().chain([&UNHEARD_OF]) {
        for text in [line.cause, line.remedy] {
            let first = text.chars().next();
            assert!(first.is_some_and(char::is_lowercase), "{}: {text:?} needs a small letter", line.code);
            assert!(!text.ends_with(['.', '!', ' ', ':']), "{}: {text:?} needs no end mark", line.code);
            assert!(!text.contains(". "), "{}: {text:?} is more than a clause", line.code);
            assert!(text.chars().count() <= 100, "{}: {text:?} is too long", line.code);
        }
    }
}

#[test]
fn a_refusal_is_definitive_where_it_judges_the_caller_or_the_question() {
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
