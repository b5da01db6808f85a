//! An HTTP server over mutual TLS: hyper, with our acceptor where tokio-rustls' would be.
//!
//! ```text
//! SPIFFE_ENDPOINT_SOCKET=unix:///tmp/agent/web/api.sock \
//!   cargo run --release --example hyper_server --features spiffe -- 127.0.0.1:8443 example.org
//! ```
//!
//! It answers every request of a client of that trust domain with the client's SPIFFE ID.
//! `examples/spiffe-authority.rs` is an authority to try it with.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls_multibuffer::handshake::{Engine, EngineConfig};
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Identity, TlsOptions, TrustDomain, WorkloadApiSource,
};
use std::convert::Infallible;
use std::error::Error;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(domain)) = (arguments.next(), arguments.next()) else {
        return Err("usage: hyper_server ADDRESS TRUST_DOMAIN".into());
    };
    // begin: setup
    let engine = Engine::new(EngineConfig::default())?;
    let identity = Identity::start(WorkloadApiSource::from_env()?);
    let clients = Authorizer::trust_domain(TrustDomain::new(&domain)?);
    let options = TlsOptions::default().alpn_protocols([b"http/1.1".to_vec()]);
    let acceptor = Acceptor::with_tls(engine, &identity, clients, options);
    identity.ready().await;
    // end: setup
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (socket, client) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(e) = serve(&acceptor, socket).await {
                eprintln!("{client}: {e}");
            }
        });
    }
}

async fn serve(acceptor: &Acceptor<Engine>, socket: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    // begin: accept
    let (stream, connection) = acceptor.accept(socket).await?;
    let peer = connection.peer_id().to_string();
    // end: accept
    let answer = move |_: Request<_>| {
        let body = Full::new(Bytes::from(format!("hello, {peer}\n")));
        async move { Ok::<_, Infallible>(Response::new(body)) }
    };
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await?;
    Ok(())
}
