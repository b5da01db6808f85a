//! The short form, and how settings become an engine's.

use crate::support::{document, problems};
use rustls_multibuffer::TierKind;
use rustls_multibuffer::config::{Acceleration, Mode, TlsAcceleration};
use rustls_multibuffer::handshake::EngineConfig;
use std::time::Duration;

fn engine(text: &str) -> EngineConfig {
    let read = TlsAcceleration::read(&document(text), Mode::Strict).unwrap_or_else(|e| panic!("{e}"));
    read.value.unwrap().engine_config(EngineConfig::default())
}

#[test]
fn everything_that_can_be_said() {
    let config = engine(
        "tls_acceleration: {enabled: true, max_tier: avx2-fma, poll_delay: 50us, break_even: 2, max_parked: 64, \
         threads: 3, pin: false}",
    );
    let expected = EngineConfig::default()
        .max_tier(TierKind::Avx2Fma)
        .poll_delay(Duration::from_micros(50))
        .break_even(2)
        .max_parked(64)
        .threads(3)
        .pin(false);
    assert_eq!(config, expected);
    assert_eq!(
        engine(
            "tlsAcceleration: {maxTier: avx2-fma, pollDelay: 50us, breakEven: 2, maxParked: 64, threads: 3, pin: false}"
        ),
        expected
    );
    let json = r#"{"tls_acceleration": {"max_tier": "avx2-fma", "poll_delay": "0.00005s", "break_even": 2,
		"max_parked": "64", "threads": 3, "pin": false}}"#;
    assert_eq!(engine(json), expected);
}

#[test]
fn what_is_not_said_stays() {
    assert_eq!(engine("tls_acceleration: {}"), EngineConfig::default());
    assert_eq!(engine("tls_acceleration: {break_even: auto, threads: 0}"), EngineConfig::default());
    let off = engine("tls_acceleration: {enabled: false, max_tier: avx512-ifma}");
    assert_eq!(off.max_tier, TierKind::Scalar);
    assert_eq!(TlsAcceleration::read(&document("other: 1"), Mode::Strict).unwrap().value, None);
    let not_said = Acceleration::NotSaid.engine_config(EngineConfig::default());
    assert_eq!(not_said, EngineConfig::default().max_tier(TierKind::Scalar));
}

#[test]
fn a_second_stays_a_second() {
    for text in ["1s", "1000ms", "1.0s", "{seconds: 1}", "{seconds: \"1\", nanos: 0}"] {
        let config = engine(&format!("tls_acceleration: {{poll_delay: {text}}}"));
        assert_eq!(config.poll_delay, Duration::from_secs(1), "{text}");
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
        ("threads: -1", "threads: the value is out of range: expected u32"),
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

/// The engine does what the setting says, whatever was measured.
#[test]
fn the_break_even_fill_is_obeyed() {
    use rustls_multibuffer::Tier;
    use rustls_multibuffer::ops::{Op, Runner};
    let runner = |fill| Runner::new(Tier::portable()).with_break_even(fill);
    assert_eq!(runner(Some(3)).break_even(Op::X25519), 3);
    assert_eq!(runner(Some(1000)).break_even(Op::X25519), runner(None).capacity(Op::X25519));
    assert_eq!(runner(Some(0)).break_even(Op::X25519), 1);
}
