//! Hot restart: a new process takes the listen sockets over, and the one before lets its connections finish.
//!
//! On SIGHUP a process starts its [`successor`], from the [`program`] that is there now, and hands its
//! sockets over ([`handover`]). The successor starts its identities and its workers, accepts, and says so.
//! From then on the one before accepts nothing more. What it does until its end is in [`retire`]: it waits
//! for its connections, and tells its successor what they count.

pub(crate) mod handover;
pub(crate) mod program;
pub(crate) mod retire;
pub(crate) mod successor;
