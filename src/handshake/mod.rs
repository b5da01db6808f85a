//! Engines that drive handshakes on fibers, and the tokio acceptor and connector.
//!
//! [`TlsAcceptor`] and [`TlsConnector`] take the place of tokio-rustls' and give its stream types. Whatever
//! else does TLS handshakes runs on an engine through [`Engine::run`] or [`LocalEngine::run`]. What happens
//! to one future:
//!
//! 1. Each of its polls is made on a fiber. Most polls return at once, and the fiber ends.
//! 2. When rustls, below a poll, asks one of [`provider`](crate::provider)'s keys for a signature, the
//!    fiber parks, and its request joins the thread's queue.
//! 3. When the batch has run, the fiber is resumed, and rustls goes on as if nothing had happened.
//! 4. The poll writes what rustls has to send, and ends with the future pending until its socket has more,
//!    or ready.
//!
//! There are two engines. A [`LocalEngine`] does all of that on the caller's thread: for runtimes with one
//! thread per core. An [`Engine`] has threads of its own for it: for runtimes whose tasks move between
//! threads. Both bound what they hold, time handshakes out, survive a panic in a callback, and end with a
//! clear error for whoever is still in flight; both show what they do in [`EngineStats`].
//!
//! Both stand on a [`Batcher`], one for each thread, which knows no runtime. Event loops that call rustls
//! themselves, on epoll or mio, use that; it is there without the feature `tokio`, too, where nothing else of
//! the above is.
//!
//! Certificate resolvers and verifiers of the rustls configuration are called on a fiber: they have
//! [`EngineConfig::stack_size`] bytes of stack, and on an `Engine` they run on its threads, in the caller's
//! tokio runtime. They must not block, any more than on a runtime's thread, nor hold a lock, a borrow or a
//! span's guard while they call a signer or a key exchange of ours, or a verifier made by
//! [`batch_verifications`](crate::provider::batch_verifications): other handshakes of the thread run
//! meanwhile. rustls itself holds nothing of that kind while it calls them. `docs/integrate.md` has the whole
//! contract.
//!
#![cfg_attr(feature = "tokio", doc = "```")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use rustls_multibuffer::handshake::{Engine, EngineConfig, TlsAcceptor, TlsConnector};
//! use rustls_multibuffer::provider::default_provider;
//! use std::sync::Arc;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
//! # let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
//! # let cert = params.self_signed(&key)?.der().clone();
//! # let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der())?;
//! # let mut roots = rustls::RootCertStore::empty();
//! # roots.add(cert.clone())?;
//! let provider = Arc::new(default_provider());
//! let server = rustls::ServerConfig::builder_with_provider(provider.clone())
//!     .with_safe_default_protocol_versions()?
//!     .with_no_client_auth()
//!     .with_single_cert(vec![cert], key)?;
//! let client = rustls::ClientConfig::builder_with_provider(provider)
//!     .with_safe_default_protocol_versions()?
//!     .with_root_certificates(roots)
//!     .with_no_client_auth();
//!
//! let engine = Engine::new(EngineConfig::default().threads(1))?;
//! let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(server));
//! let connector = TlsConnector::new(engine.clone(), Arc::new(client));
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let (here, there) = tokio::io::duplex(4096);
//! let name = "localhost".try_into()?;
//! let (mut server, mut client) = tokio::try_join!(acceptor.accept(here), connector.connect(name, there))?;
//! client.write_all(b"hello").await?;
//! client.flush().await?;
//! let mut received = [0; 5];
//! server.read_exact(&mut received).await?;
//! assert_eq!(&received, b"hello");
//! assert_eq!(engine.stats().succeeded, 2);
//! # Ok(()) })
//! # }
//! ```

#[cfg(feature = "tokio")]
mod acceptor;
#[cfg(feature = "tokio")]
mod alarm;
#[cfg(feature = "tokio")]
mod alert;
mod asked;
mod batcher;
mod calls;
mod config;
#[cfg(feature = "tokio")]
mod connector;
#[cfg(feature = "tokio")]
mod engine;
mod error;
#[cfg(feature = "tokio")]
mod gate;
#[cfg(feature = "tokio")]
mod job;
#[cfg(feature = "tokio")]
mod local;
#[cfg(all(test, lanes, feature = "tokio"))]
mod memcheck;
#[cfg(feature = "tokio")]
mod messages;
mod parked;
#[cfg(feature = "tokio")]
mod pinning;
#[cfg(feature = "tokio")]
mod race;
mod report;
#[cfg(feature = "tokio")]
mod seat;
#[cfg(feature = "tokio")]
mod session;
#[cfg(feature = "tokio")]
mod supervise;
#[cfg(feature = "tokio")]
mod timers;
#[cfg(feature = "tower")]
mod tower;
mod wait;
#[cfg(feature = "tokio")]
mod worker;

pub use crate::batch::{OpStats, Reason, Stats, Waits};
pub use crate::ops::{BreakEven, Counters, Op};
pub use asked::Unaccelerated;
pub use batcher::Batcher;
pub use config::EngineConfig;
pub use error::HandshakeError;
pub(crate) use parked::unpanicking;
pub use parked::{Awaiting, Parked, Step};
pub use report::EngineStats;
#[cfg(feature = "tower")]
pub use tower::{EngineLayer, OnEngine};
pub(crate) use wait::wait_for_signature;
pub use wait::{NotAwaited, wait};

#[cfg(feature = "tokio")]
pub use {
    acceptor::TlsAcceptor, connector::TlsConnector, engine::Engine, local::LocalEngine,
    session::HandshakeEngine,
};

#[cfg(feature = "tokio")]
pub use tokio_rustls;
