//! The sidecar as its users run it: real processes, real sockets, stock TLS libraries as peers.

mod admin;
mod carrying;
mod contexts;
mod draining;
mod endings;
mod endurance;
#[path = "../support/pki.rs"]
mod issuer;
mod limits;
#[path = "../support/revocation.rs"]
mod lists;
mod mesh;
mod pki;
mod process;
mod restarting;
mod resumption;
mod rotation;
mod signals;
mod sources;
mod supervising;
mod support;
