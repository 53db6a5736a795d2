//! The entries of the error catalogue: the codes common to all actions (document 1342/53785), those of the switch action,
//! and those of other DLC actions that may occur.

use super::entry::{CatalogueEntry, ErrorClass, ErrorScope};

const TRANSIENT: ErrorClass = ErrorClass::Transient;
const BUSY: ErrorClass = ErrorClass::Busy;
const THROTTLED: ErrorClass = ErrorClass::Throttled;
const NOT_RUNNING: ErrorClass = ErrorClass::NotRunning;
/// A policy can concern a single engine, so one denial does not stop the run.
const DENIED: ErrorClass = ErrorClass::Denied;
const ENGINE: ErrorClass = ErrorClass::Final(ErrorScope::Engine);
/// The cause is in the image version, so every engine with the same target would be refused.
const IMAGE: ErrorClass = ErrorClass::Final(ErrorScope::Image);
const REGION: ErrorClass = ErrorClass::Final(ErrorScope::Region);
const STOP: ErrorClass = ErrorClass::Final(ErrorScope::Account);

// What the service checks before it starts an operation, so that a refusal proves that nothing was applied. The order of
// checks and operation is not documented as such; each constant states its evidence.

/// Signature, key, token, IP address and permissions: documented for every action as reasons why a call is not admitted
/// (document 1342/53785); the permissions inside DLC in the vendor's SDK (`errorcodes.py`).
const CALLER: bool = true;
/// Action, version, region, protocol and form of the request: checked by the gateway, which does not know the operation
/// (document 1342/53785).
const REQUEST: bool = true;
/// The number of calls in a second: counted before a call is passed on (document 1342/53785).
const RATE: bool = true;
/// The parameters against the records that they name (documents 1342/53785 and, for this action, 1342/99266).
const PARAMETERS: bool = true;
/// That engine and image version exist, are in use, and are in a state that permits the operation (documents 1342/53785
/// and, for this action, 1342/99266).
const RESOURCE: bool = true;
/// Nothing documented says that the operation had not started.
const UNPROVEN: bool = false;

/// Writes each entry as `code => class, proof, cause, remedy;`: with struct literals the table would not be readable.
macro_rules! entries {
    ($($code:literal => $class:ident, $proof:ident, $cause:literal, $remedy:literal;)+) => {
        &[$(CatalogueEntry { code: $code, class: $class, proves_not_applied: $proof, cause: $cause, remedy: $remedy },)+]
    };
}

/// Sorted by code in byte order: codes are found by binary search.
pub(super) const ENTRIES: &[CatalogueEntry] = entries! {
    "ActionOffline" => STOP, REQUEST,
        "the service no longer provides this action",
        "install a newer dlc-fleet, or ask support which action replaces it";
    "AuthFailure" => STOP, CALLER,
        "the service could not authenticate the caller",
        "check the API keys";
    "AuthFailure.InvalidAuthorization" => STOP, CALLER,
        "the Authorization header is malformed",
        "check whether a proxy changes headers; if not, report a bug in dlc-fleet";
    "AuthFailure.InvalidSecretId" => STOP, CALLER,
        "the SecretId is not that of an API key",
        "use an API key from the CAM console";
    "AuthFailure.MFAFailure" => STOP, CALLER,
        "the account requires multi-factor authentication (MFA)",
        "use keys that were obtained with MFA";
    "AuthFailure.SecretIdNotFound" => STOP, CALLER,
        "the API key does not exist or is disabled",
        "check the SecretId for typing errors, and that the key belongs to the site of the endpoint";
    "AuthFailure.SignatureExpire" => STOP, CALLER,
        "the time of the signature differs by more than five minutes from that of the service",
        "synchronise the clock of this machine, then run the same command again";
    "AuthFailure.SignatureFailure" => STOP, CALLER,
        "the signature does not match the request",
        "check the SecretKey, and whether a proxy changes the headers Host or Content-Type";
    "AuthFailure.TokenFailure" => STOP, CALLER,
        "the token of the temporary keys is wrong or has expired",
        "log in again to get new keys, then run the same command again";
    "AuthFailure.UnauthorizedOperation" => DENIED, CALLER,
        "access management (CAM) denies this call",
        "grant the dlc action to this caller in CAM";
    "DryRunOperation" => ENGINE, UNPROVEN,
        "the service treated the request as a dry run and changed nothing",
        "report a bug in dlc-fleet, which never requests a dry run from the service";
    "FailedOperation" => ENGINE, UNPROVEN,
        "the operation failed",
        "read the message, and check the engine in the console";
    "FailedOperation.AnotherProcessRunning" => BUSY, UNPROVEN,
        "another operation on the engine is running",
        "wait until it has ended, then run the same command again";
    "FailedOperation.AnotherRequestProcessing" => BUSY, UNPROVEN,
        "another request for the engine is being processed",
        "wait until it has ended, then run the same command again";
    "FailedOperation.NoPermissionToUseTheDataEngine" => DENIED, UNPROVEN,
        "this caller has no permission in DLC to use the engine",
        "ask a DLC administrator to grant the permission for this engine";
    "InternalError" => TRANSIENT, UNPROVEN,
        "the service had an internal error",
        "run the same command again later; if it happens again, open a ticket with the RequestId";
    "InternalError.InternalSystemException" => TRANSIENT, UNPROVEN,
        "a system behind the service failed",
        "run the same command again later; if it happens again, open a ticket with the RequestId";
    "InvalidAction" => STOP, REQUEST,
        "the endpoint does not provide this action",
        "check that the endpoint is one of DLC and of the right site";
    "InvalidParameter" => ENGINE, PARAMETERS,
        "a parameter is invalid",
        "check the engine's row in the plan";
    "InvalidParameter.DataEngineExecTypeNotMatch" => ENGINE, PARAMETERS,
        "the execution type of the engine is neither SQL nor BATCH",
        "open a ticket with the RequestId: the record of the engine is wrong";
    "InvalidParameter.DataEnginePayModeTypeNotMatch" => ENGINE, PARAMETERS,
        "the pay mode of the engine is neither postpaid nor prepaid",
        "open a ticket with the RequestId: the record of the engine is wrong";
    "InvalidParameter.ImageClusterParametersFormatNotJson" => IMAGE, PARAMETERS,
        "the cluster parameters of the image version are not JSON",
        "choose another image version, or open a ticket with the RequestId";
    "InvalidParameter.ImageEngineTypeNotMatch" => ENGINE, PARAMETERS,
        "the image version is for another type of engine",
        "choose an image version for the type of this engine";
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
        "the state of the image version is unknown",
        "choose an image version that is online";
    "InvalidParameter.ImageUserRecordsTypeNotMatch" => IMAGE, PARAMETERS,
        "the record type of the image version is unknown",
        "check that the plan contains the id of a major version; if it does, open a ticket with the RequestId";
    "InvalidParameter.InstanceInProcess" => BUSY, UNPROVEN,
        "an operation on the engine is in progress",
        "wait until it has ended, then run the same command again";
    "InvalidParameter.ParameterNotFoundOrBeNone" => ENGINE, PARAMETERS,
        "a parameter is missing or empty",
        "check the engine's row in the plan for an empty id";
    "InvalidParameterValue" => ENGINE, PARAMETERS,
        "the value of a parameter is invalid",
        "check the engine's row in the plan";
    "InvalidRequest" => STOP, REQUEST,
        "the service could not parse the body of the request",
        "report a bug in dlc-fleet";
    "IpInBlacklist" => STOP, CALLER,
        "the IP address of this machine is blocked",
        "use another IP address, or change the policy that blocks it";
    "IpNotInWhitelist" => STOP, CALLER,
        "the IP address of this machine is not in the list of allowed addresses",
        "use an allowed IP address, or change the policy";
    "LimitExceeded" => ENGINE, UNPROVEN,
        "a quota is exceeded (not a rate limit)",
        "request a higher quota, or free some of it";
    "MissingParameter" => STOP, REQUEST,
        "a required parameter was not sent",
        "report a bug in dlc-fleet";
    "NoSuchProduct" => STOP, REQUEST,
        "the endpoint does not provide the dlc service",
        "check the endpoint";
    "NoSuchVersion" => STOP, REQUEST,
        "the endpoint does not provide this version of the API",
        "check the endpoint; if it is right, report a bug in dlc-fleet";
    "RegionError" => STOP, REQUEST,
        "the service rejects the region",
        "check the region in the plan";
    "RequestLimitExceeded" => THROTTLED, RATE,
        "too many calls of this action in one second",
        "lower --rate; the console and other tools use the same quota";
    "RequestLimitExceeded.GlobalRegionUinLimitExceeded" => THROTTLED, RATE,
        "the main account made too many calls in all regions together",
        "lower --rate; all users of the account share the quota";
    "RequestLimitExceeded.IPLimitExceeded" => THROTTLED, RATE,
        "too many calls from the IP address of this machine",
        "lower --rate; all machines behind the same IP address share the quota";
    "RequestLimitExceeded.UinLimitExceeded" => THROTTLED, RATE,
        "the main account made too many calls",
        "lower --rate; all users of the account share the quota";
    "RequestSizeLimitExceeded" => ENGINE, REQUEST,
        "the request is too large",
        "report a bug in dlc-fleet";
    "ResourceInUse" => BUSY, RESOURCE,
        "the engine is in use",
        "wait until its tasks and operations have ended, then run the same command again";
    "ResourceInsufficient" => BUSY, UNPROVEN,
        "the service has not enough capacity",
        "run the same command again later";
    "ResourceNotFound" => ENGINE, RESOURCE,
        "a resource in the request does not exist",
        "check id and region in the plan";
    "ResourceNotFound.DataEngineConfigInstanceNotFound" => ENGINE, RESOURCE,
        "the configuration record of the engine is missing",
        "open a ticket with the RequestId";
    "ResourceNotFound.DataEngineConfigInstanceNotUnique" => ENGINE, RESOURCE,
        "the engine has more than one configuration record",
        "open a ticket with the RequestId";
    "ResourceNotFound.DataEngineNotActivity" => NOT_RUNNING, RESOURCE,
        "the engine is not running",
        "resume the engine, then run the same command again";
    "ResourceNotFound.DataEngineNotFound" => ENGINE, RESOURCE,
        "the engine does not exist",
        "check engine and region in the plan";
    "ResourceNotFound.DataEngineNotMultiVersion" => ENGINE, RESOURCE,
        "engines of this type have no image versions",
        "remove the engine from the plan";
    "ResourceNotFound.ImageSessionConfigNotFound" => IMAGE, RESOURCE,
        "the session configuration of the image version is missing",
        "choose another image version, or open a ticket with the RequestId";
    "ResourceNotFound.ImageSessionConfigNotUnique" => IMAGE, RESOURCE,
        "the image version has more than one session configuration",
        "choose another image version, or open a ticket with the RequestId";
    "ResourceNotFound.ImageVersionNotActivity" => IMAGE, RESOURCE,
        "the image version is not active",
        "choose an image version that is online";
    "ResourceNotFound.ImageVersionNotFound" => IMAGE, RESOURCE,
        "the image version does not exist",
        "check id and region in the plan; the id must be that of a major version";
    "ResourceUnavailable" => BUSY, UNPROVEN,
        "the engine is not available at present",
        "check the state and the billing of the engine";
    "ResourceUnavailable.BalanceInsufficient" => STOP, UNPROVEN,
        "the balance of the account is too low",
        "top up the account, then run the same command again";
    "ResourceUnavailable.WhiteListFunction" => STOP, UNPROVEN,
        "the account is not on the allow list of this function",
        "ask support to enable the function for the account";
    "ResponseSizeLimitExceeded" => ENGINE, UNPROVEN,
        "the response would be too large",
        "report a bug in dlc-fleet";
    "ServiceUnavailable" => TRANSIENT, UNPROVEN,
        "the service is temporarily unavailable",
        "run the same command again later";
    "UnauthorizedOperation" => DENIED, CALLER,
        "this caller has no permission for this call",
        "check the permissions in access management (CAM) and in DLC";
    "UnauthorizedOperation.ModifyComputingEngine" => DENIED, CALLER,
        "this caller has no permission to modify the engine",
        "ask a DLC administrator to grant the permission for this engine";
    "UnauthorizedOperation.OperateComputingEngine" => DENIED, CALLER,
        "this caller has no permission to operate the engine",
        "ask a DLC administrator to grant the permission for this engine";
    "UnauthorizedOperation.UnauthorizedOperationCode_NoEngineCamPermissions" => DENIED, CALLER,
        "access management (CAM) gives this caller no permission for the engine",
        "add this engine to the CAM policy";
    "UnauthorizedOperation.UseComputingEngine" => DENIED, CALLER,
        "this caller has no permission to use the engine",
        "ask a DLC administrator to grant the permission for this engine";
    "UnknownParameter" => STOP, REQUEST,
        "the service does not know a parameter of the request",
        "report a bug in dlc-fleet";
    "UnsupportedOperation" => ENGINE, RESOURCE,
        "the engine does not support this operation",
        "remove the engine from the plan";
    "UnsupportedProtocol" => STOP, REQUEST,
        "the request did not arrive as GET or POST over HTTP",
        "check whether a proxy changes requests; if not, report a bug in dlc-fleet";
    "UnsupportedRegion" => REGION, REQUEST,
        "the service is not available in this region",
        "check the region in the plan";
};
