//! X25519 key agreement and key shares as operations to measure.

use super::{Baseline, Case};
use aws_lc_rs::agreement as aws;
use ring::agreement as other;
use rustls_multibuffer::internals::ops::kx::{AgreeRequest, Group, KeyPair};
use rustls_multibuffer::internals::ops::{Op, Request, Response};

/// The operations of this module.
pub(super) const NAMES: [&str; 2] = ["x25519", "x25519-keygen"];

/// Makes the keys for one of [`NAMES`].
pub(super) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    if name == "x25519-keygen" {
        return Ok(Box::new(Keygen));
    }
    let keys = [Keys::generate()?, Keys::generate()?];
    Ok(Box::new(Agree { keys }))
}

/// The two keys that take turns, and the peers that they agree with.
struct Agree {
    keys: [Keys; 2],
}

/// Two parties: ours, whose private key also aws-lc-rs has, and a peer.
struct Keys {
    ours: KeyPair,
    aws: aws::PrivateKey,
    peer: Vec<u8>,
    /// What both share.
    secret: Vec<u8>,
}

impl Keys {
    fn generate() -> Result<Self, String> {
        let failed = |_| "aws-lc-rs could not make keys".to_owned();
        let ours = KeyPair::generate(Group::X25519).map_err(|e| e.to_string())?;
        let [aws, peer] = [(); 2].map(|()| aws::PrivateKey::generate(&aws::X25519));
        let (aws, peer) = (aws.map_err(failed)?, peer.map_err(failed)?);
        let public = aws::UnparsedPublicKey::new(&aws::X25519, &ours.public);
        let secret = aws::agree(&peer, public, (), |secret| Ok(secret.to_vec()));
        let peer = peer.compute_public_key().map_err(failed)?.as_ref().to_vec();
        Ok(Self { ours, aws, peer, secret: secret.map_err(|()| "aws-lc-rs could not agree".to_owned())? })
    }
}

impl Agree {
    fn keys(&self, input: usize) -> &Keys {
        &self.keys[input % self.keys.len()]
    }
}

impl Case for Agree {
    fn op(&self) -> Op {
        Op::X25519
    }

    fn request(&self, input: usize) -> Request {
        let keys = self.keys(input);
        Request::Agree(AgreeRequest::new(&keys.ours.private, &keys.peer).expect("a key of 32 bytes"))
    }

    fn check(&self, input: usize, response: &Response) -> Result<(), String> {
        match response {
            Response::SharedSecret(secret) if secret.expose() == self.keys(input).secret => Ok(()),
            _ => Err("the response is not the secret that aws-lc-rs shares".into()),
        }
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let keys = self.keys(input);
        let agreed = match baseline {
            Baseline::AwsLcRs => {
                let peer = aws::UnparsedPublicKey::new(&aws::X25519, &keys.peer);
                aws::agree(&keys.aws, peer, (), |secret| Ok(secret.to_vec())).is_ok()
            }
            Baseline::Ring => {
                // Its private keys serve once, so that a key pair is part of the operation.
                let rng = ring::rand::SystemRandom::new();
                let peer = other::UnparsedPublicKey::new(&other::X25519, &keys.peer);
                let key = other::EphemeralPrivateKey::generate(&other::X25519, &rng).expect("a key");
                other::agree_ephemeral(key, &peer, <[u8]>::to_vec).is_ok()
            }
        };
        assert!(agreed, "{} could not agree", baseline.name());
    }
}

/// Key shares have no inputs.
struct Keygen;

impl Case for Keygen {
    fn op(&self) -> Op {
        Op::X25519Keygen
    }

    fn request(&self, _: usize) -> Request {
        Request::Keygen(Group::X25519)
    }

    fn check(&self, _: usize, response: &Response) -> Result<(), String> {
        let Response::KeyPair(pair) = response else {
            return Err("the response is not a key pair".into());
        };
        // Both sides of an exchange with this pair, one of them computed by aws-lc-rs from the public key.
        let peer = aws::PrivateKey::generate(&aws::X25519).map_err(|_| "no key")?;
        let public = peer.compute_public_key().map_err(|_| "no public key")?;
        let ours = pair.private.agree(public.as_ref()).map_err(|e| e.to_string())?;
        let pair = aws::UnparsedPublicKey::new(&aws::X25519, &pair.public);
        let same = aws::agree(&peer, pair, (), |secret| Ok(secret == ours.expose()));
        if same == Ok(true) { Ok(()) } else { Err("the public key is not the private key's".into()) }
    }

    fn run_baseline(&self, baseline: Baseline, _: usize) {
        let made = match baseline {
            Baseline::AwsLcRs => {
                let key =
                    aws::EphemeralPrivateKey::generate(&aws::X25519, &aws_lc_rs::rand::SystemRandom::new());
                key.and_then(|key| key.compute_public_key()).is_ok()
            }
            Baseline::Ring => {
                let key =
                    other::EphemeralPrivateKey::generate(&other::X25519, &ring::rand::SystemRandom::new());
                key.and_then(|key| key.compute_public_key()).is_ok()
            }
        };
        assert!(made, "{} could not make a key pair", baseline.name());
    }
}
