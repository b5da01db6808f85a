//! Key exchanges as operations to measure: agreements and key shares.

use super::{Baseline, Case};
use aws_lc_rs::{agreement as aws, rand};
use ring::agreement as other;
use rustls_multibuffer::internals::ops::kx::{AgreeRequest, Group, KeyPair};
use rustls_multibuffer::internals::ops::{Op, Request, Response};

/// The operations of this module.
pub(super) const NAMES: [&str; 6] =
    ["x25519", "x25519-keygen", "p256-ecdh", "p256-keygen", "p384-ecdh", "p384-keygen"];

/// One key for each lane of the widest tier.
const KEYS: usize = 8;

/// What each library calls a group.
#[derive(Clone, Copy)]
struct Algorithm {
    ours: Group,
    aws: &'static aws::Algorithm,
    other: &'static other::Algorithm,
}

/// Makes the keys for one of [`NAMES`].
pub(super) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    let group = match name.split_once('-').map_or(name, |(group, _)| group) {
        "x25519" => Algorithm { ours: Group::X25519, aws: &aws::X25519, other: &other::X25519 },
        "p256" => Algorithm { ours: Group::P256, aws: &aws::ECDH_P256, other: &other::ECDH_P256 },
        _ => Algorithm { ours: Group::P384, aws: &aws::ECDH_P384, other: &other::ECDH_P384 },
    };
    if name.ends_with("-keygen") {
        return Ok(Box::new(Keygen(group)));
    }
    let keys = (0..KEYS).map(|_| Keys::generate(group)).collect::<Result<_, _>>()?;
    Ok(Box::new(Agree { group, keys }))
}

/// Two parties: ours, whose private key aws-lc-rs has as well, and a peer.
struct Keys {
    ours: KeyPair,
    aws: aws::PrivateKey,
    peer: Vec<u8>,
    /// What both share.
    secret: Vec<u8>,
}

impl Keys {
    fn generate(group: Algorithm) -> Result<Self, String> {
        let failed = |_| "aws-lc-rs could not make keys".to_owned();
        let ours = KeyPair::generate(group.ours).map_err(|e| e.to_string())?;
        let [aws, peer] = [(); 2].map(|()| aws::PrivateKey::generate(group.aws));
        let (aws, peer) = (aws.map_err(failed)?, peer.map_err(failed)?);
        let public = aws::UnparsedPublicKey::new(group.aws, &ours.public);
        let secret = aws::agree(&peer, public, (), |secret| Ok(secret.to_vec()));
        let peer = peer.compute_public_key().map_err(failed)?.as_ref().to_vec();
        Ok(Self { ours, aws, peer, secret: secret.map_err(|()| "aws-lc-rs could not agree".to_owned())? })
    }
}

/// Agreements with keys that take turns.
struct Agree {
    group: Algorithm,
    keys: Vec<Keys>,
}

impl Case for Agree {
    fn op(&self) -> Op {
        self.request(0).op()
    }

    fn request(&self, input: usize) -> Request {
        let keys = &self.keys[input % KEYS];
        Request::Agree(AgreeRequest::new(&keys.ours.private, &keys.peer).expect("a public key of the group"))
    }

    fn check(&self, input: usize, response: &Response) -> Result<(), String> {
        match response {
            Response::SharedSecret(secret) if secret.expose() == self.keys[input % KEYS].secret => Ok(()),
            _ => Err("the response is not the secret that aws-lc-rs shares".into()),
        }
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let keys = &self.keys[input % KEYS];
        let agreed = match baseline {
            Baseline::AwsLcRs => {
                let peer = aws::UnparsedPublicKey::new(self.group.aws, &keys.peer);
                aws::agree(&keys.aws, peer, (), |secret| Ok(secret.to_vec())).is_ok()
            }
            Baseline::Ring => {
                // Its private keys serve once, so that a key pair is part of the operation.
                let rng = ring::rand::SystemRandom::new();
                let peer = other::UnparsedPublicKey::new(self.group.other, &keys.peer);
                let key = other::EphemeralPrivateKey::generate(self.group.other, &rng).expect("a key");
                other::agree_ephemeral(key, &peer, <[u8]>::to_vec).is_ok()
            }
        };
        assert!(agreed, "{} could not agree", baseline.name());
    }
}

/// Key shares have no inputs.
struct Keygen(Algorithm);

impl Case for Keygen {
    fn op(&self) -> Op {
        self.request(0).op()
    }

    fn request(&self, _: usize) -> Request {
        Request::Keygen(self.0.ours)
    }

    fn check(&self, _: usize, response: &Response) -> Result<(), String> {
        let Response::KeyPair(pair) = response else {
            return Err("the response is not a key pair".into());
        };
        // Both sides of an exchange with this pair, one of them computed by aws-lc-rs from the public key.
        let peer = aws::PrivateKey::generate(self.0.aws).map_err(|_| "no key")?;
        let public = peer.compute_public_key().map_err(|_| "no public key")?;
        let ours = pair.private.agree(public.as_ref()).map_err(|e| e.to_string())?;
        let pair = aws::UnparsedPublicKey::new(self.0.aws, &pair.public);
        let same = aws::agree(&peer, pair, (), |secret| Ok(secret == ours.expose()));
        if same == Ok(true) { Ok(()) } else { Err("the public key is not the private key's".into()) }
    }

    fn run_baseline(&self, baseline: Baseline, _: usize) {
        let made = match baseline {
            Baseline::AwsLcRs => {
                let key = aws::EphemeralPrivateKey::generate(self.0.aws, &rand::SystemRandom::new());
                key.and_then(|key| key.compute_public_key()).is_ok()
            }
            Baseline::Ring => {
                let rng = ring::rand::SystemRandom::new();
                let key = other::EphemeralPrivateKey::generate(self.0.other, &rng);
                key.and_then(|key| key.compute_public_key()).is_ok()
            }
        };
        assert!(made, "{} could not make a key pair", baseline.name());
    }
}
