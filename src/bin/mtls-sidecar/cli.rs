//! The command line.

use crate::config::level;
use clap::Parser;
use std::path::PathBuf;

/// Carries TCP connections over mutual TLS: accepts mTLS for an application (inbound), and makes mTLS
/// connections for it (outbound).
///
/// It is a proxy of connections (layer 4). It does not read what they carry: no HTTP routing, no retries, no
/// rewriting of headers.
///
/// Signals: SIGTERM, SIGINT and SIGQUIT drain, another one a second later ends at once; SIGHUP starts a new
/// process from the same command line, hands the listen sockets over, and drains.
#[derive(Clone, Debug, Parser)]
#[command(name = "mtls-sidecar", version)]
pub(crate) struct Cli {
    /// The configuration, in YAML or JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// Checks the configuration, and ends: 0 if it can be used. Certificates and keys are not opened: they
    /// may be on another machine.
    #[arg(long)]
    pub(crate) validate: bool,

    /// Prints every field of the configuration that is in effect, its value, and where it came from, and
    /// ends: 0 if it is good.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text")]
    pub(crate) explain: Option<Format>,

    /// Takes fields that are not supported for warnings, where leaving them out admits nobody else.
    #[arg(long)]
    pub(crate) lenient: bool,

    /// Runs the sidecar as a process of its own, and starts it again when it fails: ten times, later every
    /// time (200 ms, 400 ms, …), and as often again after a run of 204.8 s. Signals are passed on, and hot
    /// restarts followed.
    #[arg(long)]
    pub(crate) supervise: bool,

    /// Standard output is a socket to the process that supervises this one: set by that, not by hand.
    #[arg(long, hide = true)]
    pub(crate) supervised: bool,

    /// The level of the log: off, error, warn (or warning), info, debug or trace. Overrides the
    /// configuration.
    #[arg(long, value_name = "LEVEL", value_parser = level::parse)]
    pub(crate) log_level: Option<log::LevelFilter>,

    /// How many processes there were before this one. Above 0, standard input is a socket to the one before,
    /// which hands its listen sockets over: set by a hot restart, not by hand.
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    pub(crate) restart_epoch: u64,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[cfg(test)]
mod tests {
    use super::{Cli, Format};
    use clap::Parser;

    #[test]
    fn a_format_is_said_either_way() {
        let format = |words: &[&str]| {
            let words = [&["mtls-sidecar"], words].concat();
            Cli::try_parse_from(words).unwrap().explain
        };
        for words in [["--explain", "json", "--config", "f"].as_slice(), &["--config", "f", "--explain=json"]]
        {
            assert!(matches!(format(words), Some(Format::Json)), "{words:?}");
        }
        for words in [["--explain", "--config", "f"].as_slice(), &["--config", "f", "--explain"]] {
            assert!(matches!(format(words), Some(Format::Text)), "{words:?}");
        }
    }
}
