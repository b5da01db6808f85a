//! What types alone do not say.

use super::loops::loop_through;
use super::{Config, Direction, ListenerConfig, PeersConfig, Target};
use rustls_multibuffer::config::{ConfigError, Document, Path, Problem, TlsIdentity};
use rustls_multibuffer::spiffe::{SpiffeId, TrustDomain};
use std::collections::BTreeSet;
use std::fmt::Display;

/// Everything that is wrong, with its place.
pub(super) fn check(config: &Config, document: &Document) -> Result<(), ConfigError> {
    let mut checks = Checks { document, problems: Vec::new() };
    let root = Path::default();
    if config.listeners.is_empty() {
        checks.wrong(&root.field("listeners"), "at least one is needed");
    }
    for (name, identity) in &config.identities {
        let at = root.field("identities").field(name);
        if let Some(domain) = &identity.trust_domain {
            checks.valid(TrustDomain::new(domain), &at.field("trust_domain"));
        }
        let source = identity.tls_identity.0.as_ref();
        checks.federated(source, &at.field("tls_identity"));
    }
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (i, listener) in config.listeners.iter().enumerate() {
        let at = root.field("listeners").index(i);
        if !names.insert(&listener.name) {
            checks.wrong(&at.field("name"), format!("{:?} is there twice", listener.name));
        }
        if listener.address.port() != 0 && !addresses.insert(listener.address) {
            checks.wrong(&at.field("address"), format!("{} is there twice", listener.address));
        }
        if let Some(message) = loop_through(config, i) {
            checks.wrong(&at.field("target"), message);
        }
        checks.identity(config, listener, &at);
        checks.peers(listener, &at);
        checks.listener(listener, &at);
    }
    match checks.problems.is_empty() {
        true => Ok(()),
        false => Err(ConfigError::new(checks.problems)),
    }
}

struct Checks<'a> {
    document: &'a Document,
    problems: Vec<Problem>,
}

impl Checks<'_> {
    fn wrong(&mut self, at: &Path, message: impl Into<String>) {
        self.problems.push(Problem { location: self.document.locate(at), message: message.into() });
    }

    fn valid<T>(&mut self, result: Result<T, impl Display>, at: &Path) {
        if let Err(e) = result {
            self.wrong(at, e.to_string());
        }
    }

    fn federated(&mut self, source: Option<&TlsIdentity>, at: &Path) {
        if let Some(TlsIdentity::Files(files)) = source {
            for domain in files.federated.keys() {
                let at = at.field("files").field("federated").field(domain);
                self.valid(TrustDomain::new(domain), &at);
            }
        }
    }

    fn identity(&mut self, config: &Config, listener: &ListenerConfig, at: &Path) {
        let own = [listener.tls_identity.is_some(), listener.tls.is_some()];
        let given = own.into_iter().chain([listener.identity.is_some()]).filter(|given| *given).count();
        if given != 1 {
            self.wrong(at, "expected one of identity, tls_identity and tls");
        }
        match &listener.identity {
            Some(name) if !config.identities.contains_key(name) => {
                self.wrong(&at.field("identity"), format!("there is no identity {name:?}"));
            }
            None if config.identities.contains_key(&listener.name) => {
                self.wrong(&at.field("name"), "an identity has this name, and the listener's own would, too");
            }
            _ => {}
        }
        let source = listener.tls_identity.as_ref().and_then(|identity| identity.0.as_ref());
        self.federated(source, &at.field("tls_identity"));
    }

    fn peers(&mut self, listener: &ListenerConfig, at: &Path) {
        let (peers, at) = (&listener.peers, at.field("peers"));
        let matches_names = listener
            .context()
            .and_then(|context| context.validation())
            .is_some_and(|validation| !validation.uri_matchers.is_empty());
        if peers.is_empty() && !matches_names {
            self.wrong(&at, "say who: ids, prefixes, trust_domains or any");
        }
        if peers.any && *peers != (PeersConfig { any: true, ..PeersConfig::default() }) {
            self.wrong(&at, "any: true admits everybody; there is nothing to add");
        }
        for (field, ids) in [("ids", &peers.ids), ("prefixes", &peers.prefixes)] {
            for (i, id) in ids.iter().enumerate() {
                self.valid(SpiffeId::new(id), &at.field(field).index(i));
            }
        }
        for (i, domain) in peers.trust_domains.iter().enumerate() {
            self.valid(TrustDomain::new(domain), &at.field("trust_domains").index(i));
        }
    }

    fn listener(&mut self, listener: &ListenerConfig, at: &Path) {
        if listener.direction == Direction::Outbound && matches!(listener.target, Target::Unix(_)) {
            self.wrong(&at.field("target"), "TLS connections are made to TCP addresses only");
        }
        if let Some(name) = &listener.server_name {
            let at = at.field("server_name");
            if listener.direction == Direction::Inbound {
                self.wrong(&at, "only outbound listeners send one");
            }
            self.valid(rustls::pki_types::ServerName::try_from(name.as_str()), &at);
        }
        for (i, protocol) in listener.alpn.iter().enumerate() {
            if protocol.is_empty() || protocol.len() > 255 {
                self.wrong(&at.field("alpn").index(i), "the name of a protocol has 1 to 255 bytes");
            }
        }
        if !listener.alpn.is_empty() && listener.tls.is_some() {
            self.wrong(&at.field("alpn"), "tls has its own: alpn_protocols");
        }
        if listener.limits.max_connections == 0 || listener.limits.max_pending == 0 {
            self.wrong(&at.field("limits"), "at least 1 each");
        }
        if listener.timeouts.connect.0.is_zero() || listener.timeouts.handshake.0.is_zero() {
            self.wrong(&at.field("timeouts"), "connect and handshake must be longer than 0");
        }
        let keepalive = listener.tcp_keepalive;
        if !(1..=127).contains(&keepalive.keepalive_probes) {
            self.wrong(&at.field("tcp_keepalive").field("keepalive_probes"), "expected 1 to 127");
        }
        if keepalive.keepalive_interval.0.0.is_zero() {
            self.wrong(&at.field("tcp_keepalive").field("keepalive_interval"), "expected at least 1 second");
        }
        if listener.live.max_age_jitter.is_some() && listener.live.max_age.is_none() {
            self.wrong(&at.field("live").field("max_age_jitter"), "there is no max_age");
        }
    }
}
