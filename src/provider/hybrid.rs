//! The hybrid key exchange X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): our X25519 beside rustls' ML-KEM-768.
//!
//! Shares and secrets of both are concatenated, ML-KEM's first.

use super::kx::X25519;
use crate::ops::kx::Group;
use rustls::crypto::aws_lc_rs::kx_group::MLKEM768;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use zeroize::Zeroizing;

/// Bytes of an ML-KEM-768 encapsulation key, the client's share (FIPS 203 table 3).
const ENCAPSULATION_KEY_LEN: usize = 1184;
/// Bytes of an ML-KEM-768 ciphertext, the server's share.
const CIPHERTEXT_LEN: usize = 1088;

/// X25519MLKEM768; TLS 1.3 only.
#[derive(Debug)]
pub(super) struct X25519MlKem768;

impl SupportedKxGroup for X25519MlKem768 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let (post_quantum, classical) = (MLKEM768.start()?, X25519.start()?);
        let share = [post_quantum.pub_key(), classical.pub_key()].concat();
        Ok(Box::new(Started { post_quantum, classical, share }))
    }

    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (encapsulation_key, point) = split(client_share, ENCAPSULATION_KEY_LEN)?;
        // First what fails without cost to others.
        let post_quantum = MLKEM768.start_and_complete(encapsulation_key)?;
        let classical = X25519.start_and_complete(point)?;
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [post_quantum.pub_key, classical.pub_key].concat(),
            secret: concat(&post_quantum.secret, &classical.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn fips(&self) -> bool {
        // The part that comes first decides (SP 800-56C rev. 2, §2).
        MLKEM768.fips()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// The client's key exchange, waiting for the server's share.
struct Started {
    post_quantum: Box<dyn ActiveKeyExchange>,
    classical: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, point) = split(server_share, CIPHERTEXT_LEN)?;
        let post_quantum = self.post_quantum.complete(ciphertext)?;
        let classical = self.classical.complete(point)?;
        Ok(concat(&post_quantum, &classical))
    }

    /// Lets rustls offer the same X25519 share by itself, too.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.classical.group(), self.classical.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, point: &[u8]) -> Result<SharedSecret, Error> {
        self.classical.complete(point)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

/// The ML-KEM and the X25519 part of a share.
fn split(share: &[u8], post_quantum_len: usize) -> Result<(&[u8], &[u8]), Error> {
    match share.split_at_checked(post_quantum_len) {
        Some((post_quantum, point)) if point.len() == Group::X25519.public_key_len() => {
            Ok((post_quantum, point))
        }
        _ => Err(PeerMisbehaved::InvalidKeyShare.into()),
    }
}

fn concat(post_quantum: &SharedSecret, classical: &SharedSecret) -> SharedSecret {
    let both = Zeroizing::new([post_quantum.secret_bytes(), classical.secret_bytes()].concat());
    SharedSecret::from(&both[..])
}
