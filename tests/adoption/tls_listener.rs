//! tls-listener, which makes a listener of an acceptor.

use crate::support::{answer, engine, get, listen, run, server_config, signatures};
use rustls_multibuffer::handshake::{Engine, TlsAcceptor};
use std::future::Future;
use std::io;
use std::pin::Pin;
use tls_listener::{AsyncTls, TlsListener};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

// begin: tls-listener
#[derive(Clone)]
struct EngineAcceptor(TlsAcceptor<Engine>);

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncTls<C> for EngineAcceptor {
    type Stream = TlsStream<C>;
    type Error = io::Error;
    type AcceptFuture = Pin<Box<dyn Future<Output = io::Result<TlsStream<C>>> + Send>>;

    fn accept(&self, io: C) -> Self::AcceptFuture {
        Box::pin(self.0.accept(io))
    }
}
// end: tls-listener

#[test]
fn tls_listener_accepts_on_an_engine() {
    run(async {
        let (listener, port) = listen().await;
        let engine = engine();
        let acceptor = EngineAcceptor(TlsAcceptor::new(engine.clone(), server_config("http/1.1")));
        let mut listener = TlsListener::new(acceptor, listener);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        let answers = tokio::join!(get(port), get(port));
        assert!(answers.0.ends_with("hi") && answers.1.ends_with("hi"), "{answers:?}");
        assert_eq!((engine.stats().succeeded, signatures(&engine.stats())), (2, 2));
    });
}
