//! Diffie–Hellman key agreement over P-256 and P-384 (SP 800-56A rev. 3 §5.7.1.2, RFC 8446 §4.2.8.2).

mod batch;
mod key;
#[cfg(test)]
mod tests;

pub use key::{AgreeRequest, KeyPair, PrivateKey};

pub(super) use batch::{agree_batch, generate_batch};
