//! The short form, and how settings become an engine's.

use crate::support::{document, problems};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_multibuffer::config::{Acceleration, Mode, TlsAcceleration};
use rustls_multibuffer::handshake::{EngineConfig, LocalEngine, TlsAcceptor, TlsConnector};
use rustls_multibuffer::provider::default_provider;
use rustls_multibuffer::{Tier, TierKind};
use std::sync::Arc;
use std::time::Duration;

fn engine(text: &str) -> EngineConfig {
    let read = TlsAcceleration::read(&document(text), Mode::Strict).unwrap_or_else(|e| panic!("{e}"));
    read.value.unwrap().engine_config(EngineConfig::default())
}

#[test]
fn everything_that_can_be_said() {
    let config = engine(
        "tls_acceleration: {enabled: true, max_tier: avx2-fma, poll_delay: 50us, break_even: 2, \
         latency_budget: 2ms, max_parked: 64, threads: 3, pin: false}",
    );
    let expected = EngineConfig::default()
        .max_tier(TierKind::Avx2Fma)
        .poll_delay(Duration::from_micros(50))
        .break_even(2)
        .latency_budget(Duration::from_millis(2))
        .max_parked(64)
        .threads(3)
        .pin(false);
    assert_eq!(config, expected);
    assert_eq!(
        engine(
            "tlsAcceleration: {maxTier: avx2-fma, pollDelay: 50us, breakEven: 2, latencyBudget: 2ms, \
             maxParked: 64, threads: 3, pin: false}"
        ),
        expected
    );
    let json = r#"{"tls_acceleration": {"max_tier": "avx2-fma", "poll_delay": "0.00005s", "break_even": 2,
		"latency_budget": "0.002s", "max_parked": "64", "threads": 3, "pin": false}}"#;
    assert_eq!(engine(json), expected);
}

#[test]
fn what_is_not_said_stays() {
    assert_eq!(engine("tls_acceleration: {}"), EngineConfig::default());
    assert_eq!(engine("tls_acceleration: {break_even: auto, threads: 0}"), EngineConfig::default());
    let off = engine("tls_acceleration: {enabled: false, max_tier: avx512-ifma}");
    assert_eq!(off, EngineConfig::default().max_tier(TierKind::Scalar));
    assert_eq!(TlsAcceleration::read(&document("other: 1"), Mode::Strict).unwrap().value, None);
    let unset = Acceleration::Unset.engine_config(EngineConfig::default());
    assert_eq!(unset, EngineConfig::default().max_tier(TierKind::Scalar));
}

#[test]
fn a_second_stays_a_second() {
    for text in ["1s", "1000ms", "1.0s", "{seconds: 1}", "{seconds: \"1\", nanos: 0}"] {
        let config = engine(&format!("tls_acceleration: {{poll_delay: {text}}}"));
        assert_eq!(config, EngineConfig::default().poll_delay(Duration::from_secs(1)), "{text}");
    }
}

#[test]
fn wrong_values_are_refused() {
    let cases = [
        ("enabled: yes", "enabled: expected true or false, found a string"),
        ("max_tier: avx9", "max_tier: expected avx512-ifma, avx-ifma, avx2-fma or scalar"),
        ("max_tier: portable", "max_tier: portable is for tests only"),
        (
            "break_even: 0",
            "break_even: the value is out of range: expected auto, or a whole number that is at least 1",
        ),
        ("max_parked: 0", "max_parked: at least 1"),
        ("threads: -1", "threads: the value is out of range: expected a whole number from 0 to 4294967295"),
        ("threads: many", "threads: expected a whole number, found a string"),
        ("pin: [true]", "pin: expected true or false, found a list"),
        ("poll_delay: {seconds: 1, minutes: 2}", "poll_delay: a duration has the fields seconds and nanos"),
        ("max_teir: scalar", "max_teir: this field is not supported"),
    ];
    for (field, problem) in cases {
        let text = format!("tls_acceleration: {{{field}}}");
        let e = TlsAcceleration::read(&document(&text), Mode::Strict).unwrap_err();
        assert_eq!(problems(&e), [format!("tls_acceleration.{problem}")]);
    }
}

#[test]
fn a_field_in_both_spellings_is_refused() {
    let text = "tls_acceleration: {poll_delay: 1ms, pollDelay: 2ms}";
    let e = TlsAcceleration::read(&document(text), Mode::Strict).unwrap_err();
    assert!(e.to_string().contains("the field poll_delay is here twice, in two spellings"), "{e}");
}

/// A lone handshake on an engine with these settings; how many of its operations ran in lanes.
fn lone_handshake(text: &str) -> u64 {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(default_provider());
    let server =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let engine = LocalEngine::new(engine(text));
    let acceptor = TlsAcceptor::new(engine.clone(), server.into());
    let connector = TlsConnector::new(engine.clone(), client.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (here, there) = tokio::io::duplex(4096);
        let name = "localhost".try_into().unwrap();
        tokio::try_join!(acceptor.accept(here), connector.connect(name, there)).unwrap();
    });
    engine.stats().runner.in_lanes
}

#[test]
fn an_engine_obeys_the_break_even_fill() {
    let has_lanes = Tier::detect() != Tier::Scalar;
    assert_eq!(lone_handshake("tls_acceleration: {break_even: 1}") > 0, has_lanes);
    assert_eq!(lone_handshake("tls_acceleration: {break_even: 100}"), 0);
    assert_eq!(lone_handshake("tls_acceleration: {break_even: 1, enabled: false}"), 0);
}
