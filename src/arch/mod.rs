//! CPU tiers and everything that needs `unsafe`: proof tokens, lane kernels, wiping of secrets.
#![allow(unsafe_code, reason = "this is the layer that holds the crate's unsafe code")]
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(
        unused,
        reason = "the tiers exist everywhere, so that what is above compiles; their kernels on x86-64 only"
    )
)]

#[cfg(all(test, target_arch = "x86_64"))]
mod abi;
mod asm;
#[cfg(target_arch = "x86_64")]
mod avx2_lookup;
mod avx2fma;
#[cfg(target_arch = "x86_64")]
mod avx512_lookup;
mod avx512ifma;
mod avxifma;
mod barrier;
#[cfg(all(test, target_arch = "x86_64"))]
mod calls;
#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
pub(crate) mod counting;
pub(crate) mod current;
mod disclose;
pub mod field25519;
mod ifma;
mod ifma_fields;
#[cfg(all(test, target_arch = "x86_64"))]
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
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) use ifma_fields::PlainIfma;
pub use secret::Secret;
pub(crate) use secret::wiping_stack;
pub use stack::FiberStack;
pub use tier::{Avx2Fma, Avx512Ifma, AvxIfma, Detection, Portable, Tier, TierKind, UnknownTier};
