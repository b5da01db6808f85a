//! The two halves as programs of their own: `serve` and `connect`, and `identities` for both and for other
//! programs.

use crate::batches::Batches;
use crate::ca::Pki;
use crate::cli::peers::ServerKind;
use crate::cli::{ConnectArgs, IdentitiesArgs, ServeArgs};
use crate::client::{self, Exchange, Load, Outcome};
use crate::placement::Placement;
use crate::results::JsonFile;
use crate::scenario::Scenario;
use crate::server::{Sample, Server};
use crate::sides::Provider;
use crate::usage::Usage;
use crate::{arrivals, host, identities, limits, report};
use rustls::pki_types::ServerName;
use rustls_multibuffer::TierKind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Connections that `serve` can hold.
const CONNECTIONS: usize = 4096;

/// Runs the command `identities`.
pub(crate) fn write_identities(args: &IdentitiesArgs) -> Result<(), String> {
    identities::write(&args.directory, args.key, args.intermediate)?;
    println!(
        "ca.pem, server.pem, server-key.pem, client.pem, client-key.pem in {}",
        args.directory.display()
    );
    Ok(())
}

/// Runs `serve` until it is told to stop, then says what it has done.
pub(crate) fn serve(args: &ServeArgs) -> Result<(), String> {
    args.check()?;
    limits::allow_connections(CONNECTIONS)?;
    if identities::are_missing(&args.identities_from) {
        identities::write(&args.identities_from, args.key, false)?;
    }
    let scenario = Scenario::of(identities::read(&args.identities_from)?, args.key, &args.tls);
    let provider = match args.server {
        ServerKind::Stock => Provider::Baseline,
        ServerKind::Multibuffer => Provider::Multibuffer,
    };
    let placement = Placement::new(args.threads, false);
    let server = Server::listen(provider, &scenario, args.threads, &placement, &args.listen)?;
    let address = server.targets().first().ok_or("there is no thread")?;
    println!("{}listening {address}", report::header(args.tls.tier));
    let started = Instant::now();
    wait(args.duration)?;
    let samples = server.samples().ok_or("a server thread has died")?;
    print!("{}", describe(&samples, started.elapsed()));
    if let crate::address::Address::Unix(path) = address {
        drop(std::fs::remove_file(path));
    }
    Ok(())
}

/// Until the time has passed, or the process is interrupted or terminated.
fn wait(duration: Option<Duration>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let (mut interrupt, mut terminate) =
                (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let time = tokio::time::sleep(duration.unwrap_or(Duration::MAX));
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = time => {}
            }
            Ok(())
        })
    });
    ended.map_err(|e| format!("cannot wait: {e}"))
}

/// What a server has done.
fn describe(samples: &[Sample], elapsed: Duration) -> String {
    let sum = |value: fn(&Sample) -> usize| samples.iter().map(value).sum::<usize>();
    let finished = sum(|s| s.finished);
    let cpu = samples.iter().map(|s| s.usage).sum::<Usage>().cpu;
    let mut text = format!(
        "{finished} handshakes ({} of them resumed, {} with a byte sent back) and {} refused in {:.1} s; \
         open: {}\n",
        sum(|s| s.resumed),
        sum(|s| s.echoed),
        sum(|s| s.refused),
        elapsed.as_secs_f64(),
        sum(|s| s.open),
    );
    if finished > 0 {
        let each = cpu.as_secs_f64() * 1e6 / finished as f64;
        text.push_str(&format!("server CPU {each:.1} µs for each handshake\n"));
    }
    let mut batches = Batches::default();
    samples.iter().filter_map(|s| s.engine.as_ref()).for_each(|engine| batches.add(&engine.batches));
    for (op, fill) in batches.fills() {
        text.push_str(&format!("  {op}: {fill:.2} in a batch\n"));
    }
    for (reason, count) in batches.reasons() {
        text.push_str(&format!("  {count} batches left because: {reason}\n"));
    }
    text
}

/// Runs the command `connect`.
pub(crate) fn connect(args: &ConnectArgs) -> Result<(), String> {
    args.check()?;
    limits::allow_connections(args.concurrency.max(if args.rate.is_some() {
        args.max_in_flight
    } else {
        0
    }))?;
    let mut json = JsonFile::create(args.json.as_deref())?;
    let pki: Pki = identities::read(&args.identities_from)?;
    // The kind of keys is the files' matter.
    let scenario = Scenario::of(pki, crate::cli::KeyKind::Rsa2048, &args.tls);
    let exchange = exchange(args)?;
    let concurrency = if args.rate.is_some() { args.max_in_flight } else { args.concurrency };
    let clients = scenario.clients(Provider::Baseline, concurrency).map_err(|e| e.to_string())?;
    println!("{}to        {}", report::header(args.tls.tier), args.to);
    let arrivals = args.rate.map(|rate| arrivals::poisson(rate, args.duration, 0));
    let load = Load {
        targets: std::slice::from_ref(&args.to),
        clients: &clients,
        duration: args.duration,
        handshakes: args.handshakes.unwrap_or(usize::MAX),
        arrivals: arrivals.as_deref(),
        exchange: &exchange,
    };
    let outcome = client::run(&load, &Placement::new(0, false)).map_err(|e| format!("clients: {e}"))?;
    let line = Line::new(args, &outcome)?;
    print!("{}", line.table());
    json.write(&(serde_json::to_string(&line).map_err(|e| e.to_string())? + "\n"))?;
    match outcome.failures {
        0 => Ok(()),
        failures => Err(format!(
            "{failures} handshakes failed, the first with: {}",
            outcome.first_failure.as_deref().unwrap_or("unknown")
        )),
    }
}

fn exchange(args: &ConnectArgs) -> Result<Exchange, String> {
    let name = ServerName::try_from(args.server_name.clone())
        .map_err(|e| format!("--server-name {}: {e}", args.server_name))?;
    Ok(match &args.send {
        Some(text) => Exchange { name, send: text.clone().into_bytes(), expect: None },
        None => Exchange { name, ..Exchange::default() },
    })
}

/// The result of `connect`: what `--json` writes.
#[derive(Serialize)]
struct Line {
    to: String,
    client: String,
    handshakes: usize,
    handshakes_per_s: f64,
    resumed: usize,
    failures: usize,
    unstarted: usize,
    offered_per_s: Option<f64>,
    concurrency: usize,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    /// Operations in a batch on average, for clients of this crate.
    fills: BTreeMap<&'static str, f64>,
    tier: String,
    cpu: String,
    versions: String,
    command: String,
}

impl Line {
    fn new(args: &ConnectArgs, outcome: &Outcome) -> Result<Self, String> {
        let percentiles = outcome.latencies.percentiles_us([50.0, 90.0, 99.0, 99.9, 100.0]);
        let [p50_us, p90_us, p99_us, p999_us, max_us] = percentiles.ok_or_else(|| {
            format!("no handshake succeeded: {}", outcome.first_failure.as_deref().unwrap_or("none ended"))
        })?;
        Ok(Self {
            to: args.to.to_string(),
            client: crate::cli::name_of(&args.tls.client),
            handshakes: outcome.handshakes,
            handshakes_per_s: outcome.handshakes as f64 / outcome.elapsed.as_secs_f64(),
            resumed: outcome.resumed,
            failures: outcome.failures,
            unstarted: outcome.unstarted,
            offered_per_s: args.rate,
            concurrency: if args.rate.is_some() { args.max_in_flight } else { args.concurrency },
            p50_us,
            p90_us,
            p99_us,
            p999_us,
            max_us,
            fills: outcome.batches.fills(),
            tier: host::tier_name(Some(args.tls.tier.unwrap_or(TierKind::Avx512Ifma))),
            cpu: host::cpu_model(),
            versions: host::versions(),
            command: host::command_line(),
        })
    }

    fn table(&self) -> String {
        let head = [
            "handshakes",
            "of them resumed",
            "handshakes/s",
            "p50 µs",
            "p90 µs",
            "p99 µs",
            "p99.9 µs",
            "max µs",
        ];
        let latencies = [self.p50_us, self.p90_us, self.p99_us, self.p999_us, self.max_us];
        let [p50, p90, p99, p999, max] = latencies.map(|us| format!("{us:.0}"));
        let rate = format!("{:.0}", self.handshakes_per_s);
        let row = [self.handshakes.to_string(), self.resumed.to_string(), rate, p50, p90, p99, p999, max];
        let mut text = format!("\n{}", report::table(&head, std::iter::once(row)));
        if self.unstarted > 0 {
            text.push_str(&format!(
                "the rate was not reached: {} handshakes were not started\n",
                self.unstarted
            ));
        }
        for (op, fill) in &self.fills {
            text.push_str(&format!("  {op}: {fill:.2} in a batch of the clients\n"));
        }
        text
    }
}
