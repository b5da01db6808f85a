use super::*;
use crate::arch::Tier;
use crate::fiber::{Fibers, Step, unlocked};
use crate::ops::ecdsa::EcdsaPrivateKey;
use crate::ops::rsa::RsaPrivateKey;
use crate::ops::{Op, Response, Runner};
use crate::provider::answer::{Ask, Reply};
use crate::provider::default_provider;
use rustls::crypto::aws_lc_rs;

fn key(name: &str) -> RsaPrivateKey {
    let path = format!("{}/vendor-test-vectors/rsa-keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    RsaPrivateKey::from_pem(&std::fs::read(path).unwrap()).unwrap()
}

fn listed(scheme: SignatureScheme) -> Algorithm {
    let algorithms = default_provider().signature_verification_algorithms;
    let (_, algorithms) = algorithms.mapping.iter().find(|(s, _)| *s == scheme).unwrap();
    assert_eq!(algorithms.len(), 1);
    algorithms[0]
}

#[test]
fn set_and_order_are_the_stock_providers() {
    let ids = |algorithms: &[Algorithm]| -> Vec<_> {
        algorithms.iter().map(|a| (a.public_key_alg_id(), a.signature_alg_id())).collect()
    };
    let ours = default_provider().signature_verification_algorithms;
    let stock = aws_lc_rs::default_provider().signature_verification_algorithms;
    assert_eq!(ids(ours.all), ids(stock.all));
    assert_eq!(ours.mapping.len(), stock.mapping.len());
    for ((scheme, ours), (stock_scheme, stock)) in ours.mapping.iter().zip(stock.mapping) {
        assert_eq!((scheme, ids(ours)), (stock_scheme, ids(stock)));
    }
}

#[test]
fn every_algorithm_with_lanes_is_ours() {
    let algorithms = default_provider().signature_verification_algorithms;
    let mapped = algorithms.mapping.iter().flat_map(|(_, algorithms)| algorithms.iter());
    let (mut ours, mut others) = (0, 0);
    for algorithm in algorithms.all.iter().chain(mapped) {
        let keys = [alg_id::RSA_ENCRYPTION, alg_id::ECDSA_P256, alg_id::ECDSA_P384, alg_id::ED25519];
        let has_lanes = keys.contains(&algorithm.public_key_alg_id());
        assert_eq!(format!("{algorithm:?}").starts_with("Parking"), has_lanes, "{algorithm:?}");
        *if has_lanes { &mut ours } else { &mut others } += 1;
    }
    // Each algorithm once in `all`; the mapping has six of RSA and some of the curves.
    let of_curves = algorithms.mapping.iter().flat_map(|(_, a)| a.iter());
    let of_curves = of_curves.filter(|a| a.public_key_alg_id() != alg_id::RSA_ENCRYPTION);
    let of_curves = of_curves.filter(|a| format!("{a:?}").starts_with("Parking")).count();
    assert_eq!(ours, PARKING.len() + 6 + of_curves);
    assert!(of_curves >= 7 && others > 3, "{of_curves} {others}");
}

#[test]
fn ecdsa_parks_on_a_fiber_and_returns_the_verdict() {
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let mut runner = Runner::new(Tier::portable());
    for (rcgen, scheme, op) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256, Op::P256Verify),
        (&rcgen::PKCS_ECDSA_P384_SHA384, SignatureScheme::ECDSA_NISTP384_SHA384, Op::P384Verify),
    ] {
        for message in [b"message", b"massage"] {
            let der = rcgen::KeyPair::generate_for(rcgen).unwrap().serialize_der();
            let key = EcdsaPrivateKey::from_pkcs8_der(&der).unwrap();
            let signature = key.sign(b"message").unwrap();
            let verify = move || {
                let algorithms = default_provider().signature_verification_algorithms.mapping;
                let (_, algorithms) = algorithms.iter().find(|(s, _)| *s == scheme).unwrap();
                unlocked(|| algorithms[0].verify_signature(key.public_key(), message, &signature).is_ok())
            };
            assert_eq!(verify(), message == b"message", "off a fiber");
            let Step::Parked(fiber, Ask::InBatch(request)) = fibers.start(verify).unwrap() else {
                panic!("must park")
            };
            assert_eq!(request.op(), op);
            let mut results = Vec::new();
            runner.run(&[&request], &mut results);
            let Step::Done(valid) = fiber.resume(Reply::Answer(results.remove(0))) else {
                panic!("must return")
            };
            assert_eq!(valid, message == b"message");
        }
    }
    assert_eq!(runner.counters().in_lanes, 4);
}

/// Off a fiber at once, on a fiber in a batch: good and bad signatures, and what no lane takes.
#[test]
fn ed25519_is_verified_on_and_off_a_fiber() {
    let key = ed25519::PrivateKey::from_bytes(&[25; 32]).unwrap();
    let signature = key.sign(b"message").unwrap();
    let verify = move |message: &[u8], len: usize| {
        let algorithm = listed(SignatureScheme::ED25519);
        unlocked(|| algorithm.verify_signature(key.public_key(), message, &signature[..len]).is_ok())
    };
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let mut runner = Runner::new(Tier::portable());
    for (message, valid) in [(b"message", true), (b"massage", false)] {
        assert_eq!(verify(message, 64), valid);
        let verify = verify.clone();
        let Step::Parked(fiber, Ask::InBatch(request)) = fibers.start(move || verify(message, 64)).unwrap()
        else {
            panic!("must park")
        };
        assert_eq!(request.op(), Op::Ed25519Verify);
        let mut results = Vec::new();
        runner.run(&[&request], &mut results);
        let Step::Done(verdict) = fiber.resume(Reply::Answer(results.remove(0))) else {
            panic!("must return")
        };
        assert_eq!(verdict, valid);
    }
    assert_eq!(runner.counters().in_lanes, 2);
    assert!(matches!(fibers.start(move || verify(b"message", 63)).unwrap(), Step::Done(false)));
}

const SCHEMES: [(SignatureScheme, Padding); 6] = [
    (SignatureScheme::RSA_PSS_SHA512, Padding::PssSha512),
    (SignatureScheme::RSA_PSS_SHA384, Padding::PssSha384),
    (SignatureScheme::RSA_PSS_SHA256, Padding::PssSha256),
    (SignatureScheme::RSA_PKCS1_SHA512, Padding::Pkcs1Sha512),
    (SignatureScheme::RSA_PKCS1_SHA384, Padding::Pkcs1Sha384),
    (SignatureScheme::RSA_PKCS1_SHA256, Padding::Pkcs1Sha256),
];

#[test]
fn verifies_every_scheme_off_a_fiber() {
    for name in ["rsa2048.pkcs8", "rsa2049.pkcs1", "rsa8192.pkcs1"] {
        let key = key(name);
        for (scheme, padding) in SCHEMES {
            let signature = key.sign(padding, b"message").unwrap();
            let verify =
                |message: &[u8]| listed(scheme).verify_signature(key.public_key_der(), message, &signature);
            assert!(verify(b"message").is_ok() && verify(b"massage").is_err(), "{name}, {scheme:?}");
        }
    }
}

#[test]
fn parks_on_a_fiber_and_returns_the_verdict() {
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let mut runner = Runner::new(Tier::portable());
    for (scheme, padding) in SCHEMES {
        for message in [b"message", b"massage"] {
            let key = key("rsa2048.pkcs8");
            let signature = key.sign(padding, b"message").unwrap();
            let verify = move || {
                let verify = || listed(scheme).verify_signature(key.public_key_der(), message, &signature);
                unlocked(verify).is_ok()
            };
            let Step::Parked(fiber, Ask::InBatch(request)) = fibers.start(verify).unwrap() else {
                panic!("must park")
            };
            assert_eq!(request.op(), Op::RsaVerify2048);
            let mut results = Vec::new();
            runner.run(&[&request], &mut results);
            let Step::Done(valid) = fiber.resume(Reply::Answer(results.remove(0))) else {
                panic!("must return")
            };
            assert_eq!(valid, message == b"message");
        }
    }
    assert_eq!(runner.counters().in_lanes, 12);
}

/// What happens to the batch is not the peer's fault: the verdict then comes from aws-lc-rs.
#[test]
fn no_verdict_is_not_a_bad_signature() {
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let key = key("rsa2048.pkcs8");
    let signature = key.sign(Padding::PssSha256, b"message").unwrap();
    let verify = |message: &'static [u8]| {
        let (key, signature) = (key.clone(), signature.clone());
        move || {
            let algorithm = listed(SignatureScheme::RSA_PSS_SHA256);
            unlocked(|| algorithm.verify_signature(key.public_key_der(), message, &signature).is_ok())
        }
    };
    for (answer, message, valid) in [
        (Error::QueueFull, &b"message"[..], true),
        (Error::Panicked, b"message", true),
        (Error::Panicked, b"massage", false),
        (Error::InvalidSignature, b"message", false),
        (Error::Cancelled, b"message", true),
    ] {
        let Step::Parked(fiber, _) = fibers.start(verify(message)).unwrap() else { panic!("must park") };
        let Step::Done(verdict) = fiber.resume(Reply::Answer(Err(answer.clone()))) else {
            panic!("must return")
        };
        assert_eq!(verdict, valid, "{answer:?}");
    }
    let (tell, told) = std::sync::mpsc::channel();
    for (message, valid) in [(b"message", true), (b"massage", false)] {
        let (tell, verify) = (tell.clone(), verify(message));
        drop(fibers.start(move || tell.send(verify()).unwrap()).unwrap());
        assert_eq!(told.recv().unwrap(), valid, "cancelled");
    }
    assert_eq!(fibers.counts().live(), 0);
}

/// Whoever calls rustls' verifier may hold a lock, unless it says otherwise. What one fiber says is nothing
/// to another.
#[test]
fn waits_for_a_batch_only_where_nothing_is_locked() {
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let key = key("rsa2048.pkcs8");
    let signature = key.sign(Padding::PssSha256, b"message").unwrap();
    let verify = move || {
        let algorithm = listed(SignatureScheme::RSA_PSS_SHA256);
        algorithm.verify_signature(key.public_key_der(), b"message", &signature).is_ok()
    };
    let (first, second, third) = (verify.clone(), verify.clone(), verify);
    let Step::Parked(says, Ask::InBatch(_)) = fibers.start(move || unlocked(|| first() && third())).unwrap()
    else {
        panic!("must wait for a batch")
    };
    let Step::Parked(says_not, Ask::AtOnce(_)) =
        fibers.start(move || unlocked(|| false) || second()).unwrap()
    else {
        panic!("must not wait for a batch")
    };
    assert!(matches!(says_not.resume(Reply::Answer(Ok(Response::Verified))), Step::Done(true)));
    let Step::Parked(says, Ask::InBatch(_)) = says.resume(Reply::Answer(Ok(Response::Verified))) else {
        panic!("still says so")
    };
    assert!(matches!(says.resume(Reply::Answer(Ok(Response::Verified))), Step::Done(true)));
}

#[test]
fn keys_without_lanes_do_not_park() {
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let key = key("rsa8192.pkcs1");
    let signature = key.sign(Padding::PssSha256, b"message").unwrap();
    let verify = move || {
        let algorithm = listed(SignatureScheme::RSA_PSS_SHA256);
        algorithm.verify_signature(key.public_key_der(), b"message", &signature).is_ok()
    };
    assert!(matches!(fibers.start(verify).unwrap(), Step::Done(true)));
}
