//! Authorities that issue good and bad SVIDs.

pub(crate) use crate::issuer::key;
use crate::issuer::{authority, leaf};
pub(crate) use crate::lists::HOUR;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls_multibuffer::spiffe::{Material, SpiffeId, Svid, TrustDomain};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// An authority with a root, or an intermediate one.
pub(crate) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// From the intermediate authority up, without the root.
    above: Vec<CertificateDer<'static>>,
}

impl Ca {
    pub(crate) fn new(domain: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(authority(domain), key()).unwrap();
        Self { issuer, above: Vec::new() }
    }

    /// An authority whose root is valid until then.
    pub(crate) fn until(domain: &str, not_after: SystemTime) -> Self {
        let params = authority_until(domain, not_after);
        Self { issuer: CertifiedIssuer::self_signed(params, key()).unwrap(), above: Vec::new() }
    }

    /// An intermediate authority that says it belongs to `domain`.
    pub(crate) fn intermediate(&self, domain: &str) -> Self {
        self.below(authority(domain))
    }

    /// The same with a name of its own.
    pub(crate) fn intermediate_named(&self, domain: &str, name: &str) -> Self {
        let mut params = authority(domain);
        params.distinguished_name.push(DnType::CommonName, name);
        self.below(params)
    }

    /// One that is valid until then.
    pub(crate) fn intermediate_until(&self, domain: &str, not_after: SystemTime) -> Self {
        self.below(authority_until(domain, not_after))
    }

    fn below(&self, params: CertificateParams) -> Self {
        let issuer = CertifiedIssuer::signed_by(params, key(), &self.issuer).unwrap();
        let above = [vec![issuer.der().clone()], self.above.clone()].concat();
        Self { issuer, above }
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A revocation list with these certificates, valid until then.
    pub(crate) fn crl(
        &self,
        revoked: &[CertificateDer<'_>],
        until: SystemTime,
    ) -> CertificateRevocationListDer<'static> {
        crate::lists::crl(&self.issuer, revoked, until).into()
    }

    /// An SVID that keeps all rules.
    pub(crate) fn svid(&self, id: &str) -> Svid {
        self.issue(Spec::new(id))
    }

    pub(crate) fn issue(&self, spec: Spec) -> Svid {
        let key = key();
        let leaf = spec.params().signed_by(&key, &self.issuer).unwrap().der().clone();
        let chain = [vec![leaf], self.above.clone()].concat();
        Svid { chain, key: private(&key) }
    }
}

fn authority_until(domain: &str, not_after: SystemTime) -> CertificateParams {
    let mut params = authority(domain);
    (params.not_before, params.not_after) = ((not_after - 24 * HOUR).into(), not_after.into());
    params
}

pub(crate) fn private(key: &KeyPair) -> rustls_multibuffer::spiffe::SvidKey {
    PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())).into()
}

/// What a leaf says; begins as a good one.
pub(crate) struct Spec {
    pub(crate) uris: Vec<String>,
    pub(crate) is_ca: bool,
    pub(crate) key_usages: Vec<KeyUsagePurpose>,
    pub(crate) purposes: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Spec {
    pub(crate) fn new(id: &str) -> Self {
        let now = SystemTime::now();
        Self {
            uris: vec![id.to_owned()],
            is_ca: false,
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            purposes: vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            not_before: now - HOUR,
            not_after: now + HOUR,
        }
    }

    fn params(self) -> CertificateParams {
        let mut params = leaf("workload.localhost", &self.uris);
        if self.is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params.key_usages = self.key_usages;
        params.extended_key_usages = self.purposes;
        params.not_before = self.not_before.into();
        params.not_after = self.not_after.into();
        params
    }
}

pub(crate) fn domain(name: &str) -> TrustDomain {
    TrustDomain::new(name).unwrap()
}

pub(crate) fn id(id: &str) -> SpiffeId {
    SpiffeId::new(id).unwrap()
}

/// An SVID with the roots of one trust domain each.
pub(crate) fn material<const N: usize>(
    svid: Svid,
    bundles: [(&str, Vec<CertificateDer<'static>>); N],
) -> Material {
    let bundles = bundles.into_iter().map(|(name, roots)| (domain(name), roots.into()));
    Material { svid, bundles: BTreeMap::from_iter(bundles) }
}
