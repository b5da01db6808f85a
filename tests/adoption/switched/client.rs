//! An HTTPS client: hyper, with the connector of hyper-rustls.

use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::body::Bytes;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_multibuffer::handshake::{Engine, OnEngine};
use rustls_multibuffer::provider;
use std::error::Error;
use std::sync::LazyLock;

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(Default::default()).unwrap());

pub(crate) async fn get(uri: Uri, roots: RootCertStore) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let config = ClientConfig::builder_with_provider(provider::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
    let builder = Client::builder(TokioExecutor::new());
    let client = builder.build::<_, Empty<Bytes>>(OnEngine::new(ENGINE.clone(), https));
    let response = client.get(uri).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}
