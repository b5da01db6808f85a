//! Ed25519 signatures (RFC 8032): deterministic, of the message itself (PureEdDSA).

mod import;
mod key;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use key::{PrivateKey, SignRequest};
pub use verify::{VerifyRequest, verify};

pub(super) use sign::sign_batch;
pub(super) use verify::verify_batch;

/// Bytes of a private key and of a public key.
pub const KEY_LEN: usize = 32;

/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;
