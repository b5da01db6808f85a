//! An authority that issues SPIFFE-shaped certificates, and stock rustls peers that use them.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub(crate) const DOMAIN: &str = "mesh.example";

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: rcgen::Certificate,
}

/// A leaf and its key, as PEM and as rustls takes them.
pub(crate) struct Issued {
    pub(crate) chain_pem: String,
    pub(crate) key_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{DOMAIN}").try_into().unwrap())];
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let root = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// An SVID for `spiffe://mesh.example/<name>`, also valid for the DNS name `<name>.test`.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_with(name, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// The same with a key of another kind.
    pub(crate) fn issue_with(&self, name: &str, kind: &'static rcgen::SignatureAlgorithm) -> Issued {
        self.issue_until(name, kind, CertificateParams::default().not_after)
    }

    /// The same, valid until then.
    pub(crate) fn issue_until(
        &self,
        name: &str,
        kind: &'static rcgen::SignatureAlgorithm,
        not_after: time::OffsetDateTime,
    ) -> Issued {
        let mut params = CertificateParams::default();
        params.not_after = not_after;
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![
            SanType::URI(format!("spiffe://{DOMAIN}/{name}").try_into().unwrap()),
            SanType::DnsName(format!("{name}.test").try_into().unwrap()),
        ];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate_for(kind).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            chain_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// A revocation list of nobody but this one.
    pub(crate) fn crl_pem(&self, revoked: &Issued) -> String {
        let (_, certificate) = X509Certificate::from_der(&revoked.chain[0]).unwrap();
        let now = SystemTime::now();
        let entry = RevokedCertParams {
            serial_number: certificate.raw_serial().to_vec().into(),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + Duration::from_secs(3600)).into(),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![entry],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub(crate) fn bundle_pem(&self) -> String {
        self.root.pem()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// A stock client, with an identity or without.
    pub(crate) fn client(&self, issued: Option<&Issued>) -> TlsConnector {
        let builder = ClientConfig::builder().with_root_certificates(self.roots());
        let mut config = match issued {
            Some(issued) => {
                builder.with_client_auth_cert(issued.chain.clone(), issued.key.clone_key()).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config).into()
    }

    /// A stock server that wants a client's certificate.
    pub(crate) fn server(&self, issued: &Issued) -> TlsAcceptor {
        let verifier = WebPkiClientVerifier::builder(self.roots()).build().unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(issued.chain.clone(), issued.key.clone_key());
        Arc::new(config.unwrap()).into()
    }
}

/// Writes an identity's files the way that careful writers do: each is renamed into place.
pub(crate) fn write_identity(dir: &Path, issued: &Issued, authority: &Authority) {
    let write = |name: &str, text: &str| {
        let temporary: PathBuf = dir.join(format!(".{name}"));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, dir.join(name)).unwrap();
    };
    write("key.pem", &issued.key_pem);
    write("chain.pem", &issued.chain_pem);
    write("bundle.pem", &authority.bundle_pem());
}

/// A connection of a stock client.
pub(crate) async fn connect(
    client: &TlsConnector,
    server: &str,
    address: std::net::SocketAddr,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    handshake(client, server, TcpStream::connect(address).await?).await
}

/// The same on a socket that is connected.
pub(crate) async fn handshake(
    client: &TlsConnector,
    server: &str,
    socket: TcpStream,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(format!("{server}.test")).unwrap();
    client.connect(name, socket).await
}
