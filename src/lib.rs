//! Cheaper TLS handshakes for proxies written in Rust.
//!
//! A proxy has many handshakes in flight. This crate gathers their public-key operations into batches and
//! runs each batch in the lanes of SIMD registers: eight operations side by side with AVX-512 IFMA, four with
//! AVX-IFMA or with AVX2 and FMA. rustls is used unmodified; the streams are those of tokio-rustls.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")] mod example {
//! use rustls_multibuffer::handshake::{Engine, EngineConfig, TlsAcceptor};
//! use rustls_multibuffer::provider::default_provider;
//! use rustls_multibuffer::rustls::ServerConfig;
//! use rustls_multibuffer::rustls::pki_types::{CertificateDer, PrivateKeyDer};
//! # use tokio::net::TcpListener;
//!
//! # async fn serve(
//! #     listener: TcpListener,
//! #     chain: Vec<CertificateDer<'static>>,
//! #     key: PrivateKeyDer<'static>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let config = ServerConfig::builder_with_provider(default_provider().into())
//!     .with_safe_default_protocol_versions()?
//!     .with_no_client_auth()
//!     .with_single_cert(chain, key)?;
//! let acceptor = TlsAcceptor::new(Engine::new(EngineConfig::default())?, config.into());
//! loop {
//!     let (socket, _) = listener.accept().await?;
//!     let handshake = acceptor.accept(socket);
//!     tokio::spawn(async move {
//!         let stream = handshake.await?;
//!         // A `tokio_rustls::server::TlsStream`, as from tokio-rustls' own acceptor.
//! #       drop(stream);
//!         Ok::<_, std::io::Error>(())
//!     });
//! }
//! # }
//! # }
//! ```
//!
//! Two things are needed, and neither helps without the other: configurations made with [`provider`], and an
//! engine of [`handshake`] that the handshakes run on. Without an engine, the provider behaves like rustls'
//! own aws-lc-rs provider; with any other provider, an engine finds nothing to batch.
//!
//! # Without lanes
//!
//! An `Engine` helps on any CPU: it makes a handshake's calls into rustls on threads of its own, so the
//! milliseconds that a handshake computes do not hold up the other tasks of the runtime. A `LocalEngine`
//! computes on the caller's thread and saves the hop to another one.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tokio` (default) | [`handshake`]: two engines, an acceptor and a connector for tokio; [`offload`] |
//! | `tower` | [`handshake::OnEngine`]: connectors, such as those of hyper-rustls and reqwest, on an engine |
//! | `spiffe` | [`spiffe`]: SPIFFE identities that rotate, from the Workload API, SDS, files or memory |
//! | `config` | [`config`]: the configuration of Envoy, Istio and ASM, and a short form of our own |
//! | `spiffe-authority` | [`spiffe::authority`]: an authority for tests and demonstrations |
//! | `sidecar` | the program `mtls-sidecar` |
//! | `bench` | the program `handshake-bench` |
//! | `internals` | what our own tests and benchmarks reach into; not covered by semantic versioning |
//!
//! Without any of them there are [`provider`] and [`handshake::Batcher`], for event loops without a runtime.
//!
//! # Vocabulary
//!
//! * **Lane**: one element of a SIMD register. Each lane computes an operation of its own, or one half of an
//!   RSA signature.
//! * **Tier**: a set of CPU instructions that kernels are written for. [`TierKind`] lists them; the best one
//!   that the machine offers is chosen at run time.
//! * **Batch**: requests for the same operation that run together, whatever their keys. Its **fill** is the
//!   number of requests; a batch that fills all lanes is full.
//! * **Flush**: a batch leaves its queue because it is full, because the thread has nothing else to do, or
//!   because a request has waited long enough.
//! * **Break-even**: the fill from which on lanes are faster than aws-lc-rs, measured for each operation.
//!   Smaller batches go to aws-lc-rs, but for occasional attempts.
//! * **Fiber**: a small stack of its own, on which a handshake calls rustls.
//! * **Park**: a fiber that asks for an operation stops in the middle of the call and resumes with the
//!   answer. Meanwhile its thread runs other fibers.
//! * **Engine**: runs fibers and batches, and bounds how many there are.
//!
//! # Layers
//!
//! A module uses only modules of lower levels, which `tests/layering.rs` checks.
//!
//! | level | module | what it is |
//! |---|---|---|
//! | 0 | `arch`, `error` | tiers, the kernels of lanes (`asm/`), wiping of secrets; the only `unsafe` |
//! | 1 | `arith` | limbs, Montgomery arithmetic; exponentiation and elliptic curves in lanes |
//! | 2 | `ops` | one public-key operation over one batch; the same one by one through aws-lc-rs |
//! | 3 | `batch`, `fiber` | the queue that forms batches; stacks that park |
//! | 4 | [`provider`] | what rustls sees: a `CryptoProvider`, signing keys, key exchanges, verification |
//! | 4 | `validation` | what of Envoy's validation context is enforced; PEM (features `config`, `spiffe`) |
//! | 5 | [`handshake`] | the batcher of a thread; the engines, the acceptor and the connector on it |
//! | 6 | [`offload`] | keys, certificates and decisions that are elsewhere (feature `tokio`) |
//! | 6 | [`spiffe`] | SPIFFE identities that rotate (feature `spiffe`) |
//! | 7 | [`config`] | the configuration of Envoy, Istio and ASM (feature `config`) |
//!
//! # Platforms
//!
//! | system and CPU | lanes | state |
//! |---|---|---|
//! | Linux on x86-64 | yes | tested |
//! | Linux on aarch64 and others | no: tier `scalar`, one operation at a time, by aws-lc-rs | not tested |
//! | macOS and the BSDs on x86-64 | yes | not tested |
//! | macOS and the BSDs on aarch64 | no: tier `scalar` | not tested |
//! | Windows | – | does not compile: the stacks of fibers are mapped with `mmap` |
//!
//! Other CPUs are those that corosensei and aws-lc-rs know, such as 64-bit RISC-V. An application that is
//! built for Windows, too, names the crate under `[target.'cfg(unix)'.dependencies]`.
//!
//! The versions of rustls and tokio-rustls whose types are used here are re-exported as `rustls` and
//! `tokio_rustls`.
#![warn(missing_docs)]
#![cfg_attr(
    not(all(feature = "config", feature = "spiffe-authority", feature = "tower")),
    allow(rustdoc::broken_intra_doc_links, reason = "links lead to modules that features add")
)]
#![cfg_attr(
    not(all(feature = "internals", feature = "tokio")),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "the engines, which need tokio, and tests use more than a batcher does"
    )
)]

mod arch;
mod arith;
mod batch;
#[cfg(feature = "config")]
pub mod config;
mod error;
mod fiber;
pub mod handshake;
#[cfg(feature = "tokio")]
pub mod offload;
mod ops;
pub mod provider;
#[cfg(feature = "spiffe")]
pub mod spiffe;
#[cfg(any(feature = "config", feature = "spiffe"))]
mod validation;

pub use arch::{Detection, Tier, TierKind, UnknownTier};
pub use error::{Error, KeyError};
pub use rustls;
#[cfg(feature = "tokio")]
pub use tokio_rustls;

#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../docs/offload.md")]
struct OffloadGuide;

/// What the crate's own tests, benchmarks and fuzz targets reach into. Not covered by semantic versioning.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub mod arch {
        pub use crate::arch::*;
    }
    pub mod batch {
        pub use crate::batch::*;
    }
    pub mod ops {
        pub use crate::ops::*;
    }
}
