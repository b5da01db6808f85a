//! What is said about acceleration, here and there, put together.

use super::Config;
use super::resolution::{Others, Resolution};
use super::sourced::{Origin, Sourced};
use rustls_multibuffer::config::istio::Resolved as Objects;
use rustls_multibuffer::config::{Acceleration, ConfigError, Document, Problem, TlsAcceleration};
use rustls_multibuffer::handshake::EngineConfig;
use rustls_multibuffer::{Tier, TierKind};
use serde_json::Value;

/// What turns acceleration on or off beside the file's own `tls_acceleration`: the mesh's objects, else the
/// contexts.
struct Inputs {
    settings: TlsAcceleration,
    origin: Origin,
    /// What says how long an operation waits.
    delay_origin: Origin,
}

impl Inputs {
    fn new(objects: Option<&Objects>, config: &Config) -> Self {
        match (of_objects(objects), of_contexts(config)) {
            (Some(inputs), _) | (None, Some(inputs)) => inputs,
            (None, None) => {
                let mut settings = TlsAcceleration::default();
                if objects.is_some() || config.contexts().next().is_some() {
                    // Envoy and Istio mean "off" when they say nothing.
                    settings.enabled = Some(false);
                }
                Self { settings, origin: Origin::BuiltIn, delay_origin: Origin::BuiltIn }
            }
        }
    }

    fn on(mut settings: TlsAcceleration, origin: Origin, delay_origin: Origin) -> Self {
        settings.enabled = Some(true);
        Self { settings, origin, delay_origin }
    }
}

/// The provider that the objects name.
fn of_objects(objects: Option<&Objects>) -> Option<Inputs> {
    let objects = objects?;
    let Acceleration::Set(settings) = objects.config.acceleration() else { return None };
    let origin_of = |name| Some(Origin::Object(objects.explanation.field(name)?.origin.clone()));
    let origin = origin_of("privateKeyProvider")?;
    let delay_origin = origin_of("privateKeyProvider.pollDelay").unwrap_or_else(|| origin.clone());
    Some(Inputs::on(settings, origin, delay_origin))
}

/// The contexts' `private_key_provider`s; the first that says something counts as the origin of all.
fn of_contexts(config: &Config) -> Option<Inputs> {
    let said = config.contexts().map(|context| (context, context.common.acceleration()));
    let set: Vec<_> = said.filter(|(_, said)| *said != Acceleration::Unset).collect();
    let origin = Origin::Provider(set.first()?.0.location.clone());
    let together = set.into_iter().map(|(_, said)| said).fold(Acceleration::Unset, Acceleration::together);
    let Acceleration::Set(settings) = together else { return None };
    Some(Inputs::on(settings, origin.clone(), origin))
}

/// Every field of `tls_acceleration`: the file's own, else what is said elsewhere, else built in.
///
/// # Errors
/// When a provider without `fallback` asks for lanes where there are none, and the file does not want it so.
pub(super) fn resolve(
    config: &mut Config,
    file: &TlsAcceleration,
    objects: Option<&Objects>,
    document: &Document,
    resolution: &mut Resolution<'_>,
) -> Result<(), ConfigError> {
    let inputs = Inputs::new(objects, config);
    let other = &inputs.settings;
    let shown = serde_json::to_value(other).unwrap_or_default();
    let mut choose = Chooser { inputs: &inputs, shown, resolution };
    let base = TlsAcceleration::from(&EngineConfig::default());
    let mut chosen = TlsAcceleration::default();
    chosen.enabled = choose.field("tls_acceleration.enabled", file.enabled, other.enabled).or(Some(true));
    let tier = choose.field("tls_acceleration.max_tier", file.max_tier, other.max_tier);
    chosen.max_tier = tier.or(base.max_tier);
    let delay = choose.field("tls_acceleration.poll_delay", file.poll_delay, other.poll_delay);
    chosen.poll_delay = delay.or(base.poll_delay);
    chosen.break_even = choose.field("tls_acceleration.break_even", file.break_even, other.break_even);
    chosen.max_parked = file.max_parked.or(base.max_parked);
    chosen.latency_budget = file.latency_budget.or(base.latency_budget);
    chosen.handshake_threads = file.handshake_threads.or(Some(0));
    // A worker is an engine's thread.
    chosen.threads = Some(config.concurrency);
    chosen.pin = file.pin.or(base.pin);

    let is_wanted_scalar = file.enabled == Some(false) || file.max_tier == Some(TierKind::Scalar);
    let tier = Tier::detect_up_to(chosen.max_tier.unwrap_or(TierKind::Avx512Ifma)).tier.kind();
    if tier == TierKind::Scalar && chosen.enabled == Some(true) && !is_wanted_scalar {
        check_fallback(objects, config, document)?;
    }
    config.tls_acceleration.0 = Some(chosen);
    Ok(())
}

/// Chooses between the file and the inputs.
struct Chooser<'a, 'd> {
    inputs: &'a Inputs,
    /// Their settings, as they are shown.
    shown: Value,
    resolution: &'a mut Resolution<'d>,
}

impl Chooser<'_, '_> {
    fn field<T>(&mut self, field: &'static str, file: Option<T>, other: Option<T>) -> Option<T> {
        let name = field.rsplit('.').next().unwrap_or(field);
        let Inputs { origin, delay_origin, .. } = self.inputs;
        let origin = if name == "poll_delay" { delay_origin } else { origin };
        let said = Sourced { value: self.shown[name].clone(), origin: origin.clone() };
        let others = other.map(|value| Others { value: Some(value), all: vec![said] });
        let at = file.as_ref().and_then(|_| self.resolution.in_file(field));
        let mut value = file;
        self.resolution.choose_at(field, &mut value, at, others);
        value
    }
}

/// Refuses what Envoy would refuse: a provider that finds no lanes, and no `fallback`.
fn check_fallback(
    objects: Option<&Objects>,
    config: &Config,
    document: &Document,
) -> Result<(), ConfigError> {
    if let Some(objects) = objects
        && let Some(cryptomb) = &objects.config.private_key_provider
    {
        if cryptomb.admits(TierKind::Scalar) {
            return Ok(());
        }
        let origin = objects.explanation.field("privateKeyProvider").map(|explained| &explained.origin);
        let location = origin.and_then(|origin| origin.location.clone());
        let location = location.unwrap_or_else(|| document.location());
        let message = "privateKeyProvider.cryptomb: there are no lanes on this CPU; with fallback: true it \
                       goes on without";
        return Err(Problem { location, message: message.to_owned() }.into());
    }
    for context in config.contexts() {
        context.common.check_fallback(TierKind::Scalar)?;
    }
    Ok(())
}
