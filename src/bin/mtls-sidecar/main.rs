//! A sidecar: carries TCP connections over mutual TLS for an application. See `docs/sidecar.md`.

mod accept;
mod access;
mod admin;
mod cli;
mod config;
mod connection;
mod copy;
mod counters;
mod drain;
mod engine_metric;
mod follow;
mod handover;
mod logging;
mod lookup;
mod metric;
mod pending;
mod pool;
mod process;
mod proxy_protocol;
mod restart;
mod restarts;
mod run;
mod signals;
mod sockets;
mod state;
mod stream;
mod supervise;
mod supervision;
mod tls;
mod upstream;
mod worker;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let supervises = cli.supervise && !cli.validate && cli.explain.is_none();
    let result = if supervises { supervise::supervise(&cli) } else { run::run(&cli).map(|()| 0) };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            logging::flush();
            eprintln!("mtls-sidecar: {message}");
            ExitCode::FAILURE
        }
    }
}
