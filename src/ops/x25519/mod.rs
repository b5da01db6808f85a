//! X25519 key agreement (RFC 7748 §6.1).

mod batch;
mod key;
#[cfg(test)]
mod tests;

pub(super) use batch::{agree_batch, generate_batch};
pub use key::{AgreeRequest, KeyPair, PrivateKey};

/// Bytes of a private key, a public key and a shared secret.
pub const LEN: usize = 32;
