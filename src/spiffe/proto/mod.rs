//! The protobuf messages that we speak, field by field as their standards number them.
//!
//! They are written here because the crates that carry all of Envoy's messages are two orders of magnitude
//! larger than the few that SDS needs, and because the crate `spiffe` reads the Workload API's whole or not
//! at all, where one trust domain's bad bundle must not concern the others. What we never read or write is
//! left out: protobuf skips unknown fields.

pub(super) mod discovery;
pub(super) mod workload;
