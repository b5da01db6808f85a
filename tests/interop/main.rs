//! Handshakes with other people's TLS over loopback: OpenSSL's `s_client` and `s_server`, `gnutls-cli` and
//! `gnutls-serv`, and curl.
//!
//! A peer program that is not installed is reported as "not run", and is a failure when the environment
//! variable `REQUIRE_PEERS` is set. What this version of a peer cannot do at all is reported, too.

mod case;
mod client;
mod gnutls;
#[path = "../support/pki.rs"]
mod issuer;
mod openssl;
mod peer;
mod pki;
mod server;

use case::Requests;
use rustls_multibuffer::handshake::{Engine, EngineConfig, EngineStats, HandshakeEngine, LocalEngine};
use std::future::Future;
use std::time::Duration;

/// What both kinds of engine can do.
trait TestEngine: HandshakeEngine {
    fn start() -> Self;
    fn stats(&self) -> EngineStats;

    /// What has left in batches so far.
    fn requests(&self) -> Requests {
        Requests::of(&self.stats().batches)
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

/// Runs a test that must end within ten minutes; child processes are killed when it is dropped.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(600);
    runtime.block_on(async { tokio::time::timeout(limit, test).await.expect("the test hangs") });
}
