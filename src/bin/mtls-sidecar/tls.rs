//! Who we are, whom we talk to, and the TLS stream of a connection.

use crate::config::{
    AccelerationConfig, Config, Direction, IdentityConfig, ListenerConfig, PeersConfig, Target,
};
use crate::stream::ReadAhead;
use rustls::pki_types::ServerName;
use rustls_multibuffer::TierKind;
use rustls_multibuffer::handshake::{EngineConfig, HandshakeError, LocalEngine};
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Connection, Connector, FileSource, Identity, LivePolicy, PeerError, SpiffeId,
    SpiffeIdError, TlsOptions, TrustDomain, Unavailable,
};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A TLS stream over a socket.
pub(crate) type Tls = TlsStream<ReadAhead<TcpStream>>;

/// The identities by their names in the configuration.
pub(crate) type Identities = BTreeMap<String, Identity>;

/// Starts all identities, on the current runtime.
///
/// # Errors
/// An invalid trust domain.
pub(crate) fn start_identities(config: &Config) -> Result<Identities, SpiffeIdError> {
    config.identities.iter().map(|(name, identity)| Ok((name.clone(), start(name, identity)?))).collect()
}

fn start(name: &str, config: &IdentityConfig) -> Result<Identity, SpiffeIdError> {
    let files = &config.files;
    let mut source = FileSource::new(&files.certificate_chain, &files.private_key, &files.trust_bundle);
    for (domain, bundle) in &files.federated {
        source = source.federated(TrustDomain::new(domain)?, bundle);
    }
    let mut builder = Identity::builder().name(name);
    if let Some(domain) = &config.trust_domain {
        builder = builder.trust_domain(TrustDomain::new(domain)?);
    }
    Ok(builder.start(source))
}

/// The engine's settings. A handshake's time limit is its listener's.
pub(crate) fn engine_config(config: &AccelerationConfig) -> EngineConfig {
    let max_tier = if config.enabled { config.max_tier } else { TierKind::Scalar };
    EngineConfig::default()
        .max_tier(max_tier)
        .poll_delay(config.poll_delay.0)
        .max_parked(config.max_parked)
        .handshake_timeout(None)
}

/// Makes the TLS side of a listener's connections.
pub(crate) enum Endpoint {
    Server(Acceptor<LocalEngine>),
    Client(Connector<LocalEngine>, ServerName<'static>),
}

impl Endpoint {
    /// The endpoint of a listener.
    ///
    /// # Errors
    /// An invalid SPIFFE ID.
    pub(crate) fn new(
        engine: LocalEngine,
        identity: &Identity,
        config: &ListenerConfig,
    ) -> Result<Self, SpiffeIdError> {
        let authorizer = authorizer(&config.peers)?;
        let alpn = config.alpn.iter().map(|protocol| protocol.clone().into_bytes());
        let options = TlsOptions::default().alpn_protocols(alpn);
        let live = live_policy(config);
        Ok(match config.direction {
            Direction::Inbound => {
                Self::Server(Acceptor::with_tls(engine, identity, authorizer, options).live_policy(live))
            }
            Direction::Outbound => {
                let connector = Connector::with_tls(engine, identity, authorizer, options).live_policy(live);
                Self::Client(connector, server_name(config))
            }
        })
    }

    /// The identity that it presents.
    pub(crate) fn identity(&self) -> &Identity {
        match self {
            Self::Server(acceptor) => acceptor.identity(),
            Self::Client(connector, _) => connector.identity(),
        }
    }

    /// Runs the handshake.
    ///
    /// # Errors
    /// Those of the acceptor or connector; [`failure`] names the reason.
    pub(crate) async fn handshake(&self, socket: TcpStream) -> io::Result<(Tls, Connection)> {
        let socket = ReadAhead::new(socket);
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

fn server_name(config: &ListenerConfig) -> ServerName<'static> {
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
    let mut rules = vec![Authorizer::any_of(ids)];
    for prefix in &config.prefixes {
        let id = SpiffeId::new(prefix)?;
        rules.push(Authorizer::path_prefix(TrustDomain::new(id.trust_domain_name())?, id.path()));
    }
    for domain in &config.trust_domains {
        rules.push(Authorizer::trust_domain(TrustDomain::new(domain)?));
    }
    Ok(Authorizer::custom(move |peer| rules.iter().any(|rule| rule.permits(peer))))
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

/// The reason of a failed handshake, as a metric label.
pub(crate) fn failure(error: &io::Error) -> &'static str {
    if let Some(reason) = PeerError::of(error) {
        return reason.as_label();
    }
    if let Some(reason) = Unavailable::of(error) {
        return reason.as_label();
    }
    let Some(inner) = error.get_ref() else { return "io" };
    match (inner.downcast_ref::<rustls::Error>(), inner.downcast_ref::<HandshakeError>()) {
        (Some(rustls::Error::NoCertificatesPresented), _) => "no_certificate",
        (Some(rustls::Error::AlertReceived(_)), _) => "alert_received",
        (Some(rustls::Error::InvalidMessage(_)), _) => "garbage",
        (Some(_), _) => "tls",
        (_, Some(HandshakeError::Draining | HandshakeError::ShutDown)) => "draining",
        (_, Some(_)) => "engine",
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "closed",
        _ => "io",
    }
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
