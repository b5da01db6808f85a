//! The configuration file. The table of its fields is in `docs/sidecar.md`.

mod address;
mod check;
mod duration;

pub(crate) use address::{AdminAddress, Target};
pub(crate) use duration::Span;

use rustls_multibuffer::TierKind;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A whole configuration file. It holds no secret: keys are named by their files.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Who we are, by names of our own.
    pub(crate) identities: BTreeMap<String, IdentityConfig>,
    pub(crate) listeners: Vec<ListenerConfig>,
    /// Worker threads; 0: one for each CPU.
    #[serde(default = "two")]
    pub(crate) concurrency: usize,
    #[serde(default)]
    pub(crate) tls_acceleration: AccelerationConfig,
    #[serde(default)]
    pub(crate) drain: DrainConfig,
    pub(crate) admin: Option<AdminConfig>,
    #[serde(default)]
    pub(crate) log: LogConfig,
}

/// Where an identity comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityConfig {
    pub(crate) files: FilesConfig,
    /// The only trust domain that our SVID may be of; default: whichever it is of.
    pub(crate) trust_domain: Option<String>,
}

/// An identity in PEM files, which are watched.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesConfig {
    pub(crate) certificate_chain: PathBuf,
    pub(crate) private_key: PathBuf,
    pub(crate) trust_bundle: PathBuf,
    /// The bundles of other trust domains, by their names.
    #[serde(default)]
    pub(crate) federated: BTreeMap<String, PathBuf>,
}

/// One listener, and where its connections go.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerConfig {
    /// Its name in metrics and logs.
    pub(crate) name: String,
    pub(crate) direction: Direction,
    pub(crate) address: SocketAddr,
    pub(crate) target: Target,
    /// The name of one of the identities.
    pub(crate) identity: String,
    /// Who may be at the other end of the TLS connection. There is no default.
    pub(crate) peers: PeersConfig,
    /// The name sent to the server (SNI), outbound; default: the target's host, if that is a name.
    pub(crate) server_name: Option<String>,
    #[serde(default)]
    pub(crate) alpn: Vec<String>,
    #[serde(default)]
    pub(crate) proxy_protocol: ProxyProtocolConfig,
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    #[serde(default)]
    pub(crate) timeouts: TimeoutsConfig,
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
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PeersConfig {
    /// Exact SPIFFE IDs.
    pub(crate) ids: Vec<String>,
    /// SPIFFE IDs whose path is this one or continues it with further segments.
    pub(crate) prefixes: Vec<String>,
    pub(crate) trust_domains: Vec<String>,
    pub(crate) any: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
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
#[serde(deny_unknown_fields, default)]
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
#[serde(deny_unknown_fields, default)]
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

/// What becomes of connections while identities rotate; default: they are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LiveConfig {
    pub(crate) max_age: Option<Span>,
    /// The age is less by a random part of this.
    pub(crate) max_age_jitter: Option<Span>,
    /// Connections are closed after a random part of this when their peer is no longer trusted.
    pub(crate) close_on_bundle_removal: Option<Span>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccelerationConfig {
    /// False: everything is left to aws-lc-rs, one operation at a time.
    pub(crate) enabled: bool,
    #[serde(with = "address::text")]
    pub(crate) max_tier: TierKind,
    /// How long an operation waits for company although its thread is idle.
    pub(crate) poll_delay: Span,
    /// The most handshakes that a worker has parked at a time.
    pub(crate) max_parked: usize,
}

impl Default for AccelerationConfig {
    fn default() -> Self {
        Self { enabled: true, max_tier: TierKind::Avx512Ifma, poll_delay: Span::seconds(0), max_parked: 256 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
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
#[serde(deny_unknown_fields)]
pub(crate) struct AdminConfig {
    /// A loopback address, or `unix:` and a path.
    pub(crate) address: AdminAddress,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    #[serde(with = "address::text")]
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

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// What is wrong, with the file and the path of the field.
    pub(crate) fn load(file: &Path) -> Result<Self, String> {
        let named = |e: String| format!("{}: {e}", file.display());
        let text = std::fs::read_to_string(file).map_err(|e| named(e.to_string()))?;
        Self::parse(&text).map_err(named)
    }

    /// Reads and checks YAML or JSON, which is a part of YAML.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        use serde::de::Error;
        let config: Self = serde_saphyr::with_deserializer_from_str(text, |from| {
            serde_path_to_error::deserialize(from)
                .map_err(|e| serde_saphyr::Error::custom(format!("{}: {}", e.path(), e.inner())))
        })
        .map_err(|e| e.to_string())?;
        check::check(&config)?;
        Ok(config)
    }

    /// How many workers there are to be.
    pub(crate) fn workers(&self) -> usize {
        match self.concurrency {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            n => n,
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
