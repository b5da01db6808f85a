//! The results of the default run: slots, their summaries, table and JSON.

use crate::batches::Batches;
use crate::cli::{self, KeyKind, RunArgs};
use crate::rotation::Rotated;
use crate::scenario::Provider;
use crate::stats::{self, Latencies};
use crate::{host, report};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// One slot of load on one implementation.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) handshakes: usize,
    pub(crate) elapsed: Duration,
    /// CPU time of all server threads.
    pub(crate) server_cpu: Duration,
    pub(crate) p50_us: f64,
    pub(crate) batches: Batches,
    /// Those of the clients' engines.
    pub(crate) client_batches: Batches,
}

impl Slot {
    fn rate(&self) -> f64 {
        self.handshakes as f64 / self.elapsed.as_secs_f64()
    }

    fn cpu_us(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.handshakes as f64
    }

    /// CPU seconds of the server threads in each second.
    fn busy(&self) -> f64 {
        self.server_cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// One implementation in one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) provider: Provider,
    pub(crate) slots: Vec<Slot>,
    pub(crate) latencies: Latencies,
    pub(crate) failures: usize,
    pub(crate) first_failure: Option<String>,
}

impl Side {
    pub(crate) fn new(provider: Provider) -> Self {
        Self {
            provider,
            slots: Vec::new(),
            latencies: Latencies::default(),
            failures: 0,
            first_failure: None,
        }
    }

    fn each(&self, value: impl Fn(&Slot) -> f64) -> Vec<f64> {
        self.slots.iter().map(value).collect()
    }

    fn median(&self, value: impl Fn(&Slot) -> f64) -> f64 {
        stats::median(self.each(value)).expect("there is at least one slot")
    }

    fn sum(&self, batches: impl Fn(&Slot) -> &Batches) -> Batches {
        let mut sum = Batches::default();
        self.slots.iter().for_each(|slot| sum.merge(batches(slot)));
        sum
    }

    fn batches(&self) -> Batches {
        self.sum(|slot| &slot.batches)
    }

    fn client_batches(&self) -> Batches {
        self.sum(|slot| &slot.client_batches)
    }

    fn handshakes(&self) -> usize {
        self.slots.iter().map(|slot| slot.handshakes).sum()
    }

    fn percentiles(&self) -> [f64; 2] {
        self.latencies.clone().percentiles_us([50.0, 99.0]).expect("every slot has handshakes")
    }
}

/// Both implementations in one scenario, the baseline first.
#[derive(Clone, Debug)]
pub(crate) struct ScenarioResult {
    pub(crate) scenario: String,
    pub(crate) key: KeyKind,
    /// What was rotated meanwhile, if that was asked for.
    pub(crate) rotated: Option<Rotated>,
    pub(crate) sides: Vec<Side>,
}

impl ScenarioResult {
    /// The multibuffer's value over the baseline's, median over the pairs of neighbouring slots.
    fn ratio(&self, value: impl Fn(&Slot) -> f64) -> f64 {
        let [baseline, multibuffer] = [&self.sides[0], &self.sides[1]].map(|side| side.each(&value));
        stats::median_ratio(&multibuffer, &baseline).expect("there is at least one slot")
    }
}

/// The table for people, with its legend.
pub(crate) fn table(results: &[ScenarioResult]) -> String {
    let head = ["scenario", "provider", "handshakes/s", "server CPU µs", "p50 µs", "p99 µs", "fill", "busy"];
    let rows = results.iter().flat_map(|result| result.sides.iter().map(|side| row(&result.scenario, side)));
    let mut text = report::table(&head, rows);
    text.push('\n');
    for result in results {
        let cpu = result.ratio(Slot::cpu_us);
        text.push_str(&format!(
            "{}: multibuffer needs {cpu:.3} of the baseline's server CPU (1/{:.2}), makes {:.3} of its \
             handshakes/s, and has {:.3} of its p50\n",
            result.scenario,
            1.0 / cpu,
            result.ratio(Slot::rate),
            result.ratio(|slot| slot.p50_us),
        ));
        if let Some(rotated) = result.rotated {
            let failures = result.sides[1].failures;
            text.push_str(&format!(
                "  {} rotations, {} of them of the CA: {failures} handshakes failed\n",
                rotated.svids, rotated.cas
            ));
        }
        for (op, fill) in result.sides[1].batches().fills() {
            text.push_str(&format!("  {op}: {fill:.2} in a batch\n"));
        }
        for (op, fill) in result.sides[1].client_batches().fills() {
            text.push_str(&format!("  {op}: {fill:.2} in a batch of the clients\n"));
        }
    }
    text.push_str(LEGEND);
    text
}

const LEGEND: &str = "
handshakes/s, server CPU per handshake: medians of the slots; ratios: medians over pairs of neighbouring slots.
p50, p99: from connecting to the first application byte coming back, of all handshakes of all slots.
fill: operations in a batch on average, of those that have lanes, `-` where there were none.
busy: CPU seconds of the server a second.
";

fn row(scenario: &str, side: &Side) -> [String; 8] {
    let [p50, p99] = side.percentiles();
    [
        scenario.to_owned(),
        side.provider.name().to_owned(),
        format!("{:.0}", side.median(Slot::rate)),
        format!("{:.1}", side.median(Slot::cpu_us)),
        format!("{p50:.0}"),
        format!("{p99:.0}"),
        side.batches().mean_fill().map_or("-".into(), |fill| format!("{fill:.2}")),
        format!("{:.2}", side.median(Slot::busy)),
    ]
}

/// The line of one implementation in one scenario.
#[derive(Serialize)]
struct SideLine<'a> {
    scenario: &'a str,
    key: String,
    kx: String,
    tls: String,
    client: String,
    intermediate: bool,
    identities: usize,
    provider: &'static str,
    handshakes_per_s: f64,
    server_cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    mean_fill: Option<f64>,
    /// The mean fill of each operation that has lanes.
    fills: BTreeMap<&'static str, f64>,
    /// Requests of each such operation for a handshake.
    ops_per_handshake: BTreeMap<&'static str, f64>,
    /// The mean fills of the clients; empty for stock clients.
    client_fills: BTreeMap<&'static str, f64>,
    /// Rotations of the identities, and of the CA among them; zero unless asked for.
    rotations: usize,
    ca_rotations: usize,
    server_busy: f64,
    handshakes: usize,
    failures: usize,
    slots: usize,
    slot_s: f64,
    concurrency: usize,
    threads: usize,
    poll_delay_us: f64,
    tier: String,
    cpu: String,
    versions: String,
    command: String,
}

/// The last line of a scenario: every ratio is the multibuffer's value over the baseline's.
#[derive(Serialize)]
struct RatioLine<'a> {
    scenario: &'a str,
    ratio_server_cpu: f64,
    ratio_handshakes: f64,
    ratio_p50: f64,
}

/// The file of `--json`, if one was asked for; made before the run, so that a bad path is known at once.
pub(crate) struct JsonFile(Option<File>);

impl JsonFile {
    pub(crate) fn create(path: Option<&Path>) -> Result<Self, String> {
        let create = |path: &Path| File::create(path).map_err(|e| format!("{}: {e}", path.display()));
        path.map(create).transpose().map(Self)
    }

    /// Appends the lines of one scenario.
    pub(crate) fn write(&mut self, result: &ScenarioResult, args: &RunArgs) -> Result<(), String> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let mut text = Vec::new();
        let to_text = |e: serde_json::Error| e.to_string();
        for side in &result.sides {
            serde_json::to_writer(&mut text, &side_line(result, side, args)).map_err(to_text)?;
            text.push(b'\n');
        }
        let ratios = RatioLine {
            scenario: &result.scenario,
            ratio_server_cpu: result.ratio(Slot::cpu_us),
            ratio_handshakes: result.ratio(Slot::rate),
            ratio_p50: result.ratio(|slot| slot.p50_us),
        };
        serde_json::to_writer(&mut text, &ratios).map_err(to_text)?;
        text.push(b'\n');
        file.write_all(&text).map_err(|e| format!("--json: {e}"))
    }
}

fn side_line<'a>(result: &'a ScenarioResult, side: &Side, args: &RunArgs) -> SideLine<'a> {
    let [p50_us, p99_us] = side.percentiles();
    let rotated = match side.provider {
        Provider::Baseline => Rotated::default(),
        Provider::Multibuffer => result.rotated.unwrap_or_default(),
    };
    SideLine {
        scenario: &result.scenario,
        key: cli::name_of(&result.key),
        kx: cli::name_of(&args.tls.kx),
        tls: cli::name_of(&args.tls.tls),
        client: cli::name_of(&args.tls.client),
        intermediate: args.tls.intermediate,
        identities: args.tls.identities,
        provider: side.provider.name(),
        handshakes_per_s: side.median(Slot::rate),
        server_cpu_us: side.median(Slot::cpu_us),
        p50_us,
        p99_us,
        mean_fill: side.batches().mean_fill(),
        fills: side.batches().fills(),
        ops_per_handshake: side.batches().requests_per(side.handshakes()),
        client_fills: side.client_batches().fills(),
        rotations: rotated.svids,
        ca_rotations: rotated.cas,
        server_busy: side.median(Slot::busy),
        handshakes: side.handshakes(),
        failures: side.failures,
        slots: side.slots.len(),
        slot_s: args.duration.as_secs_f64(),
        concurrency: args.concurrency,
        threads: args.threads,
        poll_delay_us: args.tls.poll_delay.as_secs_f64() * 1e6,
        tier: match side.provider {
            Provider::Baseline => "none".into(),
            Provider::Multibuffer => host::tier_name(args.tls.tier),
        },
        cpu: host::cpu_model(),
        versions: host::versions(),
        command: host::command_line(),
    }
}
