//! What is accepted, and what is refused with which path.

use super::sourced::Origin;
use super::{Config, Loaded, Span, Target, TlsIdentity};
use rustls_multibuffer::config::{Mode, TlsAcceleration};
use rustls_multibuffer::{Tier, TierKind};
use std::time::Duration;

const GOOD: &str = "
identities:
  default: {tls_identity: {files: {certificate_chain: c.pem, private_key: k.pem, trusted_ca: b.pem}}}
listeners:
- name: in
  direction: inbound
  address: 127.0.0.1:15006
  target: unix:/run/app.sock
  identity: default
  peers: {trust_domains: [example.org]}
";

#[test]
fn defaults_are_as_documented() {
    let config = Config::parse(GOOD).unwrap();
    assert_eq!((config.concurrency, config.workers()), (2, 2));
    let listener = &config.listeners[0];
    assert_eq!((listener.limits.max_connections, listener.limits.max_pending), (1024, 1024));
    assert_eq!(listener.target, Target::Unix("/run/app.sock".into()));
    assert_eq!(config.drain.termination_drain_duration, Span::seconds(5));
    assert_eq!((config.acceleration().enabled, config.acceleration().threads), (Some(true), Some(2)));
    assert!(config.admin.is_none());
}

#[test]
fn errors_name_the_path() {
    for (from, to, wanted) in [
        ("direction: inbound", "direction: sideways", "listeners[0].direction"),
        ("target: unix:/run/app.sock", "target: nowhere", "listeners[0].target"),
        (
            "address: 127.0.0.1:15006",
            "address: localhost:15006",
            "listeners[0].address: expected an IP address and a port, such as 127.0.0.1:15006 or \
             [::1]:15006, and no name",
        ),
        ("identity: default", "identity: other", "listeners[0].identity: there is no identity \"other\""),
        ("peers: {trust_domains: [example.org]}", "peers: {}", "listeners[0].peers: say who"),
        ("trust_domains: [example.org]", "trust_domains: ['Not A Domain']", "peers.trust_domains[0]"),
        ("trust_domains: [example.org]", "ids: ['http://x']", "listeners[0].peers.ids[0]"),
        ("name: in\n", "name: in\n  colour: red\n", "colour"),
        ("name: in\n", "name: in\n  timeouts: {idle: soon}\n", "test.yaml:6:20: listeners[0].timeouts.idle"),
        (
            "identity: default",
            "tls_identity: {files: {private_key: k}}",
            "listeners[0].tls_identity.files.trusted_ca",
        ),
        (
            "identity: default",
            "tls_identity: {sds: {address: nowhere}}",
            "listeners[0].tls_identity.sds.address",
        ),
        ("identity: default", "alpn: [h2]", "listeners[0]: expected one of identity, tls_identity and tls"),
        (
            "listeners:",
            "concurrency: 3\ntls_acceleration: {threads: 2}\nlisteners:",
            "concurrency says another",
        ),
        ("name: in\n", "name: in\n  server_name: a.b\n", "listeners[0].server_name: only outbound"),
        ("name: in\n", "name: in\n  limits: {max_pending: 0}\n", "listeners[0].limits"),
        ("listeners:", "admin: {address: '10.0.0.1:1'}\nlisteners:", "not a loopback address"),
        ("listeners:", "tls_acceleration: {max_tier: fast}\nlisteners:", "tls_acceleration.max_tier"),
        ("listeners:", "tls_acceleration: {max_tier: portable}\nlisteners:", "for tests only"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = Config::parse(&GOOD.replace(from, to)).unwrap_err();
        assert!(error.contains(wanted), "{wanted:?} in {error}");
    }
}

#[test]
fn targets() {
    for text in ["127.0.0.1:80", "[::1]:80", "app.ns.svc:8080", "unix:/a/b"] {
        assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
    }
    for text in ["", "app", ":80", "::1:80", "app:0", "app:http", "unix:"] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Loaded::read("test.yaml", text, &variable, Mode::Strict).map_err(|e| e.to_string())
}

/// `field = value from origin` of one field.
#[track_caller]
fn explained(loaded: &Loaded, field: &str) -> String {
    let found = loaded.explanation.fields.iter().find(|explained| explained.field == field);
    let found = found.unwrap_or_else(|| panic!("no {field} in {}", loaded.explanation));
    format!("{} from {}", found.value, found.origin)
}

#[test]
fn every_field_says_where_it_came_from() {
    let text = GOOD.replace("listeners:", "drain: {terminationDrainDuration: 1500ms}\nlisteners:");
    let loaded = load(&text, &[]).unwrap();
    assert_eq!(explained(&loaded, "drain.termination_drain_duration"), "\"1500ms\" from test.yaml:4:35");
    assert_eq!(explained(&loaded, "concurrency"), "2 from built-in default");
    assert_eq!(explained(&loaded, "tls_acceleration.enabled"), "true from built-in default");
    assert_eq!(explained(&loaded, "listeners[0].timeouts.idle"), "\"3600s\" from built-in default");
    let key = "identities.default.tls_identity.files.private_key";
    assert!(
        explained(&loaded, key).starts_with("\"k.pem\" from test.yaml:3:"),
        "{}",
        explained(&loaded, key)
    );
    let json = serde_json::to_value(&loaded.explanation).unwrap();
    let of = |field: &str| {
        let fields = json["fields"].as_array().unwrap();
        fields.iter().find(|explained| explained["field"] == field).unwrap()["origin"].clone()
    };
    assert_eq!(of("concurrency"), "built_in");
    assert_eq!(of("drain.termination_drain_duration")["file"]["line"], 4);
}

/// What Istio's injection puts into the environment, and an object and an annotation that are stronger.
#[test]
fn objects_of_the_mesh_are_resolved_by_their_precedence() {
    let defaults = "{\"concurrency\": 3, \"terminationDrainDuration\": \"20s\",
        \"privateKeyProvider\": {\"cryptomb\": {\"pollDelay\": \"10ms\", \"fallback\": true}},
        \"proxyMetadata\": {\"EXIT_ON_ZERO_ACTIVE_CONNECTIONS\": \"true\",
            \"MINIMUM_DRAIN_DURATION\": \"7s\"}}";
    let text = GOOD.replace(
        "listeners:",
        "mesh:
  pod: {annotations: {proxy.istio.io/config: '{concurrency: 5, parentShutdownDuration: 90s}'}}
drain: {minimum_drain_duration: 1s}
listeners:",
    );
    let environment = [("PROXY_CONFIG", defaults), ("POD_NAME", "cart-0"), ("POD_NAMESPACE", "shop")];
    let loaded = load(&text, &environment).unwrap();
    let (config, acceleration) = (&loaded.config, loaded.config.acceleration());
    assert_eq!((config.concurrency, acceleration.threads), (5, Some(5)));
    assert_eq!(config.drain.termination_drain_duration, Span::seconds(20));
    assert_eq!(config.drain.parent_shutdown_time, Span::seconds(90));
    assert_eq!(config.drain.minimum_drain_duration, Span::seconds(1), "the file is the strongest");
    assert!(config.drain.exit_on_zero_active_connections);
    assert_eq!(
        (acceleration.enabled, acceleration.poll_delay),
        (Some(true), Some(Duration::from_millis(10)))
    );
    assert!(explained(&loaded, "concurrency").contains("annotation proxy.istio.io/config shop/cart-0"));
    assert!(
        explained(&loaded, "tls_acceleration.poll_delay").contains("meshConfig.defaultConfig (PROXY_CONFIG")
    );
    assert!(!loaded.explanation.to_string().contains("from built-in\n"), "Istio's own defaults are not ours");
    let overridden = loaded.explanation.to_string();
    assert!(overridden.contains("over 3 from meshConfig.defaultConfig"), "{overridden}");
    assert!(overridden.contains("over \"7s\" from meshConfig.defaultConfig"), "{overridden}");

    // Istio means "off" when it says nothing, and the file may say otherwise.
    let off = load(GOOD, &[("PROXY_CONFIG", "{}")]).unwrap();
    assert_eq!((off.config.acceleration().enabled, off.config.concurrency), (Some(false), 2));
    let text = GOOD.replace("listeners:", "tls_acceleration: {enabled: true, poll_delay: 50us}\nlisteners:");
    let on = load(&text, &[("PROXY_CONFIG", "{}")]).unwrap().config.acceleration();
    assert_eq!((on.enabled, on.poll_delay), (Some(true), Some(Duration::from_micros(50))));

    let broken = load(GOOD, &[("PROXY_CONFIG", "{konkurrenz: 3}")]).unwrap_err();
    assert_eq!(broken, "PROXY_CONFIG:1:14: konkurrenz: there is no such field; did you mean concurrency?");
    let broken =
        load(GOOD, &[("PROXY_CONFIG", "{proxyMetadata: {MINIMUM_DRAIN_DURATION: soon}}")]).unwrap_err();
    assert!(broken.contains("MINIMUM_DRAIN_DURATION"), "{broken}");
}

/// As istiod injects it, with what concerns Envoy and not this program.
#[test]
fn what_istio_injects_is_taken() {
    let injected = r#"{"discoveryAddress":"istiod.istio-system.svc:15012",
        "tracing":{"zipkin":{"address":"zipkin:9411"}},
        "proxyMetadata":{"ISTIO_META_DNS_CAPTURE":"true"},
        "proxyStatsMatcher":{"inclusionPrefixes":["cluster"]},
        "image":{"imageType":"distroless"},"concurrency":4,"statusPort":15020,"meshId":"mesh1"}"#;
    let loaded = load(GOOD, &[("PROXY_CONFIG", injected)]).unwrap();
    assert_eq!(loaded.config.concurrency, 4);
    assert!(loaded.explanation.warnings.is_empty(), "{:?}", loaded.explanation.warnings);
    assert_eq!(loaded.explanation.passed_over.len(), 5, "{:?}", loaded.explanation.passed_over);
    // Istio's default of a minute is for Envoy; ours is the documented one.
    assert_eq!(loaded.config.drain.parent_shutdown_time, Span::seconds(900));
    assert!(explained(&loaded, "drain.parent_shutdown_time").ends_with("from built-in default"));
    assert_eq!(load(GOOD, &[("PROXY_CONFIG", "")]).unwrap().config.concurrency, 2);
}

#[test]
fn annotations_count_field_by_field() {
    let annotated = |annotation: &str| {
        let mesh =
            format!("mesh: {{pod: {{annotations: {{proxy.istio.io/config: '{annotation}'}}}}}}\nlisteners:");
        load(&GOOD.replace("listeners:", &mesh), &[])
    };
    let loaded = annotated("{concurrency: 4, discoveryAddress: x, terminationDrainDuratio: 9s}").unwrap();
    assert_eq!(loaded.config.concurrency, 4);
    let [warning] = &loaded.explanation.warnings[..] else { panic!("{:?}", loaded.explanation.warnings) };
    assert!(warning.to_string().ends_with("did you mean terminationDrainDuration?"), "{warning}");
    let broken = annotated("{concurrency: many, drainDuration: 10}").unwrap_err();
    assert_eq!(broken.lines().count(), 2, "{broken}");
    assert!(broken.contains("annotation proxy.istio.io/config default/:1:15: concurrency"), "{broken}");
}

/// A slip of the pen, or of the unit.
#[test]
fn values_have_limits() {
    for (extra, wanted) in [
        ("concurrency: 100000", "test.yaml:4:14: concurrency: too much: at most 1024"),
        (
            "concurrency: -1",
            "test.yaml:4:14: concurrency: the value is out of range: expected a whole number from 0 to",
        ),
        ("concurrency: 1.5", "concurrency: expected a whole number, found a number with a fraction"),
        ("tls_acceleration: {poll_delay: 10s}", "tls_acceleration.poll_delay: too much: at most 1s"),
        ("tls_acceleration: {latency_budget: 10s}", "tls_acceleration.latency_budget: too much: at most 1s"),
        (
            "tls_acceleration: {handshake_threads: 5000}",
            "tls_acceleration.handshake_threads: too much: at most 1024",
        ),
        ("tls_acceleration: {max_parked: 1000000}", "tls_acceleration.max_parked: too much: at most 65536"),
        ("tls_acceleration: {threads: 5000}", "tls_acceleration.threads: too much: at most 1024"),
        (
            "drain: {termination_drain_duration: 5000h}",
            "drain.termination_drain_duration: too much: at most 604800s",
        ),
        (
            "mesh: {pod: {annotations: {proxy.istio.io/config: 'concurrency: 9999'}}}",
            "concurrency is too much",
        ),
        (
            "mesh: {pod: {annotations: {proxy.istio.io/config: \
             '{privateKeyProvider: {cryptomb: {pollDelay: 10s, fallback: true}}}'}}}",
            "tls_acceleration.poll_delay is too much",
        ),
    ] {
        let error = load(&GOOD.replace("listeners:", &format!("{extra}\nlisteners:")), &[]).unwrap_err();
        assert!(error.contains(wanted), "{wanted:?} in {error}");
    }
    for (field, wanted) in [
        ("timeouts: {handshake: 10h}", "listeners[0].timeouts.handshake: too much: at most 600s"),
        ("timeouts: {idle: 9000h}", "listeners[0].timeouts.idle: too much"),
        ("limits: {max_connections: 99999999999}", "listeners[0].limits.max_connections: too much"),
        ("live: {max_age: 9000h}", "listeners[0].live.max_age: too much"),
    ] {
        let error = load(&GOOD.replace("name: in\n", &format!("name: in\n  {field}\n")), &[]).unwrap_err();
        assert!(error.contains(wanted), "{wanted:?} in {error}");
    }
}

#[test]
fn levels_of_the_log_have_several_names() {
    for (name, level) in [
        ("warning", log::LevelFilter::Warn),
        ("warn", log::LevelFilter::Warn),
        ("off", log::LevelFilter::Off),
    ] {
        let config =
            Config::parse(&GOOD.replace("listeners:", &format!("log: {{level: '{name}'}}\nlisteners:")));
        assert_eq!(config.unwrap().log.level, level);
    }
    let error = Config::parse(&GOOD.replace("listeners:", "log: {level: loud}\nlisteners:")).unwrap_err();
    assert!(error.contains("log.level: expected off, error, warn (or warning)"), "{error}");
}

#[test]
fn without_fallback_a_provider_needs_lanes() {
    let provider = "{privateKeyProvider: {cryptomb: {pollDelay: 1ms}}}";
    let loaded = load(GOOD, &[("PROXY_CONFIG", provider)]);
    assert_eq!(loaded.is_ok(), Tier::detect().kind() != TierKind::Scalar, "{:?}", loaded.err());
    // Whoever wants no lanes is not told that there are none.
    let text = GOOD.replace("listeners:", "tls_acceleration: {max_tier: scalar}\nlisteners:");
    assert!(load(&text, &[("PROXY_CONFIG", provider)]).is_ok());
}

const ENVOY: &str = "
clusters: {sds-grpc: 'unix:/run/istio/sds.sock'}
listeners:
- name: in
  direction: inbound
  address: 127.0.0.1:15006
  target: 127.0.0.1:8080
  tls:
    name: envoy.transport_sockets.tls
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
      require_client_certificate: true
      common_tls_context:
        alpn_protocols: [h2]
        tls_params: {tls_minimum_protocol_version: TLSv1_3, ecdh_curves: [P-256]}
        tls_certificates:
        - certificate_chain: {filename: c.pem}
          private_key_provider:
            provider_name: cryptomb
            fallback: true
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig
              private_key: {inline_string: 'not to be shown'}
              poll_delay: 0.002s
        validation_context:
          trusted_ca: {filename: b.pem}
          match_typed_subject_alt_names:
          - {san_type: URI, matcher: {prefix: 'spiffe://example.org/'}}
      prefer_client_ciphers: true
- name: out
  direction: outbound
  address: 127.0.0.1:15001
  target: 127.0.0.1:15006
  peers: {any: true}
  tls:
    sni: server.test
    common_tls_context:
      tls_certificate_sds_secret_configs:
      - name: default
        sds_config: {api_config_source: {api_type: GRPC, grpc_services: {envoy_grpc: {cluster_name: \
    sds-grpc}}}}
      validation_context_sds_secret_config:
        name: ROOTCA
        sds_config: {api_config_source: {api_type: GRPC, grpc_services: {envoy_grpc: {cluster_name: \
    sds-grpc}}}}
";

#[test]
fn contexts_of_envoy_are_pasted() {
    let loaded = load(ENVOY, &[]).unwrap();
    let [inbound, outbound] = &loaded.config.listeners[..] else { panic!() };
    assert!(matches!(inbound.own_source(), Some(TlsIdentity::Static(_))), "{inbound:?}");
    let Some(TlsIdentity::Sds { address, certificate, trusted_ca, .. }) = outbound.own_source() else {
        panic!("{outbound:?}")
    };
    assert_eq!([address, certificate, trusted_ca], ["unix:/run/istio/sds.sock", "default", "ROOTCA"]);
    let acceleration: TlsAcceleration = loaded.config.acceleration();
    assert_eq!((acceleration.enabled, acceleration.poll_delay), (Some(true), Some(Duration::from_millis(2))));
    let delay = loaded.explanation.fields.iter().find(|f| f.field == "tls_acceleration.poll_delay").unwrap();
    assert!(matches!(&delay.origin, Origin::Provider(at) if at.file.as_ref() == "test.yaml"), "{delay:?}");
    let admitted = "[\"prefix \\\"spiffe://example.org/\\\"\"] from test.yaml:28:13";
    assert_eq!(explained(&loaded, "listeners[0].tls.uri_matchers"), admitted);
    assert_eq!(explained(&loaded, "listeners[0].tls.alpn_protocols"), "[\"h2\"] from test.yaml:14:25");
    let lowest = explained(&loaded, "listeners[0].tls.minimum_protocol_version");
    assert!(lowest.ends_with("TLSv1_3\" from test.yaml:15:52"), "{lowest}");
    assert_eq!(inbound.context().map(|context| context.prefer_client_ciphers), Some(true));
    let whose = explained(&loaded, "listeners[0].tls.prefer_client_ciphers");
    assert!(whose.starts_with("true from test.yaml:"), "{whose}");
    for default in ["maximum_protocol_version", "cipher_suites", "sni"] {
        let explained = explained(&loaded, &format!("listeners[0].tls.{default}"));
        assert!(explained.ends_with("from built-in default"), "{default}: {explained}");
    }
    assert!(
        explained(&loaded, "listeners[1].tls.source.sds.certificate")
            .starts_with("\"default\" from test.yaml:")
    );
    for shown in [
        loaded.explanation.to_string(),
        serde_json::to_string(&loaded.config).unwrap(),
        format!("{loaded:?}"),
    ] {
        assert!(!shown.contains("not to be shown"), "{shown}");
    }
    for (from, to, wanted) in [
        ("require_client_certificate: true", "require_client_certificate: false", "mutual TLS only"),
        ("direction: outbound", "direction: inbound", "listeners[1].tls.sni"),
        ("clusters: {sds-grpc:", "clusters: {other:", "clusters.sds-grpc is needed"),
        ("peers: {any: true}", "peers: {}", "listeners[1].peers: say who"),
        (
            "trusted_ca: {filename: b.pem}",
            "crl: {filename: b.pem}",
            "validation_context.trusted_ca: it is required",
        ),
        ("  peers: {any: true}", "  peers: {any: true}\n  alpn: [h2]", "listeners[1].alpn: tls has its own"),
        ("peers: {any: true}", "peers: {any: true, trust_domains: [example.org]}", "nothing to add"),
        // Beside the context it would seem to be in force.
        (
            "    typed_config:\n      '@",
            "    peers: {ids: ['spiffe://a/b']}\n    typed_config:\n      '@",
            "tls.peers",
        ),
        ("v3.DownstreamTlsContext", "v3.SPIFFECertValidatorConfig", "expected a DownstreamTlsContext"),
    ] {
        assert!(ENVOY.contains(from), "{from}");
        let error = load(&ENVOY.replace(from, to), &[]).unwrap_err();
        assert!(error.contains(wanted), "{wanted:?} in {error}");
    }
    let around = ENVOY.replace(
        "  tls:\n    name: envoy",
        "  tls:\n    filter_chain_match: {destination_port: 80}\n    transport_socket:\n    name: envoy",
    );
    let start = around.find("    transport_socket:\n").unwrap() + "    transport_socket:\n".len();
    let end = around.find("- name: out").unwrap();
    let inside = around[start..end].lines().map(|line| format!("  {line}\n")).collect::<String>();
    let around = format!("{}{inside}{}", &around[..start], &around[end..]);
    let error = load(&around, &[]).unwrap_err();
    assert!(error.contains("listeners[0].tls.filter_chain_match"), "{error}");
    assert!(load(&around.replace("    filter_chain_match: {destination_port: 80}\n", ""), &[]).is_ok());
    // Nothing turns acceleration on: Envoy means "off" by that.
    let provider = ENVOY.find("          private_key_provider").unwrap();
    let end = ENVOY.find("        validation_context:").unwrap();
    let without =
        format!("{}          private_key: {{filename: k.pem}}\n{}", &ENVOY[..provider], &ENVOY[end..]);
    let loaded = load(&without, &[]).unwrap();
    assert_eq!(loaded.config.acceleration().enabled, Some(false));
    assert!(matches!(loaded.config.listeners[0].own_source(), Some(TlsIdentity::Files(_))));
}
