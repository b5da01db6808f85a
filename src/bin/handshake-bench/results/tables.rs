//! Results as people read them.

use super::{Point, ScenarioResult, Side, Slot};
use crate::cli::Pace;
use crate::report;
use crate::sides::Provider;
use rustls_multibuffer::handshake::Op;
use std::collections::BTreeMap;
use std::fmt::Write;

type Cell = fn(&Point, &Side) -> String;

/// The columns: head, whether it is in a terminal's table and not only in the page's, value.
const COLUMNS: [(&str, bool, Cell); 16] = [
    ("load", true, |point, _| point.level.to_string()),
    ("provider", true, |_, side| side.provider.name().to_owned()),
    ("handshakes/s", true, |_, side| format!("{:.0}", side.median(Slot::rate))),
    ("rate reached", true, |point, side| reached(point.pace, side).to_owned()),
    ("server CPU µs", true, |_, side| format!("{:.1}", side.median(Slot::cpu_us))),
    ("of baseline", true, |point, side| ratio(point, side, Slot::cpu_us)),
    ("p50 µs", true, |_, side| percentile(side, 50.0)),
    ("of baseline", true, |point, side| ratio(point, side, |slot| slot.p50_us)),
    ("p90 µs", false, |_, side| percentile(side, 90.0)),
    ("p99 µs", true, |_, side| percentile(side, 99.0)),
    ("p99.9 µs", false, |_, side| percentile(side, 99.9)),
    ("max µs", false, |_, side| percentile(side, 100.0)),
    ("fill", true, |_, side| side.batches().mean_fill().map_or("-".into(), |fill| format!("{fill:.2}"))),
    ("busy", true, |_, side| format!("{:.2}", side.median(Slot::busy))),
    ("switches", true, |_, side| format!("{:.1}", side.median(Slot::switches))),
    ("full/idle/deadline/drain %", false, |_, side| reasons(side)),
];

pub(crate) const LEGEND: &str = "\
load: percent of what stock rustls can make a second, or handshakes per second, at random times; saturated: 64
clients for each server thread; clients each make one handshake after the other.
handshakes/s, server CPU per handshake: medians of the slots. busy: CPU seconds of the server a second.
switches: how often a thread of the server, or of its engine, began to run for a handshake.
of baseline: medians of the ratios of neighbouring slots; the baseline is stock rustls with aws-lc-rs.
rate reached: whether 95 % of the rate was made and every handshake could start in the slot it was due in.
p50, p99: of all handshakes of all slots, to the first application byte coming back; from connecting, or,
with a rate, from the time at which a handshake was due. What could not be started counts with its waiting
time. Every run has the same times of arrival.
fill: operations in a batch on average, of those that have lanes.
";

/// What was found in one scenario, without the legend.
pub(crate) fn table(result: &ScenarioResult) -> String {
    let mut text = format!("{}\n", result.scenario);
    if let Some(capacity) = result.capacity {
        let limit = match capacity.busy {
            busy if busy < 0.9 => ": the clients or other programs are the limit, not the server",
            _ => "",
        };
        let (per_s, busy) = (capacity.per_s, capacity.busy);
        let _ = writeln!(text, "stock rustls can make {per_s:.0} handshakes/s (busy {busy:.2}{limit})");
    }
    let sides = result.points.iter().flat_map(|point| point.sides.iter().map(move |side| (point, side)));
    let rows = sides.map(|(point, side)| cells(point, side, false));
    text.push_str(&report::table(&heads(false), rows));
    for point in &result.points {
        if let Some(rotated) = point.rotated {
            let (svids, cas, failures) = (rotated.svids, rotated.cas, point.sides[1].failures);
            let level = point.level;
            let _ = writeln!(
                text,
                "{level}: {svids} rotations, {cas} of them of the CA: {failures} handshakes failed"
            );
        }
    }
    text.push_str(&fills(result, "in a batch", |side| side.batches().fills()));
    text.push_str(&fills(result, "in a batch of the clients", |side| side.client_batches().fills()));
    for found in &result.break_even {
        let _ = writeln!(text, "measured, {found}");
    }
    text.push('\n');
    text
}

/// The heads of [`cells`].
pub(crate) fn heads(all: bool) -> Vec<String> {
    COLUMNS.iter().filter(|column| all || column.1).map(|column| column.0.to_owned()).collect()
}

/// One implementation at one load: all columns, or those of a terminal's table.
pub(crate) fn cells(point: &Point, side: &Side, all: bool) -> Vec<String> {
    COLUMNS.iter().filter(|column| all || column.1).map(|column| (column.2)(point, side)).collect()
}

/// How many requests of each operation were in a batch at each load; nothing if there were no batches.
fn fills(result: &ScenarioResult, what: &str, of: impl Fn(&Side) -> BTreeMap<&'static str, f64>) -> String {
    let by_load: Vec<_> = result.points.iter().map(|point| of(&point.sides[1])).collect();
    let row = |op: &Op| {
        let cells = by_load.iter().map(|fills| fills.get(op.name()));
        let cells = cells.map(|fill| fill.map_or("-".to_owned(), |fill| format!("{fill:.2}")));
        [op.name().to_owned()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = Op::ALL
        .iter()
        .filter(|op| by_load.iter().any(|fills| fills.contains_key(op.name())))
        .map(row)
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let loads = result.points.iter().map(|point| point.level.to_string());
    report::table(&[what.to_owned()].into_iter().chain(loads).collect::<Vec<_>>(), rows.into_iter())
}

fn percentile(side: &Side, wanted: f64) -> String {
    let [us] = side.percentiles([wanted]);
    format!("{us:.0}")
}

fn ratio(point: &Point, side: &Side, value: impl Fn(&Slot) -> f64) -> String {
    match side.provider {
        Provider::Baseline => "1".to_owned(),
        Provider::Multibuffer => format!("{:.3}", point.ratio(value)),
    }
}

/// Whether a rate was reached; a closed loop has none to reach.
fn reached(pace: Pace, side: &Side) -> &'static str {
    match pace {
        Pace::Closed(_) => "-",
        Pace::Open(_) if side.kept_pace() => "yes",
        Pace::Open(_) => "NO, overloaded",
    }
}

/// The share of batches that left for each reason, in percent.
fn reasons(side: &Side) -> String {
    let batches = side.batches();
    let share = |reason| batches.share(reason).map(|share| format!("{share:.0}"));
    let shares: Option<Vec<_>> = ["full", "idle", "deadline", "drain"].into_iter().map(share).collect();
    shares.map_or("-".to_owned(), |shares| shares.join("/"))
}
