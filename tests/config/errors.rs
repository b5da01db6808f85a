//! Where errors say that something is wrong.

use crate::support::{document, downstream, problems};
use rustls_multibuffer::config::envoy::{self, DownstreamTlsContext};
use rustls_multibuffer::config::{Document, Mode};

const LISTENER: &str = r#"static_resources:
  listeners:
  - name: in
    filter_chains:
    - transport_socket:
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          commonTlsContext:
            tls_certificates:
            - certificate_chain: {filename: /c.pem}
              private_key_provider:
                provider_name: cryptomb
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig
                  poll_delay: 5 parsecs
"#;

#[test]
fn file_line_column_and_path() {
    let e = envoy::find(&Document::parse("envoy.yaml", LISTENER).unwrap(), Mode::Strict).unwrap_err();
    let expected = "envoy.yaml:15:31: static_resources.listeners[0].filter_chains[0].transport_socket.\
                    typed_config.commonTlsContext.tls_certificates[0].private_key_provider.typed_config.\
                    poll_delay: \
                    \"5 parsecs\" is not a duration such as \"0.002s\", \"10ms\" or \"1m30s\"";
    assert_eq!(e.to_string(), expected);
    let location = &e.problems()[0].location;
    assert_eq!((&*location.file, location.position.line, location.position.column), ("envoy.yaml", 15, 31));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let e = downstream(
        "require_client_certificate: true
surprise: 1
common_tls_context:
  tls_certificates:
  - private_key: {filename: /k.pem, inline_string: x}
  tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_2, \
         cipher_suites: [RC4]}
",
    )
    .unwrap_err();
    let path = "common_tls_context";
    assert_eq!(
        problems(&e),
        [
            "require_client_certificate: there is no validation context to verify the client's \
             certificate with"
                .to_owned(),
            "surprise: this field is not supported".to_owned(),
            format!("{path}.tls_certificates[0].certificate_chain: it is required"),
            format!(
                "{path}.tls_certificates[0].private_key: expected one of filename, inline_string, \
                inline_bytes and environment_variable, found 2"
            ),
            format!("{path}.tls_params.tls_maximum_protocol_version: below the minimum"),
            format!("{path}.tls_params.cipher_suites: no cipher suite of this list is supported"),
            format!(
                "{path}.tls_params.cipher_suites[0]: no such cipher suite; known are \
                ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384, \
                ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-AES256-GCM-SHA384, \
                ECDHE-RSA-CHACHA20-POLY1305"
            ),
        ]
    );
}

#[test]
fn types_that_are_wrong() {
    let cases = [
        ("common_tls_context: [1]", "common_tls_context: expected a mapping, found a list"),
        (
            "require_client_certificate: \"true\"",
            "require_client_certificate: expected true or false, found a string",
        ),
        (
            "common_tls_context: {alpn_protocols: h2}",
            "common_tls_context.alpn_protocols: expected a list, found a string",
        ),
        (
            "common_tls_context: {alpn_protocols: [2]}",
            "common_tls_context.alpn_protocols[0]: expected a string, in quotes, found a number",
        ),
        ("- 1", ": expected a mapping, found a list"),
        ("just text", ": expected a mapping, found a string"),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(&downstream(text).unwrap_err()), [expected]);
    }
}

const GOOD: &str = "common_tls_context: {tls_certificates: [{certificate_chain: {filename: /c}, \
    private_key: {filename: /k}}], ";

#[test]
fn unknown_fields_are_errors_or_warnings() {
    let text = format!("{GOOD} key_log: {{path: /tmp/keys}}}}\nsession_timeouts: 3600s");
    let strict = DownstreamTlsContext::read(&document(&text), Mode::Strict).unwrap_err();
    let expected = [
        "common_tls_context.key_log: this field is not supported",
        "session_timeouts: this field is not supported",
    ];
    assert_eq!(problems(&strict), expected);
    let lenient = DownstreamTlsContext::read(&document(&text), Mode::Lenient).unwrap();
    let warnings: Vec<_> =
        lenient.warnings.iter().map(|w| format!("{}: {}", w.location.path, w.message)).collect();
    assert_eq!(warnings, expected);
}

/// To leave one of these out would admit more peers than were wanted.
#[test]
fn restrictions_are_never_left_out() {
    for restriction in [
        "verify_certificate_hash: [abc]",
        "verifyCertificateSpki: [abc]",
        "match_subject_alt_names: [{exact: a, prefix: b}]",
        "max_verify_depth: 1",
        "require_signed_certificate_timestamp: true",
        "trust_chain_verification: ACCEPT_UNTRUSTED",
        "custom_validator_config: {name: other, typed_config: {'@type': other}}",
        "custom_validator_config: {name: envoy.tls.cert_validator.spiffe}",
        "match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]",
        "match_typed_subject_alt_names: [{san_type: URI, matcher: {}}]",
    ] {
        let text = format!("{GOOD} validation_context: {{trusted_ca: {{filename: /ca}}, {restriction}}}}}");
        let e = DownstreamTlsContext::read(&document(&text), Mode::Lenient).map(|_| ()).unwrap_err();
        let name = restriction.split(':').next().unwrap();
        assert!(problems(&e)[0].starts_with(&format!("common_tls_context.validation_context.{name}")), "{e}");
    }
}

#[test]
fn other_restrictions_are_never_left_out_either() {
    let certificate = "tls_certificates: [{certificate_chain: {filename: /c}, private_key: {filename: /k}}]";
    for (outside, inside) in [
        ("require_sni: true", "key_log: {}"),
        ("session_timeout: 1s", "validation_context_certificate_provider_instance: {}"),
        ("session_timeout: 1s", "customHandshaker: {}"),
        ("session_timeout: 1s", "tls_params: {signature_algorithms: [ecdsa_secp256r1_sha256]}"),
        ("session_timeout: 1s", "tls_params: {compliancePolicies: [FIPS_202205]}"),
    ] {
        let text = format!("{outside}\ncommon_tls_context: {{{certificate}, {inside}}}");
        let e = DownstreamTlsContext::read(&document(&text), Mode::Lenient).map(|_| ()).unwrap_err();
        assert_eq!(e.problems().len(), 1, "{e}");
        assert!(e.to_string().contains("not supported"), "{e}");
    }
}

#[test]
fn what_is_no_yaml_is_refused_with_its_place() {
    let cases = [
        ("a: [1, 2", 1),
        ("a: 1\nb: {c: 2\n", 2),
        ("a: 1\na: 2", 2),
        ("a: *nobody", 1),
        ("? [1]\n: 2", 1),
        ("a: &x [*x]", 1),
        ("", 1),
        ("# nothing", 1),
    ];
    for (text, line) in cases {
        let e = Document::parse("bad.yaml", text).unwrap_err();
        let position = e.problems()[0].location.position;
        assert!(position.line >= line && position.line <= line + 1, "{text:?}: {e}");
    }
    let two = Document::parse("two.yaml", "a: 1\n---\nb: 2").unwrap_err();
    assert_eq!(two.to_string(), "two.yaml:3:1: expected one document, found 2");
}

#[test]
fn values_are_never_repeated() {
    let secret = "-----BEGIN PRIVATE KEY----- MIGHAgEAMBMG";
    for text in [
        format!("common_tls_context: {{tls_certificates: [{{private_key: '{secret}'}}]}}"),
        format!("common_tls_context: {{tls_certificates: '{secret}'}}"),
        format!("common_tls_context: {{tls_certificates: [{{private_key: {{inline_bytes: '{secret}'}}}}]}}"),
        format!("require_client_certificate: '{secret}'"),
        format!("max_session_keys: '{secret}'"),
    ] {
        let e = downstream(&text).unwrap_err();
        assert!(!format!("{e} {e:?}").contains("MIGH"), "{e}");
        assert!(!format!("{:?}", document(&text)).contains("MIGH"));
    }
    let text = format!(
        "common_tls_context: {{tls_certificates: [{{certificate_chain: {{inline_string: '{secret}'}}, \
         private_key: {{inline_string: '{secret}'}}}}]}}"
    );
    let read = downstream(&text).unwrap();
    assert!(!format!("{read:?}").contains("MIGH"));
}
