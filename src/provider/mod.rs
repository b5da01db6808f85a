//! What rustls sees: a `CryptoProvider`, key-exchange groups, signing keys and verification algorithms whose
//! operations park the calling fiber.
//!
//! On a fiber of an engine, an operation becomes a request that is answered when its batch has run; the fiber
//! waits for that, parked. Anywhere else (plain rustls, another runtime, a unit test) the same objects work
//! at once through aws-lc-rs: they never block a thread to wait for company.
//!
//! Verifications wait for a batch where it is known that nobody above them holds a lock: inside of this
//! crate's SPIFFE verifiers, and of [`batch_verifications`]. Elsewhere they are answered before anything else
//! runs on the thread, in lanes where those are faster for one alone.
//!
//! What parks: signatures made and verified with RSA keys that have lanes for their size, with ECDSA keys on
//! P-256 and P-384, and with Ed25519 keys; the key exchanges secp256r1, secp384r1, and X25519, alone and in
//! the hybrid X25519MLKEM768. Everything else is rustls' own aws-lc-rs provider.
//!
//! The names are those of [`rustls::crypto::aws_lc_rs`], so that a program that selects its provider by `use`
//! selects this one by another `use`. Only the three lists [`DEFAULT_KX_GROUPS`], [`ALL_KX_GROUPS`] and
//! [`SUPPORTED_SIG_ALGS`] (which rustls keeps to itself) are made when they are first used: they are read
//! through a `*` or a method. [`DEFAULT_CIPHER_SUITES`] has rustls' order, which is not that of
//! [`default_provider`]: see [`Suites`].
//!
//! # FIPS
//!
//! Lanes are no part of a validated module. So `fips()` is `false` for the loader of keys, for each group and
//! for each algorithm that has lanes, and for every provider that contains one, whatever rustls' features
//! are; rustls does not ask keys and verifiers that are given to a configuration. The hybrid X25519MLKEM768
//! says what rustls' own says: its first part, ML-KEM-768, is aws-lc's and decides (SP 800-56C rev. 2, §2). A
//! configuration that must be FIPS-approved is made with `rustls::crypto::default_fips_provider()`, without
//! [`accelerate`]; an engine runs its handshakes and batches nothing.

mod accelerate;
pub(crate) mod answer;
mod batch_verifications;
mod hybrid;
mod kx;
pub mod kx_group;
pub mod sign;
mod suites;
mod unaccelerated;
mod verify;

pub use crate::ops::ecdsa::{KnownKeys, known_keys, limit_table_bytes};
pub use accelerate::accelerate;
pub use batch_verifications::{BatchVerifications, batch_verifications};
pub use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, DEFAULT_CIPHER_SUITES, Ticketer, cipher_suite, hpke};
pub use suites::Suites;
pub use unaccelerated::{operations_off_engine, unaccelerated_signatures};

use crate::error::{Error, KeyError};
use rustls::crypto::{CryptoProvider, KeyProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use std::sync::{Arc, LazyLock};

/// rustls' aws-lc-rs provider, with signing keys, key-exchange groups and verification algorithms of ours,
/// and its cipher suites in the order of [`Suites::Fastest`].
///
/// Without an engine it behaves like rustls' own.
///
/// ```
/// use rustls::ServerConfig;
/// use std::sync::Arc;
/// # let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
/// # let chain = vec![issued.cert.der().clone()];
/// # let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
///
/// let provider = Arc::new(rustls_multibuffer::provider::default_provider());
/// let config = ServerConfig::builder_with_provider(provider)
///     .with_safe_default_protocol_versions()?
///     .with_no_client_auth()
///     .with_single_cert(chain, key)?;
/// # Ok::<(), rustls::Error>(())
/// ```
pub fn default_provider() -> CryptoProvider {
    let stock = aws_lc_rs::default_provider();
    CryptoProvider {
        cipher_suites: Suites::Fastest.list(),
        key_provider: &Keys,
        kx_groups: stock.kx_groups.into_iter().map(kx_group::in_lanes).collect(),
        signature_verification_algorithms: *SUPPORTED_SIG_ALGS,
        ..stock
    }
}

/// The groups that rustls' own `DEFAULT_KX_GROUPS` has, in its order, which is that of preference; those of
/// ours where there are lanes.
pub static DEFAULT_KX_GROUPS: LazyLock<Vec<&'static dyn SupportedKxGroup>> =
    LazyLock::new(|| aws_lc_rs::DEFAULT_KX_GROUPS.iter().copied().map(kx_group::in_lanes).collect());

/// Every group of [`kx_group`], in the order of rustls' own `ALL_KX_GROUPS`.
pub static ALL_KX_GROUPS: LazyLock<Vec<&'static dyn SupportedKxGroup>> =
    LazyLock::new(|| aws_lc_rs::ALL_KX_GROUPS.iter().copied().map(kx_group::in_lanes).collect());

/// What [`default_provider`] verifies with: the algorithms of rustls' own, in its order; those of ours where
/// there are lanes.
///
/// ```
/// use rustls::crypto::CryptoProvider;
/// use rustls_multibuffer::provider::{SUPPORTED_SIG_ALGS, default_provider};
///
/// let provider = CryptoProvider {
///     signature_verification_algorithms: *SUPPORTED_SIG_ALGS,
///     ..default_provider()
/// };
/// ```
// Made once and never freed, because rustls wants lists that live as long as the process.
pub static SUPPORTED_SIG_ALGS: LazyLock<WebPkiSupportedAlgorithms> =
    LazyLock::new(|| verify::in_lanes(aws_lc_rs::default_provider().signature_verification_algorithms));

/// The [`KeyProvider`] of [`default_provider`].
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(
        &self,
        key_der: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        sign::any_supported_type(&key_der)
    }
}

/// Whether lanes serve the key, so that
/// [`sign::any_supported_type`] does not leave it to rustls' own provider.
///
/// # Errors
/// Why they do not.
pub fn check_lanes(der: &PrivateKeyDer<'_>) -> Result<(), KeyError> {
    sign::import(der).map(drop)
}

/// Our error as rustls carries it; [`rustls::OtherError`] gives it back for inspection.
pub(crate) fn rustls_error(e: Error) -> rustls::Error {
    rustls::Error::Other(rustls::OtherError(Arc::new(e)))
}

#[cfg(test)]
mod tests;
