//! RSA verifications as operations to measure.

use super::{Baseline, Case};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as aws;
use ring::signature as other;
use rustls_multibuffer::internals::ops::rsa::{Padding, RsaPrivateKey, VerifyRequest};
use rustls_multibuffer::internals::ops::{Op, Request, Response, Runner};
use std::sync::{Arc, OnceLock};

/// The operations of this module. Those with a new key prepare the peer's key for every verification, the
/// others once, as it is with peers and certification authorities that come back; the other libraries always
/// prepare it.
pub(super) const NAMES: [&str; 6] = [
    "rsa2048-verify",
    "rsa3072-verify",
    "rsa4096-verify",
    "rsa2048-verify-new-key",
    "rsa3072-verify-new-key",
    "rsa4096-verify-new-key",
];

/// One key for each lane of the widest tier.
const KEYS: usize = 8;

/// As long as what a TLS 1.3 CertificateVerify signs (RFC 8446 §4.4.3).
const MESSAGE: [u8; 130] = [b' '; 130];

/// A peer: its public key and a PSS signature with SHA-256 of [`MESSAGE`].
struct Peer {
    public_key: Vec<u8>,
    signature: Vec<u8>,
}

struct RsaVerify {
    op: Op,
    peers: Arc<[Peer]>,
    new_keys: bool,
}

/// Makes the case of one of [`NAMES`].
pub(super) fn case(name: &str) -> Result<Box<dyn Case>, String> {
    static PEERS: [OnceLock<Arc<[Peer]>>; 3] = [const { OnceLock::new() }; 3];
    let (index, op, size) = match &name[..7] {
        "rsa2048" => (0, Op::RsaVerify2048, KeySize::Rsa2048),
        "rsa3072" => (1, Op::RsaVerify3072, KeySize::Rsa3072),
        _ => (2, Op::RsaVerify4096, KeySize::Rsa4096),
    };
    let peers = match PEERS[index].get() {
        Some(peers) => peers.clone(),
        None => {
            let peers: Arc<[Peer]> = (0..KEYS).map(|_| Peer::generate(size)).collect::<Result<_, _>>()?;
            PEERS[index].get_or_init(|| peers).clone()
        }
    };
    Ok(Box::new(RsaVerify { op, peers, new_keys: name.ends_with("-new-key") }))
}

impl Peer {
    fn generate(size: KeySize) -> Result<Self, String> {
        let der = super::rsa::generate(size)?;
        let key = RsaPrivateKey::from_pkcs8_der(&der).map_err(|e| e.to_string())?;
        let signature = key.sign(Padding::PssSha256, &MESSAGE).map_err(|e| e.to_string())?;
        Ok(Self { public_key: key.public_key_der().to_vec(), signature })
    }
}

impl RsaVerify {
    fn peer(&self, input: usize) -> &Peer {
        &self.peers[input % self.peers.len()]
    }
}

impl Case for RsaVerify {
    fn op(&self) -> Op {
        self.op
    }

    fn prepare(&self, runner: &mut Runner) {
        if self.new_keys {
            runner.forget_public_keys();
        }
    }

    fn request(&self, input: usize) -> Request {
        let Peer { public_key, signature } = self.peer(input);
        let request = VerifyRequest::new(public_key, Padding::PssSha256, &MESSAGE, signature);
        Request::RsaVerify(request.expect("the lanes serve the size: it is one of theirs"))
    }

    fn check(&self, input: usize, response: &Response) -> Result<(), String> {
        let Peer { public_key, signature } = self.peer(input);
        let valid = aws::UnparsedPublicKey::new(&aws::RSA_PSS_2048_8192_SHA256, public_key)
            .verify(&MESSAGE, signature)
            .is_ok();
        if valid && *response == Response::Verified { Ok(()) } else { Err("the verdict is wrong".into()) }
    }

    fn run_baseline(&self, baseline: Baseline, input: usize) {
        let Peer { public_key, signature } = self.peer(input);
        let valid = match baseline {
            Baseline::AwsLcRs => {
                let key = aws::UnparsedPublicKey::new(&aws::RSA_PSS_2048_8192_SHA256, public_key);
                key.verify(&MESSAGE, signature).is_ok()
            }
            Baseline::Ring => {
                let key = other::UnparsedPublicKey::new(&other::RSA_PSS_2048_8192_SHA256, public_key);
                key.verify(&MESSAGE, signature).is_ok()
            }
        };
        assert!(valid, "{} refuses the signature", baseline.name());
    }
}
