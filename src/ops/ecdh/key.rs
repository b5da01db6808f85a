//! Keys, and requests to agree with them.

use crate::arch::wiping_stack;
use crate::error::Error;
use crate::ops::nist::{MAX_LIMBS, NistCurve, Point, Scalar};
use crate::ops::scalar::EcdhKey;
use crate::ops::{Op, SharedSecret};
use std::fmt;
use std::sync::{Arc, OnceLock};
use subtle::ConstantTimeEq;

/// An ECDH private key: wiped when its last owner drops it, never printed. Cloning shares it.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use rustls_multibuffer::internals::ops::NistCurve;
/// use rustls_multibuffer::internals::ops::ecdh::KeyPair;
///
/// let [alice, bob] = [KeyPair::generate(NistCurve::P256)?, KeyPair::generate(NistCurve::P256)?];
/// let secret = alice.private.agree(&bob.public)?;
/// assert_eq!(secret, bob.private.agree(&alice.public)?);
/// # }
/// # Ok::<(), rustls_multibuffer::Error>(())
/// ```
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

/// One of the two forms is there from the beginning, and the other is made of it when it is first needed.
struct Inner {
    curve: NistCurve,
    d: OnceLock<Scalar>,
    /// The same key inside aws-lc-rs. Importing it costs as much as a key share.
    scalar: OnceLock<Result<EcdhKey, Error>>,
}

impl Inner {
    fn of_scalar(curve: NistCurve, d: Scalar) -> Self {
        Self { curve, d: d.into(), scalar: OnceLock::new() }
    }
}

/// A private key and its public key, the key share of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyPair {
    /// The private key.
    pub private: PrivateKey,
    /// The uncompressed encoding of its public point (SEC 1 §2.3.3), as TLS carries it.
    pub public: Vec<u8>,
}

impl KeyPair {
    /// Generates a pair at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Random`] when the generator fails.
    pub fn generate(curve: NistCurve) -> Result<Self, Error> {
        let key = EcdhKey::generate(curve)?;
        let public = wiping_stack(|| key.public())?;
        let inner = Inner { curve, d: OnceLock::new(), scalar: Ok(key).into() };
        Ok(Self { private: PrivateKey(Arc::new(inner)), public })
    }

    pub(super) fn from_parts(curve: NistCurve, d: Scalar, public: Vec<u8>) -> Self {
        Self { private: PrivateKey(Arc::new(Inner::of_scalar(curve, d))), public }
    }
}

impl PrivateKey {
    /// The key of a big-endian scalar as long as the curve's. The caller's copy stays the caller's to wipe.
    ///
    /// `None` unless the scalar is from 1 to n − 1.
    pub fn from_bytes(curve: NistCurve, bytes: &[u8]) -> Option<Self> {
        wiping_stack(|| {
            let d = (bytes.len() == curve.scalar_len()).then(|| curve.scalar(bytes))??;
            Some(Self(Arc::new(Inner::of_scalar(curve, d))))
        })
    }

    /// The curve.
    pub fn curve(&self) -> NistCurve {
        self.0.curve
    }

    /// The public key, computed on the calling thread through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Scalar`] when aws-lc-rs refuses.
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        wiping_stack(|| self.scalar()?.public())
    }

    /// Agrees with a peer at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::PeerKey`] when the peer's public key is not the uncompressed encoding of a point of the curve.
    pub fn agree(&self, peer: &[u8]) -> Result<SharedSecret, Error> {
        let request = AgreeRequest::new(self, peer)?;
        wiping_stack(|| request.run_scalar())
    }

    /// The private scalar, for the computation that needs it.
    pub(super) fn expose(&self) -> &[u64; MAX_LIMBS] {
        let take_out = || self.curve().scalar(&self.scalar().ok()?.bytes().ok()?);
        self.0.d.get_or_init(|| take_out().expect("aws-lc-rs gives out the key that it generated"))
    }

    fn scalar(&self) -> Result<&EcdhKey, Error> {
        let curve = self.0.curve;
        let make = || EcdhKey::from_bytes(curve, &curve.bytes(self.expose()));
        self.0.scalar.get_or_init(make).as_ref().map_err(Clone::clone)
    }
}

impl PartialEq for PrivateKey {
    /// Constant-time.
    fn eq(&self, other: &Self) -> bool {
        self.curve() == other.curve() && bool::from(self.expose()[..].ct_eq(&other.expose()[..]))
    }
}

impl Eq for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?}, ..)", self.curve())
    }
}

/// A private key and a peer's public key that are to agree in some batch.
#[derive(Clone, Debug)]
pub struct AgreeRequest {
    pub(super) key: PrivateKey,
    peer: Box<[u8]>,
    pub(super) point: Point,
}

impl AgreeRequest {
    /// A request.
    ///
    /// # Errors
    /// [`Error::PeerKey`] when the peer's public key is not the uncompressed encoding of a point of the curve.
    pub fn new(key: &PrivateKey, peer: &[u8]) -> Result<Self, Error> {
        let point = key.curve().decode(peer).ok_or(Error::PeerKey)?;
        Ok(Self { key: key.clone(), peer: peer.into(), point })
    }

    /// The queue that this request belongs to.
    pub fn op(&self) -> Op {
        match self.key.curve() {
            NistCurve::P256 => Op::P256Ecdh,
            NistCurve::P384 => Op::P384Ecdh,
        }
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<SharedSecret, Error> {
        self.key.scalar()?.agree(self.key.curve(), &self.peer)
    }
}
