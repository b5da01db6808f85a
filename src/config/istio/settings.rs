//! The settings of a proxy, of one object or of all together.

use super::raw;
use crate::arch::TierKind;
use crate::config::acceleration::{Acceleration, TlsAcceleration};
use crate::config::duration;
use crate::config::read::At;
use crate::handshake::EngineConfig;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The settings of a proxy. `None` means that the field was not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProxyConfig {
    /// Acceleration, and how.
    pub private_key_provider: Option<CryptoMb>,
    /// Worker threads; 0: one for each CPU.
    pub concurrency: Option<u32>,
    /// How long connections may go on after a hot restart.
    #[serde(serialize_with = "duration::show_option")]
    pub drain_duration: Option<Duration>,
    /// When a hot restart ends the old process.
    #[serde(serialize_with = "duration::show_option")]
    pub parent_shutdown_duration: Option<Duration>,
    /// How long connections may go on after SIGTERM.
    #[serde(serialize_with = "duration::show_option")]
    pub termination_drain_duration: Option<Duration>,
    /// Whether the application waits for the proxy.
    pub hold_application_until_proxy_starts: Option<bool>,
    /// Environment variables of the proxy.
    pub proxy_metadata: BTreeMap<String, String>,
    /// The kind of image.
    pub image_type: Option<String>,
    /// The level of the log.
    pub log_level: Option<String>,
    /// What Kubernetes does when the container has started.
    pub post_start: Option<LifecycleHandler>,
    /// What Kubernetes does before it sends SIGTERM, which waits for it.
    pub pre_stop: Option<LifecycleHandler>,
}

/// Istio's provider of the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CryptoMb {
    /// How long an operation waits for company although its thread is idle; `None`: it does not.
    #[serde(serialize_with = "duration::show_option")]
    pub poll_delay: Option<Duration>,
    /// Whether to go on without acceleration where the CPU offers none; `None`: no.
    pub fallback: Option<bool>,
}

/// What Kubernetes does at a turn of a container's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum LifecycleHandler {
    /// Runs a program with arguments.
    Exec(Vec<String>),
    /// Waits so many seconds.
    Sleep(u32),
}

impl CryptoMb {
    /// Whether the proxy may go on with this tier: without `fallback`, not with `scalar`.
    pub fn admits(&self, tier: TierKind) -> bool {
        self.fallback == Some(true) || tier != TierKind::Scalar
    }

    /// These settings, and where `above` says something, that.
    fn overlaid_with(self, above: &Self) -> Self {
        Self { poll_delay: above.poll_delay.or(self.poll_delay), fallback: above.fallback.or(self.fallback) }
    }
}

impl ProxyConfig {
    /// What counts in Istio where nothing else says anything.
    pub fn built_in() -> Self {
        Self {
            concurrency: Some(2),
            drain_duration: Some(Duration::from_secs(45)),
            parent_shutdown_duration: Some(Duration::from_secs(60)),
            termination_drain_duration: Some(Duration::from_secs(5)),
            hold_application_until_proxy_starts: Some(false),
            ..Self::default()
        }
    }

    /// These settings, and where `above` says something, that; of environment variables one by one.
    #[must_use]
    pub(super) fn overlaid_with(self, above: &Self) -> Self {
        let mut proxy_metadata = self.proxy_metadata;
        proxy_metadata.extend(above.proxy_metadata.clone());
        let private_key_provider = match (self.private_key_provider, &above.private_key_provider) {
            (Some(below), Some(above)) => Some(below.overlaid_with(above)),
            (below, above) => above.clone().or(below),
        };
        macro_rules! overlay {
            ($($field:ident),*) => {
                Self {
                    proxy_metadata,
                    private_key_provider,
                    $($field: above.$field.clone().or(self.$field)),*
                }
            };
        }
        overlay!(
            concurrency,
            drain_duration,
            parent_shutdown_duration,
            termination_drain_duration,
            hold_application_until_proxy_starts,
            image_type,
            log_level,
            post_start,
            pre_stop
        )
    }

    /// What is said about acceleration. The engine has as many threads as the proxy has workers.
    pub fn acceleration(&self) -> Acceleration {
        let threads = self.concurrency.map(|n| n as usize);
        match &self.private_key_provider {
            Some(cryptomb) => Acceleration::Set(TlsAcceleration {
                poll_delay: Some(cryptomb.poll_delay.unwrap_or(Duration::ZERO)),
                threads,
                ..TlsAcceleration::default()
            }),
            None => Acceleration::Unset,
        }
    }

    /// `base` with what is said here: acceleration, or the tier `scalar` if nothing turns it on, and as many
    /// threads as the proxy has workers.
    pub fn engine_config(&self, base: EngineConfig) -> EngineConfig {
        let workers =
            TlsAcceleration { threads: self.concurrency.map(|n| n as usize), ..TlsAcceleration::default() };
        self.acceleration().engine_config(workers.engine_config(base))
    }

    pub(super) fn of_mesh(raw: raw::ProxyConfig, at: &At<'_>) -> Self {
        Self {
            private_key_provider: check_provider(raw.private_key_provider, at),
            concurrency: raw.concurrency,
            drain_duration: raw.drain_duration.map(|span| span.0),
            parent_shutdown_duration: raw.parent_shutdown_duration.map(|span| span.0),
            termination_drain_duration: raw.termination_drain_duration.map(|span| span.0),
            hold_application_until_proxy_starts: raw.hold_application_until_proxy_starts,
            proxy_metadata: raw.proxy_metadata,
            image_type: raw.image.and_then(|image| image.image_type),
            ..Self::default()
        }
    }

    pub(super) fn of_object(raw: raw::ProxyConfigSpec) -> Self {
        Self {
            concurrency: raw.concurrency,
            proxy_metadata: raw.environment_variables,
            image_type: raw.image.and_then(|image| image.image_type),
            ..Self::default()
        }
    }

    pub(super) fn of_template(raw: raw::ConfigPatches, at: &At<'_>) -> Self {
        let (post_start, pre_stop) = raw.lifecycle.map_or((None, None), |l| (l.post_start, l.pre_stop));
        let lifecycle_at = at.field("lifecycle");
        Self {
            private_key_provider: check_provider(raw.private_key_provider, at),
            concurrency: raw.concurrency,
            drain_duration: raw.drain_duration.map(|span| span.0),
            parent_shutdown_duration: raw.parent_shutdown_duration.map(|span| span.0),
            termination_drain_duration: raw.termination_drain_duration.map(|span| span.0),
            hold_application_until_proxy_starts: raw.hold_application_until_proxy_starts,
            proxy_metadata: raw.proxy_metadata,
            image_type: None,
            log_level: raw.log_level,
            post_start: check_handler(post_start, &lifecycle_at.field("post_start")),
            pre_stop: check_handler(pre_stop, &lifecycle_at.field("pre_stop")),
        }
    }
}

fn check_provider(raw: Option<raw::PrivateKeyProvider>, at: &At<'_>) -> Option<CryptoMb> {
    let (raw, at) = (raw?, at.field("private_key_provider"));
    if raw.qat.is_some() {
        at.field("qat").unsupported("QuickAssist is not supported; cryptomb is");
    }
    match raw.cryptomb {
        Some(cryptomb) => {
            Some(CryptoMb { poll_delay: cryptomb.poll_delay.map(|span| span.0), fallback: cryptomb.fallback })
        }
        None if raw.qat.is_some() => None,
        None => at.fail("a provider is required: cryptomb"),
    }
}

fn check_handler(raw: Option<raw::LifecycleHandler>, at: &At<'_>) -> Option<LifecycleHandler> {
    match raw.map(|raw| (raw.exec, raw.sleep))? {
        (Some(exec), None) if !exec.command.is_empty() => Some(LifecycleHandler::Exec(exec.command)),
        (None, Some(sleep)) => Some(LifecycleHandler::Sleep(sleep.seconds)),
        // One of the kinds that are passed over.
        (None, None) => None,
        _ => at.fail("expected one of exec, with a command, and sleep"),
    }
}
