//! Cancellation, draining, and the end of an engine.

use crate::pki::{Keys, Setup};
use crate::support::{
    TestEngine, acceptor_and_client, assert_all_returned, assert_serves, client_hello, config, connect, echo,
    for_each_engine, given_up, localhost, sockets, until,
};
use rustls_multibuffer::handshake::{EngineConfig, HandshakeError, Op, Reason, TlsAcceptor, TlsConnector};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

type Accepted = io::Result<tokio_rustls::server::TlsStream<TcpStream>>;

/// Whoever parks stays parked.
fn never_flushing() -> EngineConfig {
    config().threads(1).gather(64).poll_delay(Duration::from_secs(3600))
}

/// Whoever parks waits for a moment, even if nobody else is there.
fn parking() -> EngineConfig {
    config().threads(1).gather(4).poll_delay(Duration::from_micros(1))
}

/// More polls than a handshake takes.
const MOST_POLLS: usize = 30;

/// The result of `future`, unless it takes more than `polls` polls: then it is dropped.
async fn at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// A socket that says how often it was read from or written to.
struct Counted(TcpStream, Arc<Semaphore>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.1.add_permits(1);
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.add_permits(1);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A handshake that has parked and stays so. The client's end is to be kept.
async fn parked<E: TestEngine>(engine: &E, acceptor: &TlsAcceptor<E>) -> (JoinHandle<Accepted>, TcpStream) {
    let (server, mut client) = sockets().await;
    client.write_all(&client_hello(Setup::TLS13)).await.unwrap();
    let before = engine.stats().live_fibers;
    let handshake = tokio::task::spawn_local(acceptor.accept(server));
    until(engine, |stats| stats.live_fibers > before).await;
    (handshake, client)
}

for_each_engine! {
    async fn dropping_an_accept_at_any_await_leaks_nothing<E>() {
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let engine = E::start(parking());
            let (acceptor, connector) = acceptor_and_client(&engine, setup);
            let mut dropped = 0;
            for polls in 0..MOST_POLLS {
                let (server, client) = sockets().await;
                let peer = tokio::task::spawn_local(connector.connect(localhost(), client));
                match at_most(polls, acceptor.accept(server)).await {
                    Some(result) => drop(result.unwrap()),
                    None => dropped += 1,
                }
                // With its socket gone, the peer fails; or it had finished.
                let _either = peer.await.unwrap();
                assert_all_returned(&engine).await;
            }
            // At least once it waits: for its peer, or for the engine's thread.
            assert!((2..MOST_POLLS as u64).contains(&dropped), "{dropped}");
            let stats = engine.stats();
            // What was never polled has not begun.
            assert_eq!((stats.succeeded, stats.cancelled), (MOST_POLLS as u64 - dropped, dropped - 1));
            assert_serves(&engine).await;
        }
    }

    async fn dropping_a_connect_at_any_await_leaks_nothing<E>() {
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let engine = E::start(parking());
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(setup.server(Keys::Stock)));
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            let mut dropped = 0;
            for polls in 0..MOST_POLLS {
                let (server, client) = sockets().await;
                let peer = tokio::task::spawn_local(acceptor.accept(server));
                match at_most(polls, connector.connect(localhost(), client)).await {
                    Some(result) => drop(result.unwrap()),
                    None => dropped += 1,
                }
                let _either = peer.await.unwrap();
                assert_all_returned(&engine).await;
            }
            // At least once it waits for its peer.
            assert!((2..MOST_POLLS).contains(&dropped), "{dropped}");
            assert_serves(&engine).await;
        }
    }

    async fn dropping_an_accept_at_any_use_of_its_socket_leaks_nothing<E>() {
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let engine = E::start(parking());
            let (acceptor, connector) = acceptor_and_client(&engine, setup);
            let mut dropped = 0;
            for uses in 1..MOST_POLLS {
                let (server, client) = sockets().await;
                let peer = tokio::task::spawn_local(connector.connect(localhost(), client));
                let used = Arc::new(Semaphore::new(0));
                let accept = acceptor.accept(Counted(server, used.clone()));
                tokio::select! {
                    biased;
                    _ = used.acquire_many(uses as u32) => dropped += 1,
                    result = accept => drop(result.unwrap()),
                }
                let _either = peer.await.unwrap();
                assert_all_returned(&engine).await;
            }
            // A flight comes and one goes, and another comes.
            assert!((3..MOST_POLLS as u64).contains(&dropped), "{dropped}");
            let stats = engine.stats();
            assert_eq!(stats.succeeded + stats.cancelled, MOST_POLLS as u64 - 1);
            assert_serves(&engine).await;
        }
    }

    async fn dropping_a_parked_handshake_withdraws_its_request<E>() {
        let engine = E::start(never_flushing());
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let (first, _client) = parked(&engine, &acceptor).await;
        let (second, _client) = parked(&engine, &acceptor).await;
        first.abort();
        until(&engine, |stats| stats.live_fibers == 1).await;
        second.abort();
        assert_all_returned(&engine).await;
        engine.drain().await;
        let stats = engine.stats();
        assert_eq!(
            (stats.cancelled, stats.batches.of(Op::RsaSign2048).batches()),
            (2, 0),
            "nothing was signed"
        );
    }

    async fn a_parked_handshake_times_out<E>() {
        let engine = E::start(never_flushing().handshake_timeout(Duration::from_secs(4)));
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let (handshake, _client) = parked(&engine, &acceptor).await;
        assert_eq!(given_up(handshake.await.unwrap()), HandshakeError::TimedOut);
        assert_all_returned(&engine).await;
    }

    async fn draining_finishes_what_has_begun_and_refuses_the_rest<E>() {
        let engine = E::start(never_flushing());
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::MTLS13);
        let handshakes: Vec<_> = (0..3)
            .map(|_| {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                tokio::task::spawn_local(async move {
                    connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
                })
            })
            .collect();
        until(&engine, |stats| stats.live_fibers == 3).await;
        engine.drain().await;
        let stats = engine.stats();
        assert_eq!((stats.in_flight, stats.succeeded, stats.live_fibers), (0, 3, 0));
        assert!(stats.batches.of(Op::RsaSign2048).left(Reason::Drain) > 0, "{stats:?}");
        for handshake in handshakes {
            handshake.await.unwrap();
        }
        let (server, _client) = sockets().await;
        assert_eq!(given_up(acceptor.accept(server).await), HandshakeError::Draining);
        engine.drain().await;
    }

    async fn draining_waits_for_parking_that_comes_later<E>() {
        let engine = E::start(never_flushing());
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::TLS13);
        let (server, client) = sockets().await;
        let accept = tokio::task::spawn_local(acceptor.accept(server));
        until(&engine, |stats| stats.in_flight == 1).await;
        let late = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            connector.connect(localhost(), client).await.unwrap()
        };
        let ((), _client) = tokio::join!(engine.drain(), late);
        accept.await.unwrap().unwrap();
        assert_all_returned(&engine).await;
    }

    async fn shutting_down_ends_every_handshake_with_an_error<E>() {
        let engine = E::start(never_flushing().max_parked(1));
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let (on_fiber, _client) = parked(&engine, &acceptor).await;
        // This one waits for a fiber, the next one for its peer.
        let (server, mut client) = sockets().await;
        client.write_all(&client_hello(Setup::TLS13)).await.unwrap();
        let for_fiber = tokio::task::spawn_local(acceptor.accept(server));
        let (server, _silent) = sockets().await;
        let for_peer = tokio::task::spawn_local(acceptor.accept(server));
        until(&engine, |stats| stats.in_flight == 3).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        engine.shutdown();
        for handshake in [on_fiber, for_fiber, for_peer] {
            assert_eq!(given_up(handshake.await.unwrap()), HandshakeError::ShutDown);
        }
        assert_all_returned(&engine).await;
        assert_eq!(engine.stats().failed, 3);
        let (server, _client) = sockets().await;
        assert_eq!(given_up(acceptor.accept(server).await), HandshakeError::ShutDown);
    }

    async fn a_handshake_keeps_its_engine<E>() {
        let engine = E::start(config());
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::MTLS13);
        let (server, client) = sockets().await;
        let accept = acceptor.accept(server);
        // As in a graceful shutdown: the listener's loop ends first.
        drop((acceptor, engine));
        let (server, client) = tokio::join!(accept, connector.connect(localhost(), client));
        echo(&mut client.unwrap(), &mut server.unwrap()).await;
    }
}
