//! Revocation lists.

use rcgen::{
    CertificateRevocationList, CertificateRevocationListParams, CertifiedIssuer, KeyIdMethod, KeyPair,
    RevokedCertParams,
};
use rustls::pki_types::CertificateDer;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

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
