//! The command line: its options, and the combinations that make no sense.

mod level;
pub(crate) mod peers;
mod tls;
mod units;

pub(crate) use level::{Level, Pace, SATURATING};
pub(crate) use peers::{ConnectArgs, IdentitiesArgs, ServeArgs};
pub(crate) use tls::{BaselineKind, ClientKind, Kx, RotateArgs, Suite, TlsArgs, TlsVersion};

use clap::{Args, Parser, Subcommand, ValueEnum};
use rustls_multibuffer::{Tier, TierKind};
use std::path::PathBuf;
use std::time::Duration;
use units::{rate, seconds};

/// Measures TLS handshakes with client certificates: stock rustls with aws-lc-rs against rustls-multibuffer.
///
/// Without arguments: RSA-2048 and P-256 identities, TLS 1.3, X25519, no resumption, loopback TCP, one server
/// thread with a CPU of its own. Measures how many handshakes a second stock rustls can make, and then both
/// implementations, in turns, at 5, 25, 50, 75 and 90 % of that, arriving at random times, and saturated.
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
    /// Loads: percentages of the handshakes a second that stock rustls can make, which are measured first and
    /// then arrive at random times (a Poisson process), however long earlier ones take; and `saturated`, 64
    /// clients for each server thread that make one handshake after the other [default:
    /// 5,25,50,75,90,saturated, unless there is --rate or --concurrency].
    #[arg(long, value_delimiter = ',', value_name = "PERCENT,...", value_parser = level::of_capacity)]
    pub(crate) load: Vec<Level>,
    /// Loads: handshakes a second that arrive at random times, as with percentages. Latency counts from the
    /// time at which a handshake was due.
    #[arg(long, value_delimiter = ',', value_name = "R,...", value_parser = rate)]
    pub(crate) rate: Vec<f64>,
    /// Loads: numbers of clients that make one handshake after the other at the same time.
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    pub(crate) concurrency: Vec<usize>,
    /// Slots of each implementation at each load; they alternate.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub(crate) slots: usize,
    /// Length of one measured slot, in seconds; longer where less than 20 handshakes would arrive.
    #[arg(long, default_value = "1", value_name = "S", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Server threads, each with a listener, a runtime and an engine of its own.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: usize,
    /// Let clients use every CPU, and server threads give way to them (nice 19), so that work is always
    /// waiting: batches are fuller than those of a server that has its CPUs to itself.
    #[arg(long)]
    pub(crate) nice: bool,
    /// Handshakes that run at a time, at most, if they arrive at random times; more wait, and their waiting
    /// counts.
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub(crate) max_in_flight: usize,
    /// Also write every row to this file, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also write a page with plots and tables to this directory, `index.html`, and beside it
    /// `results.jsonl`.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}

/// The `soak` command.
#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Identity of server and clients.
    #[arg(long, value_enum, default_value_t = KeyKind::Rsa2048)]
    pub(crate) key: KeyKind,
    /// Number of handshakes to make.
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
    /// Write JSON to standard output instead of a table: one object per line, for each fill and baseline.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a page with plots and tables to this directory, `index.html`, and beside it
    /// `results.jsonl`.
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

/// The name by which the command line and the reports know a value.
pub(crate) fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
}

impl RunArgs {
    /// The loads to measure: percentages, rates, numbers of clients.
    pub(crate) fn levels(&self) -> Vec<Level> {
        let default = match self.load.is_empty() && self.rate.is_empty() && self.concurrency.is_empty() {
            true => &Level::DEFAULT[..],
            false => &[],
        };
        let rates = self.rate.iter().copied().map(Level::Rate);
        let clients = self.concurrency.iter().copied().map(Level::Clients);
        default.iter().chain(&self.load).copied().chain(rates).chain(clients).collect()
    }

    /// Handshakes that run at a time, at most.
    pub(crate) fn concurrency(&self, pace: Pace) -> usize {
        match pace {
            Pace::Closed(clients) => clients,
            Pace::Open(_) => self.max_in_flight,
        }
    }

    /// Refuses what cannot be measured.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.tls.check(&self.key)?;
        check_once(&self.key)?;
        for level in self.levels() {
            let (option, number) = match level {
                Level::Clients(clients) => ("concurrency", clients),
                _ => ("max-in-flight", self.max_in_flight),
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
        if self.slots == 0 || self.duration.is_zero() {
            return Err("--slots and --duration must be above zero".into());
        }
        Ok(())
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
        assert_eq!((run.tls.suite, run.threads, run.nice), (Suite::Same, 1, false));
        let shares = [5.0, 25.0, 50.0, 75.0, 90.0].map(Level::Percent);
        assert_eq!(run.levels(), [&shares[..], &[Level::Saturated]].concat());
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
            &["--load", "0"],
            &["--load", "half"],
            &["--load", "100000"],
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
    fn loads_are_those_asked_for() {
        let levels = |words: &[&str]| parse(words).unwrap().run.levels();
        assert_eq!(levels(&["--rate", "100,200.5"]), [Level::Rate(100.0), Level::Rate(200.5)]);
        assert_eq!(levels(&["--load", "saturated,12.5"]), [Level::Saturated, Level::Percent(12.5)]);
        let all = levels(&["--concurrency", "3", "--rate", "7", "--load", "50"]);
        assert_eq!(all, [Level::Percent(50.0), Level::Rate(7.0), Level::Clients(3)]);
    }

    #[test]
    fn a_tier_that_the_machine_lacks_is_refused_by_name() {
        for kind in TierKind::DETECTABLE.iter().copied() {
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
}
