//! An in-memory CA, made once for the process.

use crate::issuer::{authority, key, leaf};
use rcgen::{CertifiedIssuer, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_multibuffer::provider::{batch_verifications, default_provider};
use std::sync::{Arc, LazyLock};

/// A certificate chain and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

/// Who everybody here is.
pub(crate) struct Pki {
    pub(crate) roots: Arc<RootCertStore>,
    /// RSA-2048, for `localhost`.
    pub(crate) server: Identity,
    /// RSA-2048, for `other.localhost`.
    pub(crate) other: Identity,
    /// RSA-2048.
    pub(crate) client: Identity,
    /// RSA-2048, from a CA that nobody trusts.
    pub(crate) stranger: Identity,
    /// RSA-2048, for `localhost`, from a CA with an RSA key, too.
    pub(crate) all_rsa: Identity,
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    // There is no handshake without it.
    crate::warnings::keep();
    let (ca, rsa_ca, rogue) = (new_ca("trusted", key()), new_ca("rsa", rsa()), new_ca("rogue", key()));
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    roots.add(rsa_ca.der().clone()).unwrap();
    Pki {
        roots: Arc::new(roots),
        server: issue(&ca, "localhost", rsa()),
        other: issue(&ca, "other.localhost", rsa()),
        client: issue(&ca, "client.localhost", rsa()),
        stranger: issue(&rogue, "stranger.localhost", rsa()),
        all_rsa: issue(&rsa_ca, "localhost", rsa()),
    }
});

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

pub(crate) fn new_ca(name: &str, key: KeyPair) -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(authority(name), key).unwrap()
}

/// A certificate for a DNS name, and its key.
pub(crate) fn issue(ca: &CertifiedIssuer<'static, KeyPair>, name: &str, key: KeyPair) -> Identity {
    let cert = leaf(name, []).signed_by(&key, ca).unwrap();
    Identity { chain: vec![cert.der().clone()], key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() }
}

/// Whose provider a configuration uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    Ours,
    Stock,
}

impl Keys {
    pub(crate) fn provider(self) -> Arc<CryptoProvider> {
        Arc::new(match self {
            Self::Ours => default_provider(),
            Self::Stock => aws_lc_rs::default_provider(),
        })
    }
}

/// What both sides of a connection agree on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) version: &'static SupportedProtocolVersion,
    pub(crate) client_auth: bool,
}

impl Setup {
    pub(crate) const TLS13: Self = Self { version: &rustls::version::TLS13, client_auth: false };
    pub(crate) const MTLS13: Self = Self { version: &rustls::version::TLS13, client_auth: true };
    pub(crate) const TLS12: Self = Self { version: &rustls::version::TLS12, client_auth: false };
    pub(crate) const MTLS12: Self = Self { version: &rustls::version::TLS12, client_auth: true };
    pub(crate) const ALL: [Self; 4] = [Self::TLS13, Self::MTLS13, Self::TLS12, Self::MTLS12];

    pub(crate) fn server(self, keys: Keys) -> ServerConfig {
        self.server_as(keys, &PKI.server)
    }

    pub(crate) fn server_as(self, keys: Keys, identity: &Identity) -> ServerConfig {
        let provider = keys.provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(PKI.roots.clone(), provider).build().unwrap();
        let builder = match self.client_auth {
            true if keys == Keys::Ours => builder.with_client_cert_verifier(batch_verifications(verifier)),
            true => builder.with_client_cert_verifier(verifier),
            false => builder.with_no_client_auth(),
        };
        builder.with_single_cert(identity.chain.clone(), identity.key()).unwrap()
    }

    pub(crate) fn client(self, keys: Keys) -> ClientConfig {
        self.client_as(keys, &PKI.client)
    }

    pub(crate) fn client_as(self, keys: Keys, identity: &Identity) -> ClientConfig {
        let provider = keys.provider();
        let verifier = WebPkiServerVerifier::builder_with_provider(PKI.roots.clone(), provider.clone());
        let verifier = verifier.build().unwrap();
        let builder =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(&[self.version]).unwrap();
        let builder = match keys {
            Keys::Ours => builder.dangerous().with_custom_certificate_verifier(batch_verifications(verifier)),
            Keys::Stock => builder.with_webpki_verifier(verifier),
        };
        match self.client_auth {
            true => builder.with_client_auth_cert(identity.chain.clone(), identity.key()).unwrap(),
            false => builder.with_no_client_auth(),
        }
    }
}
