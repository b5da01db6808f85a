//! Key-exchange groups for rustls.
//!
//! A server of TLS 1.3 has the client's share when it makes its own: it asks for share and agreement at once,
//! and parks once. Its private key does not leave the batch. In TLS 1.2 the client's share comes later, and
//! the server parks twice, as a client does. A client makes its share when its connection is made, before
//! anything is sent: so the connection itself is made on a fiber (`TlsConnector::connect` in
//! `handshake/connector.rs`).

use super::answer::answer;
use super::rustls_error;
use crate::error::Error;
use crate::ops::kx::{AgreeRequest, Exchanged, Group, KeyPair, PeerKey};
use crate::ops::{Request, Response};
use rustls::crypto::{
    ActiveKeyExchange, CompletedKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{NamedGroup, PeerMisbehaved};

/// A group (RFC 8446 §4.2.8.2, RFC 8422 §5.4) whose key shares and agreements are made in batches.
#[derive(Debug)]
pub(super) struct Kx {
    group: Group,
    name: NamedGroup,
}

pub(super) static X25519: Kx = Kx { group: Group::X25519, name: NamedGroup::X25519 };
pub(super) static SECP256R1: Kx = Kx { group: Group::P256, name: NamedGroup::secp256r1 };
pub(super) static SECP384R1: Kx = Kx { group: Group::P384, name: NamedGroup::secp384r1 };

impl SupportedKxGroup for Kx {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        match answer(|| Ok(Request::Keygen(self.group))).map_err(kx_error)? {
            Response::KeyPair(pair) => Ok(Box::new(Started { pair, name: self.name })),
            other => unreachable!("a key pair was requested, and {other:?} came"),
        }
    }

    fn start_and_complete(&self, peer: &[u8]) -> Result<CompletedKeyExchange, rustls::Error> {
        let request = || PeerKey::new(self.group, peer).map(Request::Exchange);
        match answer(request).map_err(kx_error)? {
            Response::Exchanged(Exchanged { public, secret }) => Ok(CompletedKeyExchange {
                group: self.name,
                pub_key: public,
                secret: SharedSecret::from(secret.expose()),
            }),
            other => unreachable!("a key exchange was requested, and {other:?} came"),
        }
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        self.name
    }
}

/// A key exchange that waits for the peer's key share.
struct Started {
    pair: KeyPair,
    name: NamedGroup,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, rustls::Error> {
        let request = || AgreeRequest::new(&self.pair.private, peer).map(Request::Agree);
        match answer(request).map_err(kx_error)? {
            Response::SharedSecret(secret) => Ok(SharedSecret::from(secret.expose())),
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

/// The error that rustls' own groups give, where it has one: a bad key share makes rustls send the alert for
/// it.
fn kx_error(e: Error) -> rustls::Error {
    match e {
        Error::PeerKey => PeerMisbehaved::InvalidKeyShare.into(),
        Error::Random => GetRandomFailed.into(),
        e => rustls_error(e),
    }
}
