//! Key exchange: X25519 (RFC 7748 §6.1), and ECDH over P-256 and P-384 (SP 800-56A rev. 3 §5.7.1.2); all as
//! RFC 8446 §4.2.8.2 uses them.

mod exchange;
mod key;
pub(super) mod nist;
#[cfg(test)]
mod tests;
pub(super) mod x25519;

pub use super::kinds::Group;
pub use exchange::Exchanged;
pub(super) use exchange::Exchanges;
pub use key::{AgreeRequest, KeyPair, PeerKey, PrivateKey};
