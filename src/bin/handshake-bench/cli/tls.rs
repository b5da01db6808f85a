//! What is asked of handshakes, by whichever command.

use super::units::delay;
use super::{KeyKind, runnable};
use crate::rotation;
use clap::{Args, ValueEnum};
use rustls_multibuffer::TierKind;
use std::time::Duration;

/// What all commands that make handshakes have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct TlsArgs {
    /// The one key exchange group that server and clients are willing to use.
    #[arg(long, value_enum, default_value_t = Kx::X25519)]
    pub(crate) kx: Kx,
    /// Which cipher suite the handshakes have.
    #[arg(long, value_enum, default_value_t = Suite::Same)]
    pub(crate) suite: Suite,
    /// Which implementation the clients use, whichever the server is: `stock` rustls, or rustls-multibuffer.
    #[arg(long, value_enum, default_value_t = ClientKind::Stock)]
    pub(crate) client: ClientKind,
    /// Certificates come from an intermediate authority, which both sides send along: one more signature to
    /// verify.
    #[arg(long)]
    pub(crate) intermediate: bool,
    /// Different certificates and keys among the clients, who take turns with them.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) identities: usize,
    /// The one protocol version that server and clients are willing to use.
    #[arg(long, value_enum, default_value_t = TlsVersion::V1_3)]
    pub(crate) tls: TlsVersion,
    /// Clients resume sessions: all handshakes but their first are abbreviated, without certificates.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Clients have no certificates.
    #[arg(long)]
    pub(crate) server_only_auth: bool,
    #[command(flatten)]
    pub(crate) rotation: RotateArgs,
    /// The CPU tier that rustls-multibuffer uses [default: the best that this machine offers].
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<TierKind>,
    /// How long a request may wait for company, such as 50us or 1ms; zero: until the thread is idle.
    #[arg(long, default_value = "0us", value_name = "D", value_parser = delay)]
    pub(crate) poll_delay: Duration,
    /// Run the server's handshakes on an engine with this many threads of its own, wherever the system puts
    /// them [default: each server thread runs its handshakes itself].
    #[arg(long, value_name = "N", conflicts_with = "rotate", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) engine_threads: Option<u16>,
    /// How much later a handshake may end so that it meets others on a thread of that engine, such as 500us;
    /// zero spreads them [default: as EngineConfig].
    #[arg(long, value_name = "D", requires = "engine_threads", value_parser = delay)]
    pub(crate) latency_budget: Option<Duration>,
}

/// Identities that rotate during the run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct RotateArgs {
    /// Rotate the SVIDs of rustls-multibuffer's server every so many milliseconds, and those of its clients,
    /// which are then rustls-multibuffer's, too. Stock rustls keeps its certificates.
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(crate) rotate: Option<u64>,
    /// Every Nth rotation is one of the authority's CA, which is announced before it is used.
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rotate_ca: Option<u64>,
    /// What an implementation whose identities rotate is compared with.
    #[arg(long, value_enum, default_value_t = BaselineKind::Stock, requires = "rotate")]
    pub(crate) baseline: BaselineKind,
}

/// What something is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum BaselineKind {
    /// tokio-rustls with rustls' own aws-lc-rs provider.
    #[default]
    Stock,
    /// This crate, with one configuration for the whole run: what rotation costs.
    Fixed,
}

impl RotateArgs {
    /// The time between two rotations, if there are any.
    pub(crate) fn interval(&self) -> Duration {
        self.rotate.map_or(Duration::MAX, Duration::from_millis)
    }
}

/// A key exchange group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kx {
    X25519,
    #[value(alias = "p256")]
    Secp256r1,
    #[value(alias = "p384")]
    Secp384r1,
    /// The hybrid of ML-KEM-768 and X25519; TLS 1.3 only.
    X25519mlkem768,
}

/// A choice of cipher suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// The one that stock rustls prefers, with both implementations.
    Same,
    /// Each as it ships: stock rustls follows its clients, and rustls-multibuffer's server takes what its CPU
    /// does fastest.
    Shipped,
}

/// The implementation that clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientKind {
    /// tokio-rustls with rustls' own aws-lc-rs provider.
    Stock,
    /// This crate, with an engine on each client thread.
    Multibuffer,
}

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsVersion {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

impl TlsArgs {
    /// Refuses what cannot be run.
    pub(super) fn check(&self, keys: &[KeyKind]) -> Result<(), String> {
        if self.rotation.rotate.is_some() {
            if self.intermediate {
                return Err("--rotate issues without an intermediate authority".into());
            }
            if self.resume || self.server_only_auth {
                return Err("--rotate is for full handshakes with client certificates".into());
            }
            keys.iter().try_for_each(|key| rotation::key_kind(*key).map(|_| ()))?;
        }
        if self.server_only_auth && self.identities != 1 {
            return Err("--identities are those of clients, which have none with --server-only-auth".into());
        }
        if self.kx == Kx::X25519mlkem768 && self.tls == TlsVersion::V1_2 {
            return Err("--kx x25519mlkem768 exists in TLS 1.3 only, not with --tls 1.2".into());
        }
        if self.identities == 0 {
            return Err("--identities must be above zero".into());
        }
        match self.tier {
            Some(TierKind::Portable) => {
                Err("--tier portable is the executable specification, for tests and `ops` only".into())
            }
            Some(tier) => runnable(tier).map(|_| ()),
            None => Ok(()),
        }
    }
}
