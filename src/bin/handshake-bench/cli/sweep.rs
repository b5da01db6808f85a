//! The command line of `sweep`.

use super::{KeyKind, MeasureArgs, Pace, TlsArgs, check_once, rate};
use clap::Args;

/// Numbers of clients where none are named.
const CONCURRENCY: [usize; 9] = [1, 2, 4, 8, 16, 64, 256, 1024, 2048];

/// The `sweep` command.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Identities of server and clients; several may be given, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [KeyKind::Rsa2048])]
    pub(crate) key: Vec<KeyKind>,
    /// Numbers of clients that make one handshake after the other at the same time [default:
    /// 1,2,4,8,16,64,256,1024,2048, unless there are rates].
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    pub(crate) concurrency: Vec<usize>,
    /// Rates: handshakes a second that begin at random times, as with `--rate` alone.
    #[arg(long, value_delimiter = ',', value_name = "R,...", value_parser = rate)]
    pub(crate) rate: Vec<f64>,
    /// Slots of each implementation at each point; they alternate.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) slots: usize,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

impl SweepArgs {
    /// The points, those of the closed loop first.
    pub(crate) fn paces(&self) -> Vec<Pace> {
        let clients = match self.concurrency.is_empty() && self.rate.is_empty() {
            true => &CONCURRENCY[..],
            false => &self.concurrency,
        };
        let clients = clients.iter().copied().map(Pace::Closed);
        clients.chain(self.rate.iter().copied().map(Pace::Open)).collect()
    }

    /// Refuses what cannot be measured.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.tls.check(&self.key)?;
        self.measure.check(&self.paces(), self.slots)?;
        check_once(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    fn paces(words: &[&str]) -> Vec<Pace> {
        let words = ["handshake-bench", "sweep"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Some(Command::Sweep(args)) => args.paces(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn points_are_those_asked_for() {
        assert_eq!(paces(&[]), CONCURRENCY.map(Pace::Closed));
        assert_eq!(paces(&["--rate", "100,200.5"]), [Pace::Open(100.0), Pace::Open(200.5)]);
        let both = paces(&["--concurrency", "3", "--rate", "7"]);
        assert_eq!(both, [Pace::Closed(3), Pace::Open(7.0)]);
    }
}
