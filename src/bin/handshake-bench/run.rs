//! The default run: both implementations take turns, slot by slot, scenario by scenario.

use crate::batches::Batches;
use crate::cli::{KeyKind, RunArgs};
use crate::client::{self, Clients, Load, Outcome};
use crate::placement::Placement;
use crate::results::{ScenarioResult, Side, Slot};
use crate::scenario::{Provider, Scenario};
use crate::server::{Sample, Server};
use crate::stats::Latencies;
use crate::{control, limits, report, results};
use indicatif::ProgressBar;
use std::time::Duration;

/// Runs everything and prints the report; `Err` is what to tell the user.
pub(crate) fn run(args: &RunArgs) -> Result<(), String> {
    args.check()?;
    limits::allow_connections(args.concurrency)?;
    let mut json = results::JsonFile::create(args.json.as_deref())?;
    let placement = Placement::new(args.threads, args.concurrency);
    println!("{}placement {}\n", report::header(args.tls.tier), placement.describe(args.threads));
    let progress = report::progress(args.key.len() * Provider::ALL.len() * (1 + args.slots));
    let mut all = Vec::new();
    for key in &args.key {
        let result = run_scenario(*key, args, &placement, &progress)?;
        json.write(&result, args)?;
        all.push(result);
    }
    progress.finish_and_clear();
    print!("{}", results::table(&all));
    let failures: usize = all.iter().flat_map(|r| &r.sides).map(|s| s.failures).sum();
    if failures > 0 {
        let first = all.iter().flat_map(|r| &r.sides).find_map(|s| s.first_failure.as_deref());
        return Err(format!("{failures} handshakes failed, the first with: {}", first.unwrap_or("unknown")));
    }
    Ok(())
}

/// One implementation under test, and what it has shown so far.
struct Contender<'a> {
    placement: &'a Placement,
    clients: Clients,
    server: Server,
    side: Side,
}

fn run_scenario(
    key: KeyKind,
    args: &RunArgs,
    placement: &Placement,
    progress: &ProgressBar,
) -> Result<ScenarioResult, String> {
    progress.set_message("making certificates");
    let scenario = Scenario::new(key, &args.tls)?;
    let contenders = Provider::ALL.map(|provider| Contender::new(provider, &scenario, args, placement));
    let mut contenders: Vec<Contender<'_>> = contenders.into_iter().collect::<Result<_, _>>()?;
    for contender in &mut contenders {
        let name = contender.side.provider.name();
        progress.set_message(format!("{}: {name}, control and warm-up", scenario.name()));
        control::check(&scenario, &contender.server, placement)?;
        contender.slot(args.duration.min(Duration::from_secs(1)))?;
        contender.side.latencies = Latencies::default();
        progress.inc(1);
    }
    for _ in 0..args.slots {
        for contender in &mut contenders {
            progress.set_message(format!("{}: {}", scenario.name(), contender.side.provider.name()));
            let slot = contender.slot(args.duration)?;
            contender.side.slots.push(slot);
            progress.inc(1);
        }
    }
    Ok(ScenarioResult {
        scenario: scenario.name(),
        key,
        rotated: scenario.rotated()?,
        sides: contenders.into_iter().map(|c| c.side).collect(),
    })
}

impl<'a> Contender<'a> {
    fn new(
        provider: Provider,
        scenario: &Scenario,
        args: &RunArgs,
        placement: &'a Placement,
    ) -> Result<Self, String> {
        let server = Server::start(provider, scenario, args.threads, args.concurrency, placement)?;
        let clients = scenario.clients(provider, args.concurrency).map_err(|e| e.to_string())?;
        Ok(Self { placement, clients, server, side: Side::new(provider) })
    }

    /// One slot of load. CPU time is read while the server is quiet, so that it belongs to the handshakes
    /// counted and to no others.
    fn slot(&mut self, duration: Duration) -> Result<Slot, String> {
        let before = self.server.quiet_samples()?;
        let load =
            Load { targets: self.server.targets(), clients: &self.clients, duration, handshakes: usize::MAX };
        let outcome = client::run(&load, self.placement).map_err(|e| format!("clients: {e}"))?;
        let after = self.server.quiet_samples()?;
        let slot = measured(&before, &after, &outcome)?;
        self.side.failures += outcome.failures;
        self.side.first_failure = self.side.first_failure.take().or(outcome.first_failure);
        self.side.latencies.append(outcome.latencies);
        Ok(slot)
    }
}

/// What one slot shows.
fn measured(before: &[Sample], after: &[Sample], outcome: &Outcome) -> Result<Slot, String> {
    let handshakes = outcome.latencies.len();
    if handshakes == 0 {
        let why = outcome.first_failure.as_deref().unwrap_or("none was finished");
        return Err(format!("no handshake succeeded: {why}"));
    }
    let echoed = |samples: &[Sample]| samples.iter().map(|s| s.echoed).sum::<usize>();
    let served = echoed(after) - echoed(before);
    // A client may fail after the server's answer, never succeed without it.
    if served < handshakes {
        return Err(format!("the clients counted {handshakes} handshakes, the server only {served}"));
    }
    let cpu = |samples: &[Sample]| samples.iter().map(|s| s.cpu).sum::<Duration>();
    Ok(Slot {
        handshakes,
        elapsed: outcome.elapsed,
        server_cpu: cpu(after) - cpu(before),
        p50_us: outcome.latencies.clone().percentiles_us([50.0]).map_or(f64::NAN, |[p50]| p50),
        batches: batches(after).since(&batches(before)),
        client_batches: outcome.batches.clone(),
    })
}

/// The batches of all server threads so far.
fn batches(samples: &[Sample]) -> Batches {
    let mut sum = Batches::default();
    samples.iter().filter_map(|sample| sample.engine.as_ref()).for_each(|engine| sum.add(&engine.batches));
    sum
}
