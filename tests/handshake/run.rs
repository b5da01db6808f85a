//! Futures of others on an engine: what tokio-rustls offers beside `accept` and `connect`, and how a future
//! ends.

use crate::pki::{Identity, Keys, PKI, Setup};
use crate::support::{
    TestEngine, assert_all_returned, assert_serves, config, echo, for_each_engine, localhost, run, sockets,
    until,
};
use rustls::server::Acceptor;
use rustls::{HandshakeKind, ServerConfig};
use rustls_multibuffer::handshake::tokio_rustls::{LazyConfigAcceptor, TlsAcceptor, TlsConnector};
use rustls_multibuffer::handshake::{Engine, HandshakeError, LocalEngine, Op, wait};
use std::future::{Future, pending, poll_fn};
use std::io::{self, Write};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::{client, server};

fn acceptor(setup: Setup) -> TlsAcceptor {
    Arc::new(setup.server(Keys::Ours)).into()
}

fn connector(setup: Setup) -> TlsConnector {
    Arc::new(setup.client(Keys::Ours)).into()
}

/// Both sides of a handshake on the engine.
async fn both<E, S, C>(
    engine: &E,
    accept: impl FnOnce(TcpStream) -> S,
    connect: impl FnOnce(TcpStream) -> C,
) -> (server::TlsStream<TcpStream>, client::TlsStream<TcpStream>)
where
    E: TestEngine,
    S: Future<Output = io::Result<server::TlsStream<TcpStream>>> + Send + 'static,
    C: Future<Output = io::Result<client::TlsStream<TcpStream>>> + Send + 'static,
{
    let (server, client) = sockets().await;
    let (server, client) = tokio::join!(engine.run(accept(server)), engine.run(connect(client)));
    (server.unwrap().unwrap(), client.unwrap().unwrap())
}

/// Says when it is dropped.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

for_each_engine! {
    async fn handshakes_of_tokio_rustls_are_batched<E>() {
        let engine = E::start(config());
        for setup in Setup::ALL {
            let (acceptor, connector) = (acceptor(setup), connector(setup));
            let (mut server, mut client) = both(
                &engine,
                |io| async move { acceptor.accept(io).await },
                |io| async move { connector.connect(localhost(), io).await },
            )
            .await;
            echo(&mut client, &mut server).await;
        }
        assert_all_returned(&engine).await;
        let stats = engine.stats();
        assert_eq!((stats.succeeded, stats.failed), (8, 0));
        // A signature of each server, and of each client that shows a certificate.
        assert_eq!(stats.batches.of(Op::RsaSign2048).requests(), 6);
    }

    async fn a_configuration_is_chosen_after_the_client_hello<E>() {
        fn config_for(identity: &Identity) -> Arc<ServerConfig> {
            Arc::new(Setup::MTLS13.server_as(Keys::Ours, identity))
        }
        let engine = E::start(config());
        for (name, identity) in [("localhost", &PKI.server), ("other.localhost", &PKI.other)] {
            let connector = connector(Setup::MTLS13);
            let (mut server, mut client) = both(
                &engine,
                |io| async move {
                    let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
                    let identity = match start.client_hello().server_name() {
                        Some("localhost") => &PKI.server,
                        _ => &PKI.other,
                    };
                    // Looked up somewhere.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    start.into_stream(config_for(identity)).await
                },
                |io| async move { connector.connect(name.try_into().unwrap(), io).await },
            )
            .await;
            assert_eq!(client.get_ref().1.peer_certificates().unwrap(), identity.chain);
            assert_eq!(server.get_ref().1.peer_certificates().map(<[_]>::len), Some(1));
            echo(&mut client, &mut server).await;
        }
        assert_eq!(engine.stats().batches.of(Op::RsaSign2048).requests(), 4);
    }

    async fn connections_are_set_up_before_their_handshake<E>() {
        let engine = E::start(config());
        let mut config = Setup::TLS13.server(Keys::Ours);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (acceptor, connector) = (TlsAcceptor::from(Arc::new(config)), connector(Setup::TLS13));
        let (mut server, mut client) = both(
            &engine,
            |io| async move { acceptor.accept_with(io, |server| server.set_buffer_limit(Some(1))).await },
            |io| async move {
                let connector = connector.with_alpn(vec![b"h2".to_vec()]);
                connector.connect_with(localhost(), io, |client| client.set_buffer_limit(Some(1))).await
            },
        )
        .await;
        assert_eq!(server.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        echo(&mut client, &mut server).await;
    }

    async fn a_client_sends_early_data<E>() {
        let engine = E::start(config());
        let (mut server, mut client) = (Setup::TLS13.server(Keys::Ours), Setup::TLS13.client(Keys::Ours));
        server.max_early_data_size = 1000;
        client.enable_early_data = true;
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let connector = TlsConnector::from(Arc::new(client));
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            let (mut server, mut client) = both(
                &engine,
                |io| async move { acceptor.accept(io).await },
                |io| async move {
                    let early = |client: &mut rustls::ClientConnection| {
                        if let Some(mut early) = client.early_data() {
                            early.write_all(b"early").unwrap();
                        }
                    };
                    connector.connect_with(localhost(), io, early).await
                },
            )
            .await;
            assert_eq!(client.get_ref().1.handshake_kind(), Some(expected));
            let is_resumed = expected == HandshakeKind::Resumed;
            assert_eq!(client.get_ref().1.is_early_data_accepted(), is_resumed);
            let mut early = Vec::new();
            if let Some(mut data) = server.get_mut().1.early_data() {
                io::Read::read_to_end(&mut data, &mut early).unwrap();
            }
            assert_eq!(early, if is_resumed { &b"early"[..] } else { b"" });
            echo(&mut client, &mut server).await;
        }
    }

    async fn a_failed_handshake_gives_its_socket_back<E>() {
        let engine = E::start(config());
        let acceptor = acceptor(Setup::TLS13);
        let (server, mut client) = sockets().await;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let failed = engine.run(async move { acceptor.accept(server).into_fallible().await }).await;
        let (error, mut server) = failed.unwrap().err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        server.write_all(b"HTTP/1.1 400 This is the HTTPS port\r\n\r\n").await.unwrap();
        drop(server);
        let mut answer = Vec::new();
        let _reset = client.read_to_end(&mut answer).await;
        assert!(answer.ends_with(b"the HTTPS port\r\n\r\n"), "{answer:?}");
        assert_all_returned(&engine).await;
    }

    async fn polls_are_made_in_the_callers_runtime<E>() {
        let engine = E::start(config());
        let slept = engine.run(async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            tokio::spawn(async { 7 }).await.unwrap()
        });
        assert_eq!(slept.await, Ok(7));
    }

    async fn a_panic_ends_its_future_only<E>() {
        let engine = E::start(config().threads(1));
        for after in [0, 1] {
            let is_dropped = Arc::new(Notify::new());
            let tell = Tell(is_dropped.clone());
            let panics = async move {
                let _tell = tell;
                for _ in 0..after {
                    tokio::task::yield_now().await;
                }
                panic!("poll {after}")
            };
            let result: Result<(), _> = engine.run(panics).await;
            assert_eq!(result, Err(HandshakeError::Panicked(format!("poll {after}"))));
            is_dropped.notified().await;
        }
        // On a fiber that has parked.
        let result: Result<(), _> = engine
            .run(async {
                wait(async {}).unwrap();
                panic!("later")
            })
            .await;
        assert_eq!(result, Err(HandshakeError::Panicked("later".to_owned())));
        assert_eq!(engine.stats().failed, 3);
        assert_all_returned(&engine).await;
        assert_serves(&engine).await;
    }

    async fn a_future_is_dropped_with_its_caller<E>() {
        let engine = E::start(config().threads(1));
        for parks in [false, true] {
            let (has_begun, is_dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (begin, tell) = (has_begun.clone(), Tell(is_dropped.clone()));
            let endless = engine.run(async move {
                let _tell = tell;
                begin.notify_one();
                if parks {
                    wait(pending::<()>()).unwrap_err();
                }
                pending::<()>().await
            });
            let endless = tokio::task::spawn_local(endless);
            has_begun.notified().await;
            assert_eq!(engine.stats().in_flight, 1);
            endless.abort();
            is_dropped.notified().await;
            assert_all_returned(&engine).await;
        }
        assert_eq!(engine.stats().cancelled, 2);
        // What was never awaited has not begun.
        let is_dropped = Arc::new(Notify::new());
        let tell = Tell(is_dropped.clone());
        drop(engine.run(async move { drop(tell) }));
        is_dropped.notified().await;
        assert_eq!(engine.stats().cancelled, 2);
    }

    async fn a_future_has_as_much_time_as_a_handshake<E>() {
        let engine = E::start(config().handshake_timeout(Duration::from_millis(50)));
        let is_dropped = Arc::new(Notify::new());
        let tell = Tell(is_dropped.clone());
        let endless = engine.run(async move {
            let _tell = tell;
            pending::<()>().await
        });
        assert_eq!(endless.await, Err(HandshakeError::TimedOut));
        is_dropped.notified().await;
        let parked = engine.run(async { wait(pending::<()>()).unwrap_err() });
        assert_eq!(parked.await, Err(HandshakeError::TimedOut));
        assert_eq!(engine.stats().timed_out, 2);
        assert_all_returned(&engine).await;
    }

    async fn futures_end_with_their_engine<E>() {
        let engine = E::start(config().threads(1).max_parked(1));
        let endless = (0..2).map(|_| tokio::task::spawn_local(engine.run(pending::<()>())));
        let mut endless: Vec<_> = endless.collect();
        endless.push(tokio::task::spawn_local(engine.run(async {
            wait(pending::<()>()).unwrap_err();
        })));
        // This one finds no fiber.
        endless.push(tokio::task::spawn_local(engine.run(pending::<()>())));
        until(&engine, |stats| (stats.in_flight, stats.live_fibers) == (4, 1)).await;
        engine.shutdown();
        for endless in endless {
            assert_eq!(endless.await.unwrap(), Err(HandshakeError::ShutDown));
        }
        assert_eq!(engine.run(async {}).await, Err(HandshakeError::ShutDown));
        assert_all_returned(&engine).await;
    }

    async fn draining_waits_for_futures_and_refuses_new_ones<E>() {
        let engine = E::start(config());
        let go_on = Arc::new(Notify::new());
        let waits = go_on.clone();
        let running = tokio::task::spawn_local(engine.run(async move { waits.notified().await }));
        until(&engine, |stats| stats.in_flight == 1).await;
        let later = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            go_on.notify_one();
        };
        tokio::join!(engine.drain(), later);
        running.await.unwrap().unwrap();
        assert_eq!(engine.run(async {}).await, Err(HandshakeError::Draining));
    }

    async fn inside_of_a_future_run_is_an_await<E>() {
        // Neither a second place in flight nor a second fiber is needed.
        let engine = E::start(config().threads(1).max_parked(1).max_in_flight(1));
        for _ in 0..3 {
            let (acceptor, connector) = (acceptor(Setup::MTLS13), connector(Setup::MTLS13));
            let (server, client) = sockets().await;
            let other = E::start(config());
            let connecting = tokio::task::spawn_local(async move {
                other.run(async move { connector.connect(localhost(), client).await }).await
            });
            let accepted = engine.run(nested(async move { acceptor.accept(server).await })).await;
            let mut server = accepted.unwrap().unwrap();
            let mut client = connecting.await.unwrap().unwrap().unwrap();
            echo(&mut client, &mut server).await;
        }
        assert_eq!((engine.stats().succeeded, engine.stats().batches.of(Op::RsaSign2048).requests()), (3, 3));
        assert_all_returned(&engine).await;
    }

    async fn what_happens_while_a_poll_is_parked_is_not_missed<E>() {
        let engine = E::start(config().threads(1));
        let (event, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (happens, resumes) = (event.clone(), go_on.clone());
        let running = engine.run(async move {
            let mut event = pin!(event.notified());
            let mut is_first = true;
            poll_fn(|cx| {
                let poll = event.as_mut().poll(cx);
                if std::mem::take(&mut is_first) {
                    assert!(poll.is_pending());
                    let go_on = go_on.clone();
                    wait(async move { go_on.notified().await }).unwrap();
                }
                poll
            })
            .await;
        });
        let running = tokio::task::spawn_local(running);
        until(&engine, |stats| stats.live_fibers == 1).await;
        happens.notify_waiters();
        tokio::time::sleep(Duration::from_millis(5)).await;
        resumes.notify_one();
        running.await.unwrap().unwrap();
        assert_all_returned(&engine).await;
    }

    async fn a_future_may_move_to_another_task<E>() {
        let engine = E::start(config());
        let go_on = Arc::new(Notify::new());
        let waits = go_on.clone();
        let mut running = Box::pin(engine.run(async move { waits.notified().await }));
        // Whoever polls first is never woken.
        assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        until(&engine, |stats| stats.in_flight == 1).await;
        let running = tokio::task::spawn_local(running);
        tokio::task::yield_now().await;
        go_on.notify_one();
        running.await.unwrap().unwrap();
    }

    async fn polls_that_do_not_park_leave_no_fiber<E>() {
        let engine = E::start(config().threads(1));
        let yields = || {
            engine.run(async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            })
        };
        let all: Vec<_> = (0..50).map(|_| tokio::task::spawn_local(yields())).collect();
        for one in all {
            one.await.unwrap().unwrap();
        }
        assert_all_returned(&engine).await;
        let stats = engine.stats();
        assert_eq!((stats.stacks, stats.succeeded), (1, 50));
    }
}

/// A future on an engine that uses another one.
async fn nested<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let inner = Engine::start(config().threads(1).max_parked(1));
    inner.run(future).await.unwrap()
}

#[test]
fn on_a_local_engine_a_future_need_not_be_send() {
    run(async {
        let engine = LocalEngine::new(config());
        let shared = Rc::new(7);
        assert_eq!(engine.run(async move { *shared }).await, Ok(7));
    });
}

#[test]
fn an_engine_runs_futures_without_a_runtime() {
    let engine = Engine::start(config());
    let mut running = pin!(engine.run(async { 7 }));
    loop {
        if let Poll::Ready(seven) = running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return assert_eq!(seven, Ok(7));
        }
        std::thread::yield_now();
    }
}
