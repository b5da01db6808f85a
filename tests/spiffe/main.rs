//! SPIFFE identities: what is refused, what rotates, and what is taken back.

mod ca;
mod clock;
mod negative;
mod rotation;
mod support;
mod updates;
