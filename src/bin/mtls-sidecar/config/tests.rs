//! What is accepted, and what is refused with which path.

use super::{Config, Span, Target};
use std::time::Duration;

const GOOD: &str = "
identities:
  default: {files: {certificate_chain: c.pem, private_key: k.pem, trust_bundle: b.pem}}
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
    assert!(config.tls_acceleration.enabled && config.admin.is_none());
}

#[test]
fn json_is_read_and_what_is_written_is_read_again() {
    let json = serde_json::to_string(&Config::parse(GOOD).unwrap()).unwrap();
    let again = Config::parse(&json).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), json);
}

#[test]
fn errors_name_the_path() {
    for (from, to, wanted) in [
        ("direction: inbound", "direction: sideways", "listeners[0].direction"),
        ("target: unix:/run/app.sock", "target: nowhere", "listeners[0].target"),
        ("identity: default", "identity: other", "listeners[0].identity: there is no identity \"other\""),
        ("peers: {trust_domains: [example.org]}", "peers: {}", "listeners[0].peers: say who"),
        ("trust_domains: [example.org]", "trust_domains: ['Not A Domain']", "peers.trust_domains[0]"),
        ("trust_domains: [example.org]", "ids: ['http://x']", "listeners[0].peers.ids[0]"),
        ("name: in\n", "name: in\n  colour: red\n", "colour"),
        ("name: in\n", "name: in\n  timeouts: {idle: soon}\n", "listeners[0].timeouts.idle"),
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
fn durations_of_protobuf_and_of_go() {
    for (text, wanted) in [
        ("0", Duration::ZERO),
        ("5s", Duration::from_secs(5)),
        ("0.002s", Duration::from_millis(2)),
        ("1m30s", Duration::from_secs(90)),
        ("50us", Duration::from_micros(50)),
        ("1.5h", Duration::from_secs(5400)),
    ] {
        assert_eq!(text.parse(), Ok(Span(wanted)), "{text}");
    }
    for text in ["", "5", "s", "-1s", "1 s", "1s2", "1y", "..s", "99999999999999999999999h"] {
        assert!(text.parse::<Span>().is_err(), "{text}");
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
