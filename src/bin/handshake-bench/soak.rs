//! The `soak` command: many handshakes, none may fail, nothing may be left behind.

use crate::cli::SoakArgs;
use crate::client::{self, Exchange, Load};
use crate::placement::Placement;
use crate::scenario::Scenario;
use crate::server::Server;
use crate::sides::Provider;
use crate::{limits, report};
use rustls_multibuffer::handshake::EngineStats;
use std::time::Instant;

/// Memory is looked at after each part of the handshakes.
const PARTS: usize = 20;
/// Parts until the allocator, the pools and the caches have reached their size.
const WARM_UP: usize = 4;
/// What memory may vary by after the warm-up: 4 MiB, 50 bytes for each handshake of a default run.
const TOLERANCE_KIB: u64 = 4096;

/// Runs the soak; `Err` is what to tell the user.
pub(crate) fn run(args: &SoakArgs) -> Result<(), String> {
    args.check()?;
    limits::allow_connections(args.concurrency)?;
    let placement = Placement::new(1, false);
    println!("{}placement {}\n", report::header(args.tls.tier), placement.describe(1));
    let scenario = Scenario::new(args.key, &args.tls)?;
    let server = Server::start(Provider::Multibuffer, &scenario, 1, &placement)?;
    let started = Instant::now();
    let memory = load(args, &scenario, &server, &placement)?;
    let engine = server
        .quiet_samples()?
        .into_iter()
        .find_map(|sample| sample.engine)
        .ok_or("the server has no engine")?;
    println!("{} handshakes in {:.1} s, none failed", args.handshakes, started.elapsed().as_secs_f64());
    println!("resident memory after each part, KiB: {memory:?}");
    println!("{}", describe(&engine));
    if let Some(rotated) = scenario.rotated()? {
        println!("{} rotations, {} of them of the CA", rotated.svids, rotated.cas);
    }
    check_memory(&memory)?;
    check_engine(&engine, args.handshakes)
}

/// Makes the handshakes, and returns the resident memory after each part, in KiB.
fn load(
    args: &SoakArgs,
    scenario: &Scenario,
    server: &Server,
    placement: &Placement,
) -> Result<Vec<u64>, String> {
    let clients = scenario.clients(Provider::Multibuffer, args.concurrency).map_err(|e| e.to_string())?;
    let end = Instant::now() + args.time_limit;
    let progress = report::progress(args.handshakes);
    let mut memory = Vec::new();
    for part in 1..=PARTS {
        let handshakes = args.handshakes * part / PARTS - args.handshakes * (part - 1) / PARTS;
        let load = Load {
            targets: server.targets(),
            clients: &clients,
            duration: end.saturating_duration_since(Instant::now()),
            handshakes,
            arrivals: None,
            exchange: &Exchange::default(),
        };
        let outcome = client::run(&load, placement).map_err(|e| format!("clients: {e}"))?;
        if outcome.failures > 0 {
            let first = outcome.first_failure.unwrap_or_default();
            return Err(format!("{} handshakes failed, the first with: {first}", outcome.failures));
        }
        if outcome.handshakes < handshakes {
            return Err(format!("not finished within {:?}", args.time_limit));
        }
        server.quiet_samples()?;
        memory.push(resident_kib()?);
        progress.inc(handshakes as u64);
    }
    progress.finish_and_clear();
    Ok(memory)
}

/// What the engine says it has done.
fn describe(engine: &EngineStats) -> String {
    let mut text = format!(
        "engine on {}: {} succeeded, {} failed, {} timed out, {} cancelled; {} requests in lanes, {} scalar, \
         {} redone; left: {} fibers, {} stacks in use, {} handshakes",
        engine.tier,
        engine.succeeded,
        engine.failed,
        engine.timed_out,
        engine.cancelled,
        engine.runner.in_lanes,
        engine.runner.scalar,
        engine.runner.redone,
        engine.live_fibers,
        engine.stacks_in_use,
        engine.in_flight
    );
    for op in engine.batches.iter().filter(|op| op.batches() > 0) {
        text.push_str(&format!("\n{}: batches by fill {:?}", op.op.name(), &op.fills[1..]));
    }
    text
}

/// Memory may not grow after the warm-up.
fn check_memory(kib: &[u64]) -> Result<(), String> {
    let (warm, rest) = kib.split_at(WARM_UP.min(kib.len()));
    let (before, after) = (warm.iter().max(), rest.last());
    match before.zip(after) {
        Some((before, after)) if *after <= before + TOLERANCE_KIB => Ok(()),
        Some((before, after)) => Err(format!("memory grew from {before} KiB to {after} KiB")),
        None => Err("memory was not measured".into()),
    }
}

/// Every handshake has ended well, and nothing is in use any more.
fn check_engine(engine: &EngineStats, handshakes: usize) -> Result<(), String> {
    let left = [engine.live_fibers, engine.stacks_in_use, engine.in_flight];
    if left != [0; 3] {
        return Err(format!("left behind: fibers, stacks, handshakes = {left:?}"));
    }
    let ended_badly = engine.failed + engine.timed_out + engine.cancelled + engine.runner.redone;
    if engine.succeeded != handshakes as u64 || ended_badly != 0 {
        return Err("the engine counted other than all handshakes as successes".into());
    }
    Ok(())
}

/// The memory of this process that is in RAM: servers and clients together.
fn resident_kib() -> Result<u64, String> {
    let status =
        std::fs::read_to_string("/proc/self/status").map_err(|e| format!("/proc/self/status: {e}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|n| n.parse().ok()).ok_or_else(|| "the system does not tell the resident memory".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_memory_is_noticed() {
        assert_eq!(check_memory(&[10_000, 12_000, 12_100, 12_000, 12_500, 14_000]), Ok(()));
        assert!(check_memory(&[10_000, 12_000, 12_100, 12_000, 12_500, 17_000]).is_err());
        assert!(check_memory(&[10_000]).is_err());
    }

    #[test]
    fn memory_can_be_read() {
        assert!(resident_kib().unwrap() > 100);
    }
}
