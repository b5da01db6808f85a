//! What every test needs: engines of both kinds, sockets, an echo.

use rustls::pki_types::ServerName;
use rustls_multibuffer::handshake::{Engine, EngineConfig, EngineStats, HandshakeEngine, LocalEngine};
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// What both kinds of engine can do.
pub(crate) trait TestEngine: HandshakeEngine {
    fn start(config: EngineConfig) -> Self;
    fn stats(&self) -> EngineStats;
    fn drain(&self) -> impl Future<Output = ()>;
    fn shutdown(&self);
}

impl TestEngine for Engine {
    fn start(config: EngineConfig) -> Self {
        Self::new(config).unwrap()
    }

    fn stats(&self) -> EngineStats {
        self.stats()
    }

    fn drain(&self) -> impl Future<Output = ()> {
        self.drain()
    }

    fn shutdown(&self) {
        self.shutdown();
    }
}

impl TestEngine for LocalEngine {
    fn start(config: EngineConfig) -> Self {
        Self::new(config)
    }

    fn stats(&self) -> EngineStats {
        self.stats()
    }

    fn drain(&self) -> impl Future<Output = ()> {
        self.drain()
    }

    fn shutdown(&self) {
        self.shutdown();
    }
}

/// Runs a test that must end within 30 seconds, on one thread.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded =
        async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs") };
    LocalSet::new().block_on(&runtime, bounded)
}

pub(crate) fn config() -> EngineConfig {
    EngineConfig::default().threads(2).pin(false).handshake_timeout(Duration::from_secs(20))
}

/// A connected pair of sockets: the server's end and the client's.
pub(crate) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (server, client)
}

pub(crate) fn localhost() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

/// Sends `data` to `a`'s peer `b`, which must receive it unchanged, and back again.
pub(crate) async fn echo(
    a: &mut (impl AsyncRead + AsyncWrite + Unpin),
    b: &mut (impl AsyncRead + AsyncWrite + Unpin),
) {
    let data: Vec<u8> = (0..10_000_u32).map(|i| (i % 251) as u8).collect();
    let mut received = vec![0; data.len()];
    for _ in 0..2 {
        let write = async {
            a.write_all(&data).await.unwrap();
            a.flush().await.unwrap();
        };
        tokio::join!(write, async { b.read_exact(&mut received).await.unwrap() });
        assert_eq!(received, data);
        let write = async {
            b.write_all(&data).await.unwrap();
            b.flush().await.unwrap();
        };
        tokio::join!(write, async { a.read_exact(&mut received).await.unwrap() });
        assert_eq!(received, data);
    }
}

/// Waits until every fiber has ended and given its stack back.
pub(crate) async fn assert_all_returned(engine: &impl TestEngine) {
    let give_up = Instant::now() + Duration::from_secs(5);
    loop {
        let stats = engine.stats();
        if (stats.live_fibers, stats.stacks_in_use, stats.in_flight) == (0, 0, 0) {
            return;
        }
        assert!(Instant::now() < give_up, "not returned: {stats:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Defines each test for both kinds of engine.
macro_rules! for_each_engine {
    ($($(#[$attr:meta])* async fn $name:ident<E>() $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn test<E: $crate::support::TestEngine>() $body

            #[test]
            fn on_local_engine() {
                $crate::support::run(test::<rustls_multibuffer::handshake::LocalEngine>());
            }

            #[test]
            fn on_engine() {
                $crate::support::run(test::<rustls_multibuffer::handshake::Engine>());
            }
        }
    )+};
}
pub(crate) use for_each_engine;
