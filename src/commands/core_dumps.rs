//! Keeps what is in memory, the keys above all, out of files that others may read.

/// Forbids core dumps, where the platform lets us. A dump that is piped to a collector heeds only the second of the
/// two. That a system does not know of one or the other keeps nobody from working.
pub(super) fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
