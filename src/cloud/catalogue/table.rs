//! The lines of the error table: the codes common to all actions (document 1342/53785), those of the switching
//! action, and those of other DLC actions that may well come up.

use super::{CatalogueEntry, Check, Class, Reach};

const TRANSIENT: Class = Class::Transient;
const BUSY: Class = Class::Busy;
const THROTTLED: Class = Class::Throttled;
const NOT_RUNNING: Class = Class::NotRunning;
/// A policy can concern a single engine, so a denial does not stop the run by itself.
const DENIED: Class = Class::Denied;
const ENGINE: Class = Class::Final(Reach::Engine);
/// The fault lies in the image version, so every engine with the same target would meet it.
const IMAGE: Class = Class::Final(Reach::Image);
const REGION: Class = Class::Final(Reach::Region);
const STOP: Class = Class::Final(Reach::Account);

const CALLER: Option<Check> = Some(Check::Caller);
const REQUEST: Option<Check> = Some(Check::Request);
const RATE: Option<Check> = Some(Check::Rate);
const PARAMETERS: Option<Check> = Some(Check::Parameters);
const SUBJECT: Option<Check> = Some(Check::Subject);
/// Nothing documented says that the operation had not begun.
const UNPROVEN: Option<Check> = None;

/// Writes each line as `code => class, proof, cause, remedy;`, since one struct literal each would bury the table.
macro_rules! lines {
    ($($code:literal => $class:ident, $proof:ident, $cause:literal, $remedy:literal;)+) => {
        &[$(CatalogueEntry { code: $code, class: $class, proof: $proof, cause: $cause, remedy: $remedy },)+]
    };
}

/// Sorted by code in byte order, because codes are found by binary search.
pub(super) const LINES: &[CatalogueEntry] = lines! {
    "ActionOffline" => STOP, REQUEST,
        "the service has withdrawn this action",
        "install a newer dlc-fleet, or ask support which action replaces it";
    "AuthFailure" => STOP, CALLER,
        "the service could not establish who is calling",
        "check the credentials";
    "AuthFailure.InvalidAuthorization" => STOP, CALLER,
        "the Authorization header arrived malformed",
        "check whether a proxy rewrites headers, then report a defect of dlc-fleet";
    "AuthFailure.InvalidSecretId" => STOP, CALLER,
        "the SecretId is not one of an API key",
        "use a key from the CAM console";
    "AuthFailure.MFAFailure" => STOP, CALLER,
        "the account asks for a second factor and got none",
        "use credentials that were obtained with MFA";
    "AuthFailure.SecretIdNotFound" => STOP, CALLER,
        "the key does not exist, or is disabled",
        "check the SecretId for typing errors, and that key and endpoint belong to the same site";
    "AuthFailure.SignatureExpire" => STOP, CALLER,
        "the request was signed more than five minutes before it arrived, or for a time still to come",
        "synchronise the clock of this machine, then run again";
    "AuthFailure.SignatureFailure" => STOP, CALLER,
        "the signature does not match the request",
        "check the SecretKey, and whether a proxy changes Host or Content-Type";
    "AuthFailure.TokenFailure" => STOP, CALLER,
        "the token is wrong or has expired",
        "log in again for a fresh token, then run again";
    "AuthFailure.UnauthorizedOperation" => DENIED, CALLER,
        "access management (CAM) denies this call",
        "grant the action of the dlc service to this caller";
    "DryRunOperation" => ENGINE, UNPROVEN,
        "the service took the request for a rehearsal of its own, so nothing changed",
        "report a defect of dlc-fleet, which never asks for that";
    "FailedOperation" => ENGINE, UNPROVEN,
        "the operation failed",
        "read the message and look at the engine in the console";
    "FailedOperation.AnotherProcessRunning" => BUSY, UNPROVEN,
        "another operation on the engine is still going on",
        "wait for it to end, then run again";
    "FailedOperation.AnotherRequestProcessing" => BUSY, UNPROVEN,
        "another request for the engine is still being worked on",
        "wait for it to end, then run again";
    "FailedOperation.NoPermissionToUseTheDataEngine" => DENIED, UNPROVEN,
        "this caller has no right to use the engine inside DLC",
        "have a DLC administrator grant the right on this engine";
    "InternalError" => TRANSIENT, UNPROVEN,
        "the service had an internal fault",
        "run again later; open a ticket with the RequestId if it stays";
    "InternalError.InternalSystemException" => TRANSIENT, UNPROVEN,
        "a system behind the service had a fault",
        "run again later; open a ticket with the RequestId if it stays";
    "InvalidAction" => STOP, REQUEST,
        "the endpoint does not know this action",
        "check that the endpoint is one of DLC and of the right site";
    "InvalidParameter" => ENGINE, PARAMETERS,
        "a parameter is wrong",
        "check the engine's row in the plan";
    "InvalidParameter.DataEngineExecTypeNotMatch" => ENGINE, PARAMETERS,
        "the engine's execution type is neither SQL nor BATCH",
        "open a ticket with the RequestId: the engine's record is odd";
    "InvalidParameter.DataEnginePayModeTypeNotMatch" => ENGINE, PARAMETERS,
        "the engine's pay mode is neither postpaid nor prepaid",
        "open a ticket with the RequestId: the engine's record is odd";
    "InvalidParameter.ImageClusterParametersFormatNotJson" => IMAGE, PARAMETERS,
        "the cluster parameters of the image version are not JSON",
        "choose another image version, or open a ticket with the RequestId";
    "InvalidParameter.ImageEngineTypeNotMatch" => ENGINE, PARAMETERS,
        "the image version is made for another type of engine",
        "choose an image version of the engine's own type";
    "InvalidParameter.ImageIsPublicNotMatch" => IMAGE, PARAMETERS,
        "the image version is marked neither public nor private",
        "choose another image version, or open a ticket with the RequestId";
    "InvalidParameter.ImageParameterNotFound" => IMAGE, PARAMETERS,
        "a parameter of the image version is missing",
        "choose another image version, or open a ticket with the RequestId";
    "InvalidParameter.ImageSessionParametersFormatNotJson" => IMAGE, PARAMETERS,
        "the session parameters of the image version are not JSON",
        "choose another image version, or open a ticket with the RequestId";
    "InvalidParameter.ImageStateNotMatch" => IMAGE, PARAMETERS,
        "the image version is in an unknown state",
        "choose an image version that is online";
    "InvalidParameter.ImageUserRecordsTypeNotMatch" => IMAGE, PARAMETERS,
        "the record of the image version is of an unknown type",
        "check that the plan names a major version, or open a ticket with the RequestId";
    "InvalidParameter.InstanceInProcess" => BUSY, UNPROVEN,
        "an operation on the engine is still in progress",
        "wait for it to end, then run again";
    "InvalidParameter.ParameterNotFoundOrBeNone" => ENGINE, PARAMETERS,
        "a parameter is missing or empty",
        "check the engine's row in the plan for an empty identifier";
    "InvalidParameterValue" => ENGINE, PARAMETERS,
        "the value of a parameter is wrong",
        "check the engine's row in the plan";
    "InvalidRequest" => STOP, REQUEST,
        "the service could not parse the body of the request",
        "report a defect of dlc-fleet";
    "IpInBlacklist" => STOP, CALLER,
        "the address this machine calls from is blocked",
        "call from another address, or change the policy that blocks it";
    "IpNotInWhitelist" => STOP, CALLER,
        "the address this machine calls from is not on the list of allowed ones",
        "call from an allowed address, or change the policy";
    "LimitExceeded" => ENGINE, UNPROVEN,
        "a quota is used up, not a rate",
        "have the quota raised, or free some of it";
    "MissingParameter" => STOP, REQUEST,
        "a parameter that the service needs was not sent",
        "report a defect of dlc-fleet";
    "NoSuchProduct" => STOP, REQUEST,
        "the endpoint does not know the dlc service",
        "check the endpoint";
    "NoSuchVersion" => STOP, REQUEST,
        "the endpoint does not know this version of the API",
        "check the endpoint, then report a defect of dlc-fleet";
    "RegionError" => STOP, REQUEST,
        "the service rejects the region",
        "check the region in the plan";
    "RequestLimitExceeded" => THROTTLED, RATE,
        "more calls of this action arrived in one second than allowed",
        "lower the rate; other tools and the console share the quota";
    "RequestLimitExceeded.GlobalRegionUinLimitExceeded" => THROTTLED, RATE,
        "the main account sent more calls than allowed over all regions",
        "lower the rate; everybody in the account shares the quota";
    "RequestLimitExceeded.IPLimitExceeded" => THROTTLED, RATE,
        "more calls came from this address than allowed",
        "lower the rate; machines behind the same address share the quota";
    "RequestLimitExceeded.UinLimitExceeded" => THROTTLED, RATE,
        "the main account sent more calls than allowed",
        "lower the rate; everybody in the account shares the quota";
    "RequestSizeLimitExceeded" => ENGINE, REQUEST,
        "the request is too big",
        "report a defect of dlc-fleet";
    "ResourceInUse" => BUSY, SUBJECT,
        "something else is using the engine",
        "wait for its tasks and operations to end, then run again";
    "ResourceInsufficient" => BUSY, UNPROVEN,
        "the service has no capacity left for this",
        "run again later";
    "ResourceNotFound" => ENGINE, SUBJECT,
        "the service does not find what the request names",
        "check identifier and region in the plan";
    "ResourceNotFound.DataEngineConfigInstanceNotFound" => ENGINE, SUBJECT,
        "the engine's configuration record is missing",
        "open a ticket with the RequestId";
    "ResourceNotFound.DataEngineConfigInstanceNotUnique" => ENGINE, SUBJECT,
        "the engine has more than one configuration record",
        "open a ticket with the RequestId";
    "ResourceNotFound.DataEngineNotActivity" => NOT_RUNNING, SUBJECT,
        "the engine is not running",
        "resume the engine, then run again";
    "ResourceNotFound.DataEngineNotFound" => ENGINE, SUBJECT,
        "there is no such engine",
        "check engine and region in the plan";
    "ResourceNotFound.DataEngineNotMultiVersion" => ENGINE, SUBJECT,
        "engines of this kind have no image versions",
        "leave the engine out of the plan";
    "ResourceNotFound.ImageSessionConfigNotFound" => IMAGE, SUBJECT,
        "the session configuration of the image version is missing",
        "choose another image version, or open a ticket with the RequestId";
    "ResourceNotFound.ImageSessionConfigNotUnique" => IMAGE, SUBJECT,
        "the image version has more than one session configuration",
        "choose another image version, or open a ticket with the RequestId";
    "ResourceNotFound.ImageVersionNotActivity" => IMAGE, SUBJECT,
        "the image version is not active",
        "choose an image version that is online";
    "ResourceNotFound.ImageVersionNotFound" => IMAGE, SUBJECT,
        "there is no such image version",
        "check identifier and region, and that the identifier is one of a major version";
    "ResourceUnavailable" => BUSY, UNPROVEN,
        "the engine is not available at the moment",
        "check the engine's state and its billing";
    "ResourceUnavailable.BalanceInsufficient" => STOP, UNPROVEN,
        "the account's balance is too low",
        "top up the account, then run again";
    "ResourceUnavailable.WhiteListFunction" => STOP, UNPROVEN,
        "the account has not been admitted to this function",
        "ask support to admit the account";
    "ResponseSizeLimitExceeded" => ENGINE, UNPROVEN,
        "the answer would be too big",
        "report a defect of dlc-fleet";
    "ServiceUnavailable" => TRANSIENT, UNPROVEN,
        "the service is down for the moment",
        "run again later";
    "UnauthorizedOperation" => DENIED, CALLER,
        "this caller is not permitted to do that",
        "check the permissions in access management (CAM) and inside DLC";
    "UnauthorizedOperation.ModifyComputingEngine" => DENIED, CALLER,
        "this caller has no right to modify the engine",
        "have a DLC administrator grant the right on this engine";
    "UnauthorizedOperation.OperateComputingEngine" => DENIED, CALLER,
        "this caller has no right to operate the engine",
        "have a DLC administrator grant the right on this engine";
    "UnauthorizedOperation.UnauthorizedOperationCode_NoEngineCamPermissions" => DENIED, CALLER,
        "access management (CAM) gives this caller no right on the engine",
        "extend the CAM policy to this engine";
    "UnauthorizedOperation.UseComputingEngine" => DENIED, CALLER,
        "this caller has no right to use the engine",
        "have a DLC administrator grant the right on this engine";
    "UnknownParameter" => STOP, REQUEST,
        "the service does not know a parameter that was sent",
        "report a defect of dlc-fleet";
    "UnsupportedOperation" => ENGINE, SUBJECT,
        "the engine does not support this operation",
        "leave the engine out of the plan";
    "UnsupportedProtocol" => STOP, REQUEST,
        "the request did not arrive as GET or POST over HTTP",
        "check whether a proxy rewrites requests, then report a defect of dlc-fleet";
    "UnsupportedRegion" => REGION, REQUEST,
        "the service is not offered in this region",
        "check the region in the plan";
};
