//! Keeps other processes of the same user and core dumps away from the secrets in memory.

/// As far as the system allows; where it does not, the client works all the same.
pub(crate) fn harden() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        // The command inherits this one: it holds the same secrets.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}
