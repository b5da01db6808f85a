//! What every test needs: engines of both kinds, sockets, an echo.

pub(crate) use crate::for_each_engine::for_each_engine;
use crate::pki::{Keys, Setup};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use rustls_multibuffer::handshake::{
    Engine, EngineConfig, EngineStats, HandshakeEngine, HandshakeError, LocalEngine, TlsAcceptor,
};
use std::future::Future;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet};

/// What both kinds of engine can do.
pub(crate) trait TestEngine: HandshakeEngine {
    fn start(config: EngineConfig) -> Self;
    fn stats(&self) -> EngineStats;
    fn run<F>(&self, future: F) -> impl Future<Output = Result<F::Output, HandshakeError>> + use<Self, F>
    where
        F: Future<Output: Send> + Send + 'static;
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

    fn run<F>(&self, future: F) -> impl Future<Output = Result<F::Output, HandshakeError>> + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.run(future)
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

    fn run<F>(&self, future: F) -> impl Future<Output = Result<F::Output, HandshakeError>> + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.run(future)
    }

    fn drain(&self) -> impl Future<Output = ()> {
        self.drain()
    }

    fn shutdown(&self) {
        self.shutdown();
    }
}

/// How long anything may take that is not about time, on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a test, which must not take forever, on one thread.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(5 * PATIENCE, test).await.expect("the test hangs") };
    LocalSet::new().block_on(&runtime, bounded)
}

pub(crate) fn config() -> EngineConfig {
    EngineConfig::default().threads(2).pin(false).handshake_timeout(2 * PATIENCE)
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

/// Completes a handshake between `acceptor` and `connector`, whose sides may be ours or stock.
pub(crate) async fn connect<S, C, F, G>(
    accept: impl FnOnce(TcpStream) -> F,
    connect: impl FnOnce(TcpStream) -> G,
) -> (S, C)
where
    F: Future<Output = io::Result<S>>,
    G: Future<Output = io::Result<C>>,
{
    let (server, client) = sockets().await;
    let (server, client) = tokio::join!(accept(server), connect(client));
    (server.unwrap(), client.unwrap())
}

/// A handshake whose client says nothing, so that others have company to wait for. It ends when dropped.
pub(crate) struct Bystander {
    handshake: JoinHandle<()>,
    _silent: TcpStream,
}

/// Waits until it has begun.
pub(crate) async fn bystander<E: TestEngine>(engine: &E) -> Bystander {
    let (acceptor, _) = acceptor_and_client(engine, Setup::TLS13);
    let (server, silent) = sockets().await;
    let handshake = tokio::task::spawn_local(async move { drop(acceptor.accept(server).await) });
    until(engine, |stats| stats.in_flight == 1).await;
    Bystander { handshake, _silent: silent }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.handshake.abort();
    }
}

/// An acceptor of ours and a stock client for it.
pub(crate) fn acceptor_and_client<E: TestEngine>(
    engine: &E,
    setup: Setup,
) -> (TlsAcceptor<E>, tokio_rustls::TlsConnector) {
    let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
    (acceptor, Arc::new(setup.client(Keys::Stock)).into())
}

/// One good handshake with `acceptor`, to see that the engine lives.
pub(crate) async fn assert_serves<E: TestEngine>(engine: &E) {
    let (acceptor, connector) = acceptor_and_client(engine, Setup::MTLS13);
    let (mut server, mut client) =
        connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
    echo(&mut client, &mut server).await;
}

/// The bytes of a client's first flight.
pub(crate) fn client_hello(setup: Setup) -> Vec<u8> {
    let mut client = ClientConnection::new(Arc::new(setup.client(Keys::Stock)), localhost()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// The engine's own reason inside an error.
#[track_caller]
pub(crate) fn given_up<T>(result: io::Result<T>) -> HandshakeError {
    let error = result.err().expect("must fail");
    error
        .get_ref()
        .and_then(|e| e.downcast_ref::<HandshakeError>())
        .unwrap_or_else(|| panic!("{error:?}"))
        .clone()
}

/// The TLS error inside an error.
#[track_caller]
pub(crate) fn tls_error<T>(result: io::Result<T>) -> rustls::Error {
    let error = result.err().expect("must fail");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error:?}");
    error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>())
        .unwrap_or_else(|| panic!("{error:?}"))
        .clone()
}

/// Waits until `condition` holds of the engine's statistics.
#[track_caller]
pub(crate) fn until<E: TestEngine>(
    engine: &E,
    condition: impl Fn(&EngineStats) -> bool,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let give_up = Instant::now() + PATIENCE;
        while !condition(&engine.stats()) {
            assert!(Instant::now() < give_up, "{caller}: still {:?}", engine.stats());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Waits until every fiber has ended and given its stack back.
#[track_caller]
pub(crate) fn assert_all_returned<E: TestEngine>(engine: &E) -> impl Future<Output = ()> {
    until(engine, |stats| (stats.live_fibers, stats.stacks_in_use, stats.in_flight) == (0, 0, 0))
}
