use super::*;
use rcgen::{CertificateParams, CustomExtension, KeyPair, KeyUsagePurpose, SanType};
use x509_parser::prelude::{FromDer, X509Certificate};

fn params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["workload.test".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::URI("spiffe://home.test/a".try_into().unwrap()));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

fn der(params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn fields_are_those_of_a_full_parser() {
    let der = der(&params());
    let (leaf, (_, full)) = (Leaf::read(&der).unwrap(), X509Certificate::from_der(&der).unwrap());
    assert_eq!(leaf.id.to_string(), "spiffe://home.test/a");
    assert_eq!(Some(leaf.not_before), system_time(full.validity().not_before));
    assert_eq!(Some(leaf.not_after), system_time(full.validity().not_after));
}

#[test]
fn the_last_second_counts() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    assert!(!is_over(at, at - Duration::from_secs(1)));
    assert!(!is_over(at, at + Duration::from_millis(999)));
    assert!(is_over(at, at + Duration::from_secs(1)));
}

#[test]
fn an_extension_twice_is_malformed() {
    // A second subject alternative name: one URI, spiffe://home.test/b.
    let uri = b"spiffe://home.test/b";
    let names = [&[0x30, 22, 0x86, 20][..], uri].concat();
    let mut twice = params();
    twice.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], names)];
    let error = Leaf::read(&der(&twice)).unwrap_err();
    assert_eq!(error, LeafError::Malformed("an extension that is there twice".to_owned()));
}

#[test]
fn uris_that_are_no_text_are_counted() {
    let good = &b"spiffe://home.test/a"[..];
    let leaf = |uris: &[&[u8]]| {
        let field = |tag: u8, value: &[u8]| [&[tag, u8::try_from(value.len()).unwrap()], value].concat();
        let names: Vec<u8> = uris.iter().flat_map(|uri| field(0x86, uri)).collect();
        let mut params = params();
        params.subject_alt_names.clear();
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], field(0x30, &names))];
        Leaf::read(&der(&params)).map(|leaf| leaf.id.to_string())
    };
    assert_eq!(leaf(&[good]), Ok("spiffe://home.test/a".to_owned()));
    for bad in [&b"spiffe://home.test/\xff"[..], b"\x80", b"\xc3\x28"] {
        assert_eq!(leaf(&[good, bad]), Err(LeafError::SeveralUris));
        assert_eq!(leaf(&[bad, good]), Err(LeafError::SeveralUris));
        assert_eq!(leaf(&[bad]), Err(LeafError::InvalidSpiffeId("it is no text".to_owned())));
    }
}

#[test]
fn truncated_leafs_are_malformed() {
    let der = der(&params());
    for len in 0..der.len() {
        assert!(matches!(Leaf::read(&der[..len]), Err(LeafError::Malformed(_))), "{len}");
    }
    let longer = [&der[..], &[0]].concat();
    assert!(matches!(Leaf::read(&longer), Err(LeafError::Malformed(_))));
}

#[test]
fn damaged_leafs_do_not_panic() {
    let der = der(&params());
    let mut refused = 0;
    for place in 0..der.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = der.clone();
            damaged[place] ^= flip;
            refused += u32::from(Leaf::read(&damaged).is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}
