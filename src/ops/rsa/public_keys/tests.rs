use super::*;
use crate::arch::Portable;
use crate::ops::rsa::testing::key;
use pkcs1::UintRef;
use pkcs1::der::Encode;

fn encoded(modulus: &[u8], e: u64) -> Vec<u8> {
    let public_exponent = &e.to_be_bytes();
    let (modulus, public_exponent) = (UintRef::new(modulus).unwrap(), UintRef::new(public_exponent).unwrap());
    pkcs1::RsaPublicKey { modulus, public_exponent }.to_der().unwrap()
}

/// A number of `len` bytes with the top bit set; not a product of two primes, which preparing does not ask.
fn modulus(len: usize, low: u8) -> Vec<u8> {
    let mut n = vec![0xa5; len];
    n[len - 1] = low;
    n
}

#[test]
fn keys_of_certificates_are_read() {
    for (name, op, e) in [
        ("rsa2048.pkcs8", Op::RsaVerify2048, 65537),
        ("rsa2048-e3.pkcs8", Op::RsaVerify2048, 3),
        ("rsa3072.pkcs8", Op::RsaVerify3072, 65537),
        ("rsa4096.pkcs8", Op::RsaVerify4096, 65537),
    ] {
        let key = key(name);
        let peer = PeerKey::parse(key.public_key_der()).unwrap();
        assert_eq!((peer.op(), peer.e(), peer.der()), (op, e, key.public_key_der()));
        assert_eq!(peer.modulus(), key.public_modulus());
        assert!(key.spki_der().ends_with(key.public_key_der()));
    }
}

#[test]
fn other_sizes_and_exponents_are_not_ours() {
    for len in [128, 255, 257, 320, 1024] {
        assert_eq!(PeerKey::parse(&encoded(&modulus(len, 1), 65537)), None);
    }
    for e in [0, 1, 2, 4, 65536, 1 << 33 | 1, u64::MAX] {
        assert_eq!(PeerKey::parse(&encoded(&modulus(256, 1), e)), None, "{e}");
    }
    for e in [3, 5, 65537, (1 << 33) - 1] {
        assert_eq!(PeerKey::parse(&encoded(&modulus(256, 1), e)).unwrap().e(), e);
    }
    let mut short = modulus(256, 1);
    short[0] = 0x7f;
    assert_eq!(PeerKey::parse(&encoded(&short, 3)), None, "2047 bits");
    assert_eq!(PeerKey::parse(&encoded(&modulus(256, 2), 3)), None, "even");
}

#[test]
fn whatever_is_not_der_is_not_ours() {
    let good = encoded(&modulus(256, 1), 65537);
    assert!(PeerKey::parse(&good).is_some());
    for end in 0..good.len() {
        assert_eq!(PeerKey::parse(&good[..end]), None, "cut at {end}");
    }
    assert_eq!(PeerKey::parse(&[&good[..], &[0]].concat()), None, "more behind it");
    // SEQUENCE { INTEGER 0x00 0xa5…, INTEGER 65537 } begins 30 82 01 0a 02 82 01 01 00 a5.
    assert_eq!(good[..10], [0x30, 0x82, 1, 0x0a, 2, 0x82, 1, 1, 0, 0xa5]);
    let negative = [&[0x30, 0x82, 1, 9, 2, 0x82, 1, 0][..], &good[9..]].concat();
    assert_eq!(PeerKey::parse(&negative), None, "a negative modulus");
    let padded = [&[0x30, 0x82, 1, 0x0b, 2, 0x82, 1, 2, 0][..], &good[8..]].concat();
    assert_eq!(PeerKey::parse(&padded), None, "a leading zero too many");
    let long = [&[0x30, 0x83, 0, 1, 0x0a][..], &good[4..]].concat();
    assert_eq!(PeerKey::parse(&long), None, "a length with a leading zero");
    assert_eq!(PeerKey::parse(key("rsa2048.pkcs8").spki_der()), None, "a SubjectPublicKeyInfo");
}

#[test]
fn the_cache_is_bounded_and_forgets_the_oldest() {
    let peer = |i: u64| PeerKey::parse(&encoded(&modulus(256, 1), 2 * i + 3)).unwrap();
    let mut keys = PublicKeys::default();
    let mut get = |i: u64| keys.get::<Portable>(&peer(i)).unwrap();
    let first = get(0);
    let others: Vec<_> = (1..BOUND as u64).map(&mut get).collect();
    assert!(Arc::ptr_eq(&first, &get(0)), "all of them fit");
    get(BOUND as u64);
    assert!(Arc::ptr_eq(&first, &get(0)), "used just before");
    assert!(Arc::ptr_eq(&others[1], &get(2)));
    assert!(!Arc::ptr_eq(&others[0], &get(1)), "the oldest made room");
    assert_eq!(keys.entries.len(), BOUND);
    assert_eq!(format!("{keys:?}"), "PublicKeys(64 of 64)");
    keys.clear();
    assert!(keys.entries.is_empty());
}

/// Keys that differ in one byte anywhere are different keys.
#[test]
fn no_key_is_mistaken_for_another() {
    let mut keys = PublicKeys::default();
    let good = encoded(&modulus(256, 1), 65537);
    let first = keys.get::<Portable>(&PeerKey::parse(&good).unwrap()).unwrap();
    let mut others = 0;
    for at in 10..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 4;
        if let Some(peer) = PeerKey::parse(&changed) {
            assert!(!Arc::ptr_eq(&first, &keys.get::<Portable>(&peer).unwrap()), "byte {at}");
            others += 1;
        }
    }
    assert!(others > 255);
}
