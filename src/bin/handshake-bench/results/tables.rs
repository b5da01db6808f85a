//! Results as people read them.

use super::{ScenarioResult, Side, Slot};
use crate::cli::Pace;
use crate::report;
use crate::sides::Provider;

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
handshakes/s, server CPU per handshake: medians of the slots.
ratios: medians over pairs of neighbouring slots.
p50, p99: from connecting to the first application byte coming back, of all handshakes of all slots.
fill: operations in a batch on average, of those that have lanes, `-` where there were none.
busy: CPU seconds of the server a second.
";

fn row(scenario: &str, side: &Side) -> [String; 8] {
    let [p50, p99] = side.percentiles([50.0, 99.0]);
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

/// The table of points of a sweep, or of runs of an open loop, with its legend.
pub(crate) fn points(results: &[ScenarioResult]) -> String {
    let rows = results.iter().flat_map(|result| result.sides.iter().map(|side| point(result, side)));
    let mut text = report::table(&point_head(), rows);
    text.push('\n');
    for result in results {
        let cpu = result.ratio(Slot::cpu_us);
        text.push_str(&format!(
            "{}, {}: multibuffer needs {cpu:.3} of the baseline's server CPU and has {:.3} of its p50\n",
            result.scenario,
            load(result.pace),
            result.ratio(|slot| slot.p50_us),
        ));
    }
    text.push_str(POINTS_LEGEND);
    text
}

const POINTS_LEGEND: &str = "
load: clients that each make one handshake after the other, or handshakes per second at random times.
handshakes/s, server CPU per handshake: medians of the slots.
ratios: medians over pairs of neighbouring slots.
of baseline: the server CPU of a handshake, by that of the baseline.
reached: whether 95 % of the rate was made and every handshake could start in the slot it was due in.
p50 to max: of all handshakes of all slots, to the first application byte coming back; from connecting, or,
with a rate, from the time at which a handshake was due. What could not be started counts with its waiting time.
fill: operations in a batch on average.
full to drain: the share of batches that left for each reason, in percent.
";

/// The heads of the columns of [`point`].
pub(crate) fn point_head() -> [&'static str; 14] {
    [
        "scenario",
        "load",
        "provider",
        "handshakes/s",
        "reached",
        "server CPU µs",
        "of baseline",
        "p50 µs",
        "p90 µs",
        "p99 µs",
        "p99.9 µs",
        "max µs",
        "fill",
        "full/idle/deadline/drain %",
    ]
}

/// One implementation at one point.
pub(crate) fn point(result: &ScenarioResult, side: &Side) -> [String; 14] {
    let [p50, p90, p99, p999, max] =
        side.percentiles([50.0, 90.0, 99.0, 99.9, 100.0]).map(|us| format!("{us:.0}"));
    let ratio = match side.provider {
        Provider::Baseline => "1".to_owned(),
        Provider::Multibuffer => format!("{:.3}", result.ratio(Slot::cpu_us)),
    };
    [
        result.scenario.clone(),
        load(result.pace),
        side.provider.name().to_owned(),
        format!("{:.0}", side.median(Slot::rate)),
        reached(result.pace, side).to_owned(),
        format!("{:.1}", side.median(Slot::cpu_us)),
        ratio,
        p50,
        p90,
        p99,
        p999,
        max,
        side.batches().mean_fill().map_or("-".into(), |fill| format!("{fill:.2}")),
        reasons(side),
    ]
}

/// The pace, in words.
pub(crate) fn load(pace: Pace) -> String {
    match pace {
        Pace::Closed(1) => "1 client".to_owned(),
        Pace::Closed(clients) => format!("{clients} clients"),
        Pace::Open(rate) => format!("{rate}/s"),
    }
}

/// Whether a rate was reached; a closed loop has none to reach.
pub(crate) fn reached(pace: Pace, side: &Side) -> &'static str {
    match pace {
        Pace::Closed(_) => "-",
        Pace::Open(_) if side.kept_pace() => "yes",
        Pace::Open(_) => "NO",
    }
}

/// The share of batches that left for each reason, in percent.
pub(crate) fn reasons(side: &Side) -> String {
    let reasons = side.batches().reasons();
    let sum: u64 = reasons.values().sum();
    let share = |name: &str| reasons.get(name).map_or(0.0, |n| *n as f64 * 100.0 / sum as f64);
    match sum {
        0 => "-".to_owned(),
        _ => ["full", "idle", "deadline", "drain"].map(|name| format!("{:.0}", share(name))).join("/"),
    }
}
