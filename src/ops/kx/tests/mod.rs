//! Key exchange in every tier.

mod nist;
mod x25519;
