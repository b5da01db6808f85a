//! Big-number arithmetic, on plain limbs and in lanes: safe, and constant-time unless a name ends in
//! `_vartime`.

#[cfg(test)]
mod constant_time;
pub(crate) mod curve25519;
pub(crate) mod digits;
pub(crate) mod divide;
pub(crate) mod exp;
mod home;
pub(crate) mod invert;
pub(crate) mod limbs;
pub(crate) mod modular;
pub(crate) mod mont;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod weierstrass;
