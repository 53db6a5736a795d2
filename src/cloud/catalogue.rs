//! The table of everything the service is documented to refuse with: code, class, cause, remedy.

mod table;

#[cfg(test)]
mod tests;

/// How far a final refusal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This engine fails; the run goes on.
    Engine,
    /// Every engine with this target in this region would fail alike; they are held back.
    Image,
    /// Every engine in this region would fail alike; they are held back.
    Region,
    /// Whatever is sent would fail alike; the run stops.
    Account,
}

/// What the run does about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Too fast: the gate slows down for everybody; uses up no attempt.
    Throttled,
    /// May pass within seconds: wait, verify, send again.
    Transient,
    /// May pass, but not within seconds: wait longer, verify, send again.
    Busy,
    /// The engine is not running: may pass while it initialises, final in any other state.
    NotRunning,
    /// A permission is missing. It stops the run if nothing has been accepted yet or several engines in a
    /// row are denied; else it concerns this engine only, since permissions can be given per engine.
    Denied,
    /// Will not pass by itself.
    Final(Reach),
}

/// What the service checks before it begins an operation, so that a refusal by such a check proves that nothing was
/// applied. The order of checks and operation is not documented as such: each variant says on what it rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Signature, key, token, address and permissions: documented for every action as reasons why a call is not
    /// admitted (document 1342/53785); the permissions inside DLC by the vendor's SDK (`errorcodes.py`).
    Caller,
    /// Action, version, region, protocol and form of the request: checked by the gateway, which does not know the
    /// operation (document 1342/53785).
    Request,
    /// The number of calls in a second: counted before a call is passed on (document 1342/53785).
    Rate,
    /// The parameters against the records that they name (documents 1342/53785 and, for this action, 1342/99266).
    Parameters,
    /// That the engine and the image version exist, are in use, and are in a state that permits the operation
    /// (documents 1342/53785 and, for this action, 1342/99266).
    Subject,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The code, or the first segment that stands for all codes below it.
    pub code: &'static str,
    /// What the run does about it.
    pub class: Class,
    /// The check that refused, where this proves that nothing was applied; none where it proves nothing.
    pub proof: Option<Check>,
    /// What it means: small first letter, no full stop.
    pub cause: &'static str,
    /// What to do next: small first letter, no full stop.
    pub remedy: &'static str,
}

/// What stands for a code that neither the table nor its first segment knows.
const UNHEARD_OF: CatalogueEntry = CatalogueEntry {
    code: "",
    class: Class::Final(Reach::Engine),
    proof: None,
    cause: "the service answered with a code that is not documented",
    remedy: "read the message; open a ticket with the RequestId if it does not help",
};

/// The codes documented for `SwitchDataEngineImage`: 23 in the vendor's Go SDK plus the one that its release of
/// 2026-08-21 added (`dlc/v20210125/client.go`).
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

/// Every line of the table, sorted by code.
pub fn all() -> &'static [CatalogueEntry] {
    table::LINES
}

/// The line for a code: its own, else that of its first segment, else one that fails the engine.
pub fn look_up(code: &str) -> &'static CatalogueEntry {
    let first_segment = code.split('.').next().unwrap_or(code);
    line_of(code).or_else(|| line_of(first_segment)).unwrap_or(&UNHEARD_OF)
}

/// True where asking again does not help a call that only reads: the service has judged the caller or the question.
/// Codes that are not documented, and those that only say that something failed, judge neither.
pub fn is_definitive(code: &str) -> bool {
    let entry = look_up(code);
    match entry.class {
        Class::Throttled | Class::Transient | Class::Busy | Class::NotRunning => false,
        Class::Final(Reach::Engine) => !matches!(entry.code, "" | "FailedOperation" | "LimitExceeded"),
        Class::Denied | Class::Final(_) => true,
    }
}

/// True where a refusal with this code proves that nothing was applied. A code without a line of its own proves nothing,
/// whatever its first segment is.
pub fn proves_not_applied(code: &str) -> bool {
    line_of(code).is_some_and(|line| line.proof.is_some())
}

fn line_of(code: &str) -> Option<&'static CatalogueEntry> {
    let position = table::LINES.binary_search_by(|line| line.code.cmp(code)).ok()?;
    table::LINES.get(position)
}
