//! CAs made for this run, one for each kind of key; as rustls configurations for us, as PEM files for the
//! others.

use crate::case::{Case, Group, Kind};
use crate::issuer::{authority, key, leaf};
use pkcs8::der::pem::LineEnding;
use pkcs8::{PrivateKeyInfo, SecretDocument};
use rcgen::{CertifiedIssuer, KeyPair, RsaKeySize};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_multibuffer::provider::{ALL_KX_GROUPS, batch_verifications, default_provider};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

/// A certificate for `localhost` and its key, in memory and as files.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    /// The certificate's file.
    pub(crate) cert_file: String,
    /// The key's file.
    pub(crate) key_file: String,
}

pub(crate) struct Pki {
    roots: Arc<RootCertStore>,
    /// The file of all CAs' certificates.
    pub(crate) ca_file: String,
    identities: [Identity; Kind::ALL.len()],
}

impl Pki {
    /// What a server or client with a key of this kind shows.
    pub(crate) fn identity(&self, kind: Kind) -> &Identity {
        &self.identities[kind as usize]
    }
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let issuers = [Kind::Rsa2048, Kind::P256, Kind::P384, Kind::Ed25519].map(|kind| (kind, new_ca(kind)));
    let mut roots = RootCertStore::empty();
    issuers.iter().for_each(|(_, ca)| roots.add(ca.der().clone()).unwrap());
    let issue = |kind: Kind| {
        let (_, ca) =
            issuers.iter().find(|(issuer, _)| *issuer == kind.issuer()).expect("every kind has one");
        issue(ca, kind)
    };
    Pki {
        roots: Arc::new(roots),
        ca_file: write("ca", &issuers.iter().map(|(_, ca)| ca.pem()).collect::<String>()),
        identities: Kind::ALL.map(issue),
    }
});

fn generate(kind: Kind) -> KeyPair {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    let pair = match kind {
        Kind::P256 => return key(),
        Kind::Rsa2048 => rsa(RsaKeySize::_2048),
        Kind::Rsa3072 => rsa(RsaKeySize::_3072),
        Kind::Rsa4096 => rsa(RsaKeySize::_4096),
        Kind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        Kind::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
    };
    pair.unwrap()
}

fn new_ca(kind: Kind) -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(authority(&format!("{kind:?}")), generate(kind)).unwrap()
}

fn issue(ca: &CertifiedIssuer<'_, KeyPair>, kind: Kind) -> Identity {
    let (key, file) = (generate(kind), format!("{kind:?}").to_lowercase());
    let certificate = leaf("localhost", []).signed_by(&key, ca).unwrap();
    Identity {
        cert_file: write(&format!("{file}-cert"), &certificate.pem()),
        key_file: write(&format!("{file}-key"), &key_pem(&key)),
        certificate: certificate.der().clone(),
        key,
    }
}

/// The key in the first version of PKCS #8: GnuTLS knows no other.
fn key_pem(key: &KeyPair) -> String {
    let der = key.serialize_der();
    let mut info = PrivateKeyInfo::try_from(&der[..]).unwrap();
    info.public_key = None;
    let document = SecretDocument::encode_msg(&info).unwrap();
    document.to_pem("PRIVATE KEY", LineEnding::LF).unwrap().to_string()
}

/// Writes a file under `target/tmp`, where it stays until the next run.
fn write(name: &str, pem: &str) -> String {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("interop-{name}.pem"));
    std::fs::write(&file, pem).unwrap();
    file.into_os_string().into_string().expect("the path is UTF-8")
}

impl Case {
    /// Our provider, with these groups only.
    fn provider(groups: impl IntoIterator<Item = Group>) -> Arc<CryptoProvider> {
        let named = |name| ALL_KX_GROUPS.iter().copied().find(|group| group.name() == name);
        let kx_groups = groups.into_iter().map(|group| named(group.name()).expect("a group"));
        Arc::new(CryptoProvider { kx_groups: kx_groups.collect(), ..default_provider() })
    }

    /// Our server, with the one group. It issues no tickets, so that nothing but our answer reaches the
    /// peer's output.
    pub(crate) fn server_config(self) -> Arc<ServerConfig> {
        let (provider, identity) = (Self::provider([self.group]), PKI.identity(self.kind));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(PKI.roots.clone(), provider);
        let builder = match self.client_auth {
            true => builder.with_client_cert_verifier(batch_verifications(verifier.build().unwrap())),
            false => builder.with_no_client_auth(),
        };
        let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der()).into();
        let mut config = builder.with_single_cert(vec![identity.certificate.clone()], key).unwrap();
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Our client, with a certificate if the case has client certificates.
    pub(crate) fn client_config(self) -> Arc<ClientConfig> {
        self.client_config_with(Self::provider(self.groups()))
    }

    /// The same with other groups.
    pub(crate) fn client_config_with(self, provider: Arc<CryptoProvider>) -> Arc<ClientConfig> {
        let verifier = WebPkiServerVerifier::builder_with_provider(PKI.roots.clone(), provider.clone());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(batch_verifications(verifier.build().unwrap()));
        let identity = PKI.identity(self.kind);
        let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der()).into();
        Arc::new(match self.client_auth {
            true => builder.with_client_auth_cert(vec![identity.certificate.clone()], key).unwrap(),
            false => builder.with_no_client_auth(),
        })
    }
}
