//! Forbids core dumps, which would contain secret keys.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps as far as the platform allows. On Linux, a dump that is piped to a collector obeys only the second
/// setting. A failure is ignored: it does not affect the command.
pub(super) fn forbid_core_dumps() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
