//! Contexts with everything that is supported.

use crate::support::{document, downstream, problems, upstream};
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, NamedGroup, ProtocolVersion};
use rustls_multibuffer::config::envoy::{
    self, CertificateSource, DownstreamTlsContext, SdsServer, TlsContext, TrustedCa, UriMatcher,
};
use rustls_multibuffer::config::{Document, Mode};
use std::time::Duration;

const YAML: &str = r#"
"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
require_client_certificate: true
prefer_client_ciphers: true
disable_stateless_session_resumption: true
disable_stateful_session_resumption: false
common_tls_context:
  alpn_protocols: [h2, http/1.1]
  tls_params:
    tls_minimum_protocol_version: TLSv1_2
    tls_maximum_protocol_version: TLSv1_3
    cipher_suites: ["[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]", ECDHE-RSA-AES256-GCM-SHA384]
    ecdh_curves: [P-256, X25519MLKEM768]
  tls_certificate_sds_secret_configs:
  - name: default
    sds_config:
      resource_api_version: V3
      initial_fetch_timeout: 0s
      api_config_source:
        api_type: GRPC
        transport_api_version: V3
        set_node_on_first_message_only: true
        grpc_services:
        - envoy_grpc: {cluster_name: sds-grpc}
  combined_validation_context:
    default_validation_context:
      match_typed_subject_alt_names:
      - san_type: URI
        matcher: {exact: spiffe://example.org/client}
    validation_context_sds_secret_config:
      name: ROOTCA
      sds_config:
        path_config_source: {path: /run/sds.yaml, watched_directory: {path: /run}}
"#;

const JSON: &str = r#"{
	"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
	"requireClientCertificate": true,
	"preferClientCiphers": true,
	"disableStatelessSessionResumption": true,
	"disableStatefulSessionResumption": false,
	"commonTlsContext": {
		"alpnProtocols": ["h2", "http\/1.1"],
		"tlsParams": {
			"tlsMinimumProtocolVersion": "TLSv1_2",
			"tlsMaximumProtocolVersion": "TLSv1_3",
			"cipherSuites": ["[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]", "ECDHE-RSA-AES256-GCM-SHA384"],
			"ecdhCurves": ["P-256", "X25519MLKEM768"]
		},
		"tlsCertificateSdsSecretConfigs": [{
			"name": "default",
			"sdsConfig": {
				"resourceApiVersion": "V3",
				"initialFetchTimeout": "0s",
				"apiConfigSource": {
					"apiType": "GRPC",
					"transportApiVersion": "V3",
					"setNodeOnFirstMessageOnly": true,
					"grpcServices": [{"envoyGrpc": {"clusterName": "sds-grpc"}}]
				}
			}
		}],
		"combinedValidationContext": {
			"defaultValidationContext": {
				"matchTypedSubjectAltNames": [
					{"sanType": "URI", "matcher": {"exact": "spiffe:\/\/example.org\/client"}}
				]
			},
			"validationContextSdsSecretConfig": {
				"name": "ROOTCA",
				"sdsConfig": {
					"pathConfigSource": {"path": "/run/sds.yaml", "watchedDirectory": {"path": "/run"}}
				}
			}
		}
	}
}"#;

#[test]
fn everything_of_a_listener() {
    let read = downstream(YAML).unwrap_or_else(|e| panic!("{e}"));
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    let context = read.value;
    assert!(context.require_client_certificate && context.prefer_client_ciphers);
    assert_eq!(context.disable_stateless_session_resumption, Some(true));
    assert_eq!(context.disable_stateful_session_resumption, Some(false));
    let common = context.common;
    assert_eq!(common.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    let CertificateSource::Sds(secret) = &common.certificates[0] else { panic!() };
    assert_eq!(secret.name, "default");
    assert_eq!(
        (&secret.server, secret.initial_fetch_timeout),
        (&SdsServer::Cluster("sds-grpc".to_owned()), None)
    );
    let validation = common.validation.unwrap();
    let TrustedCa::Sds(roots) = &validation.trusted_ca else { panic!() };
    let file = SdsServer::File { path: "/run/sds.yaml".into(), watched_directory: Some("/run".into()) };
    assert_eq!((&roots.server, roots.initial_fetch_timeout), (&file, Some(Duration::from_secs(15))));
    assert!(validation.admits(["spiffe://example.org/other", "spiffe://example.org/client"]));
    assert!(!validation.admits(["spiffe://example.org/client2"]) && !validation.admits([]));
}

#[test]
fn parameters_become_rustls_own() {
    let params = downstream(YAML).unwrap().value.common.params;
    assert_eq!((params.minimum, params.maximum), (ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3));
    let provider = params.crypto_provider();
    let groups: Vec<_> = provider.kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(groups, [NamedGroup::secp256r1, NamedGroup::X25519MLKEM768]);
    let suites: Vec<_> = provider.cipher_suites.iter().map(|suite| suite.suite()).collect();
    assert_eq!(suites[..3].iter().filter(|suite| format!("{suite:?}").starts_with("TLS13")).count(), 3);
    assert_eq!(
        suites[3..],
        [
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ]
    );
    let versions = |low: &str, high: &str| {
        let text = format!(
            "common_tls_context: {{tls_params: {{tls_minimum_protocol_version: {low}, \
             tls_maximum_protocol_version: {high}}}, tls_certificates: [{{certificate_chain: {{filename: \
             /c}}, private_key: {{filename: /k}}}}]}}"
        );
        let versions = downstream(&text).unwrap().value.common.params.protocol_versions();
        versions.iter().map(|version| version.version).collect::<Vec<_>>()
    };
    let (v12, v13) = (ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3);
    assert_eq!(versions("TLSv1_3", "TLS_AUTO"), [v13]);
    assert_eq!(versions("TLS_AUTO", "TLSv1_2"), [v12]);
    assert_eq!(versions("TLS_AUTO", "TLS_AUTO"), [v13, v12]);
}

/// To begin higher than asked for is safe; to end higher is not.
#[test]
fn older_versions_are_raised_with_a_warning() {
    let text = YAML.replace("tls_minimum_protocol_version: TLSv1_2", "tls_minimum_protocol_version: TLSv1_0");
    let raised = downstream(&text).unwrap();
    assert_eq!(raised.value.common.params.minimum, ProtocolVersion::TLSv1_2);
    assert!(raised.warnings[0].message.contains("taken as TLSv1_2"), "{:?}", raised.warnings);
    let text = YAML.replace("tls_maximum_protocol_version: TLSv1_3", "tls_maximum_protocol_version: TLSv1_1");
    assert!(DownstreamTlsContext::read(&document(&text), Mode::Lenient).is_err());
}

/// As SPIRE's tutorials and Istio's control plane write them, and as Envoy takes them.
#[test]
fn names_that_envoy_knows_and_rustls_does_not_are_left_out() {
    let with = |from: &str, to: &str| {
        assert!(YAML.contains(from));
        downstream(&YAML.replace(from, to))
    };
    const CURVES: &str = "[P-256, X25519MLKEM768]";
    for (curves, groups, warnings) in [
        ("['X25519:P-256:P-521:P-384']", "[X25519, secp256r1, secp384r1]", 1),
        ("[P-521, MLKEM1024, prime256v1]", "[secp256r1]", 2),
        ("[x25519, secp384r1, secp521r1]", "[X25519, secp384r1]", 1),
        ("['']", "[]", 0),
    ] {
        let read = with(CURVES, curves).unwrap_or_else(|e| panic!("{curves}: {e}"));
        assert_eq!(format!("{:?}", read.value.common.params.groups), groups, "{curves}");
        assert_eq!(read.warnings.len(), warnings, "{curves}");
    }
    for curves in [
        "[P-521]",
        "[P-256, nonsense]",
        "[P-256, P-256]",
        "['P-256:P-256']",
        "[P-256, 'P-384:']",
        "[P-256, '']",
        "[p-256]",
    ] {
        assert!(with(CURVES, curves).is_err(), "{curves}");
    }
    const SUITES: &str =
        "[\"[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]\", ECDHE-RSA-AES256-GCM-SHA384]";
    let istios = "[ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384, \
        ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256, AES256-GCM-SHA384, AES128-GCM-SHA256]";
    let read = with(SUITES, istios).unwrap();
    assert_eq!((read.value.common.params.cipher_suites.len(), read.warnings.len()), (4, 2));
    for suites in
        ["['[ECDHE-RSA-AES128-GCM-SHA256']", "['ECDHE-RSA-AES128-GCM-SHA256]']", "[AES128-SHA]", "[RC4]"]
    {
        assert!(with(SUITES, suites).is_err(), "{suites}");
    }
    let alpn = with("[h2, http/1.1]", "['h2,http/1.1', '']").unwrap().value.common.alpn_protocols;
    assert_eq!(alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    let long = "a".repeat(256);
    assert!(with("[h2, http/1.1]", &format!("[{long}]")).is_err());
}

#[test]
fn what_is_said_of_sessions() {
    let said = "session_timeout: 3600s\nsession_ticket_keys: {keys: [{filename: /k}]}\nrequire_sni: false\n\
                ocsp_staple_policy: LENIENT_STAPLING\nfull_scan_certs_on_sni_mismatch: false\n";
    let read = downstream(&format!("{said}{}", YAML.trim_start())).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.value.session_timeout, Some(Duration::from_secs(3600)));
    assert!(
        read.warnings[0].location.path.to_string().ends_with("session_ticket_keys.keys"),
        "{:?}",
        read.warnings
    );
    for wrong in [
        "session_timeout: 10m",
        "session_timeout: -1s",
        "session_ticket_keys: {keys: []}",
        "require_sni: true",
    ] {
        assert!(downstream(&format!("{wrong}\n{}", YAML.trim_start())).is_err(), "{wrong}");
    }
}

/// The two differ only in where things stand.
#[test]
fn json_is_read_as_yaml_is() {
    let without_places = |text: &str| {
        let shown = format!("{:?}", downstream(text).unwrap_or_else(|e| panic!("{e}")).value);
        let mut parts = shown.split("Location {");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |all, part| all + part.split_once("]) }").unwrap().1)
    };
    assert_eq!(without_places(YAML), without_places(JSON));
    assert!(without_places(JSON).contains("sds-grpc"));
}

#[test]
fn everything_towards_a_cluster() {
    let text = "
sni: server.example.org
max_session_keys: 0
allow_renegotiation: false
common_tls_context:
  validation_context:
    trusted_ca: {filename: /run/id/root-cert.pem}
    watched_directory: {path: /run/id}
    match_typed_subject_alt_names:
    - {san_type: URI, matcher: {prefix: 'spiffe://example.org/'}}
";
    let read = upstream(text).unwrap_or_else(|e| panic!("{e}"));
    assert!(read.warnings.is_empty());
    let context = read.value;
    assert_eq!(context.sni, Some(ServerName::try_from("server.example.org").unwrap()));
    assert_eq!(context.max_session_keys, Some(0));
    assert!(context.common.certificates.is_empty());
    let TrustedCa::Source { source, watched_directory } = context.common.validation.unwrap().trusted_ca
    else {
        panic!()
    };
    assert_eq!(
        (source.to_string().as_str(), watched_directory),
        ("file /run/id/root-cert.pem", Some("/run/id".into()))
    );
    for (wrong, path) in [
        (text.replace("server.example.org", "'not a name'"), "sni"),
        (text.replace("allow_renegotiation: false", "allow_renegotiation: true"), "allow_renegotiation"),
        ("sni: a".to_owned(), "common_tls_context"),
    ] {
        assert!(problems(&upstream(&wrong).unwrap_err())[0].starts_with(&format!("{path}: ")));
    }
}

fn matcher(text: &str) -> Result<UriMatcher, String> {
    let text = format!(
        "common_tls_context: {{validation_context: {{trusted_ca: {{filename: /ca}}, \
         match_typed_subject_alt_names: [{{san_type: URI, matcher: {text}}}]}}}}"
    );
    let read = upstream(&text).map_err(|e| e.problems()[0].message.clone())?;
    Ok(read.value.common.validation.unwrap().uri_matchers.remove(0))
}

#[test]
fn names_are_matched() {
    let cases = [
        ("{exact: 'spiffe://a/b'}", "spiffe://a/b", "spiffe://a/bc"),
        ("{exact: 'spiffe://a/B', ignore_case: true}", "spiffe://A/b", "spiffe://a/bc"),
        ("{prefix: 'spiffe://a/'}", "spiffe://a/b", "spiffe://ab"),
        ("{suffix: /b, ignore_case: true}", "spiffe://a/B", "spiffe://a/b/"),
        ("{contains: /ns/shop/}", "spiffe://a/ns/shop/x", "spiffe://a/ns/shopping/x"),
        ("{safe_regex: {regex: 'spiffe://a/(b|c)'}}", "spiffe://a/c", "spiffe://a/cc"),
        ("{safe_regex: {google_re2: {}, regex: 'b|spiffe://a/.*'}}", "spiffe://a/c", "ab"),
    ];
    for (text, good, bad) in cases {
        let matcher = matcher(text).unwrap();
        assert!(matcher.matches(good) && !matcher.matches(bad), "{text}");
    }
}

#[test]
fn patterns_that_are_none_are_refused() {
    assert!(matcher("{}").unwrap_err().contains("expected one pattern, found 0"));
    assert!(matcher("{exact: a, prefix: b}").unwrap_err().contains("expected one pattern, found 2"));
    assert!(matcher("{prefix: ''}").unwrap_err().contains("empty"));
    for regex in ["(", "a)|(.*", "(?x)a # comment", ""] {
        assert!(matcher(&format!("{{safe_regex: {{regex: '{regex}'}}}}")).is_err(), "{regex}");
    }
}

#[test]
fn who_is_admitted_by_roots_alone_is_a_warning() {
    let read = upstream("common_tls_context: {validation_context: {trusted_ca: {filename: /ca}}}").unwrap();
    assert!(read.warnings[0].message.contains("everybody is admitted"));
    let none = upstream("common_tls_context: {validation_context: {}}").unwrap_err();
    assert_eq!(
        problems(&none)[0],
        "common_tls_context.validation_context.trusted_ca: it is required: nothing else says which \
         certificates to trust"
    );
}

#[test]
fn what_says_nothing_new_about_peers_is_accepted() {
    let defaults = "trust_chain_verification: VERIFY_TRUST_CHAIN, allow_expired_certificate: false, \
        require_signed_certificate_timestamp: false, max_verify_depth: 100, only_verify_leaf_cert_crl: \
        false, verify_certificate_hash: []";
    let read = upstream(&format!(
        "common_tls_context: {{validation_context: {{trusted_ca: {{filename: /ca}}, {defaults}}}}}"
    ))
    .unwrap();
    assert!(read.value.common.validation.is_some());
}

#[test]
fn deprecated_matchers_are_taken_for_uris_and_their_successors_named() {
    let read = |names: &str| {
        upstream(&format!(
            "common_tls_context: {{validation_context: {{trusted_ca: {{filename: /ca}}, {names}}}}}"
        ))
    };
    let deprecated = "match_subject_alt_names: [{prefix: 'spiffe://example.org/'}]";
    let context = read(deprecated).unwrap();
    assert!(context.warnings[0].message.contains("match_typed_subject_alt_names"), "{:?}", context.warnings);
    let validation = context.value.common.validation.unwrap();
    assert!(validation.admits(["spiffe://example.org/a"]) && !validation.admits(["spiffe://example.com/a"]));
    let both =
        format!("{deprecated}, match_typed_subject_alt_names: [{{san_type: URI, matcher: {{exact: a}}}}]");
    assert!(problems(&read(&both).unwrap_err())[0].contains("not both"));
}

#[test]
fn revocation_lists_and_the_spiffe_validator_are_read() {
    let validator = |domains: &str| {
        let name = "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig";
        upstream(&format!(
            "common_tls_context:
  validation_context:
    crl: {{filename: /crl.pem}}
    only_verify_leaf_cert_crl: true
    custom_validator_config:
      name: envoy.tls.cert_validator.spiffe
      typed_config: {{'@type': type.googleapis.com/{name}, trust_domains: [{domains}]}}
"
        ))
    };
    let ours = "{name: example.org, trust_bundle: {filename: /ours.pem}}";
    let theirs = "{name: example.com, trust_bundle: {filename: /theirs.pem}}";
    let read = validator(&format!("{ours}, {theirs}")).unwrap();
    let validation = read.value.common.validation.unwrap();
    assert!(validation.only_verify_leaf_crl);
    assert_eq!(validation.crl.unwrap().to_string(), "file /crl.pem");
    let TrustedCa::PerDomain(bundles) = validation.trusted_ca else { panic!("{:?}", validation.trusted_ca) };
    let found: Vec<_> = bundles.iter().map(|(name, bundle)| format!("{name}: {bundle}")).collect();
    assert_eq!(found, ["example.com: file /theirs.pem", "example.org: file /ours.pem"]);
    for wrong in ["", "{name: example.org}", "{trust_bundle: {filename: /x}}", &format!("{ours}, {ours}")] {
        assert!(validator(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn servers_of_secrets_are_checked() {
    let cases = [
        ("name: ''", "sds_config: it is required"),
        ("sds_config: {ads: {}}", "expected one of api_config_source"),
        ("sds_config: {path_config_source: {path: ''}}", "path_config_source.path: it is required"),
        ("sds_config: {api_config_source: {api_type: REST}}", "api_config_source.api_type: expected GRPC"),
        (
            "sds_config: {resource_api_version: V2, path_config_source: {path: /x}}",
            "resource_api_version: expected V3",
        ),
        (
            "sds_config: {api_config_source: {api_type: GRPC, grpc_services: [{}]}}",
            "expected one of envoy_grpc and google_grpc",
        ),
        (
            "sds_config: {api_config_source: {api_type: GRPC, grpc_services: []}}",
            "expected one server, found 0",
        ),
        (
            "sds_config: {api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {}}]}}",
            "cluster_name: it is required",
        ),
    ];
    for (fields, expected) in cases {
        let name = if fields.starts_with("name") { "" } else { "name: default, " };
        let text =
            format!("common_tls_context: {{tls_certificate_sds_secret_configs: [{{{name}{fields}}}]}}");
        let e = downstream(&text).unwrap_err().to_string();
        assert!(e.contains(expected), "{fields}: {e}");
    }
    let text = "common_tls_context: {tls_certificate_sds_secret_configs: [{name: x, sds_config: \
        {api_config_source: \
                {api_type: GRPC, grpc_services: [{google_grpc: {target_uri: 'unix:/run/agent.sock', \
        stat_prefix: sds}}]}}}]}";
    let CertificateSource::Sds(secret) = &downstream(text).unwrap().value.common.certificates[0] else {
        panic!()
    };
    assert_eq!(secret.server, SdsServer::Address("unix:/run/agent.sock".to_owned()));
}

#[test]
fn contexts_are_found_wherever_they_are() {
    let upstream = YAML
        .replace("DownstreamTlsContext", "UpstreamTlsContext")
        .lines()
        .filter(|line| {
            !line.starts_with("require") && !line.starts_with("prefer") && !line.starts_with("disable")
        })
        .map(|line| format!("        {line}\n"))
        .collect::<String>();
    let text = format!(
        "static_resources:\n  clusters:\n  - transport_socket:\n      typed_config:\n{upstream}  \
         listeners:\n  - x:\n{}",
        crate::support::indent(YAML, 6)
    );
    let found = envoy::find(&Document::parse("bootstrap.yaml", &text).unwrap(), Mode::Strict);
    let found = found.unwrap_or_else(|e| panic!("{e}")).value;
    let places: Vec<_> = found.iter().map(|(location, _)| location.path.to_string()).collect();
    assert_eq!(
        places,
        ["static_resources.clusters[0].transport_socket.typed_config", "static_resources.listeners[0].x"]
    );
    assert!(matches!(found[0].1, TlsContext::Upstream(_)) && matches!(found[1].1, TlsContext::Downstream(_)));
    assert!(envoy::find(&document("a: [1, {b: 2}]"), Mode::Strict).unwrap().value.is_empty());
    let wrong = YAML.replace("DownstreamTlsContext", "UpstreamTlsContext");
    assert!(downstream(&wrong).unwrap_err().to_string().contains(": @type: expected envoy.extensions"));
}
