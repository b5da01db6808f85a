//! Faster TLS handshakes for Rust proxies: the public-key operations of concurrent rustls handshakes are
//! gathered into batches, and each batch runs in the lanes of SIMD registers.
//!
//! The layers, lowest first; a module uses only modules of lower levels (`tests/layering.rs` checks it):
//!
//! | level | module | what it is |
//! |---|---|---|
//! | 0 | [`arch`], [`error`] | CPU tiers, lane kernels, secret wiping; the only `unsafe` |
//! | 1 | `arith` | limbs, Montgomery arithmetic, exponentiation |
//! | 2 | [`ops`] | one public-key operation over one batch |
//! | 3 | [`batch`], `fiber` | the queue that forms batches; stacks that can be parked |
//! | 4 | [`provider`] | what rustls sees: signing keys, `CryptoProvider` |
//! | 4 | `validation` | what of Envoy's validation context is enforced; PEM files (features `config`, `spiffe`) |
//! | 5 | [`handshake`] | the engine, and the tokio acceptor and connector |
//! | 6 | `spiffe` | SPIFFE identities that rotate (feature `spiffe`) |
//! | 7 | `config` (feature `config`) | the configuration of Envoy, Istio and ASM |
#![warn(missing_docs)]
#![cfg_attr(
    not(any(feature = "tokio", test)),
    expect(dead_code, reason = "only engines start fibers, and engines need tokio")
)]

pub mod arch;
mod arith;
pub mod batch;
#[cfg(feature = "config")]
pub mod config;
pub mod error;
mod fiber;
#[cfg(feature = "tokio")]
pub mod handshake;
pub mod ops;
pub mod provider;
#[cfg(feature = "spiffe")]
pub mod spiffe;
#[cfg(any(feature = "config", feature = "spiffe"))]
mod validation;

pub use arch::{Tier, TierKind};
pub use error::{Error, KeyError};
