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
//! Two things are needed, and neither does anything alone: configurations made with [`provider`], and an
//! engine of [`handshake`] that the handshakes run on. Without an engine the provider is rustls' own
//! aws-lc-rs provider in all but name; with another provider an engine finds nothing to batch.
//!
//! # Before any lane runs
//!
//! An `Engine` has threads of its own, on which a handshake's calls into rustls run. So the milliseconds of a
//! handshake's computation do not hold up the other tasks of the runtime, on a CPU without lanes as well. A
//! `LocalEngine` computes on the caller's thread, and saves the way to another one.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tokio` (default) | [`handshake`]: the engines, an acceptor and a connector for tokio |
//! | `spiffe` | [`spiffe`]: SPIFFE identities that rotate, from the Workload API, SDS, files or memory |
//! | `config` | [`config`]: the configuration of Envoy, Istio and ASM, and a short form of our own |
//! | `spiffe-authority` | [`spiffe::authority`]: an authority for tests and demonstrations |
//! | `sidecar` | the program `mtls-sidecar` |
//! | `bench` | the program `handshake-bench` |
//! | `internals` | what this crate's own tests and benchmarks reach into; not covered by semantic versioning |
//!
//! Without any of them there is [`provider`] alone.
//!
//! # Vocabulary
//!
//! * **Lane**: one of the places of a SIMD register. A batch computes one operation in each lane, or one half
//!   of an RSA signature.
//! * **Tier**: a set of CPU instructions that the kernels are written for. [`TierKind`] lists them; the best
//!   one that the machine has is chosen at run time.
//! * **Batch**: requests for the same operation, by any keys, that run together; the **fill** is how many
//!   they are. A batch with as many as the lanes take is full.
//! * **Flush**: a batch leaves its queue, because it is full, because the thread has nothing else to do, or
//!   because a request's time is up.
//! * **Break-even**: the smallest fill at which lanes beat aws-lc-rs. A smaller batch goes to aws-lc-rs.
//! * **Fiber**: a stack of its own, on which a handshake calls rustls.
//! * **Park**: a fiber that has asked for an operation stops in the middle of that call, and goes on with the
//!   answer. Meanwhile its thread runs other fibers.
//! * **Engine**: what runs fibers and batches, and bounds both.
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
//! | 4 | `validation` | what of Envoy's validation context is enforced; PEM files (features `config`, `spiffe`) |
//! | 5 | [`handshake`] | the engines, the acceptor and the connector (feature `tokio`) |
//! | 6 | [`spiffe`] | SPIFFE identities that rotate (feature `spiffe`) |
//! | 7 | [`config`] | the configuration of Envoy, Istio and ASM (feature `config`) |
//!
//! # Platforms
//!
//! Lanes exist on x86-64; what is tested is Linux, with glibc. On other CPUs, such as aarch64, everything
//! works in the tier `scalar`: one operation at a time through aws-lc-rs. macOS and the BSDs should do as
//! Linux does, and are not tested. Windows is not supported: the crate does not compile there, because
//! fibers' stacks are mapped with `mmap`.
//!
//! rustls must be 0.23 and tokio-rustls 0.26: the versions that are re-exported here as [`rustls`] and
//! `tokio_rustls`.
#![warn(missing_docs)]
#![cfg_attr(
    not(all(feature = "config", feature = "spiffe-authority")),
    allow(rustdoc::broken_intra_doc_links, reason = "links lead to modules that features add")
)]
#![cfg_attr(
    not(all(feature = "internals", feature = "tokio")),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "only engines start fibers, and they need tokio; tests use more than the crate does"
    )
)]

mod arch;
mod arith;
mod batch;
#[cfg(feature = "config")]
pub mod config;
mod error;
mod fiber;
#[cfg(feature = "tokio")]
pub mod handshake;
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
