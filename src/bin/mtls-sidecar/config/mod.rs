//! The configuration file. The table of its fields is in `docs/sidecar.md`.

mod acceleration;
mod address;
mod check;
mod context;
mod explain;
mod later;
pub(crate) mod level;
mod limits;
mod load;
mod loops;
mod mesh;
mod resolution;
mod seconds;
mod sourced;

pub(crate) use address::{AdminAddress, Target};
pub(crate) use context::Context;
pub(crate) use explain::Explanation;
pub(crate) use load::Loaded;
pub(crate) use rustls_multibuffer::config::Span;
pub(crate) use seconds::Seconds;

use later::Later;
use mesh::MeshConfig;
use rustls_multibuffer::config::{TlsAcceleration, TlsIdentity};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A whole configuration, as it is in effect. What is written of it holds no secret: sources of keys are
/// named, never shown.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Config {
    /// Who we are, by names of our own.
    #[serde(default)]
    pub(crate) identities: BTreeMap<String, IdentityConfig>,
    pub(crate) listeners: Vec<ListenerConfig>,
    /// Worker threads; 0: one for each CPU.
    #[serde(default = "two")]
    pub(crate) concurrency: usize,
    #[serde(default = "nothing")]
    pub(crate) tls_acceleration: Later<TlsAcceleration>,
    #[serde(default)]
    pub(crate) drain: DrainConfig,
    pub(crate) admin: Option<AdminConfig>,
    #[serde(default)]
    pub(crate) log: LogConfig,
    /// Settings from Istio's or ASM's objects.
    pub(crate) mesh: Option<MeshConfig>,
    /// The addresses of the SDS servers that TLS contexts name as clusters.
    #[serde(default)]
    pub(crate) clusters: BTreeMap<String, String>,
}

/// An identity that several listeners may have.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct IdentityConfig {
    pub(crate) tls_identity: Later<TlsIdentity>,
    /// The only trust domain that our SVID may be of; default: whichever it is of.
    pub(crate) trust_domain: Option<String>,
}

/// One listener, and where its connections go.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ListenerConfig {
    /// Its name in metrics and logs.
    pub(crate) name: String,
    pub(crate) direction: Direction,
    #[serde(deserialize_with = "address::listen")]
    pub(crate) address: SocketAddr,
    pub(crate) target: Target,
    /// The name of one of the identities; or one of the next two fields.
    pub(crate) identity: Option<String>,
    /// An identity of its own.
    pub(crate) tls_identity: Option<Later<TlsIdentity>>,
    /// A TLS context of Envoy's.
    pub(crate) tls: Option<Later<Context>>,
    /// Who may be at the other end of the TLS connection. There is no default, but for the names that `tls`
    /// wants matched.
    #[serde(default)]
    pub(crate) peers: PeersConfig,
    /// The name sent to the server (SNI), outbound; default: the target's host, if that is a name.
    pub(crate) server_name: Option<String>,
    #[serde(default)]
    pub(crate) alpn: Vec<String>,
    /// Whether TLS sessions are resumed.
    #[serde(default)]
    pub(crate) resumption: bool,
    #[serde(default)]
    pub(crate) proxy_protocol: ProxyProtocolConfig,
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    #[serde(default)]
    pub(crate) timeouts: TimeoutsConfig,
    #[serde(default)]
    pub(crate) tcp_keepalive: KeepaliveConfig,
    /// What the application sees when the TLS peer closes without close_notify.
    #[serde(default)]
    pub(crate) unclean_close: UncleanClose,
    #[serde(default)]
    pub(crate) live: LiveConfig,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// mTLS in, plain to the application.
    Inbound,
    /// Plain in, mTLS to the server.
    Outbound,
}

impl Direction {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// Whoever is in one of the lists, or anybody whose certificate verifies.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default)]
pub(crate) struct PeersConfig {
    /// Exact SPIFFE IDs.
    pub(crate) ids: Vec<String>,
    /// SPIFFE IDs whose path is this one or continues it with further segments.
    pub(crate) prefixes: Vec<String>,
    pub(crate) trust_domains: Vec<String>,
    pub(crate) any: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ProxyProtocolConfig {
    /// Whether connections to the listener begin with a header: inbound before the TLS handshake.
    pub(crate) accept: ProxyProtocol,
    /// Whether connections to the target begin with a header: outbound before the TLS handshake.
    pub(crate) send: ProxyProtocol,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProxyProtocol {
    #[default]
    Off,
    V2,
}

/// One more than these is closed at once, and counted.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LimitsConfig {
    pub(crate) max_connections: usize,
    /// Connections whose handshake or whose connection to the target is not complete.
    pub(crate) max_pending: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { max_connections: 1024, max_pending: 1024 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct TimeoutsConfig {
    /// Until the target has accepted.
    pub(crate) connect: Span,
    /// Until a PROXY header and a TLS handshake are complete, each.
    pub(crate) handshake: Span,
    /// Without a byte in either direction; 0: forever.
    pub(crate) idle: Span,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self { connect: Span::seconds(10), handshake: Span::seconds(10), idle: Span::seconds(3600) }
    }
}

/// When the peers of TCP connections are asked whether they are still there, with Envoy's words.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct KeepaliveConfig {
    /// How many times without an answer before the connection is broken.
    pub(crate) keepalive_probes: u32,
    /// How long nothing has come before they are asked; 0: never.
    pub(crate) keepalive_time: Seconds,
    /// How long between two times.
    pub(crate) keepalive_interval: Seconds,
}

impl Default for KeepaliveConfig {
    fn default() -> Self {
        Self {
            keepalive_probes: 3,
            keepalive_time: Seconds(Span::seconds(60)),
            keepalive_interval: Seconds(Span::seconds(20)),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UncleanClose {
    /// A failure: what came may be half of what was sent.
    #[default]
    Reset,
    /// The end of the data, as with Envoy.
    End,
}

/// What becomes of connections while identities rotate; default: they are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LiveConfig {
    pub(crate) max_age: Option<Span>,
    /// The age is less by a random part of this.
    pub(crate) max_age_jitter: Option<Span>,
    /// Connections are closed after a random part of this when their peer is no longer trusted.
    pub(crate) close_on_bundle_removal: Option<Span>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct DrainConfig {
    /// How long connections may go on after SIGTERM.
    pub(crate) termination_drain_duration: Span,
    /// After SIGTERM, waits for the last connection however long that takes.
    pub(crate) exit_on_zero_active_connections: bool,
    /// How long it then waits at least.
    pub(crate) minimum_drain_duration: Span,
    /// How long connections may go on after a hot restart.
    pub(crate) parent_shutdown_time: Span,
    /// How long a new process has to become ready in a hot restart.
    pub(crate) restart_timeout: Span,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            termination_drain_duration: Span::seconds(5),
            exit_on_zero_active_connections: false,
            minimum_drain_duration: Span::seconds(5),
            parent_shutdown_time: Span::seconds(900),
            restart_timeout: Span::seconds(60),
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AdminConfig {
    /// A loopback address, or `unix:` and a path.
    pub(crate) address: AdminAddress,
    /// A file with the token that requests which change something must carry.
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LogConfig {
    #[serde(with = "level")]
    pub(crate) level: log::LevelFilter,
    /// Whether each connection gets a line.
    pub(crate) access: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: log::LevelFilter::Info, access: true }
    }
}

fn two() -> usize {
    2
}

fn nothing<T>() -> Later<T> {
    Later(None)
}

impl Config {
    /// How many workers there are to be.
    pub(crate) fn workers(&self) -> usize {
        match self.concurrency {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            n => n,
        }
    }

    /// The TLS contexts of the listeners that have one.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = &Context> {
        self.listeners.iter().filter_map(ListenerConfig::context)
    }

    /// How operations are batched; every field is set.
    pub(crate) fn acceleration(&self) -> TlsAcceleration {
        self.tls_acceleration.0.clone().unwrap_or_default()
    }
}

impl PeersConfig {
    /// Whether nobody is named.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any && self.ids.is_empty() && self.prefixes.is_empty() && self.trust_domains.is_empty()
    }
}

impl ListenerConfig {
    /// The TLS context, if it has one.
    pub(crate) fn context(&self) -> Option<&Context> {
        self.tls.as_ref().and_then(|tls| tls.0.as_ref())
    }

    /// Where its own identity comes from; none: it has one of the named.
    pub(crate) fn own_source(&self) -> Option<&TlsIdentity> {
        let own = self.tls_identity.as_ref().and_then(|identity| identity.0.as_ref());
        own.or_else(|| self.context().map(|context| &context.source))
    }

    /// The name of its identity, in metrics, too.
    pub(crate) fn identity_name(&self) -> &str {
        self.identity.as_deref().unwrap_or(&self.name)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
