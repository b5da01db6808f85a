//! Tests of all tiers, and what tests of other modules use.

#[cfg(lanes)]
mod abi;
mod assembly;
#[cfg(lanes)]
pub(super) mod calls;
#[cfg(all(lanes, target_os = "linux"))]
pub(crate) mod counting;
#[cfg(all(lanes, target_os = "linux"))]
mod counts;
mod field25519;
#[cfg(lanes)]
mod kernel_checks;
mod lookup;
pub(crate) mod memcheck;
mod montgomery;
mod prime;
pub(crate) mod testing;
