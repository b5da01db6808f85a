//! Keys, and requests to agree with them.

use super::LEN;
use crate::arch::wiping_stack;
use crate::error::Error;
use crate::ops::{SharedSecret, scalar};
use std::fmt;
use std::sync::{Arc, OnceLock};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// An X25519 private key: wiped when its last owner drops it, never printed. Cloning shares it.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use rustls_multibuffer::internals::ops::x25519::KeyPair;
///
/// let [alice, bob] = [KeyPair::generate()?, KeyPair::generate()?];
/// let secret = alice.private.agree(&bob.public)?;
/// assert_eq!(secret, bob.private.agree(&alice.public)?);
/// # }
/// # Ok::<(), rustls_multibuffer::Error>(())
/// ```
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

/// One of the two is there from the beginning, and the other is made of it when it is first needed.
struct Inner {
    bytes: OnceLock<Zeroizing<[u8; LEN]>>,
    /// The same key inside aws-lc-rs. Importing it costs as much as a key share.
    scalar: OnceLock<Result<scalar::X25519Key, Error>>,
}

/// A private key and its public key, the key share of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyPair {
    /// The private key.
    pub private: PrivateKey,
    /// The u-coordinate of its public point, as TLS carries it.
    pub public: [u8; LEN],
}

impl KeyPair {
    /// Generates a pair at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Random`] when the generator fails.
    pub fn generate() -> Result<Self, Error> {
        let key = scalar::X25519Key::generate()?;
        let public = wiping_stack(|| key.public())?;
        let private = PrivateKey(Arc::new(Inner { bytes: OnceLock::new(), scalar: Ok(key).into() }));
        Ok(Self { private, public })
    }
}

impl PrivateKey {
    /// The key of these bytes, of which every value is valid. The caller's copy stays the caller's to wipe.
    pub fn from_bytes(bytes: &[u8; LEN]) -> Self {
        wiping_stack(|| Self::new(bytes))
    }

    /// The same, for callers whose stack is wiped after a whole batch.
    pub(super) fn new(bytes: &[u8; LEN]) -> Self {
        Self(Arc::new(Inner { bytes: Zeroizing::new(*bytes).into(), scalar: OnceLock::new() }))
    }

    /// The public key, computed on the calling thread through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Scalar`] when aws-lc-rs refuses.
    pub fn public_key(&self) -> Result<[u8; LEN], Error> {
        wiping_stack(|| self.scalar()?.public())
    }

    /// Agrees with a peer at once, on the calling thread, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::PeerKey`] when the peer's public key has another length, or a small order: the shared secret would be
    /// zero, whatever the private key (RFC 7748 §6.1).
    pub fn agree(&self, peer: &[u8]) -> Result<SharedSecret, Error> {
        let request = AgreeRequest::new(self, peer)?;
        wiping_stack(|| request.run_scalar())
    }

    /// The bytes, for the computation that needs them.
    pub(super) fn expose(&self) -> &[u8; LEN] {
        let take_out = || self.scalar().and_then(scalar::X25519Key::bytes);
        self.0.bytes.get_or_init(|| take_out().expect("aws-lc-rs gives out the key that it generated"))
    }

    fn scalar(&self) -> Result<&scalar::X25519Key, Error> {
        let scalar = self.0.scalar.get_or_init(|| scalar::X25519Key::from_bytes(self.expose()));
        scalar.as_ref().map_err(Clone::clone)
    }
}

impl PartialEq for PrivateKey {
    /// Constant-time.
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// A private key and a peer's public key that are to agree in some batch.
#[derive(Clone, Debug)]
pub struct AgreeRequest {
    pub(super) key: PrivateKey,
    pub(super) peer: [u8; LEN],
}

impl AgreeRequest {
    /// A request.
    ///
    /// # Errors
    /// [`Error::PeerKey`] when the peer's public key has another length than [`LEN`].
    pub fn new(key: &PrivateKey, peer: &[u8]) -> Result<Self, Error> {
        let peer = peer.try_into().map_err(|_| Error::PeerKey)?;
        Ok(Self { key: key.clone(), peer })
    }

    /// Answers the request through aws-lc-rs.
    pub(crate) fn run_scalar(&self) -> Result<SharedSecret, Error> {
        self.key.scalar()?.agree(&self.peer)
    }
}
