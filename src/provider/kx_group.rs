//! Key-exchange groups: X25519, secp256r1, secp384r1 and X25519MLKEM768 in lanes, the others rustls' own.
//!
//! ```
//! use rustls::crypto::CryptoProvider;
//! use rustls_multibuffer::provider::{default_provider, kx_group};
//!
//! let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
//! let provider = CryptoProvider { kx_groups, ..default_provider() };
//! ```

pub use rustls::crypto::aws_lc_rs::kx_group::{MLKEM768, MLKEM1024, SECP256R1MLKEM768};

use super::hybrid::X25519MlKem768;
use super::kx;
use rustls::crypto::SupportedKxGroup;

/// X25519 (RFC 7748), in lanes.
pub static X25519: &dyn SupportedKxGroup = &kx::X25519;

/// ECDH on P-256 (RFC 8446 §4.2.8.2), in lanes.
pub static SECP256R1: &dyn SupportedKxGroup = &kx::SECP256R1;

/// ECDH on P-384 (RFC 8446 §4.2.8.2), in lanes.
pub static SECP384R1: &dyn SupportedKxGroup = &kx::SECP384R1;

/// X25519 in lanes beside ML-KEM-768 of aws-lc (draft-ietf-tls-ecdhe-mlkem).
pub static X25519MLKEM768: &dyn SupportedKxGroup = &X25519MlKem768;

/// Our group of the same name, if there are lanes for it; else the group itself.
pub(super) fn in_lanes(stock: &'static dyn SupportedKxGroup) -> &'static dyn SupportedKxGroup {
    let ours = [X25519, SECP256R1, SECP384R1, X25519MLKEM768];
    ours.into_iter().find(|group| group.name() == stock.name()).unwrap_or(stock)
}
