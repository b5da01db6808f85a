//! Results as programs read them: JSON, one object a line.

use super::{Point, ScenarioResult, Side, Slot};
use crate::cli::{self, RunArgs};
use crate::host;
use crate::rotation::Rotated;
use crate::sides::Provider;
use rustls_multibuffer::handshake::BreakEven;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The line of one implementation at one load.
#[derive(Serialize)]
struct SideLine<'a> {
    scenario: &'a str,
    key: String,
    kx: String,
    tls: String,
    suite: String,
    client: String,
    intermediate: bool,
    identities: usize,
    provider: &'static str,
    handshakes_per_s: f64,
    server_cpu_us: f64,
    /// How often a thread of the server, or of its engine, began to run for a handshake.
    switches: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    mean_fill: Option<f64>,
    /// The mean fill of each operation that has lanes.
    fills: BTreeMap<&'static str, f64>,
    /// Requests of each such operation for a handshake.
    ops_per_handshake: BTreeMap<&'static str, f64>,
    /// The mean fills of the clients; empty for stock clients.
    client_fills: BTreeMap<&'static str, f64>,
    /// Batches by the reason why they left.
    flush_reasons: BTreeMap<&'static str, u64>,
    /// Rotations of the identities, and of the CA among them; zero unless asked for.
    rotations: usize,
    ca_rotations: usize,
    server_busy: f64,
    handshakes: usize,
    failures: usize,
    /// Handshakes that resumed a session.
    resumed: usize,
    /// Handshakes that were due and could not be started in time; the percentiles have them with the time
    /// they waited.
    unstarted: usize,
    /// `closed` or `open`.
    load: &'static str,
    /// The load as it was asked for, such as `25 %` or `64 clients`.
    level: String,
    /// Of a load that is a part of what stock rustls can make: that part.
    percent_of_capacity: Option<f64>,
    /// Of an open loop: handshakes that are due a second, and whether they were made.
    offered_per_s: Option<f64>,
    reached: Option<bool>,
    slots: usize,
    slot_s: f64,
    /// Handshakes that run at a time; in an open loop at most.
    concurrency: usize,
    threads: usize,
    /// `apart` on CPUs of their own, `shared`, or `nice` if servers give way to clients.
    placement: &'static str,
    poll_delay_us: f64,
    /// Of an engine with threads of its own.
    engine_threads: Option<u16>,
    tier: String,
    cpu: String,
    versions: String,
    command: String,
}

/// The last line of a load: every ratio is the multibuffer's value over the baseline's.
#[derive(Serialize)]
struct RatioLine<'a> {
    scenario: &'a str,
    ratio_server_cpu: f64,
    ratio_handshakes: f64,
    ratio_p50: f64,
    level: String,
    percent_of_capacity: Option<f64>,
    concurrency: usize,
    offered_per_s: Option<f64>,
}

/// The last line of a scenario.
#[derive(Serialize)]
struct ScenarioLine<'a> {
    scenario: &'a str,
    /// What stock rustls can make, and the CPU seconds of the server a second meanwhile.
    capacity_per_s: Option<f64>,
    capacity_busy: Option<f64>,
    /// What the server's engines have measured, for each thread and operation.
    break_even: Vec<BreakEvenLine>,
}

#[derive(Serialize)]
struct BreakEvenLine {
    op: &'static str,
    capacity: usize,
    /// The fills that run in lanes.
    in_lanes: Vec<usize>,
    scalar_us: f64,
    /// What a batch takes in lanes, by fill from one on, where that was measured.
    lanes_us: Vec<Option<f64>>,
}

impl BreakEvenLine {
    fn new(found: &BreakEven) -> Self {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Self {
            op: found.op.name(),
            capacity: found.capacity,
            in_lanes: (1..=found.capacity).filter(|fill| found.runs_in_lanes(*fill)).collect(),
            scalar_us: micros(found.scalar),
            lanes_us: found.lanes.iter().skip(1).map(|time| time.map(micros)).collect(),
        }
    }
}

/// The file of `--json`, if one was asked for; made before the run, so that a bad path is known at once.
pub(crate) struct JsonFile(Option<File>);

impl JsonFile {
    pub(crate) fn create(path: Option<&Path>) -> Result<Self, String> {
        let create = |path: &Path| File::create(path).map_err(|e| format!("{}: {e}", path.display()));
        path.map(create).transpose().map(Self)
    }

    /// Appends lines, each one JSON object.
    pub(crate) fn write(&mut self, lines: &str) -> Result<(), String> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        file.write_all(lines.as_bytes()).map_err(|e| format!("--json: {e}"))
    }
}

/// The lines of one load: both implementations and their ratios.
pub(crate) fn point_lines(result: &ScenarioResult, point: &Point, args: &RunArgs) -> Result<String, String> {
    let ratios = RatioLine {
        scenario: &result.scenario,
        ratio_server_cpu: point.ratio(Slot::cpu_us),
        ratio_handshakes: point.ratio(Slot::rate),
        ratio_p50: point.ratio(|slot| slot.p50_us),
        level: point.level.to_string(),
        percent_of_capacity: point.level.percent(),
        concurrency: args.concurrency(point.pace),
        offered_per_s: point.pace.offered_per_s(),
    };
    let sides = point.sides.iter().map(|side| line(&side_line(result, point, side, args)));
    sides.chain([line(&ratios)]).collect()
}

/// The line of what was found in the whole scenario.
pub(crate) fn scenario_line(result: &ScenarioResult) -> Result<String, String> {
    line(&ScenarioLine {
        scenario: &result.scenario,
        capacity_per_s: result.capacity.map(|capacity| capacity.per_s),
        capacity_busy: result.capacity.map(|capacity| capacity.busy),
        break_even: result.break_even.iter().map(BreakEvenLine::new).collect(),
    })
}

fn line(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map(|line| line + "\n").map_err(|e| e.to_string())
}

fn side_line<'a>(result: &'a ScenarioResult, point: &Point, side: &Side, run: &RunArgs) -> SideLine<'a> {
    let [p50_us, p90_us, p99_us, p999_us, max_us] = side.percentiles([50.0, 90.0, 99.0, 99.9, 100.0]);
    let args = &run.tls;
    let rotated = match side.provider {
        Provider::Baseline => Rotated::default(),
        Provider::Multibuffer => point.rotated.unwrap_or_default(),
    };
    SideLine {
        scenario: &result.scenario,
        key: cli::name_of(&result.key),
        kx: cli::name_of(&args.kx),
        tls: cli::name_of(&args.tls),
        suite: cli::name_of(&args.suite),
        client: cli::name_of(&args.client),
        intermediate: args.intermediate,
        identities: args.identities,
        provider: side.provider.name(),
        handshakes_per_s: side.median(Slot::rate),
        server_cpu_us: side.median(Slot::cpu_us),
        switches: side.median(Slot::switches),
        p50_us,
        p90_us,
        p99_us,
        p999_us,
        max_us,
        mean_fill: side.batches().mean_fill(),
        fills: side.batches().fills(),
        ops_per_handshake: side.batches().requests_per(side.handshakes()),
        client_fills: side.client_batches().fills(),
        flush_reasons: side.batches().reasons(),
        rotations: rotated.svids,
        ca_rotations: rotated.cas,
        server_busy: side.median(Slot::busy),
        handshakes: side.handshakes(),
        failures: side.failures,
        resumed: side.total(|slot| slot.resumed),
        unstarted: side.total(|slot| slot.unstarted),
        load: if point.pace.offered_per_s().is_some() { "open" } else { "closed" },
        level: point.level.to_string(),
        percent_of_capacity: point.level.percent(),
        offered_per_s: point.pace.offered_per_s(),
        reached: point.pace.offered_per_s().map(|_| side.kept_pace()),
        slots: side.slots.len(),
        slot_s: side.median(|slot| slot.duration.as_secs_f64()),
        concurrency: run.concurrency(point.pace),
        threads: run.threads,
        placement: result.placement,
        poll_delay_us: args.poll_delay.as_secs_f64() * 1e6,
        engine_threads: args.engine_threads,
        tier: match side.provider.compared(args) {
            Provider::Baseline => "none".into(),
            Provider::Multibuffer => host::tier_name(args.tier),
        },
        cpu: host::cpu_model(),
        versions: host::versions(),
        command: host::command_line(),
    }
}
