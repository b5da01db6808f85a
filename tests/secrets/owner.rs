//! The child: it imports a secret, uses it in every tier, and drops it, and waits after each step to be
//! looked at.

use crate::process::{SAYS, SCENARIO, hex};
use crate::server;
use rustls::SignatureScheme;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls_multibuffer::internals::ops::kx::{self, Group};
use rustls_multibuffer::internals::ops::rsa::{self, Padding, RsaPrivateKey};
use rustls_multibuffer::internals::ops::{Request, Response, Runner, ecdsa, ed25519};
use rustls_multibuffer::provider::sign::any_supported_type;
use rustls_multibuffer::{Tier, TierKind};
use std::fs::File;
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Ends the name of a scenario without batches, whose end would wipe the stack for others, too.
pub(crate) const ALONE: &str = "-alone";

/// What every message is that is signed.
pub(crate) const MESSAGE: &[u8] = b"message";

/// The parent, through the two ends of pipes. Nothing is buffered here, where nobody would wipe it.
pub(crate) struct Parent {
    input: File,
}

impl Parent {
    fn new() -> Self {
        Self { input: File::open("/dev/stdin").expect("standard input") }
    }

    pub(crate) fn secret(&mut self) -> Zeroizing<Vec<u8>> {
        let mut len = [0; 4];
        self.input.read_exact(&mut len).expect("the parent's message");
        let mut secret = Zeroizing::new(vec![0; u32::from_le_bytes(len) as usize]);
        self.input.read_exact(&mut secret).expect("the parent's message");
        secret
    }

    /// Says some public numbers, and waits until the parent has looked.
    pub(crate) fn look(&mut self, public: &[&[u8]]) {
        self.say(public);
        self.wait();
    }

    pub(crate) fn say(&mut self, public: &[&[u8]]) {
        let numbers: Vec<_> = public.iter().map(|number| hex(number)).collect();
        println!("{SAYS}{}", numbers.join(" "));
        std::io::stdout().flush().expect("standard output");
    }

    pub(crate) fn wait(&mut self) {
        self.input.read_exact(&mut [0]).expect("the parent goes on");
    }
}

#[test]
#[ignore = "what the other tests start as another process, to search its memory"]
fn owns_secrets() {
    let scenario = std::env::var(SCENARIO).expect("the parent names a scenario");
    let mut parent = Parent::new();
    let (scenario, mut runners) = match scenario.strip_suffix(ALONE) {
        Some(scenario) => (scenario, Vec::new()),
        None => (scenario.as_str(), runners()),
    };
    match scenario {
        "forget" => forget(&mut parent),
        "rsa" => rsa(&mut parent, &mut runners),
        "rsa-pem" => rsa_pem(&mut parent, &mut runners),
        "p256" | "p384" => ecdsa(&mut parent, &mut runners),
        "ed25519" => ed25519(&mut parent, &mut runners),
        "provider" => provider(&mut parent),
        "x25519" => agree(&mut parent, &mut runners, Group::X25519),
        "p256-ecdh" => agree(&mut parent, &mut runners, Group::P256),
        "p384-ecdh" => agree(&mut parent, &mut runners, Group::P384),
        "x25519-keygen" => keygen(&mut parent, &mut runners, &Request::Keygen(Group::X25519)),
        "x25519-exchange" => exchange(&mut parent, &mut runners, Group::X25519),
        "p256-exchange" => exchange(&mut parent, &mut runners, Group::P256),
        "p256-keygen" => keygen(&mut parent, &mut runners, &Request::Keygen(Group::P256)),
        "engine" => server::run(&mut parent),
        other => panic!("there is no scenario {other}"),
    }
    // All that was made is dropped, but for what batches are computed in.
    parent.look(&[]);
    drop(runners);
    parent.look(&[]);
}

fn runners() -> Vec<Runner> {
    let kinds = TierKind::DETECTABLE.iter().copied().chain([TierKind::Portable]);
    kinds.filter_map(Tier::of_kind).map(|tier| Runner::new(tier).with_break_even(Some(1))).collect()
}

/// Full batches of `request` in every tier; without any, `request` alone through aws-lc-rs.
fn run(runners: &mut [Runner], request: &Request) -> Vec<Response> {
    if runners.is_empty() {
        return vec![request.run_scalar().expect("a result")];
    }
    let mut responses = Vec::new();
    for runner in runners {
        let batch = vec![request; runner.capacity(request.op())];
        let mut results = Vec::new();
        runner.run(&batch, &mut results);
        responses.extend(results.into_iter().map(|result| result.expect("a result")));
    }
    responses
}

/// Says the signatures of full batches in every tier.
fn sign(parent: &mut Parent, runners: &mut [Runner], request: &Request) {
    let responses = run(runners, request);
    let signatures = responses.iter().map(|response| match response {
        Response::Signature(signature) => &signature[..],
        other => panic!("no signature but {other:?}"),
    });
    parent.look(&signatures.collect::<Vec<_>>());
}

/// The planted defect: nobody wipes this copy.
fn forget(parent: &mut Parent) {
    let secret = parent.secret();
    let copy = Box::new(secret.to_vec());
    parent.look(&[]);
    drop(std::hint::black_box(copy));
}

fn rsa(parent: &mut Parent, runners: &mut [Runner]) {
    let key = RsaPrivateKey::from_pkcs1_der(&parent.secret()).expect("a key");
    sign_rsa(parent, runners, &key);
}

fn rsa_pem(parent: &mut Parent, runners: &mut [Runner]) {
    let key = RsaPrivateKey::from_pem(&parent.secret()).expect("a key");
    sign_rsa(parent, runners, &key);
}

fn sign_rsa(parent: &mut Parent, runners: &mut [Runner], key: &RsaPrivateKey) {
    let request = rsa::SignRequest::new(key, Padding::PssSha256, MESSAGE).expect("2048 bits");
    sign(parent, runners, &Request::RsaSign(request));
}

fn ecdsa(parent: &mut Parent, runners: &mut [Runner]) {
    let key = ecdsa::EcdsaPrivateKey::from_pkcs8_der(&parent.secret()).expect("a key");
    sign(parent, runners, &Request::EcdsaSign(ecdsa::SignRequest::new(&key, MESSAGE)));
}

fn ed25519(parent: &mut Parent, runners: &mut [Runner]) {
    let key = {
        let secret = parent.secret();
        ed25519::PrivateKey::from_bytes((*secret)[..].try_into().expect("32 bytes")).expect("a key")
    };
    sign(parent, runners, &Request::Ed25519Sign(ed25519::SignRequest::new(&key, MESSAGE)));
}

/// A key that the provider imports, in lanes or not, and signs with.
fn provider(parent: &mut Parent) {
    let key = {
        let secret = parent.secret();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&secret[..]));
        any_supported_type(&der).expect("a key")
    };
    let offered = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP521_SHA512];
    let signer = key.choose_scheme(&offered).expect("a scheme");
    parent.look(&[&signer.sign(MESSAGE).expect("a signature")]);
}

fn agree(parent: &mut Parent, runners: &mut [Runner], group: Group) {
    let key = kx::PrivateKey::from_bytes(group, &parent.secret()).expect("a private key of the group");
    // Not the base point, with which the result would be the public key.
    let peer = kx::KeyPair::generate(group).expect("random numbers");
    let request =
        Request::Agree(kx::AgreeRequest::new(&key, &peer.public).expect("a public key of the group"));
    drop(run(runners, &request));
    // The peer's public key times this private key is what both know.
    parent.look(&[&peer.public]);
}

/// Says the public keys of the pairs that it keeps.
fn keygen(parent: &mut Parent, runners: &mut [Runner], request: &Request) {
    assert!(parent.secret().is_empty());
    let pairs = run(runners, request);
    let public = pairs.iter().map(|pair| match pair {
        Response::KeyPair(pair) => &pair.public[..],
        other => panic!("no pair but {other:?}"),
    });
    parent.look(&public.collect::<Vec<_>>());
}

/// Says the public keys of key exchanges whose shared secrets it keeps.
fn exchange(parent: &mut Parent, runners: &mut [Runner], group: Group) {
    let peer = kx::PeerKey::new(group, &parent.secret()).expect("a public key of the group");
    let exchanged = run(runners, &Request::Exchange(peer));
    let public = exchanged.iter().map(|response| match response {
        Response::Exchanged(exchanged) => &exchanged.public[..],
        other => panic!("no key exchange but {other:?}"),
    });
    parent.look(&public.collect::<Vec<_>>());
}
