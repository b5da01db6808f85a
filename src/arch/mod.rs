//! CPU tiers and everything that needs `unsafe`: proof tokens, lane kernels, wiping of secrets.
#![allow(unsafe_code, reason = "this is the layer that holds the crate's unsafe code")]

mod barrier;
#[cfg(test)]
pub(crate) mod memcheck;
mod secret;
mod tier;

pub(crate) use barrier::value_barrier;
pub use secret::Secret;
pub use tier::{Avx2Fma, Avx512Ifma, AvxIfma, Detection, Portable, Tier, TierKind};
