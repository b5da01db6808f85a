//! What rustls sees: a `CryptoProvider`, key-exchange groups, signing keys and verification algorithms whose
//! operations park the calling fiber.
//!
//! On a fiber of an engine, an operation becomes a request that is answered when its
//! batch has run; the fiber waits for that, parked. Anywhere else (plain rustls, another runtime, a unit
//! test) the same objects work at once through aws-lc-rs: they never block a thread to wait for company.
//!
//! Verifications wait for a batch where it is known that nobody above them holds a lock: inside of this
//! crate's SPIFFE verifiers, and of [`batch_verifications`]. Elsewhere they are answered before anything else
//! runs on the thread, in lanes where those are faster for one alone.
//!
//! What parks: signatures made and verified with RSA keys that have lanes for their size, with ECDSA keys on
//! P-256 and P-384, and with Ed25519 keys; the key exchanges secp256r1, secp384r1, and X25519, alone and in
//! the hybrid X25519MLKEM768. Everything else is rustls' own aws-lc-rs provider.

mod accelerate;
pub(crate) mod answer;
mod batch_verifications;
mod hybrid;
mod kx;
mod sign;
mod unaccelerated;
mod verify;

pub use crate::ops::ecdsa::{KnownKeys, known_keys, limit_table_bytes};
pub use accelerate::accelerate;
pub use batch_verifications::{BatchVerifications, batch_verifications};
pub use unaccelerated::{operations_off_engine, unaccelerated_signatures};

use crate::arch::wiping_stack;
use crate::error::{Error, KeyError};
use crate::ops::ecdsa::EcdsaPrivateKey;
use crate::ops::ed25519::PrivateKey as Ed25519PrivateKey;
use crate::ops::envelope::{self, Algorithm};
use crate::ops::rsa::RsaPrivateKey;
use rustls::NamedGroup;
use rustls::crypto::{CryptoProvider, KeyProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use std::sync::Arc;

/// rustls' aws-lc-rs provider, with signing keys, key-exchange groups and verification algorithms of ours.
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
    let kx_groups = stock.kx_groups.into_iter().map(|group| kx_group(group.name()).unwrap_or(group));
    CryptoProvider {
        key_provider: &Keys,
        kx_groups: kx_groups.collect(),
        signature_verification_algorithms: verify::supported_algorithms(),
        ..stock
    }
}

/// A key-exchange group of ours, for a provider that is put together by hand: X25519, secp256r1, secp384r1 or
/// X25519MLKEM768. `None` for every other group.
///
/// ```
/// use rustls::NamedGroup;
/// use rustls_multibuffer::provider::{default_provider, kx_group};
///
/// let mut provider = default_provider();
/// provider.kx_groups = vec![kx_group(NamedGroup::X25519).unwrap()];
/// ```
pub fn kx_group(name: NamedGroup) -> Option<&'static dyn SupportedKxGroup> {
    match name {
        NamedGroup::X25519 => Some(&kx::X25519),
        NamedGroup::X25519MLKEM768 => Some(&hybrid::X25519MlKem768),
        NamedGroup::secp256r1 => Some(&kx::SECP256R1),
        NamedGroup::secp384r1 => Some(&kx::SECP384R1),
        _ => None,
    }
}

/// The [`KeyProvider`] of [`default_provider`]: loads keys with [`signing_key`].
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(
        &self,
        key_der: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        signing_key(&key_der)
    }
}

/// A signing key for use in a rustls configuration: in lanes for RSA with 2048, 3072 or 4096 bits, for ECDSA
/// on P-256 and P-384, and for Ed25519, through aws-lc-rs for every other key that rustls' own provider
/// serves.
///
/// Whatever rustls' own provider takes is taken: what lanes do not serve, or what is encoded otherwise than
/// the standards say, is left to aws-lc-rs, which checks it in its own way; the log says why, and
/// [`unaccelerated_signatures`] counts its signatures.
///
/// # Errors
/// A key that aws-lc-rs refuses as well gives [`rustls::Error::Other`] with an [`Error::Key`] inside, our
/// reason; one of a kind that is not imported here gives rustls' error.
pub fn signing_key(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
    let why_not_ours = match import(der) {
        Ok(key) => return Ok(key),
        Err(e) => e,
    };
    match wiping_stack(|| aws_lc_rs::sign::any_supported_type(der)) {
        Ok(stock) => Ok(unaccelerated::counted(stock, why_not_ours)),
        Err(general) if why_not_ours == KeyError::Algorithm => Err(general),
        Err(_) => Err(rustls_error(why_not_ours.into())),
    }
}

/// Whether lanes serve the key, so that [`signing_key`] does not leave it to rustls' own provider.
///
/// # Errors
/// Why they do not.
pub fn check_lanes(der: &PrivateKeyDer<'_>) -> Result<(), KeyError> {
    import(der).map(drop)
}

/// The key, if lanes serve it.
fn import(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, KeyError> {
    match der {
        PrivateKeyDer::Pkcs8(key) => {
            let der = key.secret_pkcs8_der();
            match envelope::algorithm(der)? {
                Algorithm::Rsa => sign::rsa(RsaPrivateKey::from_pkcs8_der(der)?),
                Algorithm::Ecdsa => sign::ecdsa(EcdsaPrivateKey::from_pkcs8_der(der)?),
                Algorithm::Ed25519 => sign::ed25519(Ed25519PrivateKey::from_pkcs8_der(der)?),
            }
        }
        PrivateKeyDer::Pkcs1(key) => sign::rsa(RsaPrivateKey::from_pkcs1_der(key.secret_pkcs1_der())?),
        PrivateKeyDer::Sec1(key) => sign::ecdsa(EcdsaPrivateKey::from_sec1_der(key.secret_sec1_der())?),
        _ => Err(KeyError::Algorithm),
    }
}

/// Our error as rustls carries it; [`rustls::OtherError`] gives it back for inspection.
pub(crate) fn rustls_error(e: Error) -> rustls::Error {
    rustls::Error::Other(rustls::OtherError(Arc::new(e)))
}

#[cfg(test)]
mod tests;
