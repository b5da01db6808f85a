//! Results as programs read them: JSON, one object a line.

use super::{ScenarioResult, Side, Slot};
use crate::cli;
use crate::host;
use crate::rotation::Rotated;
use crate::run::Plan;
use crate::sides::Provider;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

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
    /// Of an open loop: handshakes that are due a second, and whether they were made.
    offered_per_s: Option<f64>,
    reached: Option<bool>,
    slots: usize,
    slot_s: f64,
    /// Handshakes that run at a time; in an open loop at most.
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
    concurrency: usize,
    offered_per_s: Option<f64>,
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

/// The lines of one scenario: both implementations and their ratios.
pub(crate) fn json_lines(result: &ScenarioResult, plan: &Plan<'_>) -> Result<String, String> {
    let ratios = RatioLine {
        scenario: &result.scenario,
        ratio_server_cpu: result.ratio(Slot::cpu_us),
        ratio_handshakes: result.ratio(Slot::rate),
        ratio_p50: result.ratio(|slot| slot.p50_us),
        concurrency: plan.concurrency(),
        offered_per_s: result.pace.offered_per_s(),
    };
    let sides = result.sides.iter().map(|side| serde_json::to_string(&side_line(result, side, plan)));
    let lines = sides.chain([serde_json::to_string(&ratios)]).map(|line| Ok(line? + "\n"));
    lines.collect::<serde_json::Result<String>>().map_err(|e| e.to_string())
}

fn side_line<'a>(result: &'a ScenarioResult, side: &Side, plan: &Plan<'_>) -> SideLine<'a> {
    let [p50_us, p90_us, p99_us, p999_us, max_us] = side.percentiles([50.0, 90.0, 99.0, 99.9, 100.0]);
    let args = plan.tls;
    let rotated = match side.provider {
        Provider::Baseline => Rotated::default(),
        Provider::Multibuffer => result.rotated.unwrap_or_default(),
    };
    SideLine {
        scenario: &result.scenario,
        key: cli::name_of(&result.key),
        kx: cli::name_of(&args.kx),
        tls: cli::name_of(&args.tls),
        client: cli::name_of(&args.client),
        intermediate: args.intermediate,
        identities: args.identities,
        provider: side.provider.name(),
        handshakes_per_s: side.median(Slot::rate),
        server_cpu_us: side.median(Slot::cpu_us),
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
        load: if result.pace.offered_per_s().is_some() { "open" } else { "closed" },
        offered_per_s: result.pace.offered_per_s(),
        reached: result.pace.offered_per_s().map(|_| side.kept_pace()),
        slots: side.slots.len(),
        slot_s: plan.measure.duration.as_secs_f64(),
        concurrency: plan.concurrency(),
        threads: plan.measure.threads,
        poll_delay_us: args.poll_delay.as_secs_f64() * 1e6,
        tier: match side.provider.compared(args) {
            Provider::Baseline => "none".into(),
            Provider::Multibuffer => host::tier_name(args.tier),
        },
        cpu: host::cpu_model(),
        versions: host::versions(),
        command: host::command_line(),
    }
}
