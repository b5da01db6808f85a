//! What the page says of handshakes.

use super::Section;
use super::plot::{Plot, Scale, Series};
use crate::batches::Batches;
use crate::cli::{self, Pace};
use crate::results::{ScenarioResult, Side, Slot, load, point, point_head};

/// What is plotted of one implementation at one point.
type Value = fn(&Side) -> f64;

/// Title, label with unit, whether the axis is logarithmic, value.
const PLOTS: [(&str, &str, bool, Value); 4] = [
    ("Server CPU time of a handshake", "CPU time, µs", false, |side| side.median(Slot::cpu_us)),
    ("Handshakes a second", "handshakes/s", false, |side| side.median(Slot::rate)),
    ("Latency: median", "latency, µs", true, |side| side.percentiles([50.0])[0]),
    ("Latency: 99th percentile", "latency, µs", true, |side| side.percentiles([99.0])[0]),
];

/// A section for each scenario that was measured at several points, and one for all others.
pub(crate) fn sections(results: &[ScenarioResult]) -> Vec<Section> {
    let mut groups: Vec<Vec<&ScenarioResult>> = Vec::new();
    for result in results {
        let open = |r: &ScenarioResult| r.pace.offered_per_s().is_some();
        let same = |r: &ScenarioResult| r.scenario == result.scenario && open(r) == open(result);
        match groups.iter_mut().find(|group| same(group[0])) {
            Some(group) => group.push(result),
            None => groups.push(vec![result]),
        }
    }
    let (sweeps, single): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.len() > 1);
    let single: Vec<_> = single.into_iter().flatten().collect();
    let single = (!single.is_empty()).then(|| bars(&single));
    single.into_iter().chain(sweeps.iter().map(|group| lines(group))).collect()
}

fn section(heading: String, plots: Vec<Plot>, results: &[&ScenarioResult]) -> Section {
    let rows = results.iter().flat_map(|result| result.sides.iter().map(|side| point(result, side).to_vec()));
    let head = point_head().map(str::to_owned).to_vec();
    Section { heading, note: NOTE, plots, head, rows: rows.collect() }
}

const NOTE: &str = "Baseline is stock rustls with aws-lc-rs, or, in scenarios against-fixed, this crate without \
rotation; both implementations took turns in one run. A handshake counts when the first application byte has \
come back; latency runs to that byte from connecting, or, where handshakes are due at a rate, from the time at \
which one was due. Handshakes per second and CPU time are medians of the slots, their ratio to the baseline is \
that of neighbouring slots; percentiles are of all handshakes.";

/// One bar for each scenario and implementation.
fn bars(results: &[&ScenarioResult]) -> Section {
    let names = results.iter().map(|result| cli::name_of(&result.key)).collect();
    let x = Scale::Names(names);
    let at = |index: usize, _: &ScenarioResult| index as f64;
    let plots = PLOTS.map(|(title, y_label, _, value)| {
        let series = both(results, at, value);
        plot(title, "kind of key", y_label, (x.clone(), Scale::Linear), series)
    });
    let scenarios: Vec<_> = results.iter().map(|r| format!("{}, {}", r.scenario, load(r.pace))).collect();
    section(scenarios.join("; "), plots.into(), results)
}

/// A line for each implementation along the points of a sweep.
fn lines(results: &[&ScenarioResult]) -> Section {
    let open = results[0].pace.offered_per_s().is_some();
    let (x, x_label) = match open {
        true => (Scale::Linear, "handshakes due a second"),
        false => (Scale::Log(2.0), "clients at the same time"),
    };
    let at = |_: usize, result: &ScenarioResult| match result.pace {
        Pace::Closed(clients) => clients as f64,
        Pace::Open(rate) => rate,
    };
    let mut plots: Vec<_> = PLOTS
        .iter()
        .map(|(title, y_label, log, value)| {
            let y = if *log { Scale::Log(10.0) } else { Scale::Linear };
            plot(title, x_label, y_label, (x.clone(), y), both(results, at, *value))
        })
        .collect();
    let fill = |side: &Side| side.batches().mean_fill().unwrap_or(f64::NAN);
    let ours = |value: &dyn Fn(&Side) -> f64| -> Vec<(f64, f64)> {
        results.iter().map(|result| (at(0, result), value(&result.sides[1]))).collect()
    };
    if results.iter().any(|result| result.sides[1].batches().mean_fill().is_some()) {
        // An empty first series keeps the colour of this crate.
        let series =
            ["", "multibuffer"].map(|name| (name, if name.is_empty() { Vec::new() } else { ours(&fill) }));
        let series = series.map(|(name, points)| Series { name: name.into(), points }).to_vec();
        plots.push(plot("Operations in a batch", x_label, "mean fill", (x.clone(), Scale::Linear), series));
        let series = ["full", "idle", "deadline", "drain"].map(|name| {
            let points = ours(&|side: &Side| share(&side.batches(), name));
            Series { name: name.into(), points }
        });
        plots.push(plot(
            "Why batches left",
            x_label,
            "share of batches, %",
            (x, Scale::Linear),
            series.to_vec(),
        ));
    }
    let loop_kind =
        if open { "at random times, by rate" } else { "one after the other, by number of clients" };
    section(format!("{}: {loop_kind}", results[0].scenario), plots, results)
}

/// The share of batches that left for a reason, in percent.
fn share(batches: &Batches, reason: &str) -> f64 {
    let reasons = batches.reasons();
    let sum: u64 = reasons.values().sum();
    reasons.get(reason).map_or(f64::NAN, |count| *count as f64 * 100.0 / sum as f64)
}

fn both(
    results: &[&ScenarioResult],
    at: impl Fn(usize, &ScenarioResult) -> f64,
    value: Value,
) -> Vec<Series> {
    let series = |side: usize, name: &str| Series {
        name: name.into(),
        points: results.iter().enumerate().map(|(i, r)| (at(i, r), value(&r.sides[side]))).collect(),
    };
    vec![series(0, "baseline"), series(1, "multibuffer")]
}

fn plot(title: &str, x_label: &str, y_label: &str, (x, y): (Scale, Scale), series: Vec<Series>) -> Plot {
    Plot { title: title.into(), x_label: x_label.into(), y_label: y_label.into(), x, y, series }
}
