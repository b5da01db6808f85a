//! Istio's and ASM's objects, with the fields that are supported. Their comments become the table of fields
//! and the JSON schema.

use crate::config::duration::Span;
use crate::config::messages::messages;
use std::collections::BTreeMap;

messages! {
    /// `ProxyConfig` of Istio's mesh configuration: `meshConfig.defaultConfig`, and the annotation
    /// `proxy.istio.io/config`.
    struct ProxyConfig as "IstioProxyConfig" {
        /// Turns acceleration on.
        private_key_provider: Option<PrivateKeyProvider>,
        /// Worker threads; default: 2, 0: one for each CPU.
        concurrency: Option<u32>,
        /// How long connections may go on after a hot restart; default: 45s.
        drain_duration: Option<Span>,
        /// When a hot restart ends the old process; default: 60s.
        parent_shutdown_duration: Option<Span>,
        /// How long connections may go on after SIGTERM; default: 5s.
        termination_drain_duration: Option<Span>,
        /// Whether the application waits for the proxy; default: false.
        hold_application_until_proxy_starts: Option<bool>,
        /// Environment variables of the proxy.
        proxy_metadata: BTreeMap<String, String>,
        /// The proxy's image.
        image: Option<ProxyImage>,
    }

    /// `PrivateKeyProvider` of Istio: one of its fields.
    struct PrivateKeyProvider as "IstioPrivateKeyProvider" {
        /// Acceleration in SIMD lanes.
        cryptomb: Option<CryptoMb>,
        /// QuickAssist hardware: not supported.
        qat: Option<CryptoMb>,
    }

    /// `PrivateKeyProvider.CryptoMb` of Istio.
    struct CryptoMb as "IstioCryptoMb" {
        /// How long an operation waits for company although its thread is idle; default: 0, it does not wait.
        poll_delay: Option<Span>,
        /// Whether to go on without acceleration where the CPU offers none; default: false.
        fallback: Option<bool>,
    }

    /// `ProxyImage` of Istio.
    struct ProxyImage as "IstioProxyImage" {
        /// The kind of image, such as distroless.
        image_type: Option<String>,
    }

    /// The `spec` of a `ProxyConfig` object of `networking.istio.io`, which has fewer fields than the mesh
    /// configuration's.
    struct ProxyConfigSpec as "IstioProxyConfigSpec" {
        /// Which pods of the namespace; without it, all of them.
        selector: Option<Selector>,
        /// Worker threads; 0: one for each CPU.
        concurrency: Option<u32>,
        /// Environment variables of the proxy.
        environment_variables: BTreeMap<String, String>,
        /// The proxy's image.
        image: Option<ProxyImage>,
    }

    /// A selector of pods.
    struct Selector as "WorkloadSelector" {
        /// The labels that a pod must have, all of them.
        match_labels: BTreeMap<String, String>,
        /// The same, as ASM's examples write it.
        labels: BTreeMap<String, String>,
    }

    /// The `spec` of an `ASMCustomProxyConfigInjectionTemplate` object.
    struct TemplateSpec as "AsmTemplateSpec" {
        /// Which pods of the namespace; without it, all of them.
        workload_selector: Option<Selector>,
        /// What the template sets.
        config_patches: ConfigPatches,
    }

    /// The settings in an `ASMCustomProxyConfigInjectionTemplate`.
    struct ConfigPatches as "AsmConfigPatches" {
        /// Turns acceleration on.
        private_key_provider: Option<PrivateKeyProvider>,
        /// Worker threads; 0: one for each CPU.
        concurrency: Option<u32>,
        /// How long connections may go on after a hot restart.
        drain_duration: Option<Span>,
        /// When a hot restart ends the old process.
        parent_shutdown_duration: Option<Span>,
        /// How long connections may go on after SIGTERM.
        termination_drain_duration: Option<Span>,
        /// Whether the application waits for the proxy.
        hold_application_until_proxy_starts: Option<bool>,
        /// Environment variables of the proxy.
        proxy_metadata: BTreeMap<String, String>,
        /// The level of the log.
        log_level: Option<String>,
        /// What Kubernetes does when the container has started and before it is stopped.
        lifecycle: Option<Lifecycle>,
    }

    /// `Lifecycle` of Kubernetes.
    struct Lifecycle as "Lifecycle" {
        /// When the container has started.
        post_start: Option<LifecycleHandler>,
        /// Before SIGTERM is sent, which waits for it.
        pre_stop: Option<LifecycleHandler>,
    }

    /// `LifecycleHandler` of Kubernetes: one of its fields.
    struct LifecycleHandler as "LifecycleHandler" {
        /// Runs a command in the container.
        exec: Option<ExecAction>,
        /// Waits for some seconds.
        sleep: Option<SleepAction>,
    }

    /// `ExecAction` of Kubernetes.
    struct ExecAction as "ExecAction" {
        /// The program and its arguments.
        command: Vec<String>,
    }

    /// `SleepAction` of Kubernetes.
    struct SleepAction as "SleepAction" {
        /// How many seconds to wait.
        seconds: u32,
    }

    /// What Kubernetes knows of an object, as far as it matters.
    struct ObjectMeta as "ObjectMeta" {
        name: Option<String>,
        namespace: Option<String>,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        creation_timestamp: Option<String>,
    }
}
