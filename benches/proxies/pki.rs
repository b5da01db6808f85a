//! Certificates, in files and for the clients.

use crate::issuing;
use rcgen::{CertificateParams, Issuer, KeyPair, RsaKeySize};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::error::Error;
use std::path::{Path, PathBuf};

/// The trust domain that everybody here belongs to.
const DOMAIN: &str = "bench.example";

/// The kind of the proxies' key. The clients' is P-256 always, so that the load is light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum KeyKind {
    Rsa2048,
    P256,
}

impl KeyKind {
    pub(crate) const ALL: [Self; 2] = [Self::Rsa2048, Self::P256];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::P256 => "p256",
        }
    }
}

/// A folder that goes away with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("proxies-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> std::io::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The client's certificate and key; the proxies' are in files.
pub(crate) struct Pki {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Pki {
    /// Issues everything, and writes `ca.pem`, `chain.pem`, `key.pem`, and `both.pem` as haproxy wants it.
    pub(crate) fn generate(kind: KeyKind, folder: &Folder) -> Result<Self, Box<dyn Error>> {
        let params = issuing::authority(DOMAIN);
        let root_key = issuing::key();
        let root = params.self_signed(&root_key)?;
        let issuer = Issuer::new(params, root_key);
        let server_key = match kind {
            KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)?,
            KeyKind::P256 => issuing::key(),
        };
        let server = leaf("server").signed_by(&server_key, &issuer)?;
        folder.write("ca.pem", &root.pem())?;
        folder.write("chain.pem", &server.pem())?;
        folder.write("key.pem", &server_key.serialize_pem())?;
        folder.write("both.pem", &(server.pem() + &server_key.serialize_pem()))?;
        let key = issuing::key();
        let client = leaf("client").signed_by(&key, &issuer)?;
        Ok(Self { chain: vec![client.der().clone()], key: PrivateKeyDer::try_from(key.serialize_der())? })
    }
}

fn leaf(name: &str) -> CertificateParams {
    issuing::leaf(&format!("{name}.test"), [&format!("spiffe://{DOMAIN}/{name}")])
}
