use super::*;
use crate::arith::limbs::{from_be_bytes, to_be_bytes};
use crate::arith::mont::{mod_pow, mod_pow_vartime};
use crate::ops::rsa::testing::{PADDINGS, key, rsasp1, vendored};
use crate::ops::scalar;
use std::collections::HashMap;

fn unhex(text: &str) -> Vec<u8> {
    let digit = |d: u8| (d as char).to_digit(16).unwrap() as u8;
    assert_eq!(text.len() % 2, 0);
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn limbs(bytes: &[u8], len: usize) -> Vec<u64> {
    let mut limbs = vec![0; len];
    from_be_bytes(&mut limbs, bytes);
    limbs
}

/// Runs `case` on every case of a file of `vendor-test-vectors/rsa-emsa/`, with the fields of its key and its
/// own.
fn for_cases(name: &str, mut case: impl FnMut(Hash, &HashMap<String, Vec<u8>>)) -> usize {
    let text = String::from_utf8(vendored(&format!("rsa-emsa/{name}"))).unwrap();
    let (mut fields, mut hash, mut count) = (HashMap::new(), None, 0);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (field, value) = line.split_once(" =").unwrap();
        let value = value.trim();
        if field == "hash" {
            hash = [("SHA256", Hash::Sha256), ("SHA384", Hash::Sha384), ("SHA512", Hash::Sha512)]
                .into_iter()
                .find(|(name, _)| *name == value);
            continue;
        }
        fields.insert(field.to_owned(), unhex(value));
        if field == "sig" {
            case(hash.take().expect("no hash").1, &fields);
            count += 1;
        }
    }
    count
}

/// `em` to the power of d is the signature, and the signature to the power of e is `em`.
fn check(em: &[u8], fields: &HashMap<String, Vec<u8>>) {
    let len = em.len() / 8;
    let [n, d, m] = [&fields["n"], &fields["d"], em].map(|bytes| limbs(bytes, len));
    let (mut s, mut back, mut bytes) = (vec![0; len], vec![0; len], vec![0; em.len()]);
    mod_pow(&mut s, &m, &d, &n);
    to_be_bytes(&mut bytes, &s);
    assert_eq!(bytes, fields["sig"]);
    let e = limbs(&fields["e"], 1)[0];
    mod_pow_vartime(&mut back, &s, e, &n);
    assert_eq!(back, m);
}

#[test]
fn pkcs1_vectors() {
    let count = for_cases("pkcs1.txt", |hash, fields| {
        let (padding, msg) = (PADDINGS[hash as usize], &fields["msg"]);
        assert_eq!(padding.hash(), hash);
        let em = encode(padding, msg, &[], 8 * fields["n"].len()).unwrap();
        check(&em, fields);
        scalar::verify_components(padding, (&fields["n"], &fields["e"]), msg, &fields["sig"]).unwrap();
    });
    assert_eq!(count, 18);
}

#[test]
fn pss_vectors() {
    let count = for_cases("pss.txt", |hash, fields| {
        let mut em = vec![0; fields["n"].len()];
        assert_eq!(fields["salt"].len(), 20);
        let mut m_hash = vec![0; hash.len()];
        digest(hash, &fields["msg"], &mut m_hash);
        emsa_pss(hash, &m_hash, &fields["salt"], 8 * em.len() - 1, &mut em).unwrap();
        check(&em, fields);
    });
    assert_eq!(count, 18);
}

#[test]
fn signatures_by_the_book_are_accepted_by_aws_lc() {
    let names = [
        "rsa2048.pkcs1",
        "rsa3072.pkcs8",
        "rsa4096.pkcs8",
        "rsa2048-e3.pkcs8",
        "rsa2048-unbalanced.pkcs1",
        "rsa2049.pkcs1",
        "rsa8192.pkcs1",
    ];
    for name in names {
        let key = key(name);
        let (n, e) = (key.public_modulus(), key.public_exponent().to_be_bytes());
        let e = &e[e.iter().position(|byte| *byte != 0).unwrap()..];
        for padding in PADDINGS.into_iter().take(if key.bits() > 4096 { 1 } else { 6 }) {
            let mut salt = vec![0; padding.salt_len()];
            scalar::random(&mut salt).unwrap();
            let em = encode(padding, b"message", &salt, key.bits()).unwrap();
            assert_eq!(em.len(), n.len());
            let s = rsasp1(key.components(), &limbs(&em, key.components().n.len()));
            let mut signature = vec![0; n.len()];
            to_be_bytes(&mut signature, &s);
            scalar::verify_components(padding, (&n, e), b"message", &signature).unwrap();
            scalar::verify_components(padding, (&n, e), b"massage", &signature).unwrap_err();
        }
    }
}

#[test]
fn the_salt_is_all_the_randomness() {
    let encoded = |byte| encode(Padding::PssSha256, b"message", &[byte; 32], 2048).unwrap();
    assert_eq!(encoded(1), encoded(1));
    assert_ne!(encoded(1), encoded(2));
}

#[test]
fn smallest_moduli() {
    // (padding, the fewest bits): emLen ≥ tLen + 11, and ⌈(bits − 1)/8⌉ ≥ hLen + sLen + 2.
    let expected = [
        (Padding::Pkcs1Sha256, 8 * (19 + 32 + 11 - 1) + 1),
        (Padding::Pkcs1Sha384, 8 * (19 + 48 + 11 - 1) + 1),
        (Padding::Pkcs1Sha512, 8 * (19 + 64 + 11 - 1) + 1),
        (Padding::PssSha256, 8 * (32 + 32 + 2 - 1) + 2),
        (Padding::PssSha384, 8 * (48 + 48 + 2 - 1) + 2),
        (Padding::PssSha512, 8 * (64 + 64 + 2 - 1) + 2),
    ];
    for (padding, bits) in expected {
        let salt = vec![7; padding.salt_len()];
        assert_eq!(encode(padding, b"", &salt, bits).unwrap().len(), bits.div_ceil(8));
        assert_eq!(encode(padding, b"", &salt, bits - 1), Err(TOO_SHORT), "{padding:?}");
    }
}

/// The encoded number has at most emBits bits, for every remainder of the modulus' length modulo 8.
#[test]
fn encodings_are_below_the_modulus() {
    for bits in 2048..2048 + 9 {
        for padding in PADDINGS {
            let em = encode(padding, b"message", &vec![7; padding.salt_len()], bits).unwrap();
            assert!(num_bigint::BigUint::from_bytes_be(&em).bits() < bits as u64);
        }
    }
}

/// Every bit of an encoding counts, for every remainder of the modulus' length modulo 8.
#[test]
fn verification_accepts_the_encoding_and_nothing_near_it() {
    for bits in 2048..2048 + 9 {
        for padding in PADDINGS {
            let (hash, mut m_hash) = (padding.hash(), vec![0; padding.hash().len()]);
            digest(hash, b"message", &mut m_hash);
            let mut em = encode(padding, b"message", &vec![7; padding.salt_len()], bits).unwrap();
            assert!(verify(padding, &m_hash, &em, bits), "{padding:?}, {bits} bits");
            for bit in 0..8 * em.len() {
                em[bit / 8] ^= 1 << (bit % 8);
                assert!(!verify(padding, &m_hash, &em, bits), "{padding:?}, {bits} bits, bit {bit}");
                em[bit / 8] ^= 1 << (bit % 8);
            }
            m_hash[3] ^= 1;
            assert!(!verify(padding, &m_hash, &em, bits), "another message");
        }
    }
}

#[test]
fn other_salts_are_refused() {
    for salt_len in [0, 20, 31, 33, 47, 64] {
        let (mut m_hash, mut em) = ([0; 32], [0; 256]);
        digest(Hash::Sha256, b"message", &mut m_hash);
        emsa_pss(Hash::Sha256, &m_hash, &vec![7; salt_len], 2047, &mut em).unwrap();
        assert!(!verify(Padding::PssSha256, &m_hash, &em, 2048), "{salt_len} bytes");
    }
}

#[test]
fn moduli_that_are_too_small_verify_nothing() {
    for padding in PADDINGS {
        let m_hash = vec![0; padding.hash().len()];
        for bits in [2, 8, 9, 128, 480] {
            assert!(
                !verify(padding, &m_hash, &vec![0; usize::div_ceil(bits, 8)], bits),
                "{padding:?}, {bits}"
            );
        }
    }
}

#[test]
fn vendored_files_are_unchanged() {
    let sums = String::from_utf8(vendored("SHA256SUMS")).unwrap();
    for line in sums.lines() {
        let (expected, name) = line.split_once("  ").unwrap();
        let mut sum = [0; 32];
        digest(Hash::Sha256, &vendored(name), &mut sum);
        assert_eq!(sum.to_vec(), unhex(expected), "{name}");
    }
    assert!(sums.lines().count() >= 17);
}
