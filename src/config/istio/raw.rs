//! Istio's and ASM's objects, with the fields that are supported. Their comments become the table of fields and the JSON schema.

use crate::config::duration::Span;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `ProxyConfig` of Istio's mesh configuration: `meshConfig.defaultConfig`, and the annotation `proxy.istio.io/config`.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "IstioProxyConfig"))]
#[serde(default)]
pub(in crate::config) struct ProxyConfig {
    /// Turns acceleration on.
    pub(super) private_key_provider: Option<PrivateKeyProvider>,
    /// Worker threads; default: 2, 0: one for each CPU.
    pub(super) concurrency: Option<u32>,
    /// How long connections may go on after a hot restart; default: 45s.
    pub(super) drain_duration: Option<Span>,
    /// When a hot restart ends the old process; default: 60s.
    pub(super) parent_shutdown_duration: Option<Span>,
    /// How long connections may go on after SIGTERM; default: 5s.
    pub(super) termination_drain_duration: Option<Span>,
    /// Whether the application waits for the proxy; default: false.
    pub(super) hold_application_until_proxy_starts: Option<bool>,
    /// Environment variables of the proxy.
    pub(super) proxy_metadata: BTreeMap<String, String>,
    /// The proxy's image.
    pub(super) image: Option<ProxyImage>,
}

/// `PrivateKeyProvider` of Istio: one of its fields.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "IstioPrivateKeyProvider"))]
#[serde(default)]
pub(super) struct PrivateKeyProvider {
    /// SIMD lanes.
    pub(super) cryptomb: Option<CryptoMb>,
    /// QuickAssist hardware: not supported.
    pub(super) qat: Option<CryptoMb>,
}

/// `PrivateKeyProvider.CryptoMb` of Istio.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "IstioCryptoMb"))]
#[serde(default)]
pub(super) struct CryptoMb {
    /// How long an operation waits for company although its thread is idle; default: 0, it does not wait.
    pub(super) poll_delay: Option<Span>,
    /// Whether to go on without acceleration where the CPU offers none; default: false.
    pub(super) fallback: Option<bool>,
}

/// `ProxyImage` of Istio.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "IstioProxyImage"))]
#[serde(default)]
pub(super) struct ProxyImage {
    /// The kind of image, such as distroless.
    pub(super) image_type: Option<String>,
}

/// The `spec` of a `ProxyConfig` object of `networking.istio.io`, which has fewer fields than the mesh configuration's.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "IstioProxyConfigSpec"))]
#[serde(default)]
pub(in crate::config) struct ProxyConfigSpec {
    /// Which pods of the namespace; without it, all of them.
    pub(super) selector: Option<Selector>,
    /// Worker threads; 0: one for each CPU.
    pub(super) concurrency: Option<u32>,
    /// Environment variables of the proxy.
    pub(super) environment_variables: BTreeMap<String, String>,
    /// The proxy's image.
    pub(super) image: Option<ProxyImage>,
}

/// A selector of pods.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WorkloadSelector"))]
#[serde(default)]
pub(super) struct Selector {
    /// The labels that a pod must have, all of them.
    pub(super) match_labels: BTreeMap<String, String>,
    /// The same, as ASM's examples write it.
    pub(super) labels: BTreeMap<String, String>,
}

/// The `spec` of an `ASMCustomProxyConfigInjectionTemplate` object.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AsmTemplateSpec"))]
#[serde(default)]
pub(in crate::config) struct TemplateSpec {
    /// Which pods of the namespace; without it, all of them.
    pub(super) workload_selector: Option<Selector>,
    /// The settings.
    pub(super) config_patches: ConfigPatches,
}

/// The settings in an `ASMCustomProxyConfigInjectionTemplate`.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AsmConfigPatches"))]
#[serde(default)]
pub(super) struct ConfigPatches {
    /// Turns acceleration on.
    pub(super) private_key_provider: Option<PrivateKeyProvider>,
    /// Worker threads; 0: one for each CPU.
    pub(super) concurrency: Option<u32>,
    /// How long connections may go on after a hot restart.
    pub(super) drain_duration: Option<Span>,
    /// When a hot restart ends the old process.
    pub(super) parent_shutdown_duration: Option<Span>,
    /// How long connections may go on after SIGTERM.
    pub(super) termination_drain_duration: Option<Span>,
    /// Whether the application waits for the proxy.
    pub(super) hold_application_until_proxy_starts: Option<bool>,
    /// Environment variables of the proxy.
    pub(super) proxy_metadata: BTreeMap<String, String>,
    /// The level of the log.
    pub(super) log_level: Option<String>,
    /// What Kubernetes does when the container has started and before it is stopped.
    pub(super) lifecycle: Option<Lifecycle>,
}

/// `Lifecycle` of Kubernetes.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Lifecycle"))]
#[serde(default)]
pub(super) struct Lifecycle {
    /// When the container has started.
    pub(super) post_start: Option<LifecycleHandler>,
    /// Before SIGTERM is sent, which waits for it.
    pub(super) pre_stop: Option<LifecycleHandler>,
}

/// `LifecycleHandler` of Kubernetes: one of its fields.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LifecycleHandler"))]
#[serde(default)]
pub(super) struct LifecycleHandler {
    /// Runs a command in the container.
    pub(super) exec: Option<ExecAction>,
    /// Waits.
    pub(super) sleep: Option<SleepAction>,
}

/// `ExecAction` of Kubernetes.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ExecAction"))]
#[serde(default)]
pub(super) struct ExecAction {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
}

/// `SleepAction` of Kubernetes.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "SleepAction"))]
#[serde(default)]
pub(super) struct SleepAction {
    /// How long.
    pub(super) seconds: u32,
}

/// What Kubernetes knows of an object, as far as it matters.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ObjectMeta {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) creation_timestamp: Option<String>,
}
