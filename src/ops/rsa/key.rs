//! RSA private keys, and requests to sign with them.

use crate::arch::lanes::MontLanes;
use crate::arch::{TierKind, wiping_stack};
use crate::error::{Error, KeyError};
use crate::ops::Op;
use crate::ops::kinds::Padding;
use crate::ops::pem::{self, Format};
use crate::ops::rsa::blinding::KeyBlinding;
use crate::ops::rsa::import::{self, Components};
use crate::ops::rsa::lanes::LaneKey;
use crate::ops::scalar;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// An RSA private key, checked at import and ready for the lanes. Cloning shares it.
///
/// Accepted are keys with two primes, a modulus of 2048 to 8192 bits and an odd public exponent of at least 3
/// and at most 33 bits, the limits of aws-lc. Every component is checked against the others (RFC 8017 §3.2):
/// n = p·q, d·e = 1 modulo p − 1 and modulo q − 1, dp, dq, qinv. p may be the smaller prime. The primes'
/// primality is not tested.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use rustls_multibuffer::internals::ops::rsa::{Padding, RsaPrivateKey};
///
/// let text = std::fs::read("vendor-test-vectors/rsa-keys/rsa2048.pkcs8.pem")?;
/// let key = RsaPrivateKey::from_pem(&text)?;
/// assert_eq!(key.bits(), 2048);
/// let signature = key.sign(Padding::PssSha256, b"a message")?;
/// assert_eq!(signature.len(), 256);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RsaPrivateKey(Arc<Inner>);

struct Inner {
    scalar: scalar::RsaKey,
    components: Components,
    /// For keys that lanes serve.
    blinding: Option<KeyBlinding>,
    /// What can be computed once, by tier; made when a tier first uses the key.
    lanes: [OnceLock<Option<LaneKey>>; TierKind::COUNT],
    public_key_der: Vec<u8>,
    spki_der: Vec<u8>,
}

impl RsaPrivateKey {
    /// Imports a PKCS#8 `PrivateKeyInfo` (RFC 5208, RFC 5958) with algorithm rsaEncryption, DER.
    ///
    /// # Errors
    /// [`KeyError`] says which of the consistency checks failed; [`KeyError::PublicKey`] that the encoding
    /// has a public key (RFC 5958 version 2) that is another one.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let (private, public) = import::pkcs1_in_pkcs8(der)?;
        let key = Self::from_pkcs1_der(private)?;
        match public.is_none_or(|public| public == key.public_key_der()) {
            true => Ok(key),
            false => Err(KeyError::PublicKey),
        }
    }

    /// Imports a PKCS#1 `RSAPrivateKey` (RFC 8017 appendix A.1.2), DER.
    ///
    /// # Errors
    /// [`KeyError`] says which of the consistency checks failed.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        wiping_stack(|| Self::import(der))
    }

    fn import(der: &[u8]) -> Result<Self, KeyError> {
        let components = Components::from_pkcs1_der(der)?;
        let scalar = scalar::RsaKey::from_pkcs1(der)?;
        let (public_key_der, spki_der) = (components.public_key_der()?, components.spki_der()?);
        let blinding = op(&components).map(|_| KeyBlinding::new(&components));
        let lanes = Default::default();
        Ok(Self(Arc::new(Inner { scalar, components, blinding, lanes, public_key_der, spki_der })))
    }

    /// Imports the first private key of a PEM text (RFC 7468): a section `PRIVATE KEY` (PKCS#8) or
    /// `RSA PRIVATE KEY` (PKCS#1). Certificates, parameters and text around it are skipped.
    ///
    /// # Errors
    /// [`KeyError`] says which of the consistency checks failed; [`KeyError::Encrypted`] and
    /// [`KeyError::Algorithm`] tell of other kinds of keys, [`KeyError::Encoding`] of none at all.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let (format, der) = wiping_stack(|| pem::read(text))?;
        match format {
            Format::Pkcs1 => Self::from_pkcs1_der(der.expose()),
            Format::Pkcs8 => Self::from_pkcs8_der(der.expose()),
            Format::Sec1 => Err(KeyError::Algorithm),
        }
    }

    /// The modulus' length in bits.
    pub fn bits(&self) -> usize {
        self.0.components.bits()
    }

    /// The modulus n: big-endian bytes without leading zeros.
    pub fn public_modulus(&self) -> Vec<u8> {
        self.0.components.public_modulus()
    }

    /// The public exponent e.
    pub fn public_exponent(&self) -> u64 {
        self.0.components.e
    }

    /// The public key as `RSAPublicKey` (RFC 8017 appendix A.1.1), DER: what the bit string of a
    /// `SubjectPublicKeyInfo` holds.
    pub fn public_key_der(&self) -> &[u8] {
        &self.0.public_key_der
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), DER: the form in which a certificate
    /// carries it.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    /// Signs at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Scalar`] when aws-lc-rs refuses.
    pub fn sign(&self, padding: Padding, message: &[u8]) -> Result<Vec<u8>, Error> {
        wiping_stack(|| self.0.scalar.sign(padding, message))
    }

    /// The queue of requests with this key, if lanes serve its size: 2048, 3072 or 4096 bits, two primes of
    /// half that length. Other keys are signed with [`RsaPrivateKey::sign`].
    pub fn op(&self) -> Option<Op> {
        op(&self.0.components)
    }

    /// The checked numbers of the key.
    pub(super) fn components(&self) -> &Components {
        &self.0.components
    }

    /// The key in the digits of `K`, if `K` has kernels for its size.
    pub(super) fn lanes<K: MontLanes>(&self) -> Option<&LaneKey> {
        self.op()?;
        self.0.lanes[K::KIND as usize].get_or_init(|| LaneKey::new::<K>(self.components())).as_ref()
    }

    /// Makes the key undefined to valgrind, but for what is public: its primes' lengths, and that they are
    /// odd. Lanes must not have used it yet.
    #[cfg(test)]
    pub(in crate::ops) fn mark_secret(&self) {
        use crate::arch::memcheck::{mark_secret, mark_secret_prime};
        let Components { p, q, dp, dq, qinv, .. } = self.components();
        [dp, dq, qinv].iter().for_each(|number| mark_secret(number.expose()));
        [p, q].iter().for_each(|prime| mark_secret_prime(prime.expose()));
        self.blinding().expect("a key for lanes").mark_secret();
    }

    /// The blinding state of the key, if lanes serve its size.
    pub(super) fn blinding(&self) -> Option<&KeyBlinding> {
        self.0.blinding.as_ref()
    }
}

fn op(key: &Components) -> Option<Op> {
    match key.bits() {
        _ if !key.is_balanced() => None,
        2048 => Some(Op::RsaSign2048),
        3072 => Some(Op::RsaSign3072),
        4096 => Some(Op::RsaSign4096),
        _ => None,
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
    pub(super) key: RsaPrivateKey,
    op: Op,
    pub(super) padding: Padding,
    pub(super) message: Vec<u8>,
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
