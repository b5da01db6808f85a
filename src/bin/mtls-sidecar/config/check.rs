//! What types alone do not say.

use super::{Config, Direction, ListenerConfig, Target};
use rustls_multibuffer::TierKind;
use rustls_multibuffer::spiffe::{SpiffeId, TrustDomain};
use std::collections::BTreeSet;
use std::fmt::Display;

/// The first thing that is wrong, with its path.
pub(super) fn check(config: &Config) -> Result<(), String> {
    if config.listeners.is_empty() {
        return Err("listeners: at least one is needed".into());
    }
    if config.tls_acceleration.max_parked == 0 {
        return Err("tls_acceleration.max_parked: at least 1".into());
    }
    if config.tls_acceleration.max_tier == TierKind::Portable {
        return Err("tls_acceleration.max_tier: portable is for tests only".into());
    }
    for (name, identity) in &config.identities {
        let at = format!("identities.{name}");
        identity
            .trust_domain
            .iter()
            .try_for_each(|domain| valid(TrustDomain::new(domain), || format!("{at}.trust_domain")))?;
        identity.files.federated.keys().try_for_each(|domain| {
            valid(TrustDomain::new(domain), || format!("{at}.files.federated.{domain}"))
        })?;
    }
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for (i, listener) in config.listeners.iter().enumerate() {
        let at = format!("listeners[{i}]");
        if !names.insert(&listener.name) {
            return Err(format!("{at}.name: {:?} is there twice", listener.name));
        }
        if listener.address.port() != 0 && !addresses.insert(listener.address) {
            return Err(format!("{at}.address: {} is there twice", listener.address));
        }
        if !config.identities.contains_key(&listener.identity) {
            return Err(format!("{at}.identity: there is no identity {:?}", listener.identity));
        }
        check_listener(listener, &at)?;
    }
    Ok(())
}

fn check_listener(listener: &ListenerConfig, at: &str) -> Result<(), String> {
    let peers = &listener.peers;
    if peers.ids.is_empty() && peers.prefixes.is_empty() && peers.trust_domains.is_empty() && !peers.any {
        return Err(format!("{at}.peers: say who: ids, prefixes, trust_domains or any"));
    }
    for (field, ids) in [("ids", &peers.ids), ("prefixes", &peers.prefixes)] {
        for (i, id) in ids.iter().enumerate() {
            valid(SpiffeId::new(id), || format!("{at}.peers.{field}[{i}]"))?;
        }
    }
    for (i, domain) in peers.trust_domains.iter().enumerate() {
        valid(TrustDomain::new(domain), || format!("{at}.peers.trust_domains[{i}]"))?;
    }
    if listener.direction == Direction::Outbound && matches!(listener.target, Target::Unix(_)) {
        return Err(format!("{at}.target: TLS connections are made to TCP addresses only"));
    }
    if let Some(name) = &listener.server_name {
        if listener.direction == Direction::Inbound {
            return Err(format!("{at}.server_name: only outbound listeners send one"));
        }
        valid(rustls::pki_types::ServerName::try_from(name.as_str()), || format!("{at}.server_name"))?;
    }
    if listener.limits.max_connections == 0 || listener.limits.max_pending == 0 {
        return Err(format!("{at}.limits: at least 1 each"));
    }
    if listener.timeouts.connect.0.is_zero() || listener.timeouts.handshake.0.is_zero() {
        return Err(format!("{at}.timeouts: connect and handshake must be longer than 0"));
    }
    if listener.live.max_age_jitter.is_some() && listener.live.max_age.is_none() {
        return Err(format!("{at}.live.max_age_jitter: there is no max_age"));
    }
    Ok(())
}

fn valid<T>(result: Result<T, impl Display>, at: impl Fn() -> String) -> Result<(), String> {
    result.map(drop).map_err(|e| format!("{}: {e}", at()))
}
