//! Callbacks that await.

use crate::pki::{Keys, PKI, Setup};
use crate::support::{
    TestEngine, assert_all_returned, assert_serves, config, connect, for_each_engine, given_up, localhost,
    sockets, until,
};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_multibuffer::handshake::{HandshakeError, NotAwaited, TlsAcceptor, wait};
use rustls_multibuffer::provider::default_provider;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

type Awaits = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Resolves with the server's certificate after a future, and remembers how waiting ended.
struct After {
    future: Box<dyn Fn() -> Awaits + Send + Sync>,
    waited: Mutex<Vec<Result<(), NotAwaited>>>,
    key: Arc<CertifiedKey>,
}

impl After {
    fn new(future: impl Fn() -> Awaits + Send + Sync + 'static) -> Arc<Self> {
        let key = CertifiedKey::from_der(PKI.server.chain.clone(), PKI.server.key(), &default_provider());
        let (future, key) = (Box::new(future), Arc::new(key.unwrap()));
        Arc::new(Self { future, waited: Mutex::default(), key })
    }

    fn acceptor<E: TestEngine>(self: &Arc<Self>, engine: &E, setup: Setup) -> TlsAcceptor<E> {
        let mut server = setup.server(Keys::Ours);
        server.cert_resolver = self.clone();
        TlsAcceptor::new(engine.clone(), Arc::new(server))
    }

    fn waited(&self) -> Vec<Result<(), NotAwaited>> {
        self.waited.lock().unwrap().clone()
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("After")
    }
}

impl ResolvesServerCert for After {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let waited = wait((self.future)());
        self.waited.lock().unwrap().push(waited);
        waited.is_ok().then(|| self.key.clone())
    }
}

fn stock_client(setup: Setup) -> tokio_rustls::TlsConnector {
    Arc::new(setup.client(Keys::Stock)).into()
}

/// Says when it is dropped.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

for_each_engine! {
    async fn a_callback_awaits_timers_and_tasks_of_the_runtime<E>() {
        let engine = E::start(config().threads(1));
        let resolver = After::new(|| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                tokio::spawn(tokio::task::yield_now()).await.unwrap();
            })
        });
        for setup in Setup::ALL {
            let (acceptor, connector) = (resolver.acceptor(&engine, setup), stock_client(setup));
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        }
        assert_eq!(resolver.waited(), [Ok(()); 4]);
        assert_all_returned(&engine).await;
    }

    async fn whoever_awaits_holds_up_nobody<E>() {
        let engine = E::start(config().threads(1));
        let go_on = Arc::new(Semaphore::new(0));
        let resolver = After::new({
            let go_on = go_on.clone();
            move || {
                let go_on = go_on.clone();
                Box::pin(async move { go_on.acquire().await.unwrap().forget() })
            }
        });
        let waiting = (0..4).map(|_| {
            let (acceptor, connector) =
                (resolver.acceptor(&engine, Setup::TLS13), stock_client(Setup::TLS13));
            tokio::task::spawn_local(async move {
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
            })
        });
        let waiting: Vec<_> = waiting.collect();
        until(&engine, |stats| stats.live_fibers == 4).await;
        assert_serves(&engine).await;
        assert_eq!((engine.stats().live_fibers, resolver.waited().len()), (4, 0));
        go_on.add_permits(4);
        for handshake in waiting {
            handshake.await.unwrap();
        }
        assert_all_returned(&engine).await;
    }

    async fn what_is_awaited_ends_with_its_handshake<E>() {
        let (is_dropped, limit) = (Arc::new(Notify::new()), Duration::from_secs(4));
        let resolver = After::new({
            let is_dropped = is_dropped.clone();
            move || {
                let tell = Tell(is_dropped.clone());
                Box::pin(async move {
                    let _tell = tell;
                    std::future::pending().await
                })
            }
        });
        // Dropped, out of time, and without an engine.
        for case in 0..3 {
            let engine = E::start(match case {
                1 => config().handshake_timeout(limit),
                _ => config(),
            });
            let (acceptor, connector) =
                (resolver.acceptor(&engine, Setup::TLS13), stock_client(Setup::TLS13));
            let (server, client) = sockets().await;
            let connecting = tokio::task::spawn_local(connector.connect(localhost(), client));
            let accepting = tokio::task::spawn_local(acceptor.accept(server));
            if case != 1 {
                until(&engine, |stats| stats.live_fibers == 1).await;
            }
            match case {
                0 => {
                    tokio::task::yield_now().await;
                    accepting.abort();
                }
                1 => assert_eq!(given_up(accepting.await.unwrap()), HandshakeError::TimedOut),
                _ => {
                    engine.shutdown();
                    assert_eq!(given_up(accepting.await.unwrap()), HandshakeError::ShutDown);
                }
            }
            is_dropped.notified().await;
            assert!(connecting.await.unwrap().is_err());
            assert_all_returned(&engine).await;
        }
        assert_eq!(resolver.waited(), [Err(NotAwaited::GivenUp); 3]);
    }

    async fn a_panic_of_what_is_awaited_ends_its_handshake_only<E>() {
        let engine = E::start(config().threads(1));
        let resolver = After::new(|| Box::pin(async { panic!("no database") }));
        let (acceptor, connector) = (resolver.acceptor(&engine, Setup::TLS13), stock_client(Setup::TLS13));
        let (server, client) = sockets().await;
        let (server, client) = tokio::join!(acceptor.accept(server), connector.connect(localhost(), client));
        assert_eq!(given_up(server), HandshakeError::Panicked("no database".to_owned()));
        client.unwrap_err();
        assert_all_returned(&engine).await;
        assert_eq!(resolver.waited(), [Err(NotAwaited::GivenUp)]);
        assert_serves(&engine).await;
    }

    async fn whoever_awaits_counts_as_parked<E>() {
        let engine = E::start(config().threads(1).max_parked(1));
        let go_on = Arc::new(Semaphore::new(0));
        let resolver = After::new({
            let go_on = go_on.clone();
            move || {
                let go_on = go_on.clone();
                Box::pin(async move { go_on.acquire().await.unwrap().forget() })
            }
        });
        let waiting = (0..2).map(|_| {
            let (acceptor, connector) =
                (resolver.acceptor(&engine, Setup::TLS13), stock_client(Setup::TLS13));
            tokio::task::spawn_local(async move {
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
            })
        });
        let waiting: Vec<_> = waiting.collect();
        until(&engine, |stats| (stats.live_fibers, stats.in_flight) == (1, 2)).await;
        go_on.add_permits(2);
        for handshake in waiting {
            handshake.await.unwrap();
        }
        assert!(engine.stats().stacks <= 2);
    }
}

#[test]
fn off_an_engine_nothing_is_awaited() {
    assert_eq!(wait(async { 7 }), Err(NotAwaited::NotOnEngine));
}
