//! Istio's and ASM's objects.

use crate::support::problems;
use rustls_multibuffer::TierKind;
use rustls_multibuffer::config::istio::{LifecycleHandler, Objects, Pod, Precedence, ProxyConfig, Resolver};
use rustls_multibuffer::config::{Acceleration, Checked, ConfigError, Document, Mode};
use rustls_multibuffer::handshake::EngineConfig;
use std::time::Duration;

fn read(text: &str, mode: Mode) -> Result<Checked<Objects>, ConfigError> {
    Objects::read(&Document::parse_all("objects.yaml", text)?, mode)
}

fn of_mesh(fields: &str) -> ProxyConfig {
    let text = format!("meshConfig: {{defaultConfig: {{{fields}}}}}");
    let objects = read(&text, Mode::Strict).unwrap_or_else(|e| panic!("{e}")).value;
    Resolver::default().resolve(&objects, &Pod::new("shop", "cart")).config
}

/// Istio forwards only the nanoseconds: its second becomes nothing.
#[test]
fn a_second_stays_a_second() {
    for delay in ["1s", "1000ms", "{seconds: 1}"] {
        let config = of_mesh(&format!("privateKeyProvider: {{cryptomb: {{pollDelay: {delay}}}}}"));
        assert_eq!(config.private_key_provider.as_ref().unwrap().poll_delay, Some(Duration::from_secs(1)));
        let engine = config.engine_config(EngineConfig::default());
        assert_eq!(engine, EngineConfig::default().poll_delay(Duration::from_secs(1)));
    }
}

#[test]
fn everything_of_the_mesh() {
    let config = of_mesh(
        "privateKeyProvider: {cryptomb: {pollDelay: 2ms, fallback: true}}, concurrency: 0, drainDuration: \
         1m, parentShutdownDuration: 1m30s, terminationDrainDuration: 15s, holdApplicationUntilProxyStarts: \
         true, proxyMetadata: {A: '1'}, image: {imageType: distroless}",
    );
    assert_eq!(config.drain_duration, Some(Duration::from_secs(60)));
    assert_eq!(config.parent_shutdown_duration, Some(Duration::from_secs(90)));
    assert_eq!(config.termination_drain_duration, Some(Duration::from_secs(15)));
    assert_eq!(config.hold_application_until_proxy_starts, Some(true));
    assert_eq!(config.proxy_metadata["A"], "1");
    assert_eq!(config.image_type.as_deref(), Some("distroless"));
    let engine = config.engine_config(EngineConfig::default().threads(77));
    assert_eq!(engine, EngineConfig::default().poll_delay(Duration::from_millis(2)));
}

#[test]
fn without_a_provider_acceleration_is_off() {
    let config = of_mesh("concurrency: 3");
    assert_eq!(config.acceleration(), Acceleration::Unset);
    let engine = config.engine_config(EngineConfig::default());
    assert_eq!(engine, EngineConfig::default().max_tier(TierKind::Scalar).threads(3));
}

#[test]
fn fallback_decides_where_there_are_no_lanes() {
    for (fallback, expected) in [(true, true), (false, false)] {
        let config = of_mesh(&format!("privateKeyProvider: {{cryptomb: {{fallback: {fallback}}}}}"));
        let cryptomb = config.private_key_provider.unwrap();
        assert!(cryptomb.admits(TierKind::Avx2Fma));
        assert_eq!(cryptomb.admits(TierKind::Scalar), expected);
    }
}

#[test]
fn what_is_refused() {
    let provider = "meshConfig.defaultConfig.privateKeyProvider";
    let cases = [
        (
            "meshConfig: {defaultConfig: {privateKeyProvider: {}}}",
            format!("{provider}: a provider is required: cryptomb"),
        ),
        (
            "meshConfig: {defaultConfig: {privateKeyProvider: {qat: {pollDelay: 1ms}}}}",
            format!("{provider}.qat: QuickAssist is not supported; cryptomb is"),
        ),
        (
            "meshConfig: {defaultConfig: {privateKeyProvider: {cryptomb: {pollDelay: 10}}}}",
            format!(
                "{provider}.cryptomb.pollDelay: expected a duration with its unit, such as \"0.002s\" \
                or \"10ms\", found a number"
            ),
        ),
        (
            "meshConfig: {defaultConfig: {concurrency: -1}}",
            "meshConfig.defaultConfig.concurrency: the \
            value is out of range: expected a whole number from 0 to 4294967295"
                .to_owned(),
        ),
        (
            "meshConfig: {defaultConfig: {concurrency: 1.5}}",
            "meshConfig.defaultConfig.concurrency: expected a whole number, found a number with a fraction"
                .to_owned(),
        ),
        (
            "meshConfig: {defaultConfig: {tracng: {}}}",
            "meshConfig.defaultConfig.tracng: there is no such field; did you mean tracing?".to_owned(),
        ),
        (
            "meshConfig: {acessLogFile: x}",
            "meshConfig.acessLogFile: there is no such field; did you mean accessLogFile?".to_owned(),
        ),
        (
            "meshConfig: {trustDomain: x, extensionProviders: [{name: x, zipkn: {}}]}",
            "meshConfig.extensionProviders[0].zipkn: there is no such field; did you mean zipkin?".to_owned(),
        ),
        (
            "{kind: ProxyConfig, spec: {selector: {labels: {app: a}}}}",
            "spec.selector.labels: there is no such field".to_owned(),
        ),
        (
            "{kind: ProxyConfig, spek: {concurrency: 2}}",
            "spek: there is no such field; did you mean spec?".to_owned(),
        ),
        (
            "{kind: ProxyConfig, spec: {drainDuration: 2s}}",
            "spec.drainDuration: there is no such field".to_owned(),
        ),
        (
            "{kind: ASMCustomProxyConfigInjectionTemplate, spec: {configPatches: {logLevl: debug}}}",
            "spec.configPatches.logLevl: there is no such field; did you mean logLevel?".to_owned(),
        ),
        (
            "{kind: ProxyConfig, spec: {privateKeyProvider: {cryptomb: {}}}}",
            "spec.privateKeyProvider: a ProxyConfig object cannot carry it: use meshConfig.defaultConfig \
             or the annotation proxy.istio.io/config"
                .to_owned(),
        ),
        (
            "{kind: ProxyConfig, metadata: {creationTimestamp: yesterday}, spec: {}}",
            "metadata.creationTimestamp: not a time of RFC 3339".to_owned(),
        ),
        (
            "{kind: ASMCustomProxyConfigInjectionTemplate, spec: {configPatches: {lifecycle: {preStop: \
             {exec: {}}}}}}",
            "spec.configPatches.lifecycle.preStop: expected one of exec, with a command, and sleep"
                .to_owned(),
        ),
        ("a: 1", ": expected an object with a kind, meshConfig, defaultConfig or metadata".to_owned()),
    ];
    for (text, expected) in cases {
        let e = read(text, Mode::Strict).map(|_| ()).unwrap_err();
        assert_eq!(problems(&e)[0], expected);
    }
    let two = read("meshConfig: {defaultConfig: {}}\n---\ndefaultConfig: {}", Mode::Strict)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        problems(&two),
        ["defaultConfig: there is a mesh configuration already, at objects.yaml:1:29: \
             meshConfig.defaultConfig"]
    );
}

/// What istiod, istioctl and the documentation of Istio and ASM write, none of which concerns this crate.
#[test]
fn fields_of_istios_own_are_passed_over() {
    let text = "
meshConfig:
  accessLogFile: /dev/stdout
  meshMTLS: {minProtocolVersion: TLSV1_3}
  rootNamespace: istio-system
  extensionProviders:
  - {name: otel, opentelemetry: {port: 4317, service: otel.example, resource_detectors: {environment: {}}}}
  defaultConfig:
    discoveryAddress: istiod.istio-system.svc:15012
    tracing: {zipkin: {address: zipkin.istio-system:9411}, customTags: {a: {literal: {value: b}}}}
    proxyStatsMatcher: {inclusionPrefixes: [cluster.outbound]}
    gatewayTopology: {numTrustedProxies: 1}
    caCertificatesPem: []
    proxyHeaders: {preserveHttp1HeaderCase: true}
    concurrency: 4
---
kind: ASMCustomProxyConfigInjectionTemplate
metadata: {namespace: shop, name: a}
spec:
  configPatches:
    sidecarProxyResourceLimit: {resourceCPULimit: 2000m}
    excludeOutboundIPRanges: 10.0.0.0/8
    istioDNSProxyEnabled: true
    lifecycle: {preStop: {httpGet: {port: 15020}}}
status: {}
";
    let read = read(text, Mode::Strict).unwrap_or_else(|e| panic!("{e}"));
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    let passed_over: Vec<_> = read.value.passed_over().iter().map(|at| at.path.to_string()).collect();
    for field in [
        "meshConfig.accessLogFile",
        "meshConfig.meshMTLS",
        "meshConfig.extensionProviders",
        "meshConfig.defaultConfig.discoveryAddress",
        "meshConfig.defaultConfig.proxyHeaders",
        "spec.configPatches.istioDNSProxyEnabled",
        "spec.configPatches.lifecycle.preStop.httpGet",
    ] {
        assert!(passed_over.iter().any(|path| path == field), "{field} in {passed_over:?}");
    }
    assert_eq!(passed_over.len(), 13, "{passed_over:?}");
}

#[test]
fn lenient_makes_warnings_of_what_is_misspelt() {
    let text = "meshConfig: {acessLogFile: x, defaultConfig: {tracng: {}, concurrency: 4}}";
    let read = read(text, Mode::Lenient).unwrap();
    let places: Vec<_> = read.warnings.iter().map(|w| w.location.path.to_string()).collect();
    assert_eq!(places, ["meshConfig.acessLogFile", "meshConfig.defaultConfig.tracng"]);
}

#[test]
fn a_config_map_holds_the_mesh_as_text() {
    let text =
        "{kind: ConfigMap, metadata: {name: istio}, data: {mesh: \"defaultConfig:\\n  concurrency: 6\\n\"}}";
    let objects = read(text, Mode::Strict).unwrap().value;
    assert_eq!(Resolver::default().resolve(&objects, &Pod::new("a", "b")).config.concurrency, Some(6));
    let broken = text.replace("concurrency", "konkurrenz");
    let e = read(&broken, Mode::Strict).map(|_| ()).unwrap_err();
    assert_eq!(
        e.to_string(),
        "objects.yaml, data.mesh:2:15: defaultConfig.konkurrenz: there is no such field; did you mean \
         concurrency?"
    );
}

/// The seed's case: a drain of 15 s after a preStop that waits.
#[test]
fn a_template_of_asm() {
    let text = "
apiVersion: istio.alibabacloud.com/v1
kind: ASMCustomProxyConfigInjectionTemplate
metadata: {name: drain, namespace: shop}
spec:
  workloadSelector: {labels: {app: cart}}
  configPatches:
    privateKeyProvider: {cryptomb: {pollDelay: 5ms}}
    terminationDrainDuration: 15s
    logLevel: debug
    lifecycle:
      postStart: {exec: {command: [/bin/sh, -c, 'true']}}
      preStop: {sleep: {seconds: 13}}
";
    let objects = read(text, Mode::Strict).unwrap_or_else(|e| panic!("{e}")).value;
    let resolver = Resolver::default().precedence(Precedence::Asm);
    let config = resolver.resolve(&objects, &Pod::new("shop", "x").label("app", "cart")).config;
    assert_eq!(config.termination_drain_duration, Some(Duration::from_secs(15)));
    assert_eq!(config.pre_stop, Some(LifecycleHandler::Sleep(13)));
    assert_eq!(
        config.post_start,
        Some(LifecycleHandler::Exec(["/bin/sh", "-c", "true"].map(str::to_owned).to_vec()))
    );
    assert_eq!(config.log_level.as_deref(), Some("debug"));
    let Acceleration::Set(set) = config.acceleration() else { panic!() };
    assert_eq!(set.poll_delay, Some(Duration::from_millis(5)));
}
