//! CPU tiers and everything that needs `unsafe`: proof tokens, lane kernels, wiping of secrets.
#![allow(unsafe_code, reason = "this is the layer that holds the crate's unsafe code")]

mod barrier;
mod disclose;
#[cfg(lanes)]
mod fma;
#[cfg(lanes)]
mod ifma;
pub mod lanes;
pub(crate) mod loan;
pub(crate) mod mxcsr;
mod portable;
mod secret;
mod stack;
#[cfg(test)]
mod tests;
mod tier;

pub(crate) use barrier::value_barrier;
pub(crate) use disclose::{disclose, disclose_number};
#[cfg(all(test, lanes))]
pub(crate) use ifma::PlainIfma;
pub use lanes::{field25519, lookup, number, prime};
pub use secret::Secret;
#[cfg(test)]
pub(crate) use secret::{DEEPLY_WIPED, WIPED};
pub(crate) use secret::{wiping_deep_stack, wiping_stack};
pub use stack::FiberStack;
#[cfg(all(test, lanes, target_os = "linux"))]
pub(crate) use tests::counting;
#[cfg(test)]
pub(crate) use tests::{memcheck, testing};
pub(crate) use tier::crypto_instructions;
pub use tier::{Avx2Fma, Avx512Ifma, AvxIfma, Detection, Portable, Tier, TierKind, UnknownTier};
