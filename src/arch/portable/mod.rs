//! The executable specification of the lanes: plain Rust, one lane after the other.

mod field25519;
mod lookup;
mod montgomery;
pub(super) mod prime;
