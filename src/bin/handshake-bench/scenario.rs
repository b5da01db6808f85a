//! What is measured: identities, protocol version and key exchange, as configurations for both sides.

use crate::ca::{Identity, Pki};
use crate::cli::{self, ClientKind, KeyKind, Kx, TlsArgs, TlsVersion};
use crate::client::{ClientTls, Clients};
use crate::rotation::{Rotated, Rotation};
use crate::server::ServerTls;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_multibuffer::handshake::EngineConfig;
use std::sync::Arc;
use std::time::Duration;

/// Which implementation a server or a client uses.
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
    client: ClientKind,
    intermediate: bool,
    tier: Option<rustls_multibuffer::TierKind>,
    poll_delay: Duration,
    /// Where this crate's identities come from if they rotate.
    rotation: Option<Arc<Rotation>>,
    interval: Duration,
}

impl Scenario {
    /// Issues new certificates of this kind.
    pub(crate) fn new(key: KeyKind, args: &TlsArgs) -> Result<Self, String> {
        let pki = Pki::generate(key, args.identities, args.intermediate)
            .map_err(|e| format!("cannot issue certificates: {e}"))?;
        let TlsArgs { kx, client, intermediate, identities: _, tls, rotation, tier, poll_delay } = *args;
        let interval = rotation.interval();
        let mut scenario =
            Self { pki, key, kx, tls, client, intermediate, tier, poll_delay, rotation: None, interval };
        if rotation.rotate.is_some() {
            let provider = scenario.with_kx(Provider::Multibuffer.crypto());
            let started = Rotation::start(key, rotation, provider, scenario.versions())?;
            scenario.rotation = Some(Arc::new(started));
        }
        Ok(scenario)
    }

    /// The name in reports: key, version and group, such as `rsa2048-tls1.3-x25519`, and whatever else is not the default,
    /// such as `-intermediate`.
    pub(crate) fn name(&self) -> String {
        let names = (cli::name_of(&self.key), cli::name_of(&self.tls), cli::name_of(&self.kx));
        let mut name = format!("{}-tls{}-{}", names.0, names.1, names.2);
        if self.intermediate {
            name.push_str("-intermediate");
        }
        if self.client != ClientKind::Stock {
            name.push_str(&format!("-{}-client", cli::name_of(&self.client)));
        }
        if self.pki.clients.len() > 1 {
            name.push_str(&format!("-{}-identities", self.pki.clients.len()));
        }
        if self.rotation.is_some() {
            name.push_str(&format!("-rotate{}ms", self.interval.as_millis()));
        }
        name
    }

    /// What was rotated so far, if anything is to be.
    ///
    /// # Errors
    /// Why the rotation has ended.
    pub(crate) fn rotated(&self) -> Result<Option<Rotated>, String> {
        self.rotation.as_ref().map(|rotation| rotation.rotated()).transpose()
    }

    /// What rotates, for this crate; stock rustls keeps its certificates.
    fn rotation(&self, provider: Provider) -> Option<Arc<Rotation>> {
        self.rotation.clone().filter(|_| provider == Provider::Multibuffer)
    }

    /// How a server gets its configurations.
    pub(crate) fn server_tls(&self, provider: Provider) -> Result<ServerTls, rustls::Error> {
        Ok(match self.rotation(provider) {
            Some(rotation) => ServerTls::Rotating(rotation),
            None => ServerTls::Fixed(self.server_config(provider)?),
        })
    }

    /// What engines are told, on either side, where `concurrency` handshakes may meet.
    pub(crate) fn engine_config(&self, concurrency: usize) -> EngineConfig {
        let config = EngineConfig::default().poll_delay(self.poll_delay).max_parked(concurrency.max(1));
        match self.tier {
            Some(tier) => config.max_tier(tier),
            None => config,
        }
    }

    /// A server that demands a client certificate and never resumes a session.
    fn server_config(&self, provider: Provider) -> Result<Arc<ServerConfig>, rustls::Error> {
        let crypto = Arc::new(self.with_kx(provider.crypto()));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), crypto.clone())
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        let identity = self.pki.server.duplicate();
        let mut config = ServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(self.versions())?
            .with_client_cert_verifier(verifier)
            .with_single_cert(identity.chain, identity.key)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// Clients that this server trusts: of the same implementation whichever the server is, unless identities rotate.
    pub(crate) fn clients(&self, server: Provider, concurrency: usize) -> Result<Clients, rustls::Error> {
        self.clients_with(server, true, concurrency)
    }

    /// Clients with a certificate of another authority.
    pub(crate) fn untrusted_clients(
        &self,
        server: Provider,
        concurrency: usize,
    ) -> Result<Clients, rustls::Error> {
        self.clients_with(server, false, concurrency)
    }

    fn clients_with(
        &self,
        server: Provider,
        is_trusted: bool,
        concurrency: usize,
    ) -> Result<Clients, rustls::Error> {
        let engine = self.engine_config(concurrency);
        if let Some(rotation) = self.rotation(server) {
            return Ok(Clients { tls: ClientTls::Rotating { rotation, is_trusted }, engine, concurrency });
        }
        let identities = match is_trusted {
            true => &self.pki.clients[..],
            false => std::slice::from_ref(&self.pki.untrusted_client),
        };
        let provider = match self.client {
            ClientKind::Stock => Provider::Baseline,
            ClientKind::Multibuffer => Provider::Multibuffer,
        };
        let tls = identities.iter().map(|identity| self.client_config(provider, identity.duplicate()));
        let tls = ClientTls::Fixed(provider, tls.collect::<Result<_, _>>()?);
        Ok(Clients { tls, engine, concurrency })
    }

    fn client_config(
        &self,
        provider: Provider,
        identity: Identity,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let crypto = Arc::new(self.with_kx(provider.crypto()));
        let mut config = ClientConfig::builder_with_provider(crypto)
            .with_protocol_versions(self.versions())?
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

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static V1_2: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        static V1_3: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self.tls {
            TlsVersion::V1_2 => &V1_2,
            TlsVersion::V1_3 => &V1_3,
        }
    }

    /// The provider with this scenario's group only. The group is looked up by name, because each provider
    /// has an implementation of its own.
    fn with_kx(&self, crypto: CryptoProvider) -> CryptoProvider {
        let name = match self.kx {
            Kx::X25519 => rustls::NamedGroup::X25519,
            Kx::Secp256r1 => rustls::NamedGroup::secp256r1,
            Kx::Secp384r1 => rustls::NamedGroup::secp384r1,
            Kx::X25519mlkem768 => rustls::NamedGroup::X25519MLKEM768,
        };
        let only = |group: &&dyn SupportedKxGroup| group.name() == name;
        CryptoProvider { kx_groups: crypto.kx_groups.iter().copied().filter(only).collect(), ..crypto }
    }
}
