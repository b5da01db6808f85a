//! One certificate authority, and the certificates that it issues.

use super::key::{KeyKind, export};
use super::{AuthorityError, SvidKey};
use ::spiffe::{SpiffeId, TrustDomain};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long before its making a certificate becomes valid, for clocks that go wrong; as in SPIRE.
const BACKDATE: Duration = Duration::from_secs(10);

/// When a certificate is valid, in whole seconds as X.509 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Validity {
    /// From a little before `now` until `lifetime` later.
    pub(super) fn starting(now: SystemTime, lifetime: Duration) -> Self {
        Self { not_before: whole_seconds(now - BACKDATE), not_after: whole_seconds(now + lifetime) }
    }
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// An X.509-SVID with its key.
#[derive(Clone, Debug)]
pub(super) struct IssuedSvid {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: SvidKey,
    pub(super) validity: Validity,
}

/// A root certificate with its key.
pub(super) struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(super) validity: Validity,
    /// When the last of the SVIDs that it has issued expires.
    pub(super) needed_until: SystemTime,
}

impl CertificateAuthority {
    /// A new one, the `number`th of its trust domain.
    pub(super) fn new(
        trust_domain: &TrustDomain,
        number: u64,
        kind: KeyKind,
        validity: Validity,
    ) -> Result<Self, AuthorityError> {
        let mut params = params(validity);
        params.distinguished_name.push(DnType::OrganizationName, trust_domain.as_str());
        params.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        params.subject_alt_names = vec![uri(&trust_domain.id_string())?];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer =
            CertifiedIssuer::self_signed(params, kind.generate()?).map_err(AuthorityError::issuing)?;
        Ok(Self { issuer, validity, needed_until: validity.not_before })
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }

    /// A new SVID with a new key. It does not outlive its issuer.
    pub(super) fn issue(
        &mut self,
        id: &SpiffeId,
        kind: KeyKind,
        validity: Validity,
    ) -> Result<IssuedSvid, AuthorityError> {
        let not_after = validity.not_after.min(self.validity.not_after);
        let validity = Validity { not_after, ..validity };
        let key = kind.generate()?;
        let certificate =
            leaf(id, validity)?.signed_by(&key, &self.issuer).map_err(AuthorityError::issuing)?;
        self.needed_until = self.needed_until.max(not_after);
        Ok(IssuedSvid { chain: vec![certificate.der().clone()], key: export(&key)?, validity })
    }
}

fn params(validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

/// What an X.509-SVID says (X.509-SVID §2 to §4).
fn leaf(id: &SpiffeId, validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let mut params = params(validity);
    params.distinguished_name.push(DnType::OrganizationName, id.trust_domain().as_str());
    params.subject_alt_names = vec![uri(&id.to_string())?];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    Ok(params)
}

fn uri(text: &str) -> Result<SanType, AuthorityError> {
    Ok(SanType::URI(text.try_into().map_err(AuthorityError::issuing)?))
}
