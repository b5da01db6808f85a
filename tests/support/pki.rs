//! What tests issue certificates from, whatever they check: an authority, a leaf, a revocation list.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList, CertificateRevocationListParams,
    CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType,
};
use rustls::pki_types::CertificateDer;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

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

/// A leaf with this DNS name and these URIs, which keeps the rules for X.509-SVIDs if it has one that is a
/// SPIFFE ID.
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

/// A revocation list with these certificates, valid until then. Each is newer than those before.
pub(crate) fn crl(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    revoked: &[CertificateDer<'_>],
    until: SystemTime,
) -> CertificateRevocationList {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let entry = |der: &CertificateDer<'_>| RevokedCertParams {
        serial_number: X509Certificate::from_der(der).unwrap().1.raw_serial().to_vec().into(),
        revocation_time: SystemTime::now().into(),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: (SystemTime::now() - HOUR).into(),
        next_update: until.into(),
        crl_number: NUMBER.fetch_add(1, Relaxed).into(),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap()
}
