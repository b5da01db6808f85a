//! CPU tiers and everything that needs `unsafe`: proof tokens, lane kernels, wiping of secrets.
#![allow(unsafe_code, reason = "this is the layer that holds the crate's unsafe code")]

#[cfg(all(test, lanes))]
mod abi;
#[cfg(lanes)]
mod avx2_lookup;
#[cfg(lanes)]
mod avx2fma;
#[cfg(lanes)]
mod avx512_lookup;
mod barrier;
#[cfg(all(test, lanes))]
mod calls;
#[cfg(all(test, lanes, target_os = "linux"))]
pub(crate) mod counting;
pub(crate) mod current;
mod disclose;
pub mod field25519;
#[cfg(lanes)]
mod ifma;
#[cfg(lanes)]
mod ifma_fields;
#[cfg(all(test, lanes))]
mod kernel_checks;
#[cfg(test)]
mod lane_tests;
pub mod lanes;
pub mod lookup;
#[cfg(test)]
pub(crate) mod memcheck;
pub(crate) mod mxcsr;
pub mod number;
mod portable;
pub mod prime;
mod secret;
mod stack;
#[cfg(test)]
pub(crate) mod testing;
mod tier;

pub(crate) use barrier::value_barrier;
pub(crate) use disclose::{disclose, disclose_number};
#[cfg(all(test, lanes))]
pub(crate) use ifma_fields::PlainIfma;
pub use secret::Secret;
pub(crate) use secret::wiping_stack;
pub use stack::FiberStack;
pub use tier::{Avx2Fma, Avx512Ifma, AvxIfma, Detection, Portable, Tier, TierKind, UnknownTier};
