//! A sidecar: carries TCP connections over mutual TLS for an application. See `docs/sidecar.md`.

mod accept;
mod access;
mod admin;
mod cli;
mod config;
mod connection;
mod copy;
mod counters;
mod engine_metric;
mod handover;
mod logging;
mod metric;
mod pool;
mod proxy_protocol;
mod restart;
mod run;
mod sockets;
mod state;
mod stream;
mod tls;
mod worker;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run::run(&cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            logging::flush();
            eprintln!("mtls-sidecar: {message}");
            ExitCode::FAILURE
        }
    }
}
