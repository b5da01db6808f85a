//! Requests and responses of every operation.

use super::{Op, SharedSecret, ecdsa, ed25519, kx, rsa};
use crate::arch::{wiping_deep_stack, wiping_stack};
use crate::error::Error;

/// One operation to be run in some batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// An RSA signature.
    RsaSign(rsa::SignRequest),
    /// The verification of an RSA signature.
    RsaVerify(rsa::VerifyRequest),
    /// A key agreement.
    Agree(kx::AgreeRequest),
    /// A fresh key pair for a key exchange.
    Keygen(kx::Group),
    /// A fresh key pair and its agreement with this key of the peer. The private key is wiped when the batch
    /// has run.
    Exchange(kx::PeerKey),
    /// An Ed25519 signature.
    Ed25519Sign(ed25519::SignRequest),
    /// The verification of an Ed25519 signature.
    Ed25519Verify(ed25519::VerifyRequest),
    /// An ECDSA signature.
    EcdsaSign(ecdsa::SignRequest),
    /// The verification of an ECDSA signature.
    EcdsaVerify(ecdsa::VerifyRequest),
}

impl Request {
    /// The queue that this request belongs to: for a whole key exchange, that of its agreement.
    pub fn op(&self) -> Op {
        match self {
            Self::RsaSign(r) => r.op(),
            Self::RsaVerify(r) => r.op(),
            Self::Agree(r) => r.op(),
            Self::Exchange(peer) => peer.agreement(),
            Self::Keygen(kx::Group::X25519) => Op::X25519Keygen,
            Self::Keygen(kx::Group::P256) => Op::P256Keygen,
            Self::Keygen(kx::Group::P384) => Op::P384Keygen,
            Self::Ed25519Sign(_) => Op::Ed25519Sign,
            Self::Ed25519Verify(_) => Op::Ed25519Verify,
            Self::EcdsaSign(r) => r.op(),
            Self::EcdsaVerify(r) => r.op(),
        }
    }

    /// The key pair that a whole key exchange makes first.
    pub(super) fn keygen(&self) -> Option<Self> {
        match self {
            Self::Exchange(peer) => Some(Self::Keygen(peer.group())),
            _ => None,
        }
    }

    /// The operations that the request takes: one, but for a whole key exchange.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Op> + use<> {
        self.keygen().map(|keygen| keygen.op()).into_iter().chain([self.op()])
    }

    /// Answers the request at once, through aws-lc-rs.
    ///
    /// # Errors
    /// [`Error::Scalar`] when aws-lc-rs refuses; [`Error::InvalidSignature`] when a signature does not
    /// verify; [`Error::PeerKey`] when the peer's public key is refused.
    pub fn run_scalar(&self) -> Result<Response, Error> {
        self.wiping(1, || self.answer())
    }

    /// Runs `body`, which answers such requests in so many lanes (one: through aws-lc-rs), and wipes its
    /// stack: nonces, scalars and shared secrets are left there, where a verification has nothing to leave.
    pub(super) fn wiping<R>(&self, lanes: usize, body: impl FnOnce() -> R) -> R {
        match self {
            Self::RsaVerify(_) | Self::Ed25519Verify(_) | Self::EcdsaVerify(_) => body(),
            _ if lanes > 4 => wiping_deep_stack(body),
            _ => wiping_stack(body),
        }
    }

    pub(super) fn answer(&self) -> Result<Response, Error> {
        match self {
            Self::RsaSign(r) => r.run_scalar().map(Response::Signature),
            Self::RsaVerify(r) => r.run_scalar().map(|()| Response::Verified),
            Self::Agree(r) => r.run_scalar().map(Response::SharedSecret),
            Self::Keygen(group) => kx::KeyPair::generate(*group).map(Response::KeyPair),
            Self::Exchange(peer) => peer.exchange_scalar().map(Response::Exchanged),
            Self::Ed25519Sign(r) => r.run_scalar().map(Response::Signature),
            Self::Ed25519Verify(r) => r.run_scalar().map(|()| Response::Verified),
            Self::EcdsaSign(r) => r.run_scalar().map(Response::Signature),
            Self::EcdsaVerify(r) => r.run_scalar().map(|()| Response::Verified),
        }
    }
}

/// The result of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// A signature in the form that TLS carries.
    Signature(Vec<u8>),
    /// The signature is valid. One that is not gives [`Error::InvalidSignature`].
    Verified,
    /// The result of a key agreement.
    SharedSecret(SharedSecret),
    /// A fresh key pair.
    KeyPair(kx::KeyPair),
    /// The result of a whole key exchange.
    Exchanged(kx::Exchanged),
}
