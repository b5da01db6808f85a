//! tonic, both sides: a server that is given our streams, a client on hyper's.

use crate::support::{client_config, engine, key_shares, listen, run, server_config, signatures};
use hyper::Uri;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls_multibuffer::handshake::{Engine, OnEngine, TlsAcceptor};
use std::io;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

// begin: tonic-server
/// The connections of a listener, for `serve_with_incoming`.
fn incoming(
    acceptor: TlsAcceptor<Engine>,
    listener: TcpListener,
) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let (connections, incoming) = mpsc::channel(64);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = connections.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((socket, _)) = accepted else {
                // Out of descriptors, most likely: until some are free again, it fails at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (handshake, connections) = (acceptor.accept(socket), connections.clone());
            tokio::spawn(async move {
                if let Ok(stream) = handshake.await {
                    let _server_has_gone = connections.send(Ok(stream)).await;
                }
            });
        }
    });
    ReceiverStream::new(incoming)
}
// end: tonic-server

#[test]
fn tonic_serves_and_calls_on_engines() {
    run(async {
        let (listener, port) = listen().await;
        let (servers, clients) = (engine(), engine());
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("greeter", ServingStatus::Serving).await;
        let acceptor = TlsAcceptor::new(servers.clone(), server_config("h2"));
        tokio::spawn(Server::builder().serve_with_incoming(health, incoming(acceptor, listener)));

        let (engine, config) = (clients.clone(), client_config());
        let origin: Uri = format!("https://localhost:{port}").parse().unwrap();
        // begin: tonic-client
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http2().build();
        let channel =
            Client::builder(TokioExecutor::new()).http2_only(true).build(OnEngine::new(engine, https));
        let mut client = HealthClient::with_origin(channel, origin);
        // end: tonic-client
        let request = HealthCheckRequest { service: "greeter".to_owned() };
        let status = client.check(request).await.unwrap().into_inner().status;
        assert_eq!(status, ServingStatus::Serving as i32);
        assert_eq!((servers.stats().succeeded, signatures(&servers.stats())), (1, 1));
        assert_eq!((clients.stats().succeeded, key_shares(&clients.stats())), (1, 1));
    });
}
