//! Where handshakes can run.

use crate::pki::{Keys, Setup};
use crate::support::{TestEngine, config, connect, echo, localhost};
use rustls_multibuffer::handshake::{Engine, TlsAcceptor, TlsConnector};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// Runs a future on this thread with nothing but the standard library.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        std::thread::park_timeout(Duration::from_secs(30));
    }
}

#[test]
fn an_engine_needs_no_tokio_runtime() {
    let engine = Engine::start(config());
    let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(Setup::MTLS13.server(Keys::Ours)));
    let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::MTLS13.client(Keys::Ours)));
    let (server, client) = tokio::io::duplex(1000);
    let client = std::thread::spawn(move || block_on(connector.connect(localhost(), client)).unwrap());
    let mut server = block_on(acceptor.accept(server)).unwrap();
    block_on(echo(&mut server, &mut client.join().unwrap()));
    // Nor does its timeout.
    let acceptor = TlsAcceptor::new(
        Engine::start(config().handshake_timeout(Duration::from_millis(50))),
        Arc::new(Setup::MTLS13.server(Keys::Ours)),
    );
    let (server, _silent) = tokio::io::duplex(1000);
    assert_eq!(block_on(acceptor.accept(server)).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn an_engine_serves_tasks_that_move_between_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let engine = Engine::start(config().gather(4));
    let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(Setup::MTLS13.server(Keys::Ours)));
    let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::MTLS13.client(Keys::Ours)));
    runtime.block_on(async {
        let pairs = (0..64).map(|_| {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::spawn(async move {
                let (mut server, mut client) =
                    connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
                echo(&mut client, &mut server).await;
            })
        });
        for pair in pairs.collect::<Vec<_>>() {
            pair.await.unwrap();
        }
    });
    let stats = engine.stats();
    assert_eq!((stats.succeeded, stats.failed, stats.live_fibers), (128, 0, 0));
}
