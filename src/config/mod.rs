//! The configuration of Envoy, Istio and ASM, and a short form of our own: read, checked, and turned into an
//! engine's settings and a certificate's key. For a proxy's author, who needs nothing else of this crate but
//! what it turns into.
//!
//! * [`envoy`]: `DownstreamTlsContext` and `UpstreamTlsContext`, with `private_key_provider` as the switch.
//! * [`istio`]: `meshConfig.defaultConfig`, `ProxyConfig` objects, pod annotations, and ASM's templates,
//!   resolved by the precedence of Istio or of ASM, with an explanation.
//! * [`TlsIdentity`]: `tls_identity`, a certificate with its roots from files, an SDS server or the SPIFFE
//!   Workload API.
//! * [`TlsAcceleration`]: `tls_acceleration: {enabled, max_tier, poll_delay, latency_budget, break_even,
//!   max_parked, threads, pin, handshake_threads}`.
//! * [`Document::read`]: fields of a proxy's own, with [`Span`]s of time, by the same rules.
//!
//! YAML and JSON are read alike, with field names in `snake_case` or in `lowerCamelCase`. What is wrong is
//! told with file, line, column and path, all of it at once where that is possible. What is not supported is
//! an error, too, unless [`Mode::Lenient`] makes it a warning. Values are never repeated in messages: they
//! may be keys. Inline keys are wiped from memory when the configuration is dropped; the text that was read,
//! and copies that the parser made, are not, which is a reason to keep keys in files.
//!
//! ```
//! use rustls_multibuffer::config::envoy::{self, TlsContext};
//! use rustls_multibuffer::config::{Document, Mode};
//! use rustls_multibuffer::handshake::EngineConfig;
//! use std::time::Duration;
//!
//! let listener = r#"
//! transport_socket:
//!   name: envoy.transport_sockets.tls
//!   typed_config:
//!     "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
//!     common_tls_context:
//!       tls_certificates:
//!       - certificate_chain: {filename: /run/id/cert.pem}
//!         private_key_provider:
//!           provider_name: cryptomb
//!           fallback: true
//!           typed_config:
//!             "@type": type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig
//!             private_key: {filename: /run/id/key.pem}
//!             poll_delay: 0.002s
//! "#;
//! let found = envoy::find(&Document::parse("listener.yaml", listener)?, Mode::Strict)?;
//! let [(_, TlsContext::Downstream(context))] = &found.value[..] else { panic!("{found:?}") };
//! let engine = context.common.acceleration().engine_config(EngineConfig::default());
//! assert_eq!(engine, EngineConfig::default().poll_delay(Duration::from_millis(2)));
//! # Ok::<(), rustls_multibuffer::config::ConfigError>(())
//! ```
//!
//! # Every field
//!
//! The same as a JSON schema for editors is [`JSON_SCHEMA`].
//!
#![doc = include_str!("fields.md")]

mod acceleration;
mod data_source;
mod duration;
pub mod envoy;
mod identity;
pub mod istio;
mod load;
mod messages;
mod node;
mod path;
mod problem;
mod read;
#[cfg(test)]
mod schema;
#[cfg(feature = "spiffe")]
mod start;

pub use acceleration::{Acceleration, TlsAcceleration};
pub use data_source::DataSource;
pub use duration::Span;
pub use identity::{PemSources, TlsIdentity};
pub use node::Document;
pub use path::{Location, Path, Position};
pub use problem::{Checked, ConfigError, Mode, Problem};
#[cfg(feature = "spiffe")]
pub use start::IdentityError;

/// A JSON schema (2020-12) of everything that is read here; its `$defs` have one entry for each message.
pub const JSON_SCHEMA: &str = include_str!("schema.json");
