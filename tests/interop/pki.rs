//! A CA made for this run; as rustls configurations for us, as PEM files for the others.

use crate::Case;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, RsaKeySize,
};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_multibuffer::provider::default_provider;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

/// A certificate and its key, in memory and as files.
pub(crate) struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
    /// The certificate's file.
    pub(crate) cert_file: String,
    /// The key's file.
    pub(crate) key_file: String,
}

pub(crate) struct Pki {
    roots: Arc<RootCertStore>,
    /// The file of the CA's certificate.
    pub(crate) ca_file: String,
    /// For `localhost`, one for each size that has lanes.
    pub(crate) servers: [Identity; 3],
    pub(crate) client: Identity,
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let mut params = CertificateParams::new(vec!["ca.interop".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "interop CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(params, rsa(RsaKeySize::_2048)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let sizes = [RsaKeySize::_2048, RsaKeySize::_3072, RsaKeySize::_4096];
    let names = ["server2048", "server3072", "server4096"];
    Pki {
        roots: Arc::new(roots),
        ca_file: write("ca", &ca.pem()),
        servers: std::array::from_fn(|i| issue(&ca, names[i], rsa(sizes[i]))),
        client: issue(&ca, "client", rsa(RsaKeySize::_2048)),
    }
});

fn rsa(size: RsaKeySize) -> KeyPair {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap()
}

fn issue(ca: &CertifiedIssuer<'_, KeyPair>, file: &str, key: KeyPair) -> Identity {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // Not the CA's name: OpenSSL would take the certificate for a self-signed one.
    params.distinguished_name.push(DnType::CommonName, file);
    let certificate = params.signed_by(&key, ca).unwrap();
    Identity {
        cert_file: write(&format!("{file}-cert"), &certificate.pem()),
        key_file: write(&format!("{file}-key"), &key.serialize_pem()),
        certificate,
        key,
    }
}

/// Writes a file under `target/tmp`, where it stays until the next run.
fn write(name: &str, pem: &str) -> String {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("interop-{name}.pem"));
    std::fs::write(&file, pem).unwrap();
    file.into_os_string().into_string().expect("the path is UTF-8")
}

impl Case {
    /// Our server. It issues no tickets, so that nothing but our answer reaches the peer's output.
    pub(crate) fn server_config(self, identity: &Identity) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(PKI.roots.clone(), provider);
        let builder = match self.client_auth {
            true => builder.with_client_cert_verifier(verifier.build().unwrap()),
            false => builder.with_no_client_auth(),
        };
        let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der()).into();
        let mut config = builder.with_single_cert(vec![identity.certificate.der().clone()], key).unwrap();
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Our client, with a certificate if the case has client certificates.
    pub(crate) fn client_config(self) -> Arc<ClientConfig> {
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(PKI.roots.clone(), provider.clone());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap());
        let identity = &PKI.client;
        let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der()).into();
        Arc::new(match self.client_auth {
            true => builder.with_client_auth_cert(vec![identity.certificate.der().clone()], key).unwrap(),
            false => builder.with_no_client_auth(),
        })
    }
}
