//! Handshakes with other people's TLS: OpenSSL's `s_client` and `s_server`, and curl, over loopback.
//!
//! A peer program that is not installed is reported as "not run", and is a failure when the environment variable
//! `REQUIRE_PEERS` is set.

mod client;
mod peer;
mod pki;
mod server;

use rustls_multibuffer::handshake::{Engine, EngineConfig, EngineStats, HandshakeEngine, LocalEngine};
use rustls_multibuffer::ops::Op;
use std::future::Future;
use std::time::Duration;

/// One kind of connection: protocol version, signature scheme, with or without client certificate.
#[derive(Clone, Copy, Debug)]
struct Case {
    version: &'static rustls::SupportedProtocolVersion,
    scheme: Scheme,
    client_auth: bool,
}

/// How RSA signatures are padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Pss,
    Pkcs1,
}

impl Case {
    /// Every combination that exists: TLS 1.3 has no PKCS#1 v1.5 signatures in handshakes (RFC 8446 §4.2.3).
    fn all() -> impl Iterator<Item = Self> {
        use rustls::version::{TLS12, TLS13};
        let schemes = [(&TLS13, Scheme::Pss), (&TLS12, Scheme::Pss), (&TLS12, Scheme::Pkcs1)];
        schemes.into_iter().flat_map(|(version, scheme)| {
            [false, true].map(|client_auth| Self { version, scheme, client_auth })
        })
    }

    fn is_tls13(self) -> bool {
        self.version.version == rustls::ProtocolVersion::TLSv1_3
    }
}

impl Scheme {
    /// The name in OpenSSL's `-sigalgs`.
    fn sigalgs(self) -> &'static str {
        match self {
            Self::Pss => "rsa_pss_rsae_sha256",
            Self::Pkcs1 => "RSA+SHA256",
        }
    }

    /// What OpenSSL prints about a peer's signature.
    fn signature_type(self) -> &'static str {
        match self {
            Self::Pss => "Signature type: RSA-PSS",
            Self::Pkcs1 => "Signature type: RSA\n",
        }
    }
}

/// What both kinds of engine can do.
trait TestEngine: HandshakeEngine {
    fn start() -> Self;
    fn stats(&self) -> EngineStats;

    /// RSA signatures asked for so far.
    fn signatures(&self) -> u64 {
        const SIGN: [Op; 3] = [Op::RsaSign2048, Op::RsaSign3072, Op::RsaSign4096];
        self.stats().batches.ops.iter().filter(|op| SIGN.contains(&op.op)).map(|op| op.requests()).sum()
    }
}

impl TestEngine for LocalEngine {
    fn start() -> Self {
        Self::new(EngineConfig::default())
    }

    fn stats(&self) -> EngineStats {
        self.stats()
    }
}

impl TestEngine for Engine {
    fn start() -> Self {
        Self::new(EngineConfig::default().threads(1).pin(false)).expect("threads can be started")
    }

    fn stats(&self) -> EngineStats {
        self.stats()
    }
}

/// Runs a test that must end within a minute; child processes are killed when it is dropped.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(60);
    runtime.block_on(async { tokio::time::timeout(limit, test).await.expect("the test hangs") });
}
