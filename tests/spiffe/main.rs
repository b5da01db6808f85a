//! SPIFFE identities: what is refused, what rotates, and what is taken back.
#![cfg(unix)]

mod ca;
mod clock;
#[path = "../support/credulous.rs"]
mod credulous;
mod engines;
mod files;
#[path = "../support/pki.rs"]
mod issuer;
#[path = "../support/revocation.rs"]
mod lists;
mod live;
mod metric;
mod negative;
mod openssl;
mod resumption;
mod returning;
mod revocation;
mod rotation;
mod suites;
mod supervisor;
mod support;
mod updates;
