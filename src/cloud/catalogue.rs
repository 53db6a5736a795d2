//! The error catalogue: every documented error code with its class, cause and remedy.

mod entry;
mod table;
#[cfg(test)]
mod tests;

pub use entry::{CatalogueEntry, ErrorClass, ErrorScope};

/// The entry for a code that is not documented, and whose first segment is not either.
const UNKNOWN_CODE: CatalogueEntry = CatalogueEntry {
    code: "",
    class: ErrorClass::Final(ErrorScope::Engine),
    proves_not_applied: false,
    cause: "the service returned an undocumented error code",
    remedy: "read the message; if it does not help, open a ticket with the RequestId",
};

/// The codes documented for `SwitchDataEngineImage`: 23 in the vendor's Go SDK, and one added in its release of
/// 2026-08-21 (`dlc/v20210125/client.go`).
pub const SWITCH_CODES: [&str; 24] = [
    "FailedOperation",
    "FailedOperation.NoPermissionToUseTheDataEngine",
    "InternalError",
    "InternalError.InternalSystemException",
    "InvalidParameter.DataEngineExecTypeNotMatch",
    "InvalidParameter.DataEnginePayModeTypeNotMatch",
    "InvalidParameter.ImageClusterParametersFormatNotJson",
    "InvalidParameter.ImageEngineTypeNotMatch",
    "InvalidParameter.ImageIsPublicNotMatch",
    "InvalidParameter.ImageParameterNotFound",
    "InvalidParameter.ImageSessionParametersFormatNotJson",
    "InvalidParameter.ImageStateNotMatch",
    "InvalidParameter.ImageUserRecordsTypeNotMatch",
    "InvalidParameter.ParameterNotFoundOrBeNone",
    "ResourceNotFound.DataEngineConfigInstanceNotFound",
    "ResourceNotFound.DataEngineConfigInstanceNotUnique",
    "ResourceNotFound.DataEngineNotActivity",
    "ResourceNotFound.DataEngineNotFound",
    "ResourceNotFound.DataEngineNotMultiVersion",
    "ResourceNotFound.ImageSessionConfigNotFound",
    "ResourceNotFound.ImageSessionConfigNotUnique",
    "ResourceNotFound.ImageVersionNotActivity",
    "ResourceNotFound.ImageVersionNotFound",
    "UnauthorizedOperation.UnauthorizedOperationCode_NoEngineCamPermissions",
];

/// Every entry, sorted by code.
pub fn all() -> &'static [CatalogueEntry] {
    table::ENTRIES
}

/// The entry for a code: its own, else that of its first segment, else one that fails the engine.
pub fn look_up(code: &str) -> &'static CatalogueEntry {
    let first_segment = code.split('.').next().unwrap_or(code);
    entry_of(code).or_else(|| entry_of(first_segment)).unwrap_or(&UNKNOWN_CODE)
}

/// True if repeating a read does not help: the code is about the caller or about the parameters. Undocumented codes, and
/// codes that only say that something failed, are not definitive.
pub fn is_definitive(code: &str) -> bool {
    let entry = look_up(code);
    match entry.class {
        ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Busy | ErrorClass::NotRunning => false,
        ErrorClass::Final(ErrorScope::Engine) => {
            !matches!(entry.code, "" | "FailedOperation" | "LimitExceeded")
        }
        ErrorClass::Denied | ErrorClass::Final(_) => true,
    }
}

/// True if a refusal with this code proves that nothing was applied. A code without an entry of its own proves nothing,
/// whatever its first segment is.
pub fn proves_not_applied(code: &str) -> bool {
    entry_of(code).is_some_and(|entry| entry.proves_not_applied)
}

fn entry_of(code: &str) -> Option<&'static CatalogueEntry> {
    let position = table::ENTRIES.binary_search_by(|entry| entry.code.cmp(code)).ok()?;
    table::ENTRIES.get(position)
}
