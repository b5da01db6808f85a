//! Measures TLS handshakes: stock rustls with aws-lc-rs against this crate.

mod address;
mod arrivals;
mod batches;
mod ca;
mod cli;
mod client;
mod control;
mod host;
mod identities;
mod limits;
mod listen;
mod ops;
mod page;
mod peers;
mod placement;
mod report;
mod results;
mod rotation;
mod run;
mod scenario;
mod server;
mod sides;
mod soak;
mod stats;
mod tickets;
mod usage;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match &cli.command {
        Some(cli::Command::Ops(args)) => ops::run(args),
        Some(cli::Command::Soak(args)) => soak::run(args),
        Some(cli::Command::Serve(args)) => peers::serve(args),
        Some(cli::Command::Connect(args)) => peers::connect(args),
        Some(cli::Command::Identities(args)) => peers::write_identities(args),
        None => run::run(&cli.run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("handshake-bench: {message}");
            ExitCode::FAILURE
        }
    }
}
