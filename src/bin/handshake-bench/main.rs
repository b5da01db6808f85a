//! Measures TLS handshakes: stock rustls with aws-lc-rs against this crate.

mod batches;
mod ca;
mod cli;
mod client;
mod control;
mod host;
mod limits;
mod ops;
mod placement;
mod report;
mod results;
mod rotation;
mod run;
mod scenario;
mod server;
mod soak;
mod stats;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match &cli.command {
        Some(cli::Command::Ops(args)) => ops::run(args),
        Some(cli::Command::Soak(args)) => soak::run(args),
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
