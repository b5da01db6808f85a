//! SPIFFE identities: what is refused, what rotates, and what is taken back.

mod ca;
mod clock;
#[cfg(unix)]
mod files;
mod live;
mod metric;
mod negative;
mod rotation;
mod supervisor;
mod support;
mod updates;
