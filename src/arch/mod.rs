//! CPU tiers and everything that needs `unsafe`: proof tokens, lane kernels, wiping of secrets.
#![allow(unsafe_code, reason = "this is the layer that holds the crate's unsafe code")]

pub mod current;
mod secret;
mod stack;
mod tier;

pub use secret::Secret;
pub use stack::FiberStack;
pub use tier::{Avx2Fma, Avx512Ifma, AvxIfma, Detection, Portable, Tier, TierKind};
