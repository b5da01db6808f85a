//! The protobuf messages that we speak, field by field as their standards number them.
//!
//! They are written here because the crates that carry all of Envoy's messages are two orders of magnitude larger than the
//! few that SDS needs, and the crate `spiffe` keeps the Workload API's to itself. What we never read or write is left out:
//! protobuf skips unknown fields.

pub(super) mod discovery;
#[cfg(feature = "spiffe-authority")]
pub(super) mod workload;
