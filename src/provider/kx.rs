//! Key-exchange groups for rustls.

use crate::error::Error;
use crate::ops::x25519::{AgreeRequest, KeyPair};
use crate::ops::{NistCurve, Request, Response, SharedSecret, ecdh};
use crate::provider::{Answer, Ask, ask, is_on_engine, rustls_error};
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret as RustlsSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{NamedGroup, PeerMisbehaved};

/// X25519 (RFC 7748, RFC 8446 §4.2.8.2) whose key shares and agreements are made in batches.
#[derive(Debug)]
pub(super) struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        let pair = key_pair().map_err(kx_error)?;
        Ok(Box::new(Started { pair }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// A key exchange that waits for the peer's key share.
struct Started {
    pair: KeyPair,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<RustlsSecret, rustls::Error> {
        let secret = agree(&self.pair, peer).map_err(kx_error)?;
        Ok(RustlsSecret::from(secret.expose()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.pair.public
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// ECDH over a NIST curve (RFC 8446 §4.2.8.2, RFC 8422 §5.4) whose key shares and agreements are made in batches.
#[derive(Debug)]
pub(super) struct Ecdh {
    curve: NistCurve,
    name: NamedGroup,
}

pub(super) static SECP256R1: Ecdh = Ecdh { curve: NistCurve::P256, name: NamedGroup::secp256r1 };
pub(super) static SECP384R1: Ecdh = Ecdh { curve: NistCurve::P384, name: NamedGroup::secp384r1 };

impl SupportedKxGroup for Ecdh {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        match answer(|| Ok(Request::EcdhKeygen(self.curve))).map_err(kx_error)? {
            Response::EcdhKeyPair(pair) => Ok(Box::new(EcdhStarted { pair, name: self.name })),
            other => unreachable!("a key pair was requested, and {other:?} came"),
        }
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        self.name
    }
}

/// An ECDH key exchange that waits for the peer's key share.
struct EcdhStarted {
    pair: ecdh::KeyPair,
    name: NamedGroup,
}

impl ActiveKeyExchange for EcdhStarted {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<RustlsSecret, rustls::Error> {
        let request = || ecdh::AgreeRequest::new(&self.pair.private, peer).map(Request::Ecdh);
        match answer(request).map_err(kx_error)? {
            Response::SharedSecret(secret) => Ok(RustlsSecret::from(secret.expose())),
            other => unreachable!("a shared secret was requested, and {other:?} came"),
        }
    }

    fn pub_key(&self) -> &[u8] {
        &self.pair.public
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}

fn key_pair() -> Result<KeyPair, Error> {
    match answer(|| Ok(Request::X25519Keygen))? {
        Response::X25519KeyPair(pair) => Ok(pair),
        other => unreachable!("a key pair was requested, and {other:?} came"),
    }
}

fn agree(pair: &KeyPair, peer: &[u8]) -> Result<SharedSecret, Error> {
    match answer(|| AgreeRequest::new(&pair.private, peer).map(Request::X25519))? {
        Response::SharedSecret(secret) => Ok(secret),
        other => unreachable!("a shared secret was requested, and {other:?} came"),
    }
}

/// The answer to a request: from a batch if the caller runs on a fiber, else at once. It is also made at once
/// when the engine has no place for it or its handshake is given up: rustls would blame the peer for an error
/// of ours.
pub(super) fn answer(request: impl Fn() -> Result<Request, Error>) -> Answer {
    let request_for_batch = request()?;
    if !is_on_engine() {
        return request_for_batch.run_scalar();
    }
    match ask(Ask::InBatch(request_for_batch)) {
        None | Some(Err(Error::QueueFull | Error::Cancelled)) => request()?.run_scalar(),
        Some(answer) => answer,
    }
}

/// The error that rustls' own groups give, where it has one: a bad key share makes rustls send the alert for it.
fn kx_error(e: Error) -> rustls::Error {
    match e {
        Error::PeerKey => PeerMisbehaved::InvalidKeyShare.into(),
        Error::Random => GetRandomFailed.into(),
        e => rustls_error(e),
    }
}
