//! Who we are, whom we talk to, and the TLS stream of a connection.

use crate::config::{Config, Direction, ListenerConfig, PeersConfig, Target};
use crate::stream::ReadAhead;
use rustls::pki_types::ServerName;
use rustls_multibuffer::config::{TlsAcceleration, TlsIdentity};
use rustls_multibuffer::handshake::{Engine, EngineConfig, HandshakeEngine, LocalEngine};
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Connection, Connector, Identity, LivePolicy, SpiffeId, SpiffeIdError, TlsOptions,
    TrustDomain,
};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A TLS stream over a socket.
pub(crate) type Tls = TlsStream<ReadAhead<TcpStream>>;

/// The identities by their names in the configuration.
pub(crate) type Identities = BTreeMap<String, Identity>;

/// Starts all identities, on the current runtime.
///
/// # Errors
/// An invalid trust domain or address; what is wrong with a certificate that is read only once.
pub(crate) fn start_identities(config: &Config) -> Result<Identities, String> {
    let named = config.identities.iter().filter_map(|(name, identity)| {
        Some((name.as_str(), identity.tls_identity.0.as_ref()?, identity.trust_domain.as_deref()))
    });
    let own = config.listeners.iter().filter_map(|l| Some((l.name.as_str(), l.own_source()?, None)));
    let start = |(name, source, domain): (&str, _, Option<&str>)| {
        let identity = start(name, source, domain).map_err(|e| format!("identity {name}: {e}"))?;
        Ok((name.to_owned(), identity))
    };
    named.chain(own).map(start).collect()
}

fn start(name: &str, source: &TlsIdentity, domain: Option<&str>) -> Result<Identity, String> {
    let mut builder = Identity::builder().name(name);
    if let Some(domain) = domain {
        builder = builder.trust_domain(TrustDomain::new(domain).map_err(|e| e.to_string())?);
    }
    source.start(builder).map_err(|e| e.to_string())
}

/// The engine's settings. A handshake's time limit is its listener's.
pub(crate) fn engine_config(acceleration: &TlsAcceleration) -> EngineConfig {
    acceleration.engine_config(EngineConfig::default()).handshake_timeout(None)
}

/// What handshakes run on.
#[derive(Clone)]
pub(crate) enum AnyEngine {
    /// The worker's own.
    Local(LocalEngine),
    /// Threads that all workers share.
    Threads(Engine),
}

/// Makes the TLS side of a listener's connections.
pub(crate) enum Endpoint {
    Local(Party<LocalEngine>),
    Threads(Party<Engine>),
}

impl Endpoint {
    /// The endpoint of a listener on a worker's engine.
    pub(crate) fn new(engine: AnyEngine, party: &Party<()>) -> Self {
        match engine {
            AnyEngine::Local(engine) => Self::Local(party.on(engine)),
            AnyEngine::Threads(engine) => Self::Threads(party.on(engine)),
        }
    }

    /// The identity that it presents.
    pub(crate) fn identity(&self) -> &Identity {
        match self {
            Self::Local(party) => party.identity(),
            Self::Threads(party) => party.identity(),
        }
    }

    /// Runs the handshake.
    ///
    /// # Errors
    /// Those of the acceptor or connector.
    pub(crate) async fn handshake(&self, socket: ReadAhead<TcpStream>) -> io::Result<(Tls, Connection)> {
        match self {
            Self::Local(party) => party.handshake(socket).await,
            Self::Threads(party) => party.handshake(socket).await,
        }
    }
}

/// Our side of a connection, on one kind of engine.
pub(crate) enum Party<E> {
    Server(Acceptor<E>),
    Client(Connector<E>, ServerName<'static>),
}

impl Party<()> {
    /// A listener's, which every worker puts on an engine: so they have one set of sessions.
    ///
    /// # Errors
    /// An invalid SPIFFE ID.
    pub(crate) fn new(identity: &Identity, config: &ListenerConfig) -> Result<Self, SpiffeIdError> {
        let authorizer = restricted(authorizer(&config.peers)?, config);
        let options = tls_options(config);
        let live = live_policy(config);
        Ok(match config.direction {
            Direction::Inbound => {
                Self::Server(Acceptor::with_tls((), identity, authorizer, options).live_policy(live))
            }
            Direction::Outbound => {
                let connector = Connector::with_tls((), identity, authorizer, options).live_policy(live);
                Self::Client(connector, server_name(config))
            }
        })
    }

    fn on<E: HandshakeEngine>(&self, engine: E) -> Party<E> {
        match self {
            Self::Server(acceptor) => Party::Server(acceptor.on(engine)),
            Self::Client(connector, name) => Party::Client(connector.on(engine), name.clone()),
        }
    }
}

impl<E: HandshakeEngine> Party<E> {
    fn identity(&self) -> &Identity {
        match self {
            Self::Server(acceptor) => acceptor.identity(),
            Self::Client(connector, _) => connector.identity(),
        }
    }

    async fn handshake(&self, socket: ReadAhead<TcpStream>) -> io::Result<(Tls, Connection)> {
        match self {
            Self::Server(acceptor) => {
                acceptor.accept(socket).await.map(|(tls, connection)| (TlsStream::Server(tls), connection))
            }
            Self::Client(connector, name) => {
                let connected = connector.connect(name.clone(), socket).await;
                connected.map(|(tls, connection)| (TlsStream::Client(tls), connection))
            }
        }
    }
}

fn tls_options(config: &ListenerConfig) -> TlsOptions {
    let options = TlsOptions::default().resumption(config.resumption);
    let Some(context) = config.context() else {
        let alpn = config.alpn.iter().map(|protocol| protocol.clone().into_bytes());
        return options.alpn_protocols(alpn);
    };
    let params = &context.common.params;
    options
        .alpn_protocols(context.common.alpn_protocols.clone())
        .versions(params.protocol_versions())
        .prefer_client_ciphers(context.prefer_client_ciphers)
        .provider(Arc::new(params.crypto_provider()))
}

fn server_name(config: &ListenerConfig) -> ServerName<'static> {
    let sni = config.context().and_then(|context| context.sni.clone());
    if let (None, Some(name)) = (&config.server_name, sni) {
        return name;
    }
    let host = match (&config.server_name, &config.target) {
        (Some(name), _) => name.clone(),
        (None, Target::Tcp { host, .. }) => host.clone(),
        (None, Target::Unix(_)) => String::new(),
    };
    // An address is never sent: it stands for "no name".
    ServerName::try_from(host).unwrap_or_else(|_| IpAddr::from(Ipv4Addr::LOCALHOST).into())
}

fn authorizer(config: &PeersConfig) -> Result<Authorizer, SpiffeIdError> {
    if config.any {
        return Ok(Authorizer::anybody_verified());
    }
    let ids = config.ids.iter().map(SpiffeId::new).collect::<Result<Vec<_>, _>>()?;
    let mut permitted = Authorizer::any_of(ids);
    for prefix in &config.prefixes {
        let id = SpiffeId::new(prefix)?;
        let domain = TrustDomain::new(id.trust_domain_name())?;
        permitted = permitted.or(Authorizer::path_prefix(domain, id.path()));
    }
    for domain in &config.trust_domains {
        permitted = permitted.or(Authorizer::trust_domain(TrustDomain::new(domain)?));
    }
    Ok(permitted)
}

/// With the names that the listener's TLS context wants matched: whoever is named in both places is let in,
/// or in the only one that names anybody.
fn restricted(peers: Authorizer, config: &ListenerConfig) -> Authorizer {
    match config.context().and_then(|context| context.validation()).map(|validation| validation.authorizer())
    {
        Some(named) if config.peers.is_empty() => named,
        Some(named) => peers.and(named),
        None => peers,
    }
}

fn live_policy(config: &ListenerConfig) -> LivePolicy {
    let mut policy = LivePolicy::keep();
    if let Some(age) = config.live.max_age {
        policy =
            policy.max_age(age.0, config.live.max_age_jitter.map_or_else(Default::default, |span| span.0));
    }
    if let Some(spread) = config.live.close_on_bundle_removal {
        policy = policy.close_on_bundle_removal(spread.0);
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_whoever_is_in_one_of_the_lists() {
        let config = PeersConfig {
            ids: vec!["spiffe://a.org/x".into()],
            prefixes: vec!["spiffe://a.org/ns/b".into()],
            trust_domains: vec!["c.org".into()],
            any: false,
        };
        let lets_in =
            |config: &PeersConfig, id| authorizer(config).unwrap().permits(&SpiffeId::new(id).unwrap());
        for id in ["spiffe://a.org/x", "spiffe://a.org/ns/b/sa/y", "spiffe://c.org/z"] {
            assert!(lets_in(&config, id), "{id}");
        }
        for id in ["spiffe://a.org/y", "spiffe://a.org/ns/bc", "spiffe://d.org/x"] {
            assert!(!lets_in(&config, id), "{id}");
            assert!(!lets_in(&PeersConfig::default(), id), "{id}");
            assert!(lets_in(&PeersConfig { any: true, ..PeersConfig::default() }, id), "{id}");
        }
    }
}
