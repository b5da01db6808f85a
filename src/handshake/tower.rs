//! tower services whose answers contain TLS handshakes.

use super::Engine;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// A service whose futures are polled on an engine, by [`Engine::run`]: for connectors, such as those of
/// hyper-rustls and reqwest, that make a TLS connection and give it to their caller.
///
/// The time that a future has, [`handshake_timeout`](super::EngineConfig::handshake_timeout), is that of the
/// whole future: a connector's looks a name up, connects a socket and makes a handshake. Wrap a connector,
/// not a service that answers requests.
///
/// ```
/// use hyper_rustls::HttpsConnectorBuilder;
/// use rustls::{ClientConfig, RootCertStore};
/// use rustls_multibuffer::handshake::{Engine, EngineConfig, OnEngine};
/// use rustls_multibuffer::provider::default_provider;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let roots = RootCertStore::empty();
/// let config = ClientConfig::builder_with_provider(default_provider().into())
///     .with_safe_default_protocol_versions()?
///     .with_root_certificates(roots)
///     .with_no_client_auth();
/// let https = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
/// let connector = OnEngine::new(Engine::new(EngineConfig::default())?, https);
/// # drop(connector);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The service's own; [`HandshakeError`](super::HandshakeError), when the engine gives a future up.
#[derive(Clone, Debug)]
pub struct OnEngine<S> {
    engine: Engine,
    service: S,
}

impl<S> OnEngine<S> {
    /// `service`, with its futures polled on `engine`.
    pub fn new(engine: Engine, service: S) -> Self {
        Self { engine, service }
    }
}

impl<S, Request> Service<Request> for OnEngine<S>
where
    S: Service<Request, Response: Send + 'static, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer = self.service.call(request);
        let answer = self.engine.run(async move { answer.await.map_err(Into::<BoxError>::into) });
        Box::pin(async move { answer.await? })
    }
}

/// Wraps services in [`OnEngine`]: for builders that take a layer, such as reqwest's `connector_layer`.
#[derive(Clone, Debug)]
pub struct EngineLayer {
    engine: Engine,
}

impl EngineLayer {
    /// A layer that wraps services in [`OnEngine`] with `engine`.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

impl<S> Layer<S> for EngineLayer {
    type Service = OnEngine<S>;

    fn layer(&self, service: S) -> OnEngine<S> {
        OnEngine::new(self.engine.clone(), service)
    }
}
