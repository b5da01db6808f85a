//! The command line: what may be asked, and which combinations make no sense.

pub(crate) mod peers;
mod sweep;

pub(crate) use peers::{ConnectArgs, IdentitiesArgs, ServeArgs};
pub(crate) use sweep::SweepArgs;

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
    /// Measure at several numbers of clients, or rates of arrival, in turn.
    Sweep(SweepArgs),
    /// The server's half alone: accepts handshakes from any client until it is told to stop.
    Serve(ServeArgs),
    /// The clients' half alone: loads any TLS server.
    Connect(ConnectArgs),
    /// Write the certificates and keys that `serve` and `connect` use, as PEM files, for other programs.
    Identities(IdentitiesArgs),
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
    /// Handshakes a second that begin at random times (a Poisson process), whatever became of those before, instead of
    /// `--concurrency`. Latency then counts from the time at which a handshake was due.
    #[arg(long, value_name = "R", value_parser = rate, conflicts_with = "concurrency")]
    pub(crate) rate: Option<f64>,
    /// Slots of each implementation for each scenario; they alternate.
    #[arg(long, default_value_t = 13, value_name = "N")]
    pub(crate) slots: usize,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// What the default run and sweeps have in common.
#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// Server threads, each with a listener, a runtime and an engine of its own.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: usize,
    /// Length of one measured slot, in seconds.
    #[arg(long, default_value = "1", value_name = "S", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// With `--rate`: handshakes that run at a time, at most; more wait, and their waiting counts.
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub(crate) max_in_flight: usize,
    /// With `--rate`: where the random times of arrival begin; both implementations get the same.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// Also write the results to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also write a page with plots and tables to this directory, `index.html`, and beside it `results.jsonl`.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}

/// When handshakes begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// A closed loop: that many clients, of which each begins a handshake when its last one has ended.
    Closed(usize),
    /// An open loop: that many handshakes a second, at random times, whatever became of those before.
    Open(f64),
}

impl Pace {
    /// The two columns of reports, of which one applies.
    pub(crate) fn offered_per_s(self) -> Option<f64> {
        match self {
            Self::Closed(_) => None,
            Self::Open(rate) => Some(rate),
        }
    }
}

/// What the default run and the soak have in common.
#[derive(Clone, Debug, Args)]
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
    /// Also write a page with plots and tables to this directory, `index.html`, and beside it `results.jsonl`.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
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
    /// When handshakes begin.
    pub(crate) fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Closed(self.concurrency), Pace::Open)
    }

    /// Refuses what cannot be measured.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.tls.check(&self.key)?;
        self.measure.check(&[self.pace()], self.slots)?;
        check_once(&self.key)
    }
}

impl MeasureArgs {
    fn check(&self, paces: &[Pace], slots: usize) -> Result<(), String> {
        for pace in paces {
            let (option, number) = match pace {
                Pace::Closed(clients) => ("concurrency", *clients),
                Pace::Open(_) => ("max-in-flight", self.max_in_flight),
            };
            if number == 0 {
                return Err(format!("--{option} must be above zero"));
            }
            if self.threads == 0 || self.threads > number {
                return Err(format!(
                    "--threads {} with --{option} {number}: every server thread needs at least one client",
                    self.threads
                ));
            }
        }
        if slots == 0 || self.duration.is_zero() {
            return Err("--slots and --duration must be above zero".into());
        }
        Ok(())
    }

    /// Handshakes that run at a time, at most.
    pub(crate) fn concurrency(&self, pace: Pace) -> usize {
        match pace {
            Pace::Closed(clients) => clients,
            Pace::Open(_) => self.max_in_flight,
        }
    }
}

fn check_once(keys: &[KeyKind]) -> Result<(), String> {
    match keys.iter().enumerate().find(|(i, k)| keys[..*i].contains(k)) {
        Some((_, twice)) => Err(format!("--key names {} twice", name_of(twice))),
        None => Ok(()),
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

/// A number of handshakes a second.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.01..=1e6).contains(&rate) => Ok(rate),
        Ok(_) => Err("must be between 0.01 and 1000000 a second".into()),
        Err(_) => Err(format!("{text:?} is not a number of handshakes a second")),
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
        assert_eq!((run.pace(), run.measure.threads), (Pace::Closed(64), 1));
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
            &["--rate", "0"],
            &["--rate", "100", "--concurrency", "8"],
            &["--rate", "100", "--max-in-flight", "0"],
            &["--rotate", "50", "--resume"],
            &["--rotate", "50", "--server-only-auth"],
            &["--server-only-auth", "--identities", "2"],
            &["--tier", "portable"],
            &["--tier", "avx9"],
            &["--key", "rsa2048,rsa2048"],
            &["--key", "rsa1024"],
            &["--tls", "1.1"],
            &["--kx", "secp521r1"],
            &["--client", "openssl"],
            &["--rotate", "0"],
            &["--rotate-ca", "5"],
            &["--baseline", "fixed"],
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
