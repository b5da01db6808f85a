//! axum-server, which serves axum's routers and any other service.

use crate::support::{engine, get, run, server_config, signatures};
use axum_server::accept::Accept;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use rustls_multibuffer::handshake::{Engine, TlsAcceptor};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;
use tower::make::Shared;
use tower::service_fn;

// begin: axum-server
#[derive(Clone)]
struct EngineAcceptor(TlsAcceptor<Engine>);

impl<I, S> Accept<I, S> for EngineAcceptor
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Send + 'static,
{
    type Stream = TlsStream<I>;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(TlsStream<I>, S)>> + Send>>;

    fn accept(&self, io: I, service: S) -> Self::Future {
        let handshake = self.0.accept(io);
        Box::pin(async move { Ok((handshake.await?, service)) })
    }
}
// end: axum-server

#[test]
fn axum_server_accepts_on_an_engine() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let engine = engine();
        let acceptor = EngineAcceptor(TlsAcceptor::new(engine.clone(), server_config("http/1.1")));
        let greet = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hi"))))
        });
        let server = axum_server::from_tcp(listener).unwrap().acceptor(acceptor);
        tokio::spawn(server.serve(Shared::new(greet)));
        let answer = get(port).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hi"), "{answer}");
        assert_eq!((engine.stats().succeeded, signatures(&engine.stats())), (1, 1));
    });
}
