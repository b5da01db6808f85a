//! A gRPC client over mutual TLS: tonic, with our connector underneath. It asks a server for its health,
//! which is `grpc.health.v1`.
//!
//! ```text
//! SPIFFE_ENDPOINT_SOCKET=unix:///tmp/agent/web/api.sock \
//!   cargo run --release --example tonic_client --features spiffe -- \
//!   127.0.0.1:8443 spiffe://example.org/server
//! ```

use hyper_util::rt::TokioIo;
use rustls_multibuffer::handshake::{Engine, EngineConfig};
use rustls_multibuffer::spiffe::{Authorizer, Connector, Identity, SpiffeId, TlsOptions, WorkloadApiSource};
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

/// `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Connects to the host and port of a URI, as tonic wants it.
#[derive(Clone)]
struct Connect(Connector<Engine>);

impl Service<Uri> for Connect {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move {
            let (host, port) = (uri.host().unwrap_or_default().to_owned(), uri.port_u16().unwrap_or(443));
            let socket = TcpStream::connect((host.as_str(), port)).await?;
            // begin: connect
            let name = host.try_into().map_err(io::Error::other)?;
            let (stream, _connection) = connector.connect(name, socket).await?;
            // end: connect
            Ok(TokioIo::new(stream))
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(server)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tonic_client HOST:PORT SPIFFE_ID".into());
    };
    let engine = Engine::new(EngineConfig::default())?;
    let identity = Identity::start(WorkloadApiSource::from_env()?);
    identity.ready().await;
    let server = Authorizer::exactly(SpiffeId::new(&server)?);
    let options = TlsOptions::default().alpn_protocols([b"h2".to_vec()]);
    let connector = Connector::with_tls(engine, &identity, server, options);

    // To tonic it is plain HTTP: TLS is the connector's.
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let channel = endpoint.connect_with_connector(Connect(connector)).await?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let response = grpc.unary(Request::new(HealthCheckRequest::default()), path, codec).await?;
    println!("status {}", response.into_inner().status);
    Ok(())
}
