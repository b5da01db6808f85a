use super::*;
use crate::ops::Op;
use crate::ops::rsa::testing::{Numbers, PADDINGS, key, vendored};
use crate::ops::rsa::{Padding, RsaPrivateKey};
use num_bigint::BigUint;

fn import(numbers: &Numbers) -> Result<RsaPrivateKey, KeyError> {
    RsaPrivateKey::from_pkcs1_der(&numbers.der())
}

/// Signs with `key` and verifies, which needs n and e to be right too.
fn works(key: &RsaPrivateKey) {
    let (n, e) = (key.public_modulus(), BigUint::from(key.public_exponent()).to_bytes_be());
    for padding in PADDINGS {
        let signature = key.sign(padding, b"message").unwrap();
        scalar::verify_components(padding, (&n, &e), b"message", &signature).unwrap();
        scalar::verify_components(padding, (&n, &e), b"another", &signature).unwrap_err();
    }
}

#[test]
fn keys_that_are_accepted() {
    let expected = [
        ("rsa2048.pkcs1", 2048, Some(Op::RsaSign2048)),
        ("rsa2048.pkcs8", 2048, Some(Op::RsaSign2048)),
        ("rsa3072.pkcs8", 3072, Some(Op::RsaSign3072)),
        ("rsa4096.pkcs8", 4096, Some(Op::RsaSign4096)),
        ("rsa2048-e3.pkcs8", 2048, Some(Op::RsaSign2048)),
        ("rsa2049.pkcs1", 2049, None),
        ("rsa8192.pkcs1", 8192, None),
        ("rsa2048-unbalanced.pkcs1", 2048, None),
    ];
    for (name, bits, op) in expected {
        let key = key(name);
        assert_eq!((key.bits(), key.op()), (bits, op), "{name}");
        assert_eq!(key.public_modulus().len(), bits.div_ceil(8));
        assert_eq!(key.blinding().is_some(), op.is_some(), "{name}");
        works(&key);
    }
    assert_eq!(key("rsa2048-e3.pkcs8").public_exponent(), 3);
    assert_eq!(key("rsa2048.pkcs1").public_modulus(), key("rsa2048.pkcs8").public_modulus());
}

#[test]
fn components_are_those_of_the_encoding() {
    let numbers = Numbers::of("rsa2048.pkcs1");
    let parsed = Components::from_pkcs1_der(&numbers.der()).unwrap();
    let big = crate::arith::testing::big;
    assert_eq!((big(&parsed.n), BigUint::from(parsed.e)), (numbers.n, numbers.e));
    let secrets = [&parsed.p, &parsed.q, &parsed.dp, &parsed.dq, &parsed.qinv].map(|s| big(s.expose()));
    assert_eq!(secrets, [numbers.p, numbers.q, numbers.dp, numbers.dq, numbers.qinv]);
    assert_eq!(
        [&parsed.p, &parsed.q, &parsed.dp, &parsed.dq, &parsed.qinv].map(|s| s.expose().len()),
        [16; 5]
    );
}

#[test]
fn either_order_of_primes_and_either_private_exponent() {
    let key = Numbers::of("rsa2048.pkcs1");
    for (p, q) in [(&key.p, &key.q), (&key.q, &key.p)] {
        let mut numbers = Numbers::from_primes(p.clone(), q.clone(), key.e.clone());
        works(&import(&numbers).unwrap());
        let (p1, q1) = (p - 1u8, q - 1u8);
        let gcd = (1u32..5000).filter(|g| (&p1 % g) == BigUint::ZERO && (&q1 % g) == BigUint::ZERO).max();
        numbers.d %= &p1 * &q1 / gcd.unwrap();
        works(&import(&numbers).unwrap());
    }
}

#[test]
fn public_exponents_up_to_33_bits() {
    let key = Numbers::of("rsa2048.pkcs1");
    let (p1, q1) = (&key.p - 1u8, &key.q - 1u8);
    let usable = |e: &u64| [&p1, &q1].iter().all(|m| BigUint::from(*e).modinv(m).is_some());
    let largest = (1 << 32..1 << 33).rev().find(|e| e % 2 == 1 && usable(e)).unwrap();
    let numbers = Numbers::from_primes(key.p.clone(), key.q.clone(), largest.into());
    let imported = import(&numbers).unwrap();
    assert_eq!(imported.public_exponent(), largest);
    works(&imported);
}

/// One row for each way to be wrong: the error and a change to a good key that leaves everything before that
/// check, and as far as possible everything else, in order.
#[test]
fn each_check_refuses_a_key_of_its_own() {
    type Change = fn(&mut Numbers);
    let table: &[(KeyError, Change)] = &[
        (KeyError::Size, |k| k.n = &k.n >> 1 | BigUint::from(1u8)),
        (KeyError::Size, |k| k.n = BigUint::from(1u8) << 8192),
        (KeyError::Size, |k| k.n = BigUint::ZERO),
        (KeyError::PublicExponent, |k| k.e = BigUint::ZERO),
        (KeyError::PublicExponent, |k| k.e = BigUint::from(1u8)),
        (KeyError::PublicExponent, |k| k.e = BigUint::from(65536u32)),
        (KeyError::PublicExponent, |k| k.e = (BigUint::from(1u8) << 33) + 1u8),
        (KeyError::PublicExponent, |k| k.e = (BigUint::from(1u8) << 64) + 65537u32),
        (KeyError::Primes, |k| k.p -= 1u8),
        (KeyError::Primes, |k| k.q -= 1u8),
        (KeyError::Primes, |k| k.p = BigUint::ZERO),
        (KeyError::Primes, |k| (k.p, k.q) = (k.n.clone(), BigUint::from(1u8))),
        (KeyError::Primes, |k| (k.q, k.n) = (k.p.clone(), &k.p * &k.p)),
        (KeyError::Modulus, |k| k.n += 2u8),
        (KeyError::Modulus, |k| k.p += 2u8),
        (KeyError::Modulus, |k| k.q = &k.q + (BigUint::from(1u8) << 3000)),
        (KeyError::Modulus, |k| k.q = BigUint::from(3u8)),
        (KeyError::Modulus, |k| k.n = &k.n % (BigUint::from(1u8) << 2047) + (BigUint::from(1u8) << 2112)),
        (KeyError::Modulus, |k| {
            // The product is longer than n and agrees with it only in the limbs that n has.
            let low = |q: &BigUint| -> BigUint { &k.p * q % (BigUint::from(1u8) << 2048) };
            let longer = (1100..).map(|shift| &k.q + (BigUint::from(1u8) << shift));
            let q = longer.into_iter().find(|q| low(q).bits() == 2048).unwrap();
            (k.n, k.q) = (low(&q), q);
        }),
        (KeyError::PrivateExponent, |k| k.d += 2u8),
        (KeyError::PrivateExponent, |k| k.d = BigUint::ZERO),
        (KeyError::PrivateExponent, |k| k.d = (&k.d + &k.p - 1u8) % (&k.p * &k.q - &k.p - &k.q + 1u8)),
        (KeyError::PrivateExponent, |k| k.d = (&k.d + &k.q - 1u8) % (&k.p * &k.q - &k.p - &k.q + 1u8)),
        (KeyError::PrivateExponent, |k| k.d += (&k.p - 1u8) * (&k.q - 1u8) * 2u8),
        (KeyError::PrivateExponent, |k| k.d += ((&k.p - 1u8) * (&k.q - 1u8)) << 64),
        (KeyError::CrtExponent, |k| k.dp += 1u8),
        (KeyError::CrtExponent, |k| k.dq += 1u8),
        (KeyError::CrtExponent, |k| k.dp = &k.dp + &k.p - 1u8),
        (KeyError::CrtExponent, |k| k.dq = &k.dq + ((&k.q - 1u8) << 64)),
        (KeyError::CrtExponent, |k| std::mem::swap(&mut k.dp, &mut k.dq)),
        (KeyError::CrtCoefficient, |k| k.qinv += 1u8),
        (KeyError::CrtCoefficient, |k| k.qinv = BigUint::ZERO),
        (KeyError::CrtCoefficient, |k| k.qinv += &k.p),
        (KeyError::CrtCoefficient, |k| k.qinv += &k.p << 64),
        (KeyError::CrtCoefficient, |k| {
            std::mem::swap(&mut k.p, &mut k.q);
            std::mem::swap(&mut k.dp, &mut k.dq);
        }),
    ];
    let good = Numbers::of("rsa2048.pkcs1");
    works(&import(&good).unwrap());
    for (row, (error, change)) in table.iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(import(&bad).err(), Some(*error), "row {row}");
    }
}

/// Numbers of 2049 bits have 63 bits of room in their limbs: here it is not the length that gives these away.
#[test]
fn congruent_numbers_that_are_not_reduced() {
    let good = Numbers::of("rsa2049.pkcs1");
    let (p1, q1) = (&good.p - 1u8, &good.q - 1u8);
    let d = &good.d + &p1 * &q1 * 2u8;
    assert!(d > good.n);
    let bad = [
        (Numbers { d, ..good.clone() }, KeyError::PrivateExponent),
        (Numbers { dp: &good.dp + &p1, ..good.clone() }, KeyError::CrtExponent),
        (Numbers { qinv: &good.qinv + &good.p, ..good.clone() }, KeyError::CrtCoefficient),
    ];
    for (numbers, error) in bad {
        assert_eq!(import(&numbers).err(), Some(error));
    }
}

#[test]
fn files_that_are_refused() {
    let expected = [
        ("rsa2048-multiprime.pkcs1", KeyError::MultiPrime),
        ("rsa2048-pss-oid.pkcs8", KeyError::Algorithm),
        ("rsa2048-encrypted.pkcs8", KeyError::Encrypted),
        ("rsa2048-encrypted.pkcs1", KeyError::Encrypted),
        ("p256.pkcs8", KeyError::Algorithm),
        ("p256.sec1", KeyError::Algorithm),
    ];
    for (name, error) in expected {
        let text = vendored(&format!("rsa-keys/{name}.pem"));
        assert_eq!(RsaPrivateKey::from_pem(&text).err(), Some(error), "{name}");
    }
}

fn der_of(name: &str) -> Vec<u8> {
    crate::ops::pem::read(&vendored(&format!("rsa-keys/{name}.pem"))).unwrap().1.expose().to_vec()
}

#[test]
fn truncated_and_extended_encodings() {
    let (pkcs1, pkcs8) = (der_of("rsa2048.pkcs1"), der_of("rsa2048.pkcs8"));
    for end in 0..pkcs1.len() {
        assert_eq!(RsaPrivateKey::from_pkcs1_der(&pkcs1[..end]).err(), Some(KeyError::Encoding), "{end}");
    }
    for end in 0..pkcs8.len() {
        assert_eq!(RsaPrivateKey::from_pkcs8_der(&pkcs8[..end]).err(), Some(KeyError::Encoding), "{end}");
    }
    let longer = |der: &[u8]| [der, &[0]].concat();
    assert_eq!(RsaPrivateKey::from_pkcs1_der(&longer(&pkcs1)).err(), Some(KeyError::Encoding));
    assert_eq!(RsaPrivateKey::from_pkcs8_der(&longer(&pkcs8)).err(), Some(KeyError::Encoding));
    assert_eq!(RsaPrivateKey::from_pkcs8_der(&pkcs1).err(), Some(KeyError::Encoding));
    assert_eq!(RsaPrivateKey::from_pkcs1_der(&pkcs8).err(), Some(KeyError::Encoding));
}

/// No byte of a key is without meaning: another one in its place is always noticed.
#[test]
fn every_changed_byte_is_refused() {
    let pkcs8 = der_of("rsa2048.pkcs8");
    for i in 0..pkcs8.len() {
        for change in [0x01, 0x80] {
            let mut bad = pkcs8.clone();
            bad[i] ^= change;
            assert!(RsaPrivateKey::from_pkcs8_der(&bad).is_err(), "byte {i}");
        }
    }
}

#[test]
fn algorithm_parameters_must_be_null() {
    let pkcs8 = der_of("rsa2048.pkcs8");
    let at = pkcs8.windows(2).position(|bytes| bytes == [0x05, 0x00]).unwrap();
    let mut other = pkcs8.clone();
    other[at] = 0x04;
    assert_eq!(RsaPrivateKey::from_pkcs8_der(&other).err(), Some(KeyError::Encoding));
    let info = pkcs8::PrivateKeyInfo::from_der(&pkcs8).unwrap();
    let algorithm = AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: None };
    let absent = pkcs8::PrivateKeyInfo { algorithm, ..info }.to_der().unwrap();
    assert_eq!(RsaPrivateKey::from_pkcs8_der(&absent).err(), Some(KeyError::Encoding));
}

#[test]
fn pem_as_it_is_found_in_files() {
    let text = String::from_utf8(vendored("rsa-keys/rsa2048.pkcs8.pem")).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let wrapped = |width: usize| {
        let lines: Vec<&str> =
            body.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", lines.join("\n"))
    };
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let good = [
        text.clone(),
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("Bag Attributes\n  friendlyName: ü\n{certificate}{text}{certificate}"),
        wrapped(76),
        wrapped(64),
        wrapped(body.len()),
        format!("{text}{}", String::from_utf8(vendored("rsa-keys/p256.sec1.pem")).unwrap()),
    ];
    for (i, text) in good.iter().enumerate() {
        let key = RsaPrivateKey::from_pem(text.as_bytes()).unwrap_or_else(|e| panic!("case {i}: {e}"));
        assert_eq!(key.bits(), 2048);
    }
    assert!(RsaPrivateKey::from_pem(&[b"\xff\xfe binary\n", text.as_bytes()].concat()).is_ok());
}

#[test]
fn pem_that_is_refused() {
    let text = String::from_utf8(vendored("rsa-keys/rsa2048.pkcs8.pem")).unwrap();
    let bad = [
        String::new(),
        "no key here\n".to_owned(),
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned(),
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n".to_owned(),
        "-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n".to_owned(),
        "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----\n".to_owned(),
        text.replace("END PRIVATE", "END RSA PRIVATE"),
        text.replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE").replace("END PRIVATE", "END RSA PRIVATE"),
        text.replacen('A', "*", 9),
        text.replacen("MII", "MI", 1),
    ];
    for (i, text) in bad.iter().enumerate() {
        assert_eq!(RsaPrivateKey::from_pem(text.as_bytes()).err(), Some(KeyError::Encoding), "case {i}");
    }
    // The last character is a newline, which may be missing.
    for end in 0..text.trim_end().len() {
        assert!(RsaPrivateKey::from_pem(&text.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn spki_is_what_others_make_of_the_key() {
    for name in ["rsa2048.pkcs8", "rsa3072.pkcs8", "rsa4096.pkcs8", "rsa2048-e3.pkcs8"] {
        let text = String::from_utf8(vendored(&format!("rsa-keys/{name}.pem"))).unwrap();
        let expected = rcgen::KeyPair::from_pem(&text).unwrap();
        assert_eq!(key(name).spki_der(), rcgen::PublicKeyData::subject_public_key_info(&expected));
    }
}

#[test]
fn debug_output_has_no_secrets() {
    let key = key("rsa2048.pkcs8");
    assert_eq!(format!("{key:?}"), "RsaPrivateKey(2048 bits)");
    let request = crate::ops::rsa::SignRequest::new(&key, Padding::PssSha256, b"m").unwrap();
    let text = format!("{request:?} {:?}", key.components().p);
    assert!(text.contains("RsaPrivateKey(2048 bits)") && text.contains("Secret(16 words)"), "{text}");
    let words = [&key.components().p, &key.components().q, &key.components().dp].map(|s| s.expose()[0]);
    assert!(words.iter().all(|w| !text.contains(&w.to_string()) && !text.contains(&format!("{w:x}"))));
}

/// A key in an envelope of that version, with these fields after the private key.
fn envelope(version: u8, key: &[u8], more: &[u8]) -> Vec<u8> {
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
    let field = |tag: u8, body: &[u8]| [&[tag, 0x82], &(body.len() as u16).to_be_bytes()[..], body].concat();
    field(0x30, &[&[2, 1, version][..], &algorithm, &field(4, key), more].concat())
}

#[test]
fn a_public_key_beside_the_private_one_is_checked() {
    let numbers = Numbers::of("rsa2048.pkcs1");
    let (private, own) = (numbers.der(), import(&numbers).unwrap());
    let other = key("rsa2048-e3.pkcs8");
    let beside = |public: &[u8]| {
        let len = (public.len() as u16 + 1).to_be_bytes();
        [&[0x81, 0x82][..], &len, &[0], public].concat()
    };
    let short = |public: &[u8]| [&[0x81, public.len() as u8 + 1, 0], public].concat();
    let attributes = [0xa0, 0];
    let read = |version, more: &[u8]| {
        RsaPrivateKey::from_pkcs8_der(&envelope(version, &private, more)).map(|key| key.bits())
    };
    assert_eq!(read(0, &[]), Ok(2048));
    assert_eq!(read(0, &attributes), Ok(2048));
    assert_eq!(read(1, &beside(own.public_key_der())), Ok(2048));
    assert_eq!(read(1, &[&attributes[..], &beside(own.public_key_der())].concat()), Ok(2048));
    assert_eq!(read(1, &beside(other.public_key_der())), Err(KeyError::PublicKey));
    assert_eq!(read(1, &short(&[1, 2, 3])), Err(KeyError::PublicKey));
    assert_eq!(read(1, &short(&[])), Err(KeyError::PublicKey));
    // Of the other version, in another order, twice, or not defined.
    let own = beside(own.public_key_der());
    for (version, more) in [
        (0, own.clone()),
        (1, vec![]),
        (2, own.clone()),
        (1, [&own[..], &attributes].concat()),
        (1, [&own[..], &own].concat()),
        (0, vec![0xa5, 2, 5, 0]),
        (1, [&own[..], &[0xa2, 2, 5, 0]].concat()),
        (0, vec![5, 0]),
    ] {
        assert_eq!(read(version, &more), Err(KeyError::Encoding), "{version}, {more:x?}");
    }
}
