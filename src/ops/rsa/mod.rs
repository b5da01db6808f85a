//! RSA signatures (RFC 8017): PKCS#1 v1.5 and PSS with SHA-256, SHA-384 and SHA-512.

mod blinding;
mod encode;
mod import;
mod key;
mod lanes;
mod sign;
#[cfg(test)]
pub(crate) mod testing;

pub use key::{Padding, RsaPrivateKey, SignRequest};
pub(super) use lanes::Workspace;
pub(super) use sign::sign_batch;
