//! reqwest, with its connector on an engine.

use crate::support::{client_config, engine, key_shares, listen, run, serve_http};
use reqwest::Client;
use rustls::ClientConfig;
use rustls_multibuffer::handshake::{Engine, EngineLayer};

// begin: reqwest
fn client(engine: Engine, config: ClientConfig) -> reqwest::Result<Client> {
    Client::builder().tls_backend_preconfigured(config).connector_layer(EngineLayer::new(engine)).build()
}
// end: reqwest

#[test]
fn reqwest_connects_on_an_engine() {
    run(async {
        let (listener, port) = listen().await;
        tokio::spawn(serve_http(listener));
        let engine = engine();
        let client = client(engine.clone(), client_config()).unwrap();
        let response = client.get(format!("https://localhost:{port}/")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "hi");
        assert_eq!((engine.stats().succeeded, key_shares(&engine.stats())), (1, 1));
    });
}
