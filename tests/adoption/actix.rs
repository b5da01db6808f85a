//! A service of actix: workers of one thread each, with an engine of its own.

use crate::support::{answer, get, run, server_config};
use actix_server::{Server, ServerBuilder};
use actix_service::{fn_factory, fn_service};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_multibuffer::handshake::{EngineConfig, LocalEngine, TlsAcceptor, wait};
use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::net::TcpStream;

// begin: actix
fn server(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<ServerBuilder> {
    let workers = move || {
        let config = config.clone();
        fn_factory(move || {
            // On each worker's thread.
            let engine = LocalEngine::new(EngineConfig::default());
            let acceptor = TlsAcceptor::new(engine, config.clone());
            ready(Ok::<_, ()>(fn_service(move |socket: TcpStream| {
                let handshake = acceptor.accept(socket);
                async move {
                    answer(handshake.await?).await;
                    Ok::<_, io::Error>(())
                }
            })))
        })
    };
    Server::build().listen("tls", listener, workers)
}
// end: actix

/// Counts the handshakes that run on an engine.
#[derive(Debug)]
struct Witness {
    certificate: Arc<dyn ResolvesServerCert>,
    on_engine: Arc<AtomicUsize>,
}

impl ResolvesServerCert for Witness {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Elsewhere there is nothing to wait on.
        if wait(async {}).is_ok() {
            self.on_engine.fetch_add(1, Relaxed);
        }
        self.certificate.resolve(hello)
    }
}

#[test]
fn workers_of_actix_accept_on_engines_of_their_own() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let on_engine = Arc::new(AtomicUsize::new(0));
        let mut config = ServerConfig::clone(&server_config("http/1.1"));
        let certificate = config.cert_resolver.clone();
        config.cert_resolver = Arc::new(Witness { certificate, on_engine: on_engine.clone() });
        let server = server(listener, Arc::new(config)).unwrap().workers(2).disable_signals().run();
        let handle = server.handle();
        tokio::spawn(server);
        let answers = tokio::join!(get(port), get(port), get(port));
        assert!([answers.0, answers.1, answers.2].iter().all(|answer| answer.ends_with("hi")));
        assert_eq!(on_engine.load(Relaxed), 3);
        handle.stop(false).await;
    });
}
