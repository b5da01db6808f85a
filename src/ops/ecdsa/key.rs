//! ECDSA private keys, and requests to sign with them.

use crate::arch::wiping_stack;
use crate::error::{Error, KeyError};
use crate::ops::Op;
use crate::ops::envelope::{self, EC_PUBLIC_KEY};
use crate::ops::kinds::{MAX_HASH_LEN, NistCurve};
use crate::ops::nist::{MAX_LIMBS, Scalar};
use crate::ops::scalar::{self, AgreementKey, EcdsaKey};
use pkcs8::der::asn1::BitStringRef;
use pkcs8::der::{Decode, Encode};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};
use std::fmt;
use std::sync::Arc;

/// secp256r1 and secp384r1 (RFC 5480 §2.1.1.1).
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// An ECDSA private key on P-256 or P-384, checked at import. Cloning shares it.
///
/// Messages are hashed with SHA-256 for P-256 and SHA-384 for P-384, as TLS 1.3 pairs them.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use rustls_multibuffer::internals::ops::NistCurve;
/// use rustls_multibuffer::internals::ops::ecdsa::{EcdsaPrivateKey, verify};
///
/// # let der = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?.serialize_der();
/// let key = EcdsaPrivateKey::from_pkcs8_der(&der)?;
/// assert_eq!(key.curve(), NistCurve::P256);
/// let signature = key.sign(b"a message")?;
/// verify(key.curve(), key.curve().hash(), key.public_key(), b"a message", &signature)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct EcdsaPrivateKey(Arc<Inner>);

struct Inner {
    curve: NistCurve,
    d: Scalar,
    scalar: EcdsaKey,
    public_key: Vec<u8>,
    spki_der: Vec<u8>,
}

impl EcdsaPrivateKey {
    /// Imports a PKCS#8 `PrivateKeyInfo` (RFC 5208, RFC 5958) with algorithm id-ecPublicKey and a named
    /// curve, DER.
    ///
    /// # Errors
    /// [`KeyError::Encoding`], [`KeyError::Algorithm`] for other algorithms and curves,
    /// [`KeyError::PrivateScalar`], [`KeyError::PublicKey`] if the encoding has a public key that is another
    /// one.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        wiping_stack(|| Self::from_pkcs8(der))
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let info = envelope::open(der, EC_PUBLIC_KEY)?;
        let curve = info.algorithm.parameters_oid().map_err(|_| KeyError::Algorithm)?;
        let key = Self::from_sec1(info.private_key, Some(curve))?;
        if let Some(public) = info.public_key {
            // RFC 5958 §2: version 2 may have the public key out here.
            let private = key.curve().bytes(key.expose());
            EcdsaKey::new(key.curve(), &private, public)?;
        }
        Ok(key)
    }

    /// Imports a SEC 1 `ECPrivateKey` (RFC 5915), DER.
    ///
    /// # Errors
    /// As [`EcdsaPrivateKey::from_pkcs8_der`]; [`KeyError::Algorithm`] also when no curve is named.
    pub fn from_sec1_der(der: &[u8]) -> Result<Self, KeyError> {
        wiping_stack(|| Self::from_sec1(der, None))
    }

    /// `outer` is the curve that a PKCS#8 envelope names; a curve inside must be the same.
    fn from_sec1(der: &[u8], outer: Option<ObjectIdentifier>) -> Result<Self, KeyError> {
        let key = sec1::EcPrivateKey::from_der(der).map_err(encoding)?;
        let inner = key.parameters.and_then(|p| p.named_curve());
        if key.parameters.is_some() && inner.is_none() || outer.is_some() && inner.is_some() && inner != outer
        {
            return Err(KeyError::Algorithm);
        }
        let curve = match outer.or(inner) {
            Some(SECP256R1) => NistCurve::P256,
            Some(SECP384R1) => NistCurve::P384,
            _ => return Err(KeyError::Algorithm),
        };
        Self::new(curve, key.private_key, key.public_key)
    }

    /// The key of a big-endian scalar as long as the curve's.
    pub(in crate::ops) fn new(
        curve: NistCurve,
        private: &[u8],
        public: Option<&[u8]>,
    ) -> Result<Self, KeyError> {
        if private.len() != curve.scalar_len() {
            return Err(KeyError::PrivateScalar);
        }
        let d = curve.scalar(private).ok_or(KeyError::PrivateScalar)?;
        let own = AgreementKey::from_bytes(curve.into(), private).and_then(|key| key.public());
        let public_key = own.map_err(|_| KeyError::Scalar)?;
        // One that is compressed is compared by aws-lc-rs.
        let scalar = EcdsaKey::new(curve, private, public.unwrap_or(&public_key))?;
        let spki_der = spki_der(curve, &public_key).map_err(encoding)?;
        Ok(Self(Arc::new(Inner { curve, d, scalar, public_key, spki_der })))
    }

    /// The curve that the key is on.
    pub fn curve(&self) -> NistCurve {
        self.0.curve
    }

    /// The public key: the uncompressed encoding of its point (SEC 1 §2.3.3), which is what the bit string of
    /// a `SubjectPublicKeyInfo` holds.
    pub fn public_key(&self) -> &[u8] {
        &self.0.public_key
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7, RFC 5480), DER: the form in which a
    /// certificate carries it.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    /// Signs at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Scalar`] when aws-lc-rs refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        wiping_stack(|| SignRequest::new(self, message).run_scalar())
    }

    /// Makes the private scalar undefined to valgrind.
    #[cfg(test)]
    pub(in crate::ops) fn mark_secret(&self) -> u64 {
        crate::arch::memcheck::mark_secret(self.expose());
        self.expose()[0]
    }

    /// The private scalar, for the computation that needs it.
    pub(super) fn expose(&self) -> &[u64; MAX_LIMBS] {
        &self.0.d
    }
}

fn encoding<E>(_: E) -> KeyError {
    KeyError::Encoding
}

fn spki_der(curve: NistCurve, public_key: &[u8]) -> pkcs8::der::Result<Vec<u8>> {
    let oid = match curve {
        NistCurve::P256 => SECP256R1,
        NistCurve::P384 => SECP384R1,
    };
    let algorithm = AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some((&oid).into()) };
    SubjectPublicKeyInfoRef { algorithm, subject_public_key: BitStringRef::from_bytes(public_key)? }.to_der()
}

impl fmt::Debug for EcdsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcdsaPrivateKey({:?})", self.curve())
    }
}

/// A message to be signed with one key in some batch.
#[derive(Clone, Debug)]
pub struct SignRequest {
    pub(super) key: EcdsaPrivateKey,
    m_hash: [u8; MAX_HASH_LEN],
}

impl SignRequest {
    /// A request to sign `message`.
    pub fn new(key: &EcdsaPrivateKey, message: &[u8]) -> Self {
        // Hashed here, the message need not be kept.
        let (mut m_hash, hash) = ([0; MAX_HASH_LEN], key.curve().hash());
        scalar::digest(hash, message, &mut m_hash[..hash.len()]);
        Self { key: key.clone(), m_hash }
    }

    /// The queue that this request belongs to.
    pub fn op(&self) -> Op {
        match self.key.curve() {
            NistCurve::P256 => Op::P256Sign,
            NistCurve::P384 => Op::P384Sign,
        }
    }

    pub(super) fn m_hash(&self) -> &[u8] {
        &self.m_hash[..self.key.curve().hash().len()]
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<Vec<u8>, Error> {
        self.key.0.scalar.sign(self.m_hash())
    }
}
