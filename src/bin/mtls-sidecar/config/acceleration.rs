//! What is said about acceleration, here and there, put together.

use super::Config;
use super::explain::{Origin, Origins};
use rustls_multibuffer::config::envoy::{self, PrivateKeyProvider};
use rustls_multibuffer::config::istio::{CryptoMb, Origin as Object};
use rustls_multibuffer::config::{Acceleration, ConfigError, Document, Problem, TlsAcceleration};
use rustls_multibuffer::handshake::EngineConfig;
use rustls_multibuffer::{Tier, TierKind};
use std::time::Duration;

/// What turns acceleration on or off, beside the file's own `tls_acceleration`: the mesh's objects, else the
/// contexts.
pub(super) struct Elsewhere<'a> {
    /// What the mesh's objects say; `None`: there are no objects.
    pub(super) mesh: Option<Option<Provider<'a>>>,
    /// What the contexts say, and where the first of those that say something stands; `None`: there is no
    /// context.
    pub(super) contexts: Option<(TlsAcceleration, Option<Origin>)>,
}

/// A provider that the mesh's objects name.
#[derive(Clone, Copy)]
pub(super) struct Provider<'a> {
    pub(super) cryptomb: &'a CryptoMb,
    pub(super) origin: &'a Object,
    /// What says how long an operation waits.
    pub(super) delay_origin: &'a Object,
}

/// The contexts' `private_key_provider`s: one turns it on, and of several the more careful values count.
pub(super) fn of_contexts(config: &Config) -> Option<(TlsAcceleration, Option<Origin>)> {
    let contexts: Vec<_> = config.listeners.iter().filter_map(|listener| listener.context()).collect();
    let mut merged = (!contexts.is_empty()).then(|| (TlsAcceleration::default(), None));
    for context in contexts {
        let (Acceleration::Said(said), Some((all, origin))) = (context.common.acceleration(), &mut merged)
        else {
            continue;
        };
        all.poll_delay = [all.poll_delay, said.poll_delay].into_iter().flatten().min();
        all.max_tier = [all.max_tier, said.max_tier].into_iter().flatten().min();
        all.break_even = [all.break_even, said.break_even].into_iter().flatten().max();
        origin.get_or_insert(Origin::Provider(context.location.clone()));
    }
    merged
}

/// Every field of `tls_acceleration`: the file's own, else what is said elsewhere, else built in.
///
/// # Errors
/// When a provider without `fallback` asks for lanes where there are none, and the file does not want it so.
pub(super) fn settle(
    config: &mut Config,
    file: TlsAcceleration,
    elsewhere: &Elsewhere<'_>,
    document: &Document,
    origins: &mut Origins,
) -> Result<(), ConfigError> {
    let (mut other, origin) = said_elsewhere(elsewhere);
    let is_foreign = elsewhere.mesh.is_some() || elsewhere.contexts.is_some();
    if is_foreign && origin.is_none() {
        // Envoy and Istio mean "off" when they say nothing.
        other.enabled = Some(false);
    }
    if let Some(origin) = origin {
        other.enabled = Some(true);
        let delay_origin = match elsewhere.mesh {
            Some(Some(provider)) => Origin::Object(provider.delay_origin.clone()),
            _ => origin.clone(),
        };
        let said = [
            ("enabled", true),
            ("max_tier", other.max_tier.is_some()),
            ("poll_delay", other.poll_delay.is_some()),
            ("break_even", other.break_even.is_some()),
        ];
        let file_says = |name: &str| match name {
            "enabled" => file.enabled.is_some(),
            "max_tier" => file.max_tier.is_some(),
            "poll_delay" => file.poll_delay.is_some(),
            _ => file.break_even.is_some(),
        };
        for (name, _) in said.into_iter().filter(|(name, is_said)| *is_said && !file_says(name)) {
            let origin = if name == "poll_delay" { &delay_origin } else { &origin };
            origins.insert(format!("tls_acceleration.{name}"), origin.clone());
        }
    }
    let is_wanted_scalar = file.enabled == Some(false) || file.max_tier == Some(TierKind::Scalar);
    let base = TlsAcceleration::from(&EngineConfig::default());
    let settled = TlsAcceleration::default();
    let settled = overlay(settled, [file, other], &base, config.concurrency);
    let tier = Tier::detect_up_to(settled.max_tier.unwrap_or(TierKind::Avx512Ifma)).tier.kind();
    if tier == TierKind::Scalar && settled.enabled == Some(true) && !is_wanted_scalar {
        without_fallback(config, elsewhere, document)?;
    }
    config.tls_acceleration.0 = Some(settled);
    Ok(())
}

fn said_elsewhere(elsewhere: &Elsewhere<'_>) -> (TlsAcceleration, Option<Origin>) {
    if let Some(Some(Provider { cryptomb, origin, .. })) = elsewhere.mesh {
        let mut said = TlsAcceleration::default();
        said.poll_delay = Some(cryptomb.poll_delay.unwrap_or(Duration::ZERO));
        return (said, Some(Origin::Object(origin.clone())));
    }
    elsewhere.contexts.clone().unwrap_or_default()
}

/// The first that says something counts, else what is built in.
fn overlay(
    mut settled: TlsAcceleration,
    said: [TlsAcceleration; 2],
    base: &TlsAcceleration,
    workers: usize,
) -> TlsAcceleration {
    let [file, other] = said;
    settled.enabled = file.enabled.or(other.enabled).or(Some(true));
    settled.max_tier = file.max_tier.or(other.max_tier).or(base.max_tier);
    settled.poll_delay = file.poll_delay.or(other.poll_delay).or(base.poll_delay);
    settled.break_even = file.break_even.or(other.break_even);
    settled.max_parked = file.max_parked.or(base.max_parked);
    // A worker is an engine's thread. In a pod that shares CPUs with others, threads are better left where
    // they like.
    settled.threads = Some(workers);
    settled.pin = file.pin.or(Some(false));
    settled
}

/// Refuses what Envoy would refuse: a provider that finds no lanes, and no `fallback`.
fn without_fallback(
    config: &Config,
    elsewhere: &Elsewhere<'_>,
    document: &Document,
) -> Result<(), ConfigError> {
    const WHY: &str = "there are no lanes on this CPU; with fallback: true it goes on without";
    if let Some(Some(Provider { cryptomb, origin, .. })) = elsewhere.mesh {
        let location = origin.location.clone().unwrap_or_else(|| document.location());
        let message = format!("privateKeyProvider.cryptomb: {WHY}");
        let problem = Problem { location, message };
        return if cryptomb.admits(TierKind::Scalar) { Ok(()) } else { Err(problem.into()) };
    }
    for context in config.listeners.iter().filter_map(|listener| listener.context()) {
        for certificate in &context.common.identities {
            if let envoy::IdentitySource::Certificate(certificate) = certificate
                && let Some(PrivateKeyProvider { fallback: false, .. }) = &certificate.private_key_provider
            {
                let message = format!("private_key_provider: {WHY}");
                return Err(Problem { location: certificate.location.clone(), message }.into());
            }
        }
    }
    Ok(())
}
