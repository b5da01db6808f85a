//! What is measured: identities, protocol version and key exchange, as configurations for both sides.

use crate::ca::{Identity, Pki};
use crate::cli::{self, BaselineKind, ClientKind, KeyKind, Kx, Suite, TlsArgs, TlsVersion};
use crate::rotation::{Rotated, Rotation};
use crate::sides::{ClientTls, Clients, Provider, ServerTls};
use crate::tickets::Tickets;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_multibuffer::handshake::{Engine, EngineConfig};
use rustls_multibuffer::provider::{Suites, batch_verifications};
use std::io;
use std::sync::Arc;

/// One kind of identity under one kind of TLS: everything but the number of clients and threads.
pub(crate) struct Scenario {
    pki: Pki,
    key: KeyKind,
    args: TlsArgs,
    /// Where this crate's identities come from if they rotate.
    rotation: Option<Arc<Rotation>>,
}

impl Scenario {
    /// Issues new certificates of this kind.
    pub(crate) fn new(key: KeyKind, args: &TlsArgs) -> Result<Self, String> {
        let pki = Pki::generate(key, args.identities, args.intermediate)
            .map_err(|e| format!("cannot issue certificates: {e}"))?;
        let mut scenario = Self::of(pki, key, args);
        if args.rotation.rotate.is_some() {
            let provider = scenario.crypto(Provider::Multibuffer);
            let started = Rotation::start(key, args.rotation, provider, scenario.versions())?;
            scenario.rotation = Some(Arc::new(started));
        }
        Ok(scenario)
    }

    /// With certificates that exist.
    pub(crate) fn of(pki: Pki, key: KeyKind, args: &TlsArgs) -> Self {
        Self { pki, key, args: args.clone(), rotation: None }
    }

    /// The name in reports: key, version and group, such as `rsa2048-tls1.3-x25519`, and whatever else is not
    /// the default, such as `-intermediate`.
    pub(crate) fn name(&self) -> String {
        let names = (cli::name_of(&self.key), cli::name_of(&self.args.tls), cli::name_of(&self.args.kx));
        let mut name = format!("{}-tls{}-{}", names.0, names.1, names.2);
        for (is_so, suffix) in [
            (self.args.server_only_auth, "-server-only-auth"),
            (self.args.resume, "-resume"),
            (self.args.intermediate, "-intermediate"),
            (self.args.suite == Suite::Shipped, "-shipped-suites"),
        ] {
            if is_so {
                name.push_str(suffix);
            }
        }
        if self.args.client != ClientKind::Stock {
            name.push_str(&format!("-{}-client", cli::name_of(&self.args.client)));
        }
        if let Some(threads) = self.args.engine_threads {
            name.push_str(&format!("-{threads}-engine-threads"));
        }
        if self.pki.clients.len() > 1 {
            name.push_str(&format!("-{}-identities", self.pki.clients.len()));
        }
        if self.rotation.is_some() {
            name.push_str(&format!("-rotate{}ms", self.args.rotation.interval().as_millis()));
            if self.args.rotation.baseline == BaselineKind::Fixed {
                name.push_str("-against-fixed");
            }
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
            None => {
                let provider = provider.compared(&self.args);
                ServerTls::Fixed(provider, self.server_config(provider)?)
            }
        })
    }

    /// What engines are told, on either side.
    pub(crate) fn engine_config(&self) -> EngineConfig {
        let mut config = EngineConfig::default().poll_delay(self.args.poll_delay);
        if let Some(tier) = self.args.tier {
            config = config.max_tier(tier);
        }
        if let Some(threads) = self.args.engine_threads {
            config = config.threads(threads.into());
        }
        match self.args.latency_budget {
            Some(budget) => config.latency_budget(budget),
            None => config,
        }
    }

    /// The engine that the threads of a server share, if it has threads of its own.
    pub(crate) fn shared_engine(&self, provider: Provider) -> io::Result<Option<Engine>> {
        let is_wanted = self.args.engine_threads.is_some() && provider == Provider::Multibuffer;
        is_wanted.then(|| Engine::new(self.engine_config())).transpose()
    }

    /// A server that demands a client certificate and never resumes a session, unless told otherwise.
    fn server_config(&self, provider: Provider) -> Result<Arc<ServerConfig>, rustls::Error> {
        let crypto = Arc::new(self.crypto(provider));
        let identity = self.pki.server.duplicate();
        let builder =
            ServerConfig::builder_with_provider(crypto.clone()).with_protocol_versions(self.versions())?;
        let builder = match self.args.server_only_auth {
            true => builder.with_no_client_auth(),
            // A stock provider waits for no batch.
            false => builder.with_client_cert_verifier(batch_verifications(
                WebPkiClientVerifier::builder_with_provider(roots(&self.pki.root)?, crypto)
                    .build()
                    .map_err(|e| rustls::Error::General(e.to_string()))?,
            )),
        };
        let mut config = builder.with_single_cert(identity.chain, identity.key)?;
        config.ignore_client_order = self.args.suite == Suite::Shipped && provider == Provider::Multibuffer;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match self.args.resume {
            // With as many tickets for each session as rustls gives by default.
            true => config.ticketer = aws_lc_rs::Ticketer::new()?,
            false => config.send_tls13_tickets = 0,
        }
        Ok(Arc::new(config))
    }

    /// Clients that this server trusts: of the same implementation whichever the server is, unless identities
    /// rotate.
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
        let engine = self.engine_config();
        if let Some(rotation) = self.rotation(server) {
            return Ok(Clients { tls: ClientTls::Rotating { rotation, is_trusted }, engine, concurrency });
        }
        let (identities, root) = match is_trusted {
            true => (&self.pki.clients[..], &self.pki.root),
            // Where clients have no certificates it is they who must refuse.
            false if self.args.server_only_auth => (&self.pki.clients[..1], &self.pki.stranger),
            false => (std::slice::from_ref(&self.pki.untrusted_client), &self.pki.root),
        };
        let provider = match self.args.client {
            // As those of the side that rotates.
            ClientKind::Stock => Provider::Baseline.compared(&self.args),
            ClientKind::Multibuffer => Provider::Multibuffer,
        };
        let tls = identities.iter().map(|identity| self.client_config(provider, identity, root));
        let tls = ClientTls::Fixed(provider, tls.collect::<Result<_, _>>()?);
        Ok(Clients { tls, engine, concurrency })
    }

    fn client_config(
        &self,
        provider: Provider,
        identity: &Identity,
        root: &CertificateDer<'static>,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let crypto = Arc::new(self.crypto(provider));
        let verifier = WebPkiServerVerifier::builder_with_provider(roots(root)?, crypto.clone())
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        let builder = ClientConfig::builder_with_provider(crypto)
            .with_protocol_versions(self.versions())?
            .dangerous()
            .with_custom_certificate_verifier(batch_verifications(verifier));
        let mut config = match self.args.server_only_auth {
            true => builder.with_no_client_auth(),
            false => {
                let Identity { chain, key } = identity.duplicate();
                builder.with_client_auth_cert(chain, key)?
            }
        };
        config.resumption = match self.args.resume {
            true => Resumption::store(Arc::new(Tickets::default())),
            false => Resumption::disabled(),
        };
        Ok(Arc::new(config))
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static V1_2: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
        static V1_3: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self.args.tls {
            TlsVersion::V1_2 => &V1_2,
            TlsVersion::V1_3 => &V1_3,
        }
    }

    /// The provider with this scenario's group only. The group is looked up by name, because each provider
    /// has an implementation of its own.
    fn crypto(&self, provider: Provider) -> CryptoProvider {
        let name = match self.args.kx {
            Kx::X25519 => rustls::NamedGroup::X25519,
            Kx::Secp256r1 => rustls::NamedGroup::secp256r1,
            Kx::Secp384r1 => rustls::NamedGroup::secp384r1,
            Kx::X25519mlkem768 => rustls::NamedGroup::X25519MLKEM768,
        };
        let mut crypto = provider.crypto();
        crypto.kx_groups.retain(|group| group.name() == name);
        if self.args.suite == Suite::Same {
            crypto.cipher_suites = Suites::AsRustls.list();
        }
        crypto
    }
}

fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;
    use rustls::{CipherSuite, ClientConnection, Connection, ServerConnection};

    /// What a server of this kind agrees on with its clients.
    fn agreed(server: Provider, flags: &[&str]) -> CipherSuite {
        let words = ["handshake-bench", "--key", "p256"].iter().chain(flags);
        let args = Cli::try_parse_from(words).unwrap().run.tls;
        let scenario = Scenario::new(KeyKind::P256, &args).unwrap();
        let ClientTls::Fixed(_, clients) = scenario.clients(server, 1).unwrap().tls else { panic!() };
        let name = "localhost".try_into().unwrap();
        let mut client: Connection = ClientConnection::new(clients[0].clone(), name).unwrap().into();
        let mut server: Connection =
            ServerConnection::new(scenario.server_config(server).unwrap()).unwrap().into();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        server.read_tls(&mut &hello[..]).unwrap();
        server.process_new_packets().unwrap();
        server.negotiated_cipher_suite().unwrap().suite()
    }

    #[test]
    fn suites_are_the_same_unless_each_is_as_it_ships() {
        let aes256 = CipherSuite::TLS13_AES_256_GCM_SHA384;
        for server in Provider::ALL {
            assert_eq!(agreed(server, &[]), aes256);
            assert_eq!(agreed(server, &["--client", "multibuffer"]), aes256);
        }
        assert_eq!(agreed(Provider::Baseline, &["--suite", "shipped"]), aes256);
        let fastest = Suites::Fastest.list()[0].suite();
        assert_eq!(agreed(Provider::Multibuffer, &["--suite", "shipped"]), fastest);
    }
}
