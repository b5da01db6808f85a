//! The command line: what may be asked, and which combinations make no sense.

use crate::rotation;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rustls_multibuffer::{Tier, TierKind};
use std::path::PathBuf;
use std::time::Duration;

/// Measures TLS handshakes with client certificates: stock rustls with aws-lc-rs against rustls-multibuffer.
///
/// Without arguments: RSA-2048 and P-256 identities, TLS 1.3, X25519, no resumption, 64 concurrent clients
/// over loopback TCP, one server thread; both implementations take turns in the same run.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure single operations instead of handshakes: every operation, tier and fill against aws-lc-rs and
    /// ring.
    Ops(OpsArgs),
    /// Run many handshakes through rustls-multibuffer and check that none fails and that memory stays flat.
    Soak(SoakArgs),
}

/// The default run.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Identities of server and clients; several may be given, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [KeyKind::Rsa2048, KeyKind::P256])]
    pub(crate) key: Vec<KeyKind>,
    /// Clients that make one handshake after the other at the same time.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) concurrency: usize,
    /// Server threads, each with a listener, a runtime and an engine of its own.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: usize,
    /// Length of one measured slot, in seconds.
    #[arg(long, default_value = "1", value_name = "S", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Slots of each implementation for each scenario; they alternate.
    #[arg(long, default_value_t = 13, value_name = "N")]
    pub(crate) slots: usize,
    /// Also write the results to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What the default run and the soak have in common.
#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// The one key exchange group that server and clients are willing to use.
    #[arg(long, value_enum, default_value_t = Kx::X25519)]
    pub(crate) kx: Kx,
    /// Which implementation the clients use, whichever the server is: `stock` rustls, or rustls-multibuffer.
    #[arg(long, value_enum, default_value_t = ClientKind::Stock)]
    pub(crate) client: ClientKind,
    /// Certificates come from an intermediate authority, which both sides send along: one more signature to verify.
    #[arg(long)]
    pub(crate) intermediate: bool,
    /// Different certificates and keys among the clients, who take turns with them.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) identities: usize,
    /// The one protocol version that server and clients are willing to use.
    #[arg(long, value_enum, default_value_t = TlsVersion::V1_3)]
    pub(crate) tls: TlsVersion,
    #[command(flatten)]
    pub(crate) rotation: RotateArgs,
    /// The CPU tier that rustls-multibuffer uses [default: the best that this machine offers].
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<TierKind>,
    /// How long a request may wait for company, such as 50us or 1ms; zero: until the thread is idle.
    #[arg(long, default_value = "0us", value_name = "D", value_parser = delay)]
    pub(crate) poll_delay: Duration,
}

/// Identities that rotate during the run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct RotateArgs {
    /// Rotate the SVIDs of rustls-multibuffer's server every so many milliseconds, and those of its clients, which are
    /// then rustls-multibuffer's, too. Stock rustls keeps its certificates.
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(crate) rotate: Option<u64>,
    /// Every Nth rotation is one of the authority's CA, which is announced before it is used.
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rotate_ca: Option<u64>,
}

impl RotateArgs {
    /// The time between two rotations, if there are any.
    pub(crate) fn interval(&self) -> Duration {
        self.rotate.map_or(Duration::MAX, Duration::from_millis)
    }
}

/// The `soak` command.
#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Identity of server and clients.
    #[arg(long, value_enum, default_value_t = KeyKind::Rsa2048)]
    pub(crate) key: KeyKind,
    /// Handshakes to make.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub(crate) handshakes: usize,
    /// Clients that make one handshake after the other at the same time.
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub(crate) concurrency: usize,
    /// Give up after this many seconds.
    #[arg(long, default_value = "1800", value_name = "S", value_parser = seconds)]
    pub(crate) time_limit: Duration,
}

/// The `ops` command.
#[derive(Debug, Args)]
pub(crate) struct OpsArgs {
    /// Only this operation; may be repeated [default: all].
    #[arg(long, value_name = "NAME")]
    pub(crate) op: Vec<String>,
    /// Only this tier; an error if the machine cannot run it [default: every tier that it can run].
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<TierKind>,
    /// Interleaved measurements of each implementation for each row.
    #[arg(long, default_value_t = 41, value_name = "N")]
    pub(crate) pairs: usize,
    /// Write JSON to standard output instead of a table: one object a line, one row per fill and baseline.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A kind of key for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyKind {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    Ed25519,
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

/// The name by which the command line and the reports know a value.
pub(crate) fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
}

impl RunArgs {
    /// Refuses what cannot be measured.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.tls.check(&self.key)?;
        check_concurrency(self.concurrency)?;
        if self.threads == 0 || self.threads > self.concurrency {
            return Err(format!(
                "--threads {} with --concurrency {}: every server thread needs at least one client",
                self.threads, self.concurrency
            ));
        }
        if self.slots == 0 || self.duration.is_zero() {
            return Err("--slots and --duration must be above zero".into());
        }
        match self.key.iter().enumerate().find(|(i, k)| self.key[..*i].contains(k)) {
            Some((_, twice)) => Err(format!("--key names {} twice", name_of(twice))),
            None => Ok(()),
        }
    }
}

impl SoakArgs {
    /// Refuses what cannot be run.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.tls.check(&[self.key])?;
        check_concurrency(self.concurrency)?;
        if self.handshakes < self.concurrency {
            return Err("--handshakes must be at least --concurrency".into());
        }
        Ok(())
    }
}

impl TlsArgs {
    fn check(&self, keys: &[KeyKind]) -> Result<(), String> {
        if self.rotation.rotate.is_some() {
            if self.intermediate {
                return Err("--rotate issues without an intermediate authority".into());
            }
            keys.iter().try_for_each(|key| rotation::key_kind(*key).map(|_| ()))?;
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

/// The tier of that name, or an error when this machine cannot run it.
pub(crate) fn runnable(kind: TierKind) -> Result<Tier, String> {
    Tier::of_kind(kind)
        .ok_or_else(|| format!("--tier {kind}: not run, this CPU or operating system does not offer it"))
}

fn check_concurrency(concurrency: usize) -> Result<(), String> {
    if concurrency == 0 {
        return Err("--concurrency must be above zero".into());
    }
    Ok(())
}

/// A number of seconds, at most a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    match seconds {
        s if (0.0..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("must be between 0 and 86400 seconds".into()),
    }
}

/// A short time with its unit: `us`, `ms` or `s`; at most a second, because a handshake waits for it.
fn delay(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 3] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let parsed = UNITS.iter().find_map(|(unit, scale)| {
        let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        Some(number * scale)
    });
    match parsed {
        Some(s) if (0.0..=1.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        Some(_) => Err("must be between 0 and 1 second".into()),
        None => Err(format!("{text:?} is not a time such as 50us or 1ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, String> {
        let words = ["handshake-bench"].iter().chain(args);
        let cli = Cli::try_parse_from(words).map_err(|e| e.to_string())?;
        cli.run.check()?;
        Ok(cli)
    }

    #[test]
    fn defaults_are_those_of_the_design() {
        let run = parse(&[]).unwrap().run;
        assert_eq!(run.key, [KeyKind::Rsa2048, KeyKind::P256]);
        assert_eq!((run.tls.kx, run.tls.tls), (Kx::X25519, TlsVersion::V1_3));
        assert_eq!((run.tls.client, run.tls.intermediate, run.tls.identities), (ClientKind::Stock, false, 1));
        assert_eq!((run.concurrency, run.threads), (64, 1));
        assert_eq!((run.tls.poll_delay, run.tls.tier), (Duration::ZERO, None));
    }

    #[test]
    fn impossible_combinations_are_refused() {
        for bad in [
            &["--kx", "x25519mlkem768", "--tls", "1.2"][..],
            &["--threads", "2", "--concurrency", "1"],
            &["--threads", "0"],
            &["--concurrency", "0"],
            &["--identities", "0"],
            &["--duration", "0"],
            &["--duration", "-1"],
            &["--duration", "NaN"],
            &["--slots", "0"],
            &["--tier", "portable"],
            &["--tier", "avx9"],
            &["--key", "rsa2048,rsa2048"],
            &["--key", "rsa1024"],
            &["--tls", "1.1"],
            &["--kx", "secp521r1"],
            &["--client", "openssl"],
            &["--rotate", "0"],
            &["--rotate-ca", "5"],
            &["--rotate", "50", "--rotate-ca", "0"],
            &["--rotate", "50", "--intermediate"],
            &["--rotate", "50", "--key", "rsa3072"],
            &["--poll-delay", "50"],
            &["--poll-delay", "2s"],
            &["--poll-delay=-1us"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_tier_that_the_machine_lacks_is_refused_by_name() {
        for kind in TierKind::DETECTABLE {
            assert_eq!(parse(&["--tier", kind.name()]).is_ok(), Tier::of_kind(kind).is_some(), "{kind}");
        }
    }

    #[test]
    fn groups_have_the_names_of_tls_and_of_curves() {
        for (name, kx) in [("secp256r1", Kx::Secp256r1), ("p256", Kx::Secp256r1), ("p384", Kx::Secp384r1)] {
            assert_eq!(parse(&["--kx", name]).unwrap().run.tls.kx, kx);
        }
        assert_eq!(name_of(&Kx::Secp384r1), "secp384r1");
    }

    #[test]
    fn delays_have_units() {
        assert_eq!(delay("50us"), Ok(Duration::from_micros(50)));
        assert_eq!(delay("1.5 ms"), Ok(Duration::from_micros(1500)));
        assert_eq!(delay("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
    }
}
