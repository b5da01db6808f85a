//! The default run: both implementations take turns, slot by slot, scenario by scenario.

use crate::batches::Batches;
use crate::cli::{KeyKind, MeasureArgs, Pace, RunArgs, TlsArgs};
use crate::client::{self, Exchange, Load, Outcome};
use crate::placement::Placement;
use crate::results::{self, JsonFile, ScenarioResult, Side, Slot};
use crate::scenario::Scenario;
use crate::server::{Sample, Server};
use crate::sides::{Clients, Provider};
use crate::stats::Latencies;
use crate::{arrivals, control, limits, page, report};
use indicatif::ProgressBar;
use std::time::Duration;

/// How one scenario is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) tls: &'a TlsArgs,
    pub(crate) measure: &'a MeasureArgs,
    pub(crate) slots: usize,
    pub(crate) pace: Pace,
    /// Load before the first slot.
    pub(crate) warm_up: Duration,
}

impl Plan<'_> {
    /// Handshakes that run at a time, at most.
    pub(crate) fn concurrency(&self) -> usize {
        self.measure.concurrency(self.pace)
    }

    /// Steps of the progress bar.
    pub(crate) fn steps(&self) -> usize {
        Provider::ALL.len() * (1 + self.slots)
    }

    /// An open loop keeps its server loaded whatever the clients' speed is, so they get cores of their own if
    /// there are any.
    pub(crate) fn placement(&self) -> Placement {
        let clients = match self.pace {
            Pace::Closed(clients) => clients,
            Pace::Open(_) => self.measure.threads,
        };
        Placement::new(self.measure.threads, clients).nice(self.measure.server_nice)
    }
}

/// Runs everything and prints the report; `Err` is what to tell the user.
pub(crate) fn run(args: &RunArgs) -> Result<(), String> {
    args.check()?;
    let warm_up = args.measure.duration.min(Duration::from_secs(1));
    let (tls, measure, slots, pace) = (&args.tls, &args.measure, args.slots, args.pace());
    let plan = Plan { tls, measure, slots, pace, warm_up };
    let results = run_all(&args.key, &[plan])?;
    print!("{}", if args.rate.is_some() { results::points(&results) } else { results::table(&results) });
    judge(&results)
}

/// Measures all these kinds of identity as planned.
pub(crate) fn run_all(keys: &[KeyKind], plans: &[Plan<'_>]) -> Result<Vec<ScenarioResult>, String> {
    let first = plans.first().ok_or("there is nothing to measure")?;
    let most = plans.iter().map(Plan::concurrency).max().unwrap_or(0);
    limits::allow_connections(most)?;
    let mut json = JsonFile::create(first.measure.json.as_deref())?;
    let page = page::Directory::create(first.measure.report.as_deref())?;
    let mut placement: Vec<String> = Vec::new();
    for plan in plans {
        let described = plan.placement().describe(plan.measure.threads);
        if !placement.contains(&described) {
            placement.push(described);
        }
    }
    let placement = placement.join("; or ");
    println!("{}placement {placement}\n", report::header(first.tls.tier));
    let progress = report::progress(keys.len() * plans.iter().map(Plan::steps).sum::<usize>());
    let (mut all, mut text) = (Vec::new(), String::new());
    for key in keys {
        for plan in plans {
            let result = run_scenario(*key, plan, &progress)?;
            let lines = results::json_lines(&result, plan)?;
            json.write(&lines)?;
            text.push_str(&lines);
            all.push(result);
        }
    }
    progress.finish_and_clear();
    page.write(
        "TLS handshakes, stock and multibuffer",
        first.tls.tier,
        &placement,
        &page::of_handshakes(&all),
        &text,
    )?;
    Ok(all)
}

/// No handshake may fail.
pub(crate) fn judge(results: &[ScenarioResult]) -> Result<(), String> {
    let sides = || results.iter().flat_map(|result| &result.sides);
    match sides().map(|side| side.failures).sum::<usize>() {
        0 => Ok(()),
        failures => {
            let first = sides().find_map(|side| side.first_failure.as_deref()).unwrap_or("unknown");
            Err(format!("{failures} handshakes failed, the first with: {first}"))
        }
    }
}

/// One implementation under test, and what it has shown so far.
struct Contender<'a> {
    plan: &'a Plan<'a>,
    placement: &'a Placement,
    clients: Clients,
    server: Server,
    side: Side,
}

fn run_scenario(key: KeyKind, plan: &Plan<'_>, progress: &ProgressBar) -> Result<ScenarioResult, String> {
    progress.set_message("making certificates");
    let (scenario, placement) = (Scenario::new(key, plan.tls)?, plan.placement());
    let contenders = Provider::ALL.map(|provider| Contender::new(provider, &scenario, plan, &placement));
    let mut contenders: Vec<Contender<'_>> = contenders.into_iter().collect::<Result<_, _>>()?;
    for contender in &mut contenders {
        let name = contender.side.provider.name();
        progress.set_message(format!("{}: {name}, control and warm-up", scenario.name()));
        control::check(&scenario, &contender.server, &placement)?;
        contender.slot(plan.warm_up, plan.measure.seed.wrapping_sub(1))?;
        contender.side.latencies = Latencies::default();
        progress.inc(1);
    }
    for slot in 0..plan.slots {
        // Whoever was last begins: what changes steadily hits both alike.
        if slot > 0 && plan.slots.is_multiple_of(2) {
            contenders.reverse();
        }
        for contender in &mut contenders {
            progress.set_message(format!("{}: {}", scenario.name(), contender.side.provider.name()));
            let slot = contender.slot(plan.measure.duration, plan.measure.seed.wrapping_add(slot as u64))?;
            contender.side.slots.push(slot);
            progress.inc(1);
        }
    }
    contenders.sort_by_key(|contender| contender.side.provider != Provider::Baseline);
    Ok(ScenarioResult {
        scenario: scenario.name(),
        key,
        pace: plan.pace,
        rotated: scenario.rotated()?,
        sides: contenders.into_iter().map(|c| c.side).collect(),
    })
}

impl<'a> Contender<'a> {
    fn new(
        provider: Provider,
        scenario: &Scenario,
        plan: &'a Plan<'a>,
        placement: &'a Placement,
    ) -> Result<Self, String> {
        let server = Server::start(provider, scenario, plan.measure.threads, placement)?;
        let clients = scenario.clients(provider, plan.concurrency()).map_err(|e| e.to_string())?;
        Ok(Self { plan, placement, clients, server, side: Side::new(provider) })
    }

    /// One slot of load. CPU time is read while the server is quiet, so that it belongs to the handshakes
    /// counted and to no others.
    fn slot(&mut self, duration: Duration, seed: u64) -> Result<Slot, String> {
        let before = self.server.quiet_samples()?;
        let arrivals = self.plan.pace.offered_per_s().map(|rate| arrivals::poisson(rate, duration, seed));
        let load = Load {
            targets: self.server.targets(),
            clients: &self.clients,
            duration,
            handshakes: usize::MAX,
            arrivals: arrivals.as_deref(),
            exchange: &Exchange::default(),
        };
        let outcome = client::run(&load, self.placement).map_err(|e| format!("clients: {e}"))?;
        let after = self.server.quiet_samples()?;
        let slot = measured(&before, &after, &outcome, &load)?;
        self.side.failures += outcome.failures;
        self.side.first_failure = self.side.first_failure.take().or(outcome.first_failure);
        self.side.latencies.append(&outcome.latencies);
        Ok(slot)
    }
}

/// What one slot shows.
fn measured(before: &[Sample], after: &[Sample], outcome: &Outcome, load: &Load<'_>) -> Result<Slot, String> {
    let handshakes = outcome.handshakes;
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
        resumed: outcome.resumed,
        due: load.arrivals.map_or(0, <[Duration]>::len),
        unstarted: outcome.unstarted,
        duration: load.duration,
        elapsed: outcome.elapsed,
        server_cpu: cpu(after) - cpu(before),
        p50_us: outcome.latencies.percentiles_us([50.0]).map_or(f64::NAN, |[p50]| p50),
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
