//! What the page says of handshakes.

use super::Section;
use super::plot::{Plot, Scale, Series};
use crate::cli;
use crate::results::{Point, ScenarioResult, Side, Slot, cells, heads};

/// What is plotted of one implementation at one load.
type Value = fn(&Side) -> f64;

/// Title, label with unit, whether the axis is logarithmic, value.
const PLOTS: [(&str, &str, bool, Value); 4] = [
    ("Server CPU time of a handshake", "CPU time, µs", false, |side| side.median(Slot::cpu_us)),
    ("Handshakes a second", "handshakes/s", false, |side| side.median(Slot::rate)),
    ("Latency: median", "latency, µs", true, |side| side.percentiles([50.0])[0]),
    ("Latency: 99th percentile", "latency, µs", true, |side| side.percentiles([99.0])[0]),
];

/// A section for each scenario with several loads, and one for all others.
pub(crate) fn sections(results: &[ScenarioResult]) -> Vec<Section> {
    let (single, several): (Vec<_>, Vec<_>) = results.iter().partition(|result| result.points.len() == 1);
    let bars = (!single.is_empty()).then(|| bars(&single));
    bars.into_iter().chain(several.into_iter().map(lines)).collect()
}

fn section(heading: String, plots: Vec<Plot>, results: &[&ScenarioResult]) -> Section {
    let head = [vec!["scenario".to_owned()], heads(true)].concat();
    let points =
        results.iter().flat_map(|result| result.points.iter().map(|point| (&result.scenario, point)));
    let sides = points.flat_map(|(name, point)| point.sides.iter().map(move |side| (name, point, side)));
    let rows = sides.map(|(name, point, side)| [vec![name.clone()], cells(point, side, true)].concat());
    Section { heading, note: NOTE, plots, head, rows: rows.collect() }
}

const NOTE: &str = "Baseline is stock rustls with aws-lc-rs, or, in scenarios against-fixed, this \
crate without rotation; both implementations took turns in one run. Loads in percent are of what \
stock rustls can make in a second; these, and rates, arrive at random times. A handshake counts when \
the first application byte has come back; latency runs to that byte from connecting, or, where \
handshakes are due at a rate, from the time at which one was due. Handshakes per second and CPU time \
are medians of the slots, their ratio to the baseline is that of neighbouring slots; percentiles are \
of all handshakes.";

/// One bar for each scenario and implementation.
fn bars(results: &[&ScenarioResult]) -> Section {
    let names = results.iter().map(|result| cli::name_of(&result.key)).collect();
    let x = Scale::Names(names);
    let points: Vec<_> = results.iter().map(|result| &result.points[0]).collect();
    let plots = PLOTS.map(|(title, y_label, _, value)| {
        plot(title, "kind of key", y_label, (x.clone(), Scale::Linear), both(&points, value))
    });
    let name = |result: &&ScenarioResult| format!("{}, {}", result.scenario, result.points[0].level);
    section(results.iter().map(name).collect::<Vec<_>>().join("; "), plots.into(), results)
}

/// A line for each implementation along the loads of a scenario.
fn lines(result: &ScenarioResult) -> Section {
    let points: Vec<_> = result.points.iter().collect();
    let x = Scale::Steps(points.iter().map(|point| point.level.to_string()).collect());
    let mut plots: Vec<_> = PLOTS
        .iter()
        .map(|(title, y_label, log, value)| {
            let y = if *log { Scale::Log(10.0) } else { Scale::Linear };
            plot(title, "load", y_label, (x.clone(), y), both(&points, *value))
        })
        .collect();
    let ours = |value: &dyn Fn(&Side) -> f64| -> Vec<(f64, f64)> {
        points.iter().enumerate().map(|(index, point)| (index as f64, value(&point.sides[1]))).collect()
    };
    let fill = |side: &Side| side.batches().mean_fill().unwrap_or(f64::NAN);
    if points.iter().any(|point| point.sides[1].batches().mean_fill().is_some()) {
        // An empty first series keeps the colour of this crate.
        let series =
            ["", "multibuffer"].map(|name| (name, if name.is_empty() { Vec::new() } else { ours(&fill) }));
        let series = series.map(|(name, points)| Series { name: name.into(), points }).to_vec();
        plots.push(plot("Operations in a batch", "load", "mean fill", (x.clone(), Scale::Linear), series));
        let series = ["full", "idle", "deadline", "drain"].map(|name| {
            let points = ours(&|side: &Side| side.batches().share(name).unwrap_or(f64::NAN));
            Series { name: name.into(), points }
        });
        let axes = (x, Scale::Linear);
        plots.push(plot("Why batches left", "load", "share of batches, %", axes, series.to_vec()));
    }
    let capacity = result.capacity.map(|c| format!("; stock rustls can make {:.0} handshakes/s", c.per_s));
    section(format!("{}{}", result.scenario, capacity.unwrap_or_default()), plots, &[result])
}

/// A series for each implementation, of one value for each of `points`.
fn both(points: &[&Point], value: Value) -> Vec<Series> {
    let series = |side: usize, name: &str| Series {
        name: name.into(),
        points: points.iter().enumerate().map(|(i, point)| (i as f64, value(&point.sides[side]))).collect(),
    };
    vec![series(0, "baseline"), series(1, "multibuffer")]
}

fn plot(title: &str, x_label: &str, y_label: &str, (x, y): (Scale, Scale), series: Vec<Series>) -> Plot {
    Plot { title: title.into(), x_label: x_label.into(), y_label: y_label.into(), x, y, series }
}
