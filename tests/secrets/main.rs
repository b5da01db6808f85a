//! Secrets leave memory when their owners do.
//!
//! A child process imports or makes secrets, uses them in every tier, and drops them. Its parent, which knows
//! the secrets or can compute them, searches all memory that the child can write, through `/proc/PID/mem`:
//! while the secret lives, where it must be found (the control); when it was dropped and only the memory that
//! batches are computed in is left; and when that is gone too. Looked for is every aligned eight bytes of a
//! secret, not only the whole, in both orders of bytes, and as digits. The child's memory holds nothing of
//! the search.
#![cfg(target_os = "linux")]

mod client;
mod handshakes;
#[path = "../support/pki.rs"]
mod issuer;
mod memory;
mod owner;
mod process;
mod recognizer;
mod server;

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use memory::{Needles, shortened};
use num_bigint::BigUint;
use owner::{ALONE, MESSAGE};
use pkcs8::der::SecretDocument;
use process::Owner;
use recognizer::Recognizer;

fn random(len: usize) -> Vec<u8> {
    let mut secret = vec![0; len];
    aws_lc_rs::rand::fill(&mut secret).expect("random bytes");
    // Below every order.
    secret[0] &= 0x3f;
    secret
}

/// Looks for `lasting`, which the child owns at first, and for `passing`, which it has already used and
/// forgotten.
fn assert_leaves(owner: &mut Owner, lasting: &Needles, passing: Option<&Needles>) {
    let memory = owner.memory();
    assert!(!memory.search(lasting).is_empty(), "the control: what lives is found");
    for stage in
        ["while it lives", "when it is dropped, and what batches are computed in is not", "at the end"]
    {
        if stage != "while it lives" {
            owner.go_on();
            owner.says();
            let found = memory.search(lasting);
            assert!(found.is_empty(), "{stage}: {}", shortened(&found));
        }
        let found = passing.map_or(Vec::new(), |passing| memory.search(passing));
        assert!(found.is_empty(), "{stage}: {}", shortened(&found));
    }
}

/// The planted defect: a copy that nobody wipes is found, although its memory is free.
#[test]
fn what_nobody_wipes_is_found() {
    let secret = random(64);
    let mut owner = Owner::start("forget", &secret);
    let mut needles = Needles::default();
    needles.bytes("the forgotten", &secret);
    owner.says();
    let memory = owner.memory();
    assert!(memory.search(&needles).len() >= 8);
    for _ in 0..2 {
        owner.go_on();
        owner.says();
        let found = memory.search(&needles);
        // The allocator writes over the first bytes of what is free.
        assert!(found.iter().any(|place| place.starts_with("part 4")), "{}", shortened(&found));
    }
}

fn vendored(name: &str) -> String {
    let path = format!("{}/vendor-test-vectors/rsa-keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the key's file")
}

fn rsa_needles(der: &[u8]) -> Needles {
    let key = pkcs1::RsaPrivateKey::try_from(der).expect("a key");
    let mut needles = Needles::default();
    let numbers = [
        ("p", key.prime1),
        ("q", key.prime2),
        ("dp", key.exponent1),
        ("dq", key.exponent2),
        ("qinv", key.coefficient),
    ];
    for (name, number) in numbers {
        needles.number(name, number.as_bytes());
    }
    needles.number("d", key.private_exponent.as_bytes());
    needles
}

/// A scenario with batches, and without any.
fn with_and_without_batches(scenario: &str) -> [String; 2] {
    ["", ALONE].map(|end| format!("{scenario}{end}"))
}

#[test]
fn an_rsa_key_leaves() {
    let (_, document) = SecretDocument::from_pem(&vendored("rsa2048.pkcs1")).expect("a key");
    for scenario in with_and_without_batches("rsa") {
        let mut owner = Owner::start(&scenario, document.as_bytes());
        owner.says();
        assert_leaves(&mut owner, &rsa_needles(document.as_bytes()), None);
    }
}

#[test]
fn an_rsa_key_from_a_text_leaves() {
    let text = vendored("rsa2048.pkcs1");
    let (_, document) = SecretDocument::from_pem(&text).expect("a key");
    let mut needles = rsa_needles(document.as_bytes());
    let lines: Vec<_> = text.lines().collect();
    lines[10..lines.len() - 2].iter().for_each(|line| needles.bytes("the text", line.as_bytes()));
    for scenario in with_and_without_batches("rsa-pem") {
        // The text itself is the caller's.
        let mut owner = Owner::start(&scenario, text.as_bytes());
        owner.says();
        assert_leaves(&mut owner, &needles, None);
    }
}

/// The private key of a PKCS#8 encoding, and the order of its curve.
struct Curve {
    scenario: &'static str,
    algorithm: &'static rcgen::SignatureAlgorithm,
    order: &'static str,
    agreement: &'static agreement::Algorithm,
    hash: &'static aws_lc_rs::digest::Algorithm,
    len: usize,
}

const P256: Curve = Curve {
    scenario: "p256",
    algorithm: &rcgen::PKCS_ECDSA_P256_SHA256,
    order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    agreement: &ECDH_P256,
    hash: &SHA256,
    len: 32,
};
const P384: Curve = Curve {
    scenario: "p384",
    algorithm: &rcgen::PKCS_ECDSA_P384_SHA384,
    order: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    agreement: &ECDH_P384,
    hash: &SHA384,
    len: 48,
};

/// The two numbers of a signature.
fn numbers(signature: &[u8]) -> [BigUint; 2] {
    use pkcs8::der::asn1::UintRef;
    use pkcs8::der::{Decode, Reader, SliceReader};
    let mut reader = SliceReader::new(signature).expect("short");
    let numbers = reader.sequence(|inner| Ok([UintRef::decode(inner)?, UintRef::decode(inner)?]));
    numbers.expect("a signature").map(|number| BigUint::from_bytes_be(number.as_bytes()))
}

/// k = (z + r·d)/s modulo n.
fn nonce(curve: &Curve, d: &[u8], signature: &[u8]) -> Vec<u8> {
    let n = BigUint::parse_bytes(curve.order.as_bytes(), 16).expect("a number");
    let z = BigUint::from_bytes_be(digest(curve.hash, MESSAGE).as_ref());
    let [r, s] = numbers(signature);
    let inverse = s.modpow(&(&n - 2u32), &n);
    let k = ((z + r * BigUint::from_bytes_be(d)) * inverse % n).to_bytes_be();
    [vec![0; curve.len - k.len()], k].concat()
}

/// The key, and the nonces of all signatures, which are gone before the key is.
fn an_ecdsa_key_leaves(curve: &Curve) {
    let pair = rcgen::KeyPair::generate_for(curve.algorithm).expect("a key");
    let der = pair.serialize_der();
    let info = pkcs8::PrivateKeyInfo::try_from(&der[..]).expect("a key");
    let d = sec1::EcPrivateKey::try_from(info.private_key).expect("a key").private_key;
    for scenario in with_and_without_batches(curve.scenario) {
        let mut owner = Owner::start(&scenario, &der);
        let signatures = owner.says();
        assert!(signatures.len() >= if scenario.ends_with(ALONE) { 1 } else { 5 });
        let (mut key, mut nonces) = (Needles::default(), Needles::default());
        key.number("d", d);
        for (i, signature) in signatures.iter().enumerate() {
            nonces.number(&format!("nonce {i} of {}", signatures.len()), &nonce(curve, d, signature));
        }
        assert_leaves(&mut owner, &key, Some(&nonces));
    }
}

#[test]
fn a_p256_key_and_its_nonces_leave() {
    an_ecdsa_key_leaves(&P256);
}

#[test]
fn a_p384_key_and_its_nonces_leave() {
    an_ecdsa_key_leaves(&P384);
}

/// Keys that lanes serve, and that aws-lc-rs does: another curve, another encoding.
#[test]
fn keys_of_the_provider_leave() {
    let generated = |algorithm| rcgen::KeyPair::generate_for(algorithm).expect("a key").serialize_der();
    let accelerated = generated(&rcgen::PKCS_ECDSA_P256_SHA256);
    let lenient = [&accelerated[..], &[0]].concat();
    for der in [accelerated, lenient, generated(&rcgen::PKCS_ECDSA_P521_SHA512)] {
        // What trails is none of the encoding's.
        let len = der.len() - usize::from(pkcs8::PrivateKeyInfo::try_from(&der[..]).is_err());
        let info = pkcs8::PrivateKeyInfo::try_from(&der[..len]).expect("a key");
        let mut key = Needles::default();
        key.number("d", sec1::EcPrivateKey::try_from(info.private_key).expect("a key").private_key);
        let mut owner = Owner::start(&format!("provider{ALONE}"), &der);
        owner.says();
        assert_leaves(&mut owner, &key, None);
    }
}

/// RFC 8032 §5.1.6.
#[test]
fn an_ed25519_key_and_its_nonces_leave() {
    with_and_without_batches("ed25519").iter().for_each(|scenario| an_ed25519_key_leaves(scenario));
}

fn an_ed25519_key_leaves(scenario: &str) {
    let seed = random(32);
    let mut owner = Owner::start(scenario, &seed);
    owner.says();
    let hash = digest(&SHA512, &seed);
    let (scalar, prefix) = hash.as_ref().split_at(32);
    let mut scalar = scalar.to_vec();
    (scalar[0], scalar[31]) = (scalar[0] & 248, scalar[31] & 63 | 64);
    scalar.reverse();
    let (mut key, mut nonces) = (Needles::default(), Needles::default());
    key.bytes("the seed", &seed);
    key.bytes("the prefix", prefix);
    key.number("the scalar", &scalar);
    let order: BigUint = (BigUint::from(1u8) << 252) + 27742317777372353535851937790883648493u128;
    let wide = digest(&SHA512, &[prefix, MESSAGE].concat());
    let mut r = (BigUint::from_bytes_le(wide.as_ref()) % order).to_bytes_le();
    r.resize(32, 0);
    r.reverse();
    nonces.bytes("the nonce's hash", wide.as_ref());
    nonces.number("the nonce", &r);
    assert_leaves(&mut owner, &key, Some(&nonces));
}

fn agree(algorithm: &'static agreement::Algorithm, secret: &[u8], peer: &[u8]) -> Vec<u8> {
    let key = PrivateKey::from_private_key(algorithm, secret).expect("a key");
    let peer = UnparsedPublicKey::new(algorithm, peer);
    agreement::agree(&key, peer, (), |shared| Ok(shared.to_vec())).expect("a point")
}

#[test]
fn an_x25519_key_and_its_shared_secret_leave() {
    with_and_without_batches("x25519").iter().for_each(|scenario| an_x25519_key_leaves(scenario));
}

fn an_x25519_key_leaves(scenario: &str) {
    let mut secret = random(32);
    let mut owner = Owner::start(scenario, &secret);
    let peer = owner.says().remove(0);
    let (mut key, mut shared) = (Needles::default(), Needles::default());
    let mut result = agree(&X25519, &secret, &peer);
    secret.reverse();
    result.reverse();
    key.number("the key", &secret);
    shared.number("the shared secret", &result);
    assert_leaves(&mut owner, &key, Some(&shared));
}

fn an_ecdh_key_leaves(curve: &Curve, scenario: &str) {
    with_and_without_batches(scenario).iter().for_each(|scenario| an_agreement_leaves(curve, scenario));
}

fn an_agreement_leaves(curve: &Curve, scenario: &str) {
    let secret = random(curve.len);
    let mut owner = Owner::start(scenario, &secret);
    let peer = owner.says().remove(0);
    let (mut key, mut shared) = (Needles::default(), Needles::default());
    key.number("the key", &secret);
    shared.number("the shared secret", &agree(curve.agreement, &secret, &peer));
    assert_leaves(&mut owner, &key, Some(&shared));
}

#[test]
fn a_p256_agreement_leaves() {
    an_ecdh_key_leaves(&P256, "p256-ecdh");
}

#[test]
fn a_p384_agreement_leaves() {
    an_ecdh_key_leaves(&P384, "p384-ecdh");
}

/// Nobody but the child ever has these keys: they are recognized.
fn fresh_keys_leave(scenario: &str, algorithm: &'static agreement::Algorithm) {
    let mut owner = Owner::start(scenario, &[]);
    let public = owner.says();
    let count = public.len();
    assert!(count >= 5);
    let (memory, mut recognizer) = (owner.memory(), Recognizer::new(algorithm, public));
    let found = recognizer.search(&memory);
    // A key in a thousand has a zero too many to look random.
    assert!(found.len() >= count - 2, "the control: {}", shortened(&found));
    for _ in 0..2 {
        owner.go_on();
        owner.says();
        let found = recognizer.search(&memory);
        assert!(found.is_empty(), "{}", shortened(&found));
    }
}

#[test]
fn fresh_x25519_keys_leave() {
    fresh_keys_leave("x25519-keygen", &X25519);
}

#[test]
fn fresh_p256_keys_leave() {
    fresh_keys_leave("p256-keygen", &ECDH_P256);
}

/// What a server's key exchanges agree on leaves when it is dropped; their private keys are gone before.
fn exchanges_leave(scenario: &str, algorithm: &'static agreement::Algorithm) {
    let own = PrivateKey::generate(algorithm).expect("random numbers");
    let own_public = own.compute_public_key().expect("a public key");
    for scenario in with_and_without_batches(scenario) {
        let mut owner = Owner::start(&scenario, own_public.as_ref());
        let public = owner.says();
        assert!(public.len() >= if scenario.ends_with(ALONE) { 1 } else { 5 });
        let mut shared = Needles::default();
        for (i, public) in public.iter().enumerate() {
            let public = UnparsedPublicKey::new(algorithm, public);
            let mut secret =
                agreement::agree(&own, public, (), |secret| Ok(secret.to_vec())).expect("a point");
            if algorithm == &X25519 {
                secret.reverse();
            }
            shared.number(&format!("shared secret {i}"), &secret);
        }
        let found = Recognizer::new(algorithm, public).search(&owner.memory());
        assert!(found.is_empty(), "a private key: {}", shortened(&found));
        assert_leaves(&mut owner, &shared, None);
    }
}

#[test]
fn x25519_exchanges_leave() {
    exchanges_leave("x25519-exchange", &X25519);
}

#[test]
fn p256_exchanges_leave() {
    exchanges_leave("p256-exchange", &ECDH_P256);
}
