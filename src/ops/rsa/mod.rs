//! RSA signatures (RFC 8017): PKCS#1 v1.5 and PSS with SHA-256, SHA-384 and SHA-512.

mod blinding;
mod encode;
mod import;
mod key;
mod lanes;
mod public_keys;
mod sign;
#[cfg(test)]
pub(crate) mod testing;
mod verify;

pub use super::kinds::Padding;
pub use key::{RsaPrivateKey, SignRequest};
pub use verify::{VerifyRequest, verify};

pub(super) use lanes::Workspace;
pub(super) use public_keys::PublicKeys;
pub(super) use sign::sign_batch;
pub(super) use verify::verify_batch;
