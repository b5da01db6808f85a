//! The `ops` command: single operations, every tier and fill, against other libraries in the same run.
//!
//! No runtime, no thread, no socket: it also runs in a CPU emulator.

mod cases;

use crate::cli::{self, OpsArgs};
use crate::{page, report, stats};
use cases::{Baseline, Case, case, names, run_batch};
use rustls_multibuffer::internals::ops::Runner;
use rustls_multibuffer::{Tier, TierKind};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Each measurement runs for at least about this long, so that reading the clock costs nothing beside it.
const SAMPLE: Duration = Duration::from_millis(2);

/// One row: what `--json` prints, one object a line. Rates are per second.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) op: &'static str,
    pub(crate) tier: &'static str,
    /// Requests in the batch.
    pub(crate) fill: usize,
    /// Lanes of the tier's kernels; an RSA signature occupies two.
    lanes: usize,
    /// Requests that fill all lanes: the largest `fill`.
    capacity: usize,
    /// `lanes`, or `scalar` when the batch was below its break-even fill.
    path: &'static str,
    pub(crate) ops_per_s: f64,
    pub(crate) baseline: &'static str,
    pub(crate) baseline_ops_per_s: f64,
    /// `ops_per_s` over `baseline_ops_per_s`, median over the pairs of measurements.
    ratio: f64,
    pairs: usize,
}

/// Runs the command; `Err` is what to tell the user.
pub(crate) fn run(args: &OpsArgs) -> Result<(), String> {
    if args.pairs == 0 {
        return Err("--pairs must be above zero".into());
    }
    let tiers = tiers(args.tier)?;
    let page = page::Directory::create(args.report.as_deref())?;
    let names = selected(&args.op)?;
    if !args.json {
        println!("{}", report::header(None));
    }
    let progress = report::progress(names.len() * tiers.len());
    let mut rows = Vec::new();
    for name in names {
        progress.set_message(format!("{name}: making keys"));
        let case = case(name)?;
        for tier in &tiers {
            progress.set_message(format!("{name} on {}", tier.kind()));
            let new = measure_fills(name, &*case, *tier, args.pairs)?;
            progress.suspend(|| new.iter().filter(|_| args.json).try_for_each(print_json))?;
            rows.extend(new);
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    if !args.json {
        print_table(&rows);
    }
    let json: Result<String, _> = rows.iter().map(|row| Ok(serde_json::to_string(row)? + "\n")).collect();
    let json = json.map_err(|e: serde_json::Error| e.to_string())?;
    let placement = "one thread, wherever the system puts it";
    page.write("Operations of TLS handshakes", args.tier, placement, &page::of_operations(&rows), &json)
}

/// The tiers to run; says which are not run, because a missing row could be overlooked.
fn tiers(only: Option<TierKind>) -> Result<Vec<Tier>, String> {
    if let Some(kind) = only {
        return Ok(vec![cli::runnable(kind)?]);
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for kind in TierKind::DETECTABLE.iter().copied() {
        Tier::of_kind(kind).map_or_else(|| missing.push(kind), |tier| found.push(tier));
    }
    for kind in missing {
        eprintln!("tier {kind}: not run, this CPU or operating system does not offer it");
    }
    Ok(found)
}

fn selected(wanted: &[String]) -> Result<Vec<&'static str>, String> {
    if wanted.is_empty() {
        return Ok(names().collect());
    }
    let find = |name: &String| {
        names().find(|known| known == name).ok_or_else(|| {
            format!("unknown operation {name:?}; known are {}", names().collect::<Vec<_>>().join(", "))
        })
    };
    wanted.iter().map(find).collect()
}

fn measure_fills(name: &'static str, case: &dyn Case, tier: Tier, pairs: usize) -> Result<Vec<Row>, String> {
    let mut runner = Runner::new(tier);
    if !case.exists_on(&runner) {
        return Ok(Vec::new());
    }
    let capacity = runner.capacity(case.op());
    let mut rows = Vec::new();
    for fill in 1..=capacity {
        let before = runner.counters();
        let results = run_batch(case, &mut runner, fill);
        for (input, result) in results.iter().enumerate() {
            let response = result.as_ref().map_err(|e| format!("{name}: {e}"))?;
            case.check(input, response)?;
        }
        let path = if runner.counters().in_lanes > before.in_lanes { "lanes" } else { "scalar" };
        let samples = measure(case, &mut runner, fill, pairs);
        rows.extend(Baseline::ALL.iter().zip(&samples.baselines).map(|(baseline, theirs)| Row {
            op: name,
            tier: tier.kind().name(),
            fill,
            lanes: tier.kind().lanes(),
            capacity,
            path,
            ops_per_s: stats::median(samples.ours.clone()).expect("at least one pair"),
            baseline: baseline.name(),
            baseline_ops_per_s: stats::median(theirs.clone()).expect("at least one pair"),
            ratio: stats::median_ratio(&samples.ours, theirs).expect("at least one pair"),
            pairs,
        }));
    }
    Ok(rows)
}

/// Operations per second, one value for each measurement.
struct Samples {
    ours: Vec<f64>,
    baselines: [Vec<f64>; 2],
}

/// Measures all implementations in turn, again and again, so that a change of the clock hits all of them.
fn measure(case: &dyn Case, runner: &mut Runner, fill: usize, pairs: usize) -> Samples {
    let once = Instant::now();
    drop(run_batch(case, runner, fill));
    let repeat = SAMPLE.as_nanos().div_ceil(once.elapsed().as_nanos().max(1)) as usize;
    let rate = |started: Instant| (fill * repeat) as f64 / started.elapsed().as_secs_f64();
    let mut samples = Samples { ours: Vec::new(), baselines: [Vec::new(), Vec::new()] };
    for _ in 0..pairs {
        let started = Instant::now();
        for _ in 0..repeat {
            drop(run_batch(case, runner, fill));
        }
        samples.ours.push(rate(started));
        for (baseline, rates) in Baseline::ALL.into_iter().zip(&mut samples.baselines) {
            let started = Instant::now();
            for _ in 0..repeat {
                (0..fill).for_each(|input| case.run_baseline(baseline, input));
            }
            rates.push(rate(started));
        }
    }
    samples
}

fn print_json(row: &Row) -> Result<(), String> {
    println!("{}", serde_json::to_string(row).map_err(|e| e.to_string())?);
    Ok(())
}

/// The heads of the columns of [`cells`].
pub(crate) fn head() -> [&'static str; 8] {
    ["operation", "tier", "fill", "path", "ops/s", "baseline", "its ops/s", "ratio"]
}

/// A row as people read it.
pub(crate) fn cells(r: &Row) -> [String; 8] {
    [
        r.op.to_owned(),
        r.tier.to_owned(),
        format!("{}/{}", r.fill, r.capacity),
        r.path.to_owned(),
        format!("{:.0}", r.ops_per_s),
        r.baseline.to_owned(),
        format!("{:.0}", r.baseline_ops_per_s),
        format!("{:.2}", r.ratio),
    ]
}

fn print_table(rows: &[Row]) {
    print!("{}", report::table(&head(), rows.iter().map(cells)));
    println!(
        "fill: operations in one batch, of those that fill all lanes; ratio: ops/s over the baseline's,"
    );
    println!("the median of interleaved pairs in this run (above 1 is faster than the baseline).");
}
