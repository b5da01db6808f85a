use super::answer::{Ask, Reply};
use super::sign::{any_ecdsa_type, any_eddsa_type, any_supported_type};
use super::*;
use crate::arch::Tier;
use crate::fiber::{Fibers, Step};
use crate::ops::ecdsa::EcdsaPrivateKey;
use crate::ops::{Op, Request, Runner};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::crypto::CompletedKeyExchange;
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, OtherError, PeerMisbehaved, SignatureScheme};
use std::sync::LazyLock;

static RSA: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());

const RSA_SCHEMES: [SignatureScheme; 6] = [
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
];

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// Checks a signature with the algorithms that rustls verifies peers with.
#[track_caller]
fn assert_verifies(key: &KeyPair, scheme: SignatureScheme, message: &[u8], signature: &[u8]) {
    let provider = default_provider();
    let (_, algorithms) =
        provider.signature_verification_algorithms.mapping.iter().find(|(s, _)| *s == scheme).unwrap();
    let verifies =
        algorithms.iter().any(|a| a.verify_signature(key.public_key_raw(), message, signature).is_ok());
    assert!(verifies, "{scheme:?}");
}

#[test]
fn signs_every_scheme_off_a_fiber() {
    let key = any_supported_type(&der(&RSA)).unwrap();
    for scheme in RSA_SCHEMES {
        let signer = key.choose_scheme(&[SignatureScheme::ED25519, scheme]).unwrap();
        assert_eq!(signer.scheme(), scheme);
        assert_verifies(&RSA, scheme, b"message", &signer.sign(b"message").unwrap());
    }
    assert!(key.choose_scheme(&[SignatureScheme::ED25519]).is_none());
}

#[test]
fn chooses_like_the_stock_provider() {
    let (ours, stock) =
        (any_supported_type(&der(&RSA)).unwrap(), aws_lc_rs::sign::any_supported_type(&der(&RSA)).unwrap());
    // Every subset of the schemes.
    for subset in 0..1_u32 << RSA_SCHEMES.len() {
        let bits = RSA_SCHEMES.iter().enumerate();
        let offered: Vec<_> = bits.filter(|(i, _)| subset >> i & 1 == 1).map(|(_, s)| *s).collect();
        let chosen = [&ours, &stock].map(|key| key.choose_scheme(&offered).map(|signer| signer.scheme()));
        assert_eq!(chosen[0], chosen[1], "{offered:?}");
    }
    assert_eq!(ours.public_key(), stock.public_key());
    assert_eq!(ours.algorithm(), stock.algorithm());
}

#[test]
fn parks_on_a_fiber_and_returns_the_batch_result() {
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let key = any_supported_type(&der(&RSA)).unwrap();
    let sign = move || key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).unwrap().sign(b"message");
    let Step::Parked(fiber, Ask::InBatch(request)) = fibers.start(sign.clone()).unwrap() else {
        panic!("must park")
    };
    assert_eq!(request.op(), Op::RsaSign2048);
    let mut results = Vec::new();
    Runner::new(Tier::Scalar).run(&[&request], &mut results);
    let Step::Done(Ok(signature)) = fiber.resume(Reply::Answer(results.remove(0))) else {
        panic!("must sign")
    };
    assert_verifies(&RSA, SignatureScheme::RSA_PSS_SHA256, b"message", &signature);

    let Step::Parked(fiber, _) = fibers.start(sign).unwrap() else { panic!("must park") };
    let Step::Done(Err(rustls::Error::Other(OtherError(e)))) =
        fiber.resume(Reply::Answer(Err(Error::FaultDetected)))
    else {
        panic!("must fail")
    };
    assert_eq!(e.downcast_ref(), Some(&Error::FaultDetected));
}

/// Of a fiber that makes a server's whole key exchange: what it asks for, one after the other.
fn exchange(group: &'static dyn SupportedKxGroup, share: Vec<u8>) -> (Vec<Request>, Exchange) {
    let (mut runner, mut asked) = (Runner::new(Tier::portable()), Vec::new());
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let mut step = fibers.start(move || group.start_and_complete(&share)).unwrap();
    loop {
        step = match step {
            Step::Parked(fiber, Ask::InBatch(request)) => {
                let mut results = Vec::new();
                runner.run(&[&request], &mut results);
                asked.push(request);
                fiber.resume(Reply::Answer(results.remove(0)))
            }
            Step::Done(done) => return (asked, done),
            _ => panic!("a key exchange waits for batches"),
        }
    }
}

type Exchange = Result<CompletedKeyExchange, rustls::Error>;

#[test]
fn a_servers_key_exchange_parks_once() {
    for stock in [X25519, SECP256R1, SECP384R1, X25519MLKEM768] {
        let peer = stock.start().unwrap();
        let (asked, done) = exchange(kx_group::in_lanes(stock), peer.pub_key().to_vec());
        assert!(matches!(asked[..], [Request::Exchange(_)]), "{asked:?}");
        let ours = done.unwrap();
        assert_eq!(ours.group, stock.name());
        let theirs = peer.complete(&ours.pub_key).unwrap();
        assert_eq!(ours.secret.secret_bytes(), theirs.secret_bytes());
    }
}

/// What is seen to be no share costs no batch; the small order of a point shows in the result.
#[test]
fn a_servers_key_exchange_refuses_what_rustls_refuses() {
    for stock in [X25519, SECP256R1, SECP384R1, X25519MLKEM768] {
        let share = stock.start().unwrap().pub_key().to_vec();
        let longer = [&share[..], &[0]].concat();
        let (mut off, mut zero) = (share.clone(), share.clone());
        *off.last_mut().unwrap() ^= 1;
        let point = share.len() - 32;
        zero[point..].fill(0);
        let has_x25519 = [X25519, X25519MLKEM768].iter().any(|group| group.name() == stock.name());
        let last = if has_x25519 { (&zero[..], 1) } else { (&off[..], 0) };
        for (bad, parks) in [(&share[1..], 0), (&longer, 0), (&[], 0), last] {
            let (asked, done) = exchange(kx_group::in_lanes(stock), bad.to_vec());
            let refused = [done, stock.start_and_complete(bad)].map(Result::err);
            assert_eq!(
                refused,
                [const { Some(PeerMisbehaved::InvalidKeyShare) }; 2].map(|e| e.map(Into::into))
            );
            assert_eq!(asked.len(), parks, "{:?}", stock.name());
        }
    }
}

#[test]
fn what_the_engine_does_not_do_is_done_at_once() {
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    for stock in [X25519, SECP256R1, SECP384R1, X25519MLKEM768] {
        let group = kx_group::in_lanes(stock);
        let ask = move || {
            let peer = stock.start().unwrap();
            let ours = group.start_and_complete(peer.pub_key()).unwrap();
            let theirs = peer.complete(&ours.pub_key).unwrap();
            assert_eq!(ours.secret.secret_bytes(), theirs.secret_bytes());
        };
        for reason in [Error::QueueFull, Error::Cancelled] {
            let mut step = fibers.start(ask).unwrap();
            while let Step::Parked(fiber, _) = step {
                step = fiber.resume(Reply::Answer(Err(reason.clone())));
            }
            assert!(matches!(step, Step::Done(())), "{step:?}");
        }
    }
    let key = any_supported_type(&der(&RSA)).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let step = fibers.start(move || {
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).unwrap();
        tell.send(signer.sign(b"message").unwrap()).unwrap();
    });
    // Its handshake is given up.
    drop(step.unwrap());
    assert_verifies(&RSA, SignatureScheme::RSA_PSS_SHA256, b"message", &told.recv().unwrap());
    assert_eq!(fibers.counts().live(), 0);
}

#[test]
fn other_keys_are_the_stock_providers() {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let signer = any_supported_type(&der(&pair)).unwrap().choose_scheme(&[SignatureScheme::ED25519]).unwrap();
    assert_verifies(&pair, SignatureScheme::ED25519, b"message", &signer.sign(b"message").unwrap());
}

#[test]
fn ecdsa_keys_sign_off_a_fiber_and_park_on_one() {
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    for (algorithm, scheme, op) in [
        (&PKCS_ECDSA_P256_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256, Op::P256Sign),
        (&PKCS_ECDSA_P384_SHA384, SignatureScheme::ECDSA_NISTP384_SHA384, Op::P384Sign),
    ] {
        let pair = KeyPair::generate_for(algorithm).unwrap();
        let (ours, stock) =
            (any_supported_type(&der(&pair)).unwrap(), aws_lc_rs::sign::any_supported_type(&der(&pair)));
        assert_eq!(ours.public_key(), stock.as_ref().unwrap().public_key());
        assert_eq!(ours.algorithm(), stock.unwrap().algorithm());
        assert!(ours.choose_scheme(&[SignatureScheme::ED25519]).is_none());
        let sign = move || {
            let signer = ours.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256, scheme]).unwrap();
            assert_eq!(signer.scheme(), scheme);
            signer.sign(b"message")
        };
        assert_verifies(&pair, scheme, b"message", &sign().unwrap());
        let Step::Parked(fiber, Ask::InBatch(request)) = fibers.start(sign).unwrap() else {
            panic!("must park")
        };
        assert_eq!(request.op(), op);
        let mut results = Vec::new();
        Runner::new(Tier::portable()).run(&[&request], &mut results);
        let Step::Done(Ok(signature)) = fiber.resume(Reply::Answer(results.remove(0))) else {
            panic!("must sign")
        };
        assert_verifies(&pair, scheme, b"message", &signature);
    }
}

/// Off a fiber at once, on a fiber in a batch; errors of the batch are the signer's.
#[test]
fn ed25519_keys_sign_like_the_stock_providers() {
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let key = any_supported_type(&der(&pair)).unwrap();
    let stock = aws_lc_rs::sign::any_supported_type(&der(&pair)).unwrap();
    assert!(format!("{key:?}").starts_with("Ed25519("), "in lanes");
    assert_eq!(key.public_key(), stock.public_key());
    assert_eq!(key.algorithm(), stock.algorithm());
    assert!(key.choose_scheme(&RSA_SCHEMES).is_none());
    let sign = |key: &Arc<dyn SigningKey>| {
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ED25519]).unwrap();
        assert_eq!(signer.scheme(), SignatureScheme::ED25519);
        signer.sign(b"message")
    };
    let expected = sign(&stock).unwrap();
    assert_eq!(sign(&key).unwrap(), expected);
    let fibers = Fibers::<Ask, Reply>::new(128 * 1024);
    let mut runner = Runner::new(Tier::portable());
    let on_fiber = move || sign(&key);
    let Step::Parked(fiber, Ask::InBatch(request)) = fibers.start(on_fiber.clone()).unwrap() else {
        panic!("must park")
    };
    assert_eq!(request.op(), Op::Ed25519Sign);
    let mut results = Vec::new();
    runner.run(&[&request], &mut results);
    let Step::Done(signature) = fiber.resume(Reply::Answer(results.remove(0))) else { panic!("must sign") };
    assert_eq!(signature.unwrap(), expected);
    assert_eq!(runner.counters().in_lanes, 1);
    let Step::Parked(fiber, _) = fibers.start(on_fiber).unwrap() else { panic!("must park") };
    let Step::Done(refused) = fiber.resume(Reply::Answer(Err(Error::FaultDetected))) else {
        panic!("must return")
    };
    assert!(matches!(refused, Err(rustls::Error::Other(_))));
}

#[test]
fn certificates_and_keys_are_matched() {
    let cert = |key: &KeyPair| {
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        vec![params.self_signed(key).unwrap().der().clone()]
    };
    let provider = default_provider();
    let good = CertifiedKey::from_der(cert(&RSA), der(&RSA), &provider).unwrap();
    assert_eq!(good.keys_match(), Ok(()));
    let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mismatch = CertifiedKey::from_der(cert(&other), der(&RSA), &provider).unwrap_err();
    assert_eq!(mismatch, InconsistentKeys::KeyMismatch.into());
}

#[test]
fn malformed_keys_are_refused() {
    let mut cut = RSA.serialize_der();
    cut.truncate(cut.len() / 2);
    for bytes in [vec![], vec![0x30, 0x00], cut] {
        assert_eq!(refusal(PrivatePkcs8KeyDer::from(bytes).into()), KeyError::Encoding);
    }
}

/// Our reason in what a refused key gives.
#[track_caller]
fn refusal(der: PrivateKeyDer<'_>) -> KeyError {
    match any_supported_type(&der) {
        Err(rustls::Error::Other(OtherError(e))) => match e.downcast_ref() {
            Some(Error::Key(e)) => *e,
            _ => panic!("{e}"),
        },
        other => panic!("{other:?}"),
    }
}

fn vector(name: &str) -> PrivateKeyDer<'static> {
    let path = format!("{}/vendor-test-vectors/rsa-keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    PrivateKeyDer::from_pem_file(path).unwrap()
}

#[test]
fn pkcs1_and_pkcs8_give_the_same_key() {
    let [pkcs1, pkcs8] =
        ["rsa2048.pkcs1", "rsa2048.pkcs8"].map(|name| any_supported_type(&vector(name)).unwrap());
    assert_eq!(pkcs1.public_key(), pkcs8.public_key());
    assert!(format!("{pkcs1:?}").starts_with("Rsa("), "in lanes");
}

#[test]
fn what_lanes_do_not_serve_is_aws_lc_rs_or_a_clear_refusal() {
    for name in ["rsa2048-unbalanced.pkcs1", "rsa2049.pkcs1", "rsa8192.pkcs1", "p256.sec1", "p256.pkcs8"] {
        let (ours, stock) =
            (any_supported_type(&vector(name)), aws_lc_rs::sign::any_supported_type(&vector(name)));
        assert_eq!(ours.unwrap().public_key(), stock.unwrap().public_key(), "{name}");
    }
    assert_eq!(refusal(vector("rsa2048-multiprime.pkcs1")), KeyError::MultiPrime);
}

/// Whether the key is left to aws-lc-rs.
fn is_unaccelerated(key: &Arc<dyn SigningKey>) -> bool {
    format!("{key:?}").starts_with("Key(")
}

fn field(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    match len {
        0..128 => [&[tag, len as u8], body].concat(),
        128..256 => [&[tag, 0x81, len as u8], body].concat(),
        _ => [&[tag, 0x82, (len >> 8) as u8, len as u8], body].concat(),
    }
}

/// A P-256 key with these bytes as its scalar, as SEC 1 and in PKCS#8, without a public key.
fn p256_of(scalar: &[u8]) -> [PrivateKeyDer<'static>; 2] {
    let curve = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let sec1 = |more: &[u8]| field(0x30, &[&[2, 1, 1][..], &field(4, scalar), more].concat());
    let algorithm = field(0x30, &[&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1][..], &curve].concat());
    let pkcs8 = field(0x30, &[&[2, 1, 0][..], &algorithm, &field(4, &sec1(&[]))].concat());
    [PrivateKeyDer::Sec1(sec1(&field(0xa0, &curve)).into()), PrivateKeyDer::Pkcs8(pkcs8.into())]
}

#[test]
fn keys_in_a_form_of_their_own_are_left_to_aws_lc_rs() {
    let mut stripped = [0x5a; 32];
    stripped[0] = 0;
    let longer = [&[0][..], &stripped].concat();
    for scalar in [&stripped[1..], &longer] {
        for der in p256_of(scalar) {
            let key = any_supported_type(&der).unwrap();
            assert!(is_unaccelerated(&key), "{} bytes", scalar.len());
            assert_eq!(check_lanes(&der), Err(KeyError::PrivateScalar));
            let before = unaccelerated_signatures();
            let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
            let signature = signer.sign(b"message").unwrap();
            assert!(unaccelerated_signatures() > before);
            let [sec1, _] = p256_of(&stripped);
            let same = EcdsaPrivateKey::from_sec1_der(sec1.secret_der()).unwrap();
            let (curve, public) = (same.curve(), same.public_key());
            crate::ops::ecdsa::verify(curve, curve.hash(), public, b"message", &signature).unwrap();
        }
    }
    for der in [der(&RSA), der(&KeyPair::generate_for(&PKCS_ED25519).unwrap())] {
        let trailing = [der.secret_der(), &[0]].concat();
        let trailing = PrivateKeyDer::Pkcs8(trailing.into());
        assert_eq!(
            any_supported_type(&trailing).is_ok(),
            aws_lc_rs::sign::any_supported_type(&trailing).is_ok()
        );
    }
}

/// Whatever rustls' own provider takes is taken, and is the same key.
#[test]
fn every_key_of_the_stock_provider_is_taken() {
    let generated = |algorithm| KeyPair::generate_for(algorithm).unwrap().serialize_der();
    let names = ["rsa2048.pkcs1", "rsa2048.pkcs8", "p256.sec1", "p256.pkcs8", "rsa2048-multiprime.pkcs1"];
    let mut seeds: Vec<_> = names.map(|name| vector(name).secret_der().to_vec()).into();
    seeds.extend([&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519].map(generated));
    seeds.extend(p256_of(&[0x5a; 32]).map(|der| der.secret_der().to_vec()));
    let mut random = crate::arch::testing::Random(5958);
    let (mut taken, mut left) = (0, 0);
    for round in 0..400 * seeds.len() {
        let mut bytes = seeds[round % seeds.len()].clone();
        mutate(&mut random, &mut bytes);
        for der in [
            PrivateKeyDer::Pkcs8(bytes.clone().into()),
            PrivateKeyDer::Pkcs1(bytes.clone().into()),
            PrivateKeyDer::Sec1(bytes.clone().into()),
        ] {
            let Ok(stock) = aws_lc_rs::sign::any_supported_type(&der) else { continue };
            let ours = any_supported_type(&der).unwrap_or_else(|e| panic!("{e}: {:02x?}", der.secret_der()));
            assert_eq!(ours.public_key(), stock.public_key(), "{:02x?}", der.secret_der());
            taken += 1;
            left += usize::from(is_unaccelerated(&ours));
        }
    }
    assert!(left > 20 && taken > left + 20, "{left} of {taken}");
}

/// A few changes, of which many leave a key that some reader takes: near the ends, where the encoding's own
/// bytes are.
fn mutate(random: &mut crate::arch::testing::Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.word() % 3 {
        let near = random.word() as usize % bytes.len().min(48);
        let at = if random.word().is_multiple_of(2) { near } else { bytes.len() - 1 - near };
        match random.word() % 6 {
            0 => bytes[at] ^= 1 << (random.word() % 8),
            1 => bytes[at] = random.word() as u8,
            2 => bytes.insert(at, [0, 1, 0x80, 0xff][random.word() as usize % 4]),
            3 => _ = bytes.remove(at),
            4 => bytes.push(random.word() as u8),
            _ => bytes.truncate(bytes.len() - 1 - near % 3),
        }
    }
}

/// A program that selects its provider by `use`.
macro_rules! program {
    ($name:ident, $provider:path) => {
        mod $name {
            use provider::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
            use provider::kx_group::{MLKEM768, MLKEM1024, SECP256R1, SECP256R1MLKEM768, SECP384R1};
            use provider::kx_group::{X25519, X25519MLKEM768};
            use provider::{Ticketer, default_provider, hpke};
            use rustls::SupportedCipherSuite;
            use rustls::crypto::hpke::Hpke;
            use rustls::crypto::{CryptoProvider, SupportedKxGroup};
            use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
            use rustls::server::ProducesTickets;
            use rustls::sign::SigningKey;
            use std::sync::Arc;
            use $provider as provider;

            pub(super) static SUITES: &[SupportedCipherSuite] =
                &[TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256];
            pub(super) static GROUPS: &[&dyn SupportedKxGroup] =
                &[X25519, SECP256R1, SECP384R1, X25519MLKEM768, SECP256R1MLKEM768, MLKEM768, MLKEM1024];

            pub(super) fn provider() -> CryptoProvider {
                CryptoProvider {
                    cipher_suites: SUITES.to_vec(),
                    kx_groups: GROUPS.to_vec(),
                    ..default_provider()
                }
            }

            pub(super) fn lists() -> [Vec<&'static dyn SupportedKxGroup>; 2] {
                [provider::DEFAULT_KX_GROUPS.to_vec(), provider::ALL_KX_GROUPS.to_vec()]
            }

            pub(super) fn suites() -> [&'static [SupportedCipherSuite]; 2] {
                [provider::DEFAULT_CIPHER_SUITES, provider::ALL_CIPHER_SUITES]
            }

            pub(super) fn keys(
                der: &PrivateKeyDer<'static>,
                pkcs8: &PrivatePkcs8KeyDer<'static>,
            ) -> [Result<Arc<dyn SigningKey>, rustls::Error>; 3] {
                let any = provider::sign::any_supported_type(der);
                [any, provider::sign::any_ecdsa_type(der), provider::sign::any_eddsa_type(pkcs8)]
            }

            pub(super) fn ticketer() -> Arc<dyn ProducesTickets> {
                Ticketer::new().unwrap()
            }

            pub(super) fn hpke_suites() -> &'static [&'static dyn Hpke] {
                hpke::ALL_SUPPORTED_SUITES
            }
        }
    };
}

program!(with_ours, crate::provider);
program!(with_rustls_own, rustls::crypto::aws_lc_rs);

#[test]
fn names_are_those_of_rustls_own_module() {
    let names = |groups: &[&dyn SupportedKxGroup]| groups.iter().map(|g| g.name()).collect::<Vec<_>>();
    assert_eq!(with_ours::SUITES, with_rustls_own::SUITES);
    assert_eq!(with_ours::suites(), with_rustls_own::suites());
    assert_eq!(names(with_ours::GROUPS), names(with_rustls_own::GROUPS));
    assert_eq!(
        with_ours::lists().map(|list| names(&list)),
        with_rustls_own::lists().map(|list| names(&list))
    );
    assert_eq!(with_ours::hpke_suites().len(), with_rustls_own::hpke_suites().len());
    assert_eq!(with_ours::ticketer().lifetime(), with_rustls_own::ticketer().lifetime());
    let provider = default_provider();
    assert_eq!(names(&provider.kx_groups), names(&aws_lc_rs::default_provider().kx_groups));
    let [listed, used] = [*SUPPORTED_SIG_ALGS, provider.signature_verification_algorithms];
    assert_eq!(format!("{:?}", listed.all), format!("{:?}", used.all));

    // Ours where there are lanes, in the statics and in every list.
    for groups in [with_ours::GROUPS.to_vec()].into_iter().chain(with_ours::lists()) {
        for group in groups {
            let stock = with_rustls_own::GROUPS.iter().find(|stock| stock.name() == group.name()).unwrap();
            let with_lanes = [X25519, SECP256R1, SECP384R1, X25519MLKEM768];
            let has_lanes = with_lanes.iter().any(|with_lanes| with_lanes.name() == group.name());
            assert_eq!(format!("{group:?}") != format!("{stock:?}"), has_lanes, "{group:?}");
        }
    }
    assert_eq!(with_ours::provider().kx_groups.len(), with_rustls_own::provider().kx_groups.len());
}

#[test]
fn loaders_of_one_kind_take_what_rustls_own_take() {
    let p521 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let generated = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let [p256, p384, ed25519] =
        [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519].map(generated);
    for (key, has_lanes) in [(&*RSA, true), (&p256, true), (&p384, true), (&ed25519, true), (&p521, false)] {
        let (any, pkcs8) = (der(key), PrivatePkcs8KeyDer::from(key.serialize_der()));
        let ours = with_ours::keys(&any, &pkcs8);
        let stock = with_rustls_own::keys(&any, &pkcs8);
        for (ours, stock) in ours.iter().zip(&stock) {
            match (ours, stock) {
                (Ok(ours), Ok(stock)) => {
                    assert_eq!(ours.public_key(), stock.public_key());
                    assert_eq!(is_unaccelerated(ours), !has_lanes, "{ours:?}");
                }
                (Err(ours), Err(stock)) => assert_eq!(ours.to_string(), stock.to_string()),
                other => panic!("{other:?}"),
            }
        }
    }
    let sec1 = vector("p256.sec1");
    assert_eq!(any_ecdsa_type(&sec1).unwrap().public_key(), any_supported_type(&sec1).unwrap().public_key());
    assert!(any_eddsa_type(&PrivatePkcs8KeyDer::from(vec![0x30, 0])).is_err());
}

#[test]
fn what_has_lanes_is_not_fips() {
    let (ours, stock) = (default_provider(), aws_lc_rs::default_provider());
    assert!(!ours.fips());
    assert!(!ours.key_provider.fips());
    assert_eq!(ours.secure_random.fips(), stock.secure_random.fips());
    for (group, own) in with_ours::GROUPS.iter().zip(with_rustls_own::GROUPS) {
        let is_elliptic = [X25519, SECP256R1, SECP384R1].iter().any(|g| g.name() == group.name());
        assert_eq!(group.fips(), !is_elliptic && own.fips(), "{group:?}");
    }
    let (all, own) =
        (ours.signature_verification_algorithms.all, stock.signature_verification_algorithms.all);
    for (algorithm, own) in all.iter().zip(own) {
        let has_lanes = format!("{algorithm:?}").starts_with("Parking");
        assert_eq!(algorithm.fips(), !has_lanes && own.fips(), "{algorithm:?}");
    }
}
