//! The default run: at each load both implementations take turns, slot by slot, scenario by scenario.

use crate::batches::Batches;
use crate::cli::{KeyKind, Level, Pace, RunArgs, SATURATING};
use crate::client::{self, Exchange, Load, Outcome};
use crate::placement::Placement;
use crate::results::{self, Capacity, JsonFile, Point, ScenarioResult, Side, Slot};
use crate::scenario::Scenario;
use crate::server::{Sample, Server};
use crate::sides::{Clients, Provider};
use crate::usage::Usage;
use crate::{arrivals, control, limits, page, report};
use indicatif::ProgressBar;
use rustls_multibuffer::handshake::BreakEven;
use std::time::Duration;

/// Load before the first slot at a level, at most. Resumption needs tickets first.
const WARM_UP: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];
/// Slots in which it is measured what stock rustls can make.
const CAPACITY_SLOTS: usize = 3;
/// Handshakes that arrive in a slot, on average, at least.
const ARRIVALS: f64 = 20.0;

/// Runs everything and prints the report; `Err` is what to tell the user.
pub(crate) fn run(args: &RunArgs) -> Result<(), String> {
    args.check()?;
    limits::allow_connections(most_connections(args))?;
    let mut json = JsonFile::create(args.json.as_deref())?;
    let page = page::Directory::create(args.report.as_deref())?;
    let placement = Placement::new(args.threads, args.nice);
    let described = placement.describe(args.threads);
    println!("{}placement {described}\n", report::header(args.tls.tier));
    let progress = report::progress(steps(args));
    let (mut all, mut text) = (Vec::new(), String::new());
    for key in &args.key {
        let result = Contest::new(*key, args, &placement, &progress)?.run(&mut |lines| {
            text.push_str(&lines);
            json.write(&lines)
        })?;
        progress.suspend(|| print!("{}", results::table(&result)));
        all.push(result);
    }
    progress.finish_and_clear();
    print!("{}", results::LEGEND);
    let sections = page::of_handshakes(&all);
    page.write("TLS handshakes, stock and multibuffer", args.tls.tier, &described, &sections, &text)?;
    judge(&all)
}

/// Whether it has to be measured what stock rustls can make.
fn needs_capacity(args: &RunArgs) -> bool {
    args.levels().iter().any(|level| level.percent().is_some())
}

fn most_connections(args: &RunArgs) -> usize {
    // What is not known yet does not matter here.
    let paces = args.levels().into_iter().map(|level| level.pace(args.threads, Some(1.0)));
    let saturating = needs_capacity(args).then_some(Pace::Closed(SATURATING * args.threads));
    paces.chain(saturating).map(|pace| args.concurrency(pace)).max().unwrap_or(0)
}

/// Steps of the progress bar.
fn steps(args: &RunArgs) -> usize {
    let capacity = if needs_capacity(args) { CAPACITY_SLOTS } else { 0 };
    let levels = args.levels().len() * Provider::ALL.len() * (1 + args.slots);
    args.key.len() * (Provider::ALL.len() + capacity + levels)
}

/// No handshake may fail.
fn judge(results: &[ScenarioResult]) -> Result<(), String> {
    let sides = || results.iter().flat_map(|result| &result.points).flat_map(|point| &point.sides);
    match sides().map(|side| side.failures).sum::<usize>() {
        0 => Ok(()),
        failures => {
            let first = sides().find_map(|side| side.first_failure.as_deref()).unwrap_or("unknown");
            Err(format!("{failures} handshakes failed, the first with: {first}"))
        }
    }
}

/// Both implementations with the same certificates.
struct Contest<'a> {
    key: KeyKind,
    args: &'a RunArgs,
    scenario: Scenario,
    contenders: Vec<Contender<'a>>,
    progress: &'a ProgressBar,
}

impl<'a> Contest<'a> {
    fn new(
        key: KeyKind,
        args: &'a RunArgs,
        placement: &'a Placement,
        progress: &'a ProgressBar,
    ) -> Result<Self, String> {
        progress.set_message("making certificates");
        let scenario = Scenario::new(key, &args.tls)?;
        let contender = |provider| Contender::new(provider, &scenario, args, placement);
        let contenders = Provider::ALL.into_iter().map(contender).collect::<Result<Vec<_>, _>>()?;
        for contender in &contenders {
            progress.set_message(format!("{}: {}, control", scenario.name(), contender.provider.name()));
            control::check(&scenario, &contender.server, placement)?;
        }
        Ok(Self { key, args, scenario, contenders, progress })
    }

    /// Measures at every level; `write` gets the lines of each for programs.
    fn run(mut self, write: &mut dyn FnMut(String) -> Result<(), String>) -> Result<ScenarioResult, String> {
        self.warm_up()?;
        let capacity = needs_capacity(self.args).then(|| self.capacity()).transpose()?;
        let mut result = ScenarioResult {
            scenario: self.scenario.name(),
            key: self.key,
            placement: self.contenders[0].placement.name(),
            capacity,
            points: Vec::new(),
            break_even: Vec::new(),
        };
        for level in self.args.levels() {
            let point = self.point(level, capacity)?;
            write(results::point_lines(&result, &point, self.args)?)?;
            result.points.push(point);
        }
        for contender in &self.contenders {
            result.break_even.extend(contender.break_even()?);
        }
        write(results::scenario_line(&result)?)?;
        Ok(result)
    }

    /// Saturates both implementations, until what an engine remembers of peers' keys and of its batches is
    /// there.
    fn warm_up(&mut self) -> Result<(), String> {
        for contender in &mut self.contenders {
            self.progress.set_message(format!("{}: warm-up", self.scenario.name()));
            contender.warm_up(Pace::Closed(SATURATING * self.args.threads), self.args.duration)?;
            self.progress.inc(1);
        }
        Ok(())
    }

    /// What the baseline makes when it is saturated.
    fn capacity(&mut self) -> Result<Capacity, String> {
        let (pace, duration) = (Pace::Closed(SATURATING * self.args.threads), self.args.duration);
        let mut side = Side::new(Provider::Baseline);
        for _ in 0..CAPACITY_SLOTS {
            self.progress.set_message(format!("{}: what stock rustls can make", self.scenario.name()));
            let (slot, outcome) = self.contenders[0].slot(pace, duration, 0)?;
            side.add(slot, outcome);
            self.progress.inc(1);
        }
        match side.first_failure {
            Some(why) => Err(format!("{} handshakes failed, the first with: {why}", side.failures)),
            None => Ok(Capacity {
                per_s: side.median(Slot::rate),
                busy: side.median(Slot::busy) / self.args.threads as f64,
            }),
        }
    }

    fn point(&mut self, level: Level, capacity: Option<Capacity>) -> Result<Point, String> {
        let pace = level.pace(self.args.threads, capacity.map(|capacity| capacity.per_s));
        let before = self.scenario.rotated()?;
        let message = format!("{}, {level}", self.scenario.name());
        self.progress.set_message(message);
        let warm_up = self.args.duration.min(WARM_UP[usize::from(self.args.tls.resume)]);
        for contender in &mut self.contenders {
            contender.warm_up(pace, warm_up)?;
            self.progress.inc(1);
        }
        let mut sides = Provider::ALL.map(Side::new);
        for slot in 0..self.args.slots {
            // Whoever was last begins: what changes steadily hits both alike.
            let mut turns = [0, 1];
            if !slot.is_multiple_of(2) {
                turns.reverse();
            }
            for turn in turns {
                let (slot, outcome) = self.contenders[turn].slot(pace, self.args.duration, slot as u64)?;
                sides[turn].add(slot, outcome);
                self.progress.inc(1);
            }
        }
        let rotated = self.scenario.rotated()?.map(|now| now.since(before.unwrap_or_default()));
        Ok(Point { level, pace, rotated, sides: sides.into() })
    }
}

/// One implementation under test.
struct Contender<'a> {
    provider: Provider,
    args: &'a RunArgs,
    placement: &'a Placement,
    clients: Clients,
    server: Server,
}

impl<'a> Contender<'a> {
    fn new(
        provider: Provider,
        scenario: &Scenario,
        args: &'a RunArgs,
        placement: &'a Placement,
    ) -> Result<Self, String> {
        let server = Server::start(provider, scenario, args.threads, placement)?;
        let clients = scenario.clients(provider, 1).map_err(|e| e.to_string())?;
        Ok(Self { provider, args, placement, clients, server })
    }

    fn warm_up(&mut self, pace: Pace, duration: Duration) -> Result<(), String> {
        let outcome = self.load(pace, duration, u64::MAX)?.1;
        match outcome.first_failure {
            Some(why) => Err(format!("{} handshakes failed, the first with: {why}", outcome.failures)),
            None => Ok(()),
        }
    }

    /// One slot of load. CPU time is read while the server is quiet, so that it belongs to the handshakes
    /// counted and to no others. Equal seeds give equal arrivals.
    fn slot(&mut self, pace: Pace, duration: Duration, seed: u64) -> Result<(Slot, Outcome), String> {
        let enough = |rate: f64| Duration::from_secs_f64(ARRIVALS / rate);
        let duration = pace.offered_per_s().map_or(duration, |rate| duration.max(enough(rate)));
        let before = self.server.quiet_samples()?;
        let (due, outcome) = self.load(pace, duration, seed)?;
        let after = self.server.quiet_samples()?;
        Ok((slot(&before, &after, &outcome, due, duration)?, outcome))
    }

    /// Makes handshakes; returns how many were due at random times, and what came of all of them.
    fn load(&mut self, pace: Pace, duration: Duration, seed: u64) -> Result<(usize, Outcome), String> {
        self.clients.concurrency = self.args.concurrency(pace);
        let arrivals = pace.offered_per_s().map(|rate| arrivals::poisson(rate, duration, seed));
        let load = Load {
            targets: self.server.targets(),
            clients: &self.clients,
            duration,
            handshakes: usize::MAX,
            arrivals: arrivals.as_deref(),
            exchange: &Exchange::default(),
        };
        let outcome = client::run(&load, self.placement).map_err(|e| format!("clients: {e}"))?;
        Ok((arrivals.map_or(0, |arrivals| arrivals.len()), outcome))
    }

    /// What its engines have found; stock rustls has none.
    fn break_even(&self) -> Result<Vec<BreakEven>, String> {
        let samples = self.server.quiet_samples()?;
        Ok(samples.into_iter().filter_map(|sample| sample.engine).flat_map(|e| e.break_even).collect())
    }
}

/// What one slot shows.
fn slot(
    before: &[Sample],
    after: &[Sample],
    outcome: &Outcome,
    due: usize,
    duration: Duration,
) -> Result<Slot, String> {
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
    let usage = |samples: &[Sample]| samples.iter().map(|s| s.usage).sum::<Usage>();
    Ok(Slot {
        handshakes,
        resumed: outcome.resumed,
        due,
        unstarted: outcome.unstarted,
        duration,
        elapsed: outcome.elapsed,
        usage: usage(after) - usage(before),
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
