//! What is measured: identities, protocol version and key exchange, as configurations for both sides.

use crate::ca::{Identity, Pki};
use crate::cli::{self, KeyKind, Kx, TlsArgs, TlsVersion};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use std::time::Duration;

/// Which implementation a server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    /// tokio-rustls with rustls' own aws-lc-rs provider.
    Baseline,
    /// This crate.
    Multibuffer,
}

impl Provider {
    /// Both, in the order in which they take turns.
    pub(crate) const ALL: [Self; 2] = [Self::Baseline, Self::Multibuffer];

    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Multibuffer => "multibuffer",
        }
    }

    fn crypto(self) -> CryptoProvider {
        match self {
            Self::Baseline => aws_lc_rs::default_provider(),
            Self::Multibuffer => rustls_multibuffer::provider::default_provider(),
        }
    }
}

/// One kind of identity under one kind of TLS: everything but the number of clients and threads.
pub(crate) struct Scenario {
    pki: Pki,
    key: KeyKind,
    kx: Kx,
    tls: TlsVersion,
    /// The tier asked for.
    pub(crate) tier: Option<rustls_multibuffer::TierKind>,
    /// How long a request may wait for company.
    pub(crate) poll_delay: Duration,
}

impl Scenario {
    /// Issues new certificates of this kind.
    pub(crate) fn new(key: KeyKind, args: &TlsArgs) -> Result<Self, String> {
        let pki = Pki::generate(key).map_err(|e| format!("cannot issue certificates: {e}"))?;
        Ok(Self { pki, key, kx: args.kx, tls: args.tls, tier: args.tier, poll_delay: args.poll_delay })
    }

    /// The name in reports, such as `rsa2048-tls1.3-x25519`.
    pub(crate) fn name(&self) -> String {
        let names = (cli::name_of(&self.key), cli::name_of(&self.tls), cli::name_of(&self.kx));
        format!("{}-tls{}-{}", names.0, names.1, names.2)
    }

    /// A server that demands a client certificate and never resumes a session.
    pub(crate) fn server_config(&self, provider: Provider) -> Result<Arc<ServerConfig>, rustls::Error> {
        let crypto = Arc::new(self.with_kx(provider.crypto()));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), crypto.clone())
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        let identity = self.pki.server.duplicate();
        let mut config = ServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(&[self.version()])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(identity.chain, identity.key)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// The client that the server trusts: stock rustls, whichever the server is.
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        self.client_with(self.pki.client.duplicate())
    }

    /// A client with a certificate of another authority.
    pub(crate) fn untrusted_client_config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        self.client_with(self.pki.untrusted_client.duplicate())
    }

    fn client_with(&self, identity: Identity) -> Result<Arc<ClientConfig>, rustls::Error> {
        let crypto = Arc::new(self.with_kx(Provider::Baseline.crypto()));
        let mut config = ClientConfig::builder_with_provider(crypto)
            .with_protocol_versions(&[self.version()])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(identity.chain, identity.key)?;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.pki.root.clone())?;
        Ok(roots)
    }

    fn version(&self) -> &'static SupportedProtocolVersion {
        match self.tls {
            TlsVersion::V1_2 => &rustls::version::TLS12,
            TlsVersion::V1_3 => &rustls::version::TLS13,
        }
    }

    /// The provider with this scenario's group only. The group is looked up by name, because each provider
    /// has an implementation of its own.
    fn with_kx(&self, crypto: CryptoProvider) -> CryptoProvider {
        let name = match self.kx {
            Kx::X25519 => rustls::NamedGroup::X25519,
            Kx::P256 => rustls::NamedGroup::secp256r1,
            Kx::P384 => rustls::NamedGroup::secp384r1,
            Kx::X25519mlkem768 => rustls::NamedGroup::X25519MLKEM768,
        };
        let only = |group: &&dyn SupportedKxGroup| group.name() == name;
        CryptoProvider { kx_groups: crypto.kx_groups.iter().copied().filter(only).collect(), ..crypto }
    }
}
