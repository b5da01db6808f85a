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
mod logging;
mod lookup;
mod metric;
mod notify;
mod pending;
mod pool;
mod process;
mod proxy_protocol;
mod restart;
mod run;
mod signals;
mod sockets;
mod state;
mod stream;
mod supervise;
mod tls;
mod unix_socket;
mod upstream;
mod worker;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if cli.validate || cli.explain.is_some() {
        return match run::check(&cli) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("mtls-sidecar: {message}");
                ExitCode::FAILURE
            }
        };
    }
    // The configuration may say another level, once it is read.
    logging::start(cli.log_level.unwrap_or(log::LevelFilter::Info));
    let result =
        if cli.supervise { supervise::supervisor::supervise(&cli) } else { run::run(&cli).map(|()| 0) };
    let code = result.unwrap_or_else(|message| {
        log::error!("{message}");
        1
    });
    logging::flush();
    ExitCode::from(code)
}
