//! Supervision: a process that starts the sidecar, and starts it again when it fails.
//!
//! The [`supervisor`] waits for the sidecar's processes, and starts another when the one that accepts has
//! failed, as often as its budget of [`restarts`] allows. What it cannot see its processes tell it
//! ([`supervision`]).

mod restarts;
pub(crate) mod supervision;
pub(crate) mod supervisor;
