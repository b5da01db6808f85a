//! Measures TLS handshakes: stock rustls with aws-lc-rs against this crate.

mod ca;
mod cli;
mod host;
mod ops;
mod report;
mod stats;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match &cli.command {
        Some(cli::Command::Ops(args)) => ops::run(args),
        Some(cli::Command::Soak(args)) => args.check(),
        None => cli.run.check(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("handshake-bench: {message}");
            ExitCode::FAILURE
        }
    }
}
