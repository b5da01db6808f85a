//! Ed25519 private keys, and requests to sign with them.

use super::{KEY_LEN, import};
use crate::arch::wiping_stack;
use crate::arith::curve25519::{clamp, order};
use crate::error::{Error, KeyError};
use crate::ops::pem::{self, Format};
use crate::ops::scalar;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// An Ed25519 private key: wiped when its last owner drops it, never printed. Cloning shares it.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use rustls_multibuffer::internals::ops::ed25519::{self, PrivateKey};
///
/// let key = PrivateKey::from_bytes(&[7; 32])?;
/// let signature = key.sign(b"a message")?;
/// assert_eq!(ed25519::verify(key.public_key(), b"a message", &signature), Ok(()));
/// # }
/// # Ok::<(), rustls_multibuffer::Error>(())
/// ```
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

struct Inner {
    scalar: scalar::Ed25519Key,
    expanded: Expanded,
    public: [u8; KEY_LEN],
    spki_der: Vec<u8>,
}

/// What RFC 8032 §5.1.5 makes of a private key.
pub(super) struct Expanded {
    /// The secret scalar, called s or a, pruned.
    pub(super) a: Zeroizing<order::Scalar>,
    /// The upper half of the hash: the key of the nonces.
    pub(super) prefix: Zeroizing<[u8; 32]>,
}

impl Expanded {
    fn new(private_key: &[u8; KEY_LEN]) -> Self {
        // Steps 1 and 2.
        let mut hash = Zeroizing::new([0; 64]);
        scalar::sha512(&[private_key], &mut hash);
        let [mut lower, mut prefix] = [(); 2].map(|()| Zeroizing::new([0; 32]));
        lower.copy_from_slice(&hash[..32]);
        prefix.copy_from_slice(&hash[32..]);
        clamp(&mut lower);
        Self { a: Zeroizing::new(order::from_bytes(&lower)), prefix }
    }
}

impl PrivateKey {
    /// The key of these bytes (RFC 8032 §5.1.5), of which every value is valid. The caller's copy stays the
    /// caller's to wipe.
    ///
    /// # Errors
    /// [`KeyError::Scalar`] when aws-lc-rs refuses.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Result<Self, KeyError> {
        wiping_stack(|| Self::import(bytes))
    }

    fn import(bytes: &[u8; KEY_LEN]) -> Result<Self, KeyError> {
        let scalar = scalar::Ed25519Key::from_bytes(bytes)?;
        let public = scalar.public()?;
        let (expanded, spki_der) = (Expanded::new(bytes), import::spki_der(&public)?);
        Ok(Self(Arc::new(Inner { scalar, expanded, public, spki_der })))
    }

    /// Imports a PKCS#8 `PrivateKeyInfo` or `OneAsymmetricKey` (RFC 5208, RFC 5958) with algorithm id-Ed25519
    /// (RFC 8410), DER. If it has a public key, that must be the private key's.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for keys of another kind; else what is wrong with the encoding or the public
    /// key.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let (private, public) = wiping_stack(|| import::from_pkcs8_der(der))?;
        let key = Self::from_bytes(private.expose().try_into().map_err(|_| KeyError::Encoding)?)?;
        match public.is_none_or(|public| public == key.0.public) {
            true => Ok(key),
            false => Err(KeyError::PublicKey),
        }
    }

    /// Imports the first private key of a PEM text (RFC 7468): a section `PRIVATE KEY` (PKCS#8). Certificates
    /// and text around it are skipped.
    ///
    /// # Errors
    /// As [`PrivateKey::from_pkcs8_der`]; [`KeyError::Encrypted`] tells of an encrypted key,
    /// [`KeyError::Encoding`] of none at all.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        match wiping_stack(|| pem::read(text))? {
            (Format::Pkcs8, der) => Self::from_pkcs8_der(der.expose()),
            (Format::Pkcs1 | Format::Sec1, _) => Err(KeyError::Algorithm),
        }
    }

    /// The public key (RFC 8032 §5.1.5).
    pub fn public_key(&self) -> &[u8; KEY_LEN] {
        &self.0.public
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 8410 §4), DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    /// Signs at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Scalar`] when aws-lc-rs refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        wiping_stack(|| self.0.scalar.sign(message))
    }

    /// Makes the private numbers undefined to valgrind.
    #[cfg(test)]
    pub(in crate::ops) fn mark_secret(&self) {
        crate::arch::memcheck::mark_secret(&self.expose().a[..]);
        crate::arch::memcheck::mark_secret(&self.expose().prefix[..]);
    }

    /// The numbers that a signature is computed with.
    pub(super) fn expose(&self) -> &Expanded {
        &self.0.expanded
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// A message to be signed with one key in some batch.
#[derive(Clone, Debug)]
pub struct SignRequest {
    pub(super) key: PrivateKey,
    pub(super) message: Box<[u8]>,
}

impl SignRequest {
    /// A request. The message is kept, because it is hashed twice.
    pub fn new(key: &PrivateKey, message: &[u8]) -> Self {
        Self { key: key.clone(), message: message.into() }
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<Vec<u8>, Error> {
        self.key.sign(&self.message)
    }
}
