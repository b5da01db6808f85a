//! The keys of a key exchange, and requests to agree with them.

use crate::arch::wiping_stack;
use crate::error::Error;
use crate::ops::kinds::Group;
use crate::ops::nist::Point;
use crate::ops::scalar::AgreementKey;
use crate::ops::{Op, SharedSecret};
use std::fmt;
use std::sync::{Arc, OnceLock};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The private key of a key exchange: wiped when its last owner drops it, never printed. Cloning shares it.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use rustls_multibuffer::internals::ops::kx::{Group, KeyPair};
///
/// let [alice, bob] = [KeyPair::generate(Group::X25519)?, KeyPair::generate(Group::X25519)?];
/// let secret = alice.private.agree(&bob.public)?;
/// assert_eq!(secret, bob.private.agree(&alice.public)?);
/// # }
/// # Ok::<(), rustls_multibuffer::Error>(())
/// ```
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

/// One of the two forms is there from the beginning, and the other is made of it when it is first needed.
struct Inner {
    group: Group,
    bytes: OnceLock<Zeroizing<Vec<u8>>>,
    /// The same key inside aws-lc-rs. Importing it costs as much as a key share.
    scalar: OnceLock<Result<AgreementKey, Error>>,
}

/// A private key and its public key, the key share of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyPair {
    /// The private key.
    pub private: PrivateKey,
    /// The public key as TLS carries it: for X25519 the u-coordinate of its point, for the other groups the
    /// uncompressed encoding (SEC 1 §2.3.3).
    pub public: Vec<u8>,
}

impl KeyPair {
    /// Generates a pair at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Random`] when the generator fails.
    pub fn generate(group: Group) -> Result<Self, Error> {
        let key = AgreementKey::generate(group)?;
        let public = wiping_stack(|| key.public())?;
        let inner = Inner { group, bytes: OnceLock::new(), scalar: Ok(key).into() };
        Ok(Self { private: PrivateKey(Arc::new(inner)), public })
    }
}

impl PrivateKey {
    /// The key of these bytes, as many as [`Group::secret_len`]: of any value for X25519, for the other
    /// groups a big-endian scalar. The caller's copy stays the caller's to wipe.
    ///
    /// `None` for another length, and for a scalar that is not from 1 to n − 1.
    pub fn from_bytes(group: Group, bytes: &[u8]) -> Option<Self> {
        wiping_stack(|| {
            let is_valid = bytes.len() == group.secret_len()
                && group.nist().is_none_or(|curve| curve.scalar(bytes).is_some());
            is_valid.then(|| Self::new(group, bytes))
        })
    }

    /// The key of valid bytes, for callers whose stack is wiped after a whole batch.
    pub(super) fn new(group: Group, bytes: &[u8]) -> Self {
        let bytes = Zeroizing::new(bytes.to_vec()).into();
        Self(Arc::new(Inner { group, bytes, scalar: OnceLock::new() }))
    }

    /// The group that the key belongs to.
    pub fn group(&self) -> Group {
        self.0.group
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
    /// [`Error::PeerKey`] when [`AgreeRequest::new`] refuses the peer's public key, or when that
    /// has a small order on curve25519: the shared secret would be zero, whatever the private key (RFC 7748
    /// §6.1).
    pub fn agree(&self, peer: &[u8]) -> Result<SharedSecret, Error> {
        let request = AgreeRequest::new(self, peer)?;
        wiping_stack(|| request.run_scalar())
    }

    /// The bytes, for the computation that needs them.
    pub(super) fn expose(&self) -> &[u8] {
        let take_out = || self.scalar().and_then(AgreementKey::bytes);
        self.0.bytes.get_or_init(|| take_out().expect("aws-lc-rs gives out the key that it generated"))
    }

    fn scalar(&self) -> Result<&AgreementKey, Error> {
        let make = || AgreementKey::from_bytes(self.group(), self.expose());
        self.0.scalar.get_or_init(make).as_ref().map_err(Clone::clone)
    }
}

impl PartialEq for PrivateKey {
    /// Constant-time for keys of one group.
    fn eq(&self, other: &Self) -> bool {
        self.group() == other.group() && bool::from(self.expose().ct_eq(other.expose()))
    }
}

impl Eq for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?}, ..)", self.group())
    }
}

/// A peer's public key: of the right form, and for the NIST curves a point of the curve.
#[derive(Clone, Debug)]
pub struct PeerKey {
    group: Group,
    pub(super) bytes: Box<[u8]>,
    /// The key on a NIST curve.
    pub(super) point: Option<Point>,
}

impl PeerKey {
    /// The public key as TLS carries it.
    ///
    /// # Errors
    /// [`Error::PeerKey`] when it has another length than [`Group::public_key_len`] or, for the NIST curves,
    /// is not the uncompressed encoding of a point of the curve.
    pub fn new(group: Group, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != group.public_key_len() {
            return Err(Error::PeerKey);
        }
        let point = match group.nist() {
            Some(curve) => Some(curve.decode(bytes).ok_or(Error::PeerKey)?),
            None => None,
        };
        Ok(Self { group, bytes: bytes.into(), point })
    }

    /// The group that the key belongs to.
    pub fn group(&self) -> Group {
        self.group
    }

    /// The queue of agreements with this key.
    pub(in crate::ops) fn agreement(&self) -> Op {
        match self.group {
            Group::X25519 => Op::X25519,
            Group::P256 => Op::P256Ecdh,
            Group::P384 => Op::P384Ecdh,
        }
    }
}

/// A private key and a peer's public key that are to agree in some batch.
#[derive(Clone, Debug)]
pub struct AgreeRequest {
    pub(super) key: PrivateKey,
    pub(super) peer: PeerKey,
}

impl AgreeRequest {
    /// A request to agree, with the peer's public key as TLS carries it.
    ///
    /// # Errors
    /// [`Error::PeerKey`] when [`PeerKey::new`] refuses it.
    pub fn new(key: &PrivateKey, peer: &[u8]) -> Result<Self, Error> {
        Ok(Self { key: key.clone(), peer: PeerKey::new(key.group(), peer)? })
    }

    /// The queue that this request belongs to.
    pub fn op(&self) -> Op {
        self.peer.agreement()
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<SharedSecret, Error> {
        self.key.scalar()?.agree(&self.peer.bytes)
    }
}
