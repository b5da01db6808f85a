//! SPIFFE identities: what is refused, what rotates, and what is taken back.

mod ca;
mod clock;
#[cfg(unix)]
mod files;
mod negative;
mod rotation;
mod support;
mod updates;
