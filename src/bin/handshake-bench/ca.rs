//! An in-memory certificate authority that issues SPIFFE-shaped certificates.

use crate::cli::KeyKind;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, RsaKeySize, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The name by which clients verify the server: stock rustls checks DNS names, not SPIFFE IDs.
pub(crate) const SERVER_NAME: &str = "server.bench.example";

/// A certificate chain, leaf first, without the root; and its private key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    fn new(certificate: &Certificate, key: &KeyPair, intermediate: Option<&CertificateDer<'static>>) -> Self {
        let chain = std::iter::once(certificate.der()).chain(intermediate).cloned().collect();
        Self { chain, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() }
    }

    /// A copy, for one more configuration.
    pub(crate) fn duplicate(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Everything that the handshakes of one kind of key need.
pub(crate) struct Pki {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) server: Identity,
    /// At least one.
    pub(crate) clients: Vec<Identity>,
    /// A client's key once more, in a certificate of another authority: the server must refuse it.
    pub(crate) untrusted_client: Identity,
    /// That authority: clients that trust no other must refuse the server.
    pub(crate) stranger: CertificateDer<'static>,
}

impl Pki {
    /// A new authority with one server and that many clients, at least one, and with an intermediate
    /// authority that issues to all of them if asked for; all have keys of `kind`.
    pub(crate) fn generate(
        kind: KeyKind,
        clients: usize,
        with_intermediate: bool,
    ) -> Result<Self, rcgen::Error> {
        let root_params = authority("bench root");
        let root_key = generate_key(kind)?;
        let root = root_params.self_signed(&root_key)?;
        let mut issuer = Issuer::new(root_params, root_key);
        let mut intermediate = None;
        if with_intermediate {
            let (params, key) = (authority("bench intermediate"), generate_key(kind)?);
            intermediate = Some(params.signed_by(&key, &issuer)?.der().clone());
            issuer = Issuer::new(params, key);
        }
        // The other authority's own key does not matter, so it is of the cheapest kind.
        let (params, key) = (authority("not the bench root"), generate_key(KeyKind::P256)?);
        let stranger_root = params.self_signed(&key)?.der().clone();
        let stranger = Issuer::new(params, key);

        let server_key = generate_key(kind)?;
        let server = leaf("server")?.signed_by(&server_key, &issuer)?;
        let client = |key: &KeyPair| {
            let certificate = leaf("client")?.signed_by(key, &issuer)?;
            Ok(Identity::new(&certificate, key, intermediate.as_ref()))
        };
        let first = generate_key(kind)?;
        let untrusted = leaf("client")?.signed_by(&first, &stranger)?;
        let mut clients =
            (1..clients).map(|_| client(&generate_key(kind)?)).collect::<Result<Vec<_>, rcgen::Error>>()?;
        clients.push(client(&first)?);
        Ok(Self {
            root: root.der().clone(),
            server: Identity::new(&server, &server_key, intermediate.as_ref()),
            clients,
            untrusted_client: Identity::new(&untrusted, &first, None),
            stranger: stranger_root,
        })
    }
}

/// A new key pair.
pub(crate) fn generate_key(kind: KeyKind) -> Result<KeyPair, rcgen::Error> {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    match kind {
        KeyKind::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyKind::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyKind::Rsa4096 => rsa(RsaKeySize::_4096),
        KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyKind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyKind::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// An X.509-SVID as a mesh's authority issues it: one SPIFFE ID, valid for both ends of a connection.
fn leaf(account: &str) -> Result<CertificateParams, rcgen::Error> {
    let id = format!("spiffe://bench.example/ns/bench/sa/{account}");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, account);
    params.subject_alt_names =
        vec![SanType::URI(id.try_into()?), SanType::DnsName(format!("{account}.bench.example").try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
