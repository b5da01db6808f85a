//! Private keys and requests to sign with them.

use crate::error::{Error, KeyError};
use crate::ops::{Op, scalar};
use std::fmt;
use std::sync::Arc;

/// How a message becomes the number that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Pkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Pkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Pkcs1Sha512,
    /// RSASSA-PSS with SHA-256, MGF1 with the same hash, a salt as long as the hash.
    PssSha256,
    /// RSASSA-PSS with SHA-384, likewise.
    PssSha384,
    /// RSASSA-PSS with SHA-512, likewise.
    PssSha512,
}

/// An RSA private key, checked at import and ready for the lanes. Cloning shares it.
#[derive(Clone)]
pub struct RsaPrivateKey(Arc<Inner>);

struct Inner {
    scalar: scalar::RsaKey,
    bits: usize,
}

impl RsaPrivateKey {
    /// Imports a PKCS#8 `PrivateKeyInfo` (RFC 5208), DER.
    ///
    /// # Errors
    /// [`KeyError`] says which of the consistency checks failed.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let scalar = scalar::RsaKey::from_pkcs8(der)?;
        let bits = scalar.modulus_bits();
        Ok(Self(Arc::new(Inner { scalar, bits })))
    }

    /// The modulus' length in bits.
    pub fn bits(&self) -> usize {
        self.0.bits
    }

    /// Signs at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Scalar`] when aws-lc-rs refuses.
    pub fn sign(&self, padding: Padding, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.scalar.sign(padding, message)
    }

    /// The queue of requests with this key, if lanes serve its size: 2048, 3072 or 4096 bits, two primes of
    /// half that length. Other keys are signed with [`RsaPrivateKey::sign`].
    pub fn op(&self) -> Option<Op> {
        match self.bits() {
            2048 => Some(Op::RsaSign2048),
            3072 => Some(Op::RsaSign3072),
            4096 => Some(Op::RsaSign4096),
            _ => None,
        }
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPrivateKey({} bits)", self.bits())
    }
}

/// A message to be signed with one key in some batch.
#[derive(Clone, Debug)]
pub struct SignRequest {
    key: RsaPrivateKey,
    op: Op,
    padding: Padding,
    message: Vec<u8>,
}

impl SignRequest {
    /// A request, or `None` when the lanes do not serve the key's size.
    pub fn new(key: &RsaPrivateKey, padding: Padding, message: &[u8]) -> Option<Self> {
        Some(Self { op: key.op()?, key: key.clone(), padding, message: message.to_vec() })
    }

    /// The queue that this request belongs to.
    pub fn op(&self) -> Op {
        self.op
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<Vec<u8>, Error> {
        self.key.sign(self.padding, &self.message)
    }
}
