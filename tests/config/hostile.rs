//! Whatever the text is, there is an answer: no panic, and within bounded time.

use rustls_multibuffer::config::envoy::{self, DownstreamTlsContext, UpstreamTlsContext};
use rustls_multibuffer::config::istio::{Objects, Pod, Precedence, Resolver};
use rustls_multibuffer::config::{Document, Mode, TlsAcceleration, TlsIdentity};
use std::time::Instant;

const SEEDS: [&str; 4] = [
    "common_tls_context:
  tls_certificates:
  - certificate_chain: {filename: /c.pem}
    private_key: {inline_bytes: 'AAEC/+8='}
    private_key_provider:
      provider_name: cryptomb
      fallback: true
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig
        private_key: {inline_string: \"k\\u00e9y\\n\"}
        poll_delay: 0.002s
  validation_context:
    trusted_ca: &ca {environment_variable: CA}
    match_typed_subject_alt_names:
    - {san_type: URI, matcher: {safe_regex: {regex: 'spiffe://.*/[a-z]+'}}}
sni: &name a.example
max_session_keys: 10
tls_acceleration: {poll_delay: {seconds: 1, nanos: 5}, break_even: auto, threads: 2, max_tier: avx2-fma}
tls_identity: {sds: {address: 'unix:/x', certificate: default}}
",
    "{\"@type\": \"x/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext\", \
     \"commonTlsContext\": {\"tlsCertificateSdsSecretConfigs\":\
     [{\"name\": \"a\", \"sdsConfig\": {\"apiConfigSource\": {\"apiType\": \"GRPC\", \"grpcServices\": \
     [{\"envoyGrpc\": {\"clusterName\": \"c\"}}]}}}]}}",
    "meshConfig: {defaultConfig: {privateKeyProvider: {cryptomb: {pollDelay: 1m30.5s}}, concurrency: 4}}
---
kind: ProxyConfig
metadata: {name: a, namespace: b, creationTimestamp: '2026-01-01T00:00:00.5+01:00'}
spec: {selector: {matchLabels: {app: x}}, environmentVariables: {A: b}}
---
kind: Deployment
spec: {template: {metadata: {annotations: {proxy.istio.io/config: 'concurrency: 3'}, labels: {app: x}}}}
",
    "kind: List
items:
- kind: ASMCustomProxyConfigInjectionTemplate
  metadata: {namespace: default}
  spec:
    configPatches: {lifecycle: {preStop: {sleep: {seconds: 3}}}, terminationDrainDuration: 15s}
",
];

/// Reads the text in every way that there is; says how many of them succeeded.
fn read_everything(text: &str) -> usize {
    let Ok(documents) = Document::parse_all("hostile", text) else { return 0 };
    let mut successes = 1;
    for mode in [Mode::Strict, Mode::Lenient] {
        for document in &documents {
            successes += usize::from(DownstreamTlsContext::read(document, mode).is_ok());
            successes += usize::from(UpstreamTlsContext::read(document, mode).is_ok());
            successes += usize::from(TlsAcceleration::read(document, mode).is_ok());
            successes += usize::from(TlsIdentity::read(document, mode).is_ok());
            successes += usize::from(envoy::find(document, mode).is_ok());
        }
        let Ok(objects) = Objects::read(&documents, mode) else { continue };
        for pod in [&Pod::default()].into_iter().chain(objects.value.pods()) {
            for precedence in [Precedence::Istio, Precedence::Asm] {
                let resolver = Resolver::default().precedence(precedence);
                successes += resolver.resolve(&objects.value, pod).explanation.fields.len();
            }
        }
    }
    successes
}

/// A generator with a fixed start, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n.max(1)
    }
}

const TOKENS: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    ",",
    "\"",
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "? ",
    "#",
    "---\n",
    "null",
    "~",
    "1e999",
    "-",
    "é",
    "\u{0}",
    "\t",
    "%YAML 1.2\n",
    "\\u12",
    "\u{feff}",
];

fn mutate(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..1 + random.below(4) {
        let (at, length) = (random.below(chars.len()), random.below(12));
        let end = (at + length).min(chars.len());
        match random.below(4) {
            0 => drop(chars.drain(at..end)),
            1 => drop(chars.splice(at..at, TOKENS[random.below(TOKENS.len())].chars())),
            2 => {
                let copy = chars[at..end].to_vec();
                let to = random.below(chars.len());
                chars.splice(to..to, copy);
            }
            _ => chars.truncate(chars.len() - random.below(chars.len() / 4)),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn mutated_texts_are_answered() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut successes = 0;
    for round in 0..8_000 {
        let text = mutate(SEEDS[round % SEEDS.len()], &mut random);
        successes += usize::from(read_everything(&text) > 1);
    }
    // Many of them are still something, so that the later stages have been reached.
    assert!(successes > 500, "{successes}");
}

#[test]
fn random_texts_are_answered() {
    let mut random = Random(42);
    for _ in 0..8_000 {
        let text: String = (0..random.below(40)).map(|_| TOKENS[random.below(TOKENS.len())]).collect();
        read_everything(&text);
    }
}

#[test]
fn the_seeds_themselves_are_understood() {
    for seed in SEEDS {
        assert!(read_everything(seed) > 1, "{seed}");
    }
}

#[test]
fn bombs_do_no_harm() {
    let started = Instant::now();
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..30 {
        let alias = format!("*a{}", i - 1);
        laughs += &format!("a{i}: &a{i} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let blocks: String = (0..2_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let mut ladder = String::from("a0: &a0 {x: 1}\n");
    (1..200).for_each(|i| ladder += &format!("a{i}: &a{i} {{x: *a{}}}\n", i - 1));
    let long = " ".repeat((16 << 20) + 1);
    // Where each field is looked for among all others, and each is unknown.
    let wide: String = (0..100_000).map(|i| format!("f{i}: 1\n")).collect();
    let flat = format!("[{}]", "1,".repeat(5_000_000));
    for text in [laughs, deep, blocks, ladder, long, wide, flat] {
        assert!(Document::parse_all("bomb", &text).is_err(), "{}", &text[..40]);
    }
    let started_reading = Instant::now();
    let allowed: String = (0..1000).map(|i| format!("f{i}: 1\n")).collect();
    read_everything(&allowed);
    assert!(started_reading.elapsed().as_secs() < 200);
    assert!(started.elapsed().as_secs() < 600);
}
