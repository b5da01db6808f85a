//! CPU tiers and everything that needs `unsafe`: proof tokens, lane kernels, wiping of secrets.
#![allow(unsafe_code, reason = "this is the layer that holds the crate's unsafe code")]

mod avx2fma;
mod barrier;
pub mod current;
pub mod field25519;
#[cfg(test)]
mod lane_tests;
pub mod lanes;
#[cfg(test)]
pub(crate) mod memcheck;
mod portable;
mod secret;
mod stack;
#[cfg(test)]
pub(crate) mod testing;
mod tier;

pub(crate) use barrier::value_barrier;
pub use secret::Secret;
pub use stack::FiberStack;
pub use tier::{Avx2Fma, Avx512Ifma, AvxIfma, Detection, Portable, Tier, TierKind};
