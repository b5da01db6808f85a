//! The bodies of the fuzz targets with bounded, reproducible inputs: mutations of good ones, and random ones.
//! `FUZZ_ROUNDS` sets how many, by default 300; each body also meets a planted defect, which it has to catch.

mod fuzz_bodies;
#[path = "support/random.rs"]
mod random;

use fuzz_bodies::{imports, operations, queue, signatures, svids};
use random::Random;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose, SanType};
use rustls_multibuffer::Error;
use rustls_multibuffer::internals::ops::rsa::{Padding, RsaPrivateKey};
use rustls_multibuffer::internals::ops::{Response, ecdsa, ed25519};
use std::panic::catch_unwind;

impl Random {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.word() as u8).collect()
    }

    /// A few changes to bytes: other bits, other values, pieces left out or doubled.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(3) {
            let at = self.below(bytes.len().max(1));
            match self.below(5) {
                _ if bytes.is_empty() => bytes.push(self.word() as u8),
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.word() as u8),
                _ => _ = bytes.remove(at),
            }
        }
    }
}

fn rounds() -> u64 {
    std::env::var("FUZZ_ROUNDS").map_or(300, |rounds| rounds.parse().expect("FUZZ_ROUNDS is a number"))
}

fn vendored(name: &str) -> Vec<u8> {
    let path = format!("{}/vendor-test-vectors/rsa-keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("the key's file")
}

fn pem_contents(text: &[u8]) -> Vec<u8> {
    // What is before the last section are parameters of a curve.
    let text = std::str::from_utf8(text).expect("text");
    let begin = text.rfind("-----BEGIN").expect("a section");
    pkcs8::der::pem::decode_vec(&text.as_bytes()[begin..]).expect("PEM").1
}

#[test]
fn key_imports() {
    let names = ["rsa2048.pkcs1", "rsa2048.pkcs8", "p256.pkcs8", "p256.sec1", "rsa2048-multiprime.pkcs1"];
    let mut seeds: Vec<_> = names.iter().map(|name| pem_contents(&vendored(name))).collect();
    seeds.push(vendored("rsa2048.pkcs8"));
    let ed25519 = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[7; 32]];
    seeds.push(ed25519.concat());
    let accepted: Vec<_> = seeds.iter().map(|seed| imports::run(seed)).collect();
    // A key with three primes is refused.
    assert_eq!(accepted, [1, 1, 1, 1, 0, 1, 1]);
    let mut random = Random(1);
    let mut accepted = 0;
    for round in 0..rounds() {
        let mut bytes = seeds[round as usize % seeds.len()].clone();
        random.mutate(&mut bytes);
        accepted += imports::run(&bytes);
    }
    assert!(accepted < rounds() as usize, "mutated keys are refused");
}

/// Inputs of [`signatures::run`] with good signatures, of each kind.
fn good_signatures() -> Vec<Vec<u8>> {
    let input = |kind: u8, key: &[u8], signature: &[u8]| {
        [&[kind][..], &(key.len() as u16).to_be_bytes(), key, signature].concat()
    };
    let message = signatures::MESSAGE;
    let p256 = ecdsa::EcdsaPrivateKey::from_pkcs8_der(&pem_contents(&vendored("p256.pkcs8"))).unwrap();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_der();
    let p384 = ecdsa::EcdsaPrivateKey::from_pkcs8_der(&p384).unwrap();
    let edwards = ed25519::PrivateKey::from_bytes(&[7; 32]).unwrap();
    let rsa = RsaPrivateKey::from_pem(&vendored("rsa2048.pkcs8")).unwrap();
    let [pss, pkcs1] =
        [Padding::PssSha256, Padding::Pkcs1Sha256].map(|padding| rsa.sign(padding, message).unwrap());
    vec![
        input(0, p256.public_key(), &p256.sign(message).unwrap()),
        input(1, p384.public_key(), &p384.sign(message).unwrap()),
        input(2, edwards.public_key(), &edwards.sign(message).unwrap()),
        input(3, rsa.public_key_der(), &pss),
        input(4, rsa.public_key_der(), &pkcs1),
    ]
}

#[test]
fn signatures_and_public_keys() {
    let seeds = good_signatures();
    for seed in &seeds {
        assert_eq!(signatures::run(seed), Some(Ok(())));
    }
    let (mut random, mut verdicts) = (Random(2), Vec::new());
    for round in 0..rounds() {
        let mut bytes = seeds[round as usize % seeds.len()].clone();
        let kind = bytes[0];
        random.mutate(&mut bytes);
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        verdicts.extend(signatures::run(&bytes));
    }
    let refused = verdicts.iter().filter(|verdict| **verdict == Err(Error::InvalidSignature)).count();
    assert!(refused > verdicts.len() / 2, "{refused} of {} were refused", verdicts.len());
}

#[test]
fn svids_that_an_identity_accepts() {
    assert!(svids::run(&[]), "the leaf as it is");
    let mut accepted = 0;
    for seed in 0..rounds() {
        let mut random = Random(seed);
        let edits = 1 + random.below(3);
        accepted += u64::from(svids::run(&random.bytes(4 * edits)));
    }
    // Some edits change what no rule is about: the serial number, the subject.
    assert!(0 < accepted && accepted < rounds(), "{accepted} of {} were accepted", rounds());
}

#[test]
fn queue_states() {
    for seed in 0..10 * rounds() {
        let mut random = Random(seed);
        let len = 30 + random.below(400);
        queue::run(&random.bytes(len));
    }
}

#[test]
fn every_operation() {
    for seed in 0..rounds() / 3 {
        let mut bytes = Random(seed).bytes(600);
        bytes[0] = seed as u8;
        operations::run(&bytes);
    }
}

#[test]
fn svids_that_should_have_been_refused_are_noticed() {
    let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
    let noticed = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri("spiffe://home.test/workload")];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let leaf = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        catch_unwind(|| svids::check(leaf.der())).is_err()
    };
    assert!(!noticed(&|_| {}));
    assert!(noticed(&|leaf| leaf.not_after = rcgen::date_time_ymd(2020, 1, 1)));
    assert!(noticed(&|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)));
    assert!(noticed(&|leaf| leaf.key_usages.clear()));
    assert!(noticed(&|leaf| leaf.key_usages.push(KeyUsagePurpose::KeyCertSign)));
    assert!(noticed(&|leaf| leaf.subject_alt_names.clear()));
    assert!(noticed(&|leaf| leaf.subject_alt_names.push(uri("https://home.test"))));
    for id in [
        "https://home.test/workload",
        "spiffe://home.test/",
        "spiffe://away.test/a",
        "spiffe://home.test/a/../b",
    ] {
        assert!(noticed(&|leaf| leaf.subject_alt_names = vec![uri(id)]), "{id}");
    }
}

#[test]
fn a_queue_that_loses_or_swaps_requests_is_caught() {
    let caught = |tamper: fn(
        &mut rustls_multibuffer::internals::batch::Batch<u32, (rustls_multibuffer::internals::ops::Op, u32)>,
    )| {
        (0..50).any(|seed| {
            let bytes = Random(seed).bytes(400);
            catch_unwind(move || queue::run_with(&bytes, tamper)).is_err()
        })
    };
    assert!(!caught(|_| {}));
    assert!(caught(|batch| _ = batch.entries.pop()));
    assert!(caught(|batch| batch.entries.reverse()));
}

#[test]
fn a_wrong_bit_in_any_result_is_caught() {
    for kind in [0, 1, 8, 9, 10] {
        let mut bytes = Random(77).bytes(600);
        bytes[0] = kind;
        let wrong = catch_unwind(move || {
            operations::run_with(&bytes, |results| {
                let Some(Ok(Response::Signature(signature))) = results.last_mut() else {
                    panic!("no signature")
                };
                *signature.last_mut().expect("not empty") ^= 1;
            });
        });
        let message = wrong.expect_err("a wrong signature");
        let message = message.downcast_ref::<String>().expect("a message with values");
        assert!(!message.contains("no signature"), "{message}");
    }
    for kind in [2, 3, 6, 11, 12, 13] {
        let mut bytes = Random(78).bytes(600);
        bytes[0] = kind;
        let swapped = catch_unwind(move || {
            operations::run_with(&bytes, |results| results[0] = Err(Error::PeerKey));
        });
        assert!(swapped.is_err(), "kind {kind}");
    }
}
