//! What a tier offers: traits, the form of numbers in lanes, and tables. The tiers implement it, each in a
//! directory of its own, in files of the same names: `portable`, which is the specification, `fma` and
//! `ifma`.

pub mod field25519;
pub mod lookup;
mod montgomery;
pub mod number;
pub mod prime;

pub use montgomery::{EXCESS, LaneVec, Moduli, MontLanes, Shape, Vec4, Vec8};
