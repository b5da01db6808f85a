//! Key exchange in every tier.

mod exchange;
mod nist;
mod x25519;
