//! An authority that issues SPIFFE-shaped certificates, and stock rustls peers that use them.

use crate::issuer::{authority, key, leaf};
use crate::lists::{HOUR, crl};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) const DOMAIN: &str = "mesh.example";

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A leaf and its key, as PEM and as rustls takes them.
pub(crate) struct Issued {
    pub(crate) chain_pem: String,
    pub(crate) key_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self(CertifiedIssuer::self_signed(authority(DOMAIN), key()).unwrap())
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
        let mut params = leaf(&format!("{name}.test"), &[format!("spiffe://{DOMAIN}/{name}")]);
        params.not_after = not_after;
        let key = KeyPair::generate_for(kind).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued {
            chain_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// A revocation list of nobody but this one.
    pub(crate) fn crl_pem(&self, revoked: &Issued) -> String {
        crl(&self.0, &revoked.chain[..1], SystemTime::now() + HOUR).pem().unwrap()
    }

    pub(crate) fn bundle_pem(&self) -> String {
        self.0.pem()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
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
