//! Private keys from files.

use crate::error::KeyError;
use crate::ops::ed25519::PrivateKey;
use crate::ops::testing::from_hex;
use pkcs8::der::Encode;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier, PrivateKeyInfo};

/// RFC 8410 §10.3: without and with the public key; the second has an attribute, too.
const VERSION_1: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const VERSION_2: &str = "-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
";
/// RFC 8410 §10.1.
const SPKI: &str = "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

const ID_ED25519: &str = "1.3.101.112";

fn encoded(oid: &str, key: &[u8], public_key: Option<&[u8]>) -> Vec<u8> {
    let algorithm = AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap(oid), parameters: None };
    PrivateKeyInfo { algorithm, private_key: key, public_key }.to_der().unwrap()
}

fn inner(key: &[u8]) -> Vec<u8> {
    OctetStringRef::new(key).unwrap().to_der().unwrap()
}

#[test]
fn keys_of_the_rfc_are_read() {
    for text in [VERSION_1, VERSION_2] {
        let key = PrivateKey::from_pem(format!("text around it\n{text}").as_bytes()).unwrap();
        assert_eq!(key.spki_der(), from_hex(SPKI));
        assert_eq!(key.public_key(), &from_hex(SPKI)[12..]);
    }
}

#[test]
fn keys_of_other_libraries_are_read() {
    for der in [
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_der(),
        aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap().as_ref().to_vec(),
        aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref().to_vec(),
    ] {
        let key = PrivateKey::from_pkcs8_der(&der).unwrap();
        let stock = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&der).unwrap();
        assert_eq!(key.public_key(), aws_lc_rs::signature::KeyPair::public_key(&stock).as_ref());
        assert_eq!(key.sign(b"message").unwrap(), stock.sign(b"message").as_ref());
    }
}

#[test]
fn wrong_keys_are_refused_with_the_reason() {
    let refused = |der: &[u8]| PrivateKey::from_pkcs8_der(der).err();
    let good = inner(&[7; 32]);
    let public = *PrivateKey::from_bytes(&[7; 32]).unwrap().public_key();
    assert_eq!(refused(&encoded(ID_ED25519, &good, None)), None);
    assert_eq!(refused(&encoded(ID_ED25519, &good, Some(&public))), None);
    let mut other = public;
    other[31] ^= 0x80;
    assert_eq!(refused(&encoded(ID_ED25519, &good, Some(&other))), Some(KeyError::PublicKey));
    assert_eq!(refused(&encoded(ID_ED25519, &good, Some(&public[1..]))), Some(KeyError::PublicKey));
    // id-X25519, id-Ed448.
    for oid in ["1.3.101.110", "1.3.101.113"] {
        assert_eq!(refused(&encoded(oid, &good, None)), Some(KeyError::Algorithm));
    }
    for private in [&[7; 32][..], &inner(&[7; 31]), &inner(&[7; 33]), &[], &[&good[..], &[0]].concat()] {
        assert_eq!(refused(&encoded(ID_ED25519, private, None)), Some(KeyError::Encoding));
    }
    let mut trailing = encoded(ID_ED25519, &good, None);
    trailing.push(0);
    assert_eq!(refused(&trailing), Some(KeyError::Encoding));
    // NULL parameters.
    let mut null = encoded(ID_ED25519, &good, None);
    null.splice(12..12, [5, 0]);
    null[1] += 2;
    null[6] += 2;
    assert_eq!(refused(&null), Some(KeyError::Encoding));
}

#[test]
fn texts_without_such_a_key_are_refused() {
    let refused = |text: &str| PrivateKey::from_pem(text.as_bytes()).err();
    assert_eq!(refused(""), Some(KeyError::Encoding));
    assert_eq!(
        refused(&VERSION_1.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")),
        Some(KeyError::Encrypted)
    );
    assert_eq!(refused(&VERSION_1.replace("PRIVATE KEY", "RSA PRIVATE KEY")), Some(KeyError::Algorithm));
    assert_eq!(refused(&VERSION_1.replace("MC4C", "MC4D")), Some(KeyError::Encoding));
}
