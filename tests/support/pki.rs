//! What tests issue certificates from, whatever they check: an authority and a leaf.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};

/// A key on P-256.
pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// An authority of a SPIFFE trust domain.
pub(crate) fn authority(domain: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("authority of {domain}"));
    params.subject_alt_names = vec![uri(&format!("spiffe://{domain}"))];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A leaf for both sides of a connection, with this DNS name and these URIs. It keeps the rules for
/// X.509-SVIDs if it has one URI, which is a SPIFFE ID.
pub(crate) fn leaf<'a>(dns_name: &str, uris: impl IntoIterator<Item = &'a String>) -> CertificateParams {
    let mut params = CertificateParams::new(vec![dns_name.to_owned()]).unwrap();
    params.subject_alt_names.extend(uris.into_iter().map(|name| uri(name)));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}
