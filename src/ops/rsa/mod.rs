//! RSA signatures (RFC 8017): PKCS#1 v1.5 and PSS with SHA-256, SHA-384 and SHA-512.

mod key;

pub use key::{Padding, RsaPrivateKey, SignRequest};
