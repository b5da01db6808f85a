//! What the page says of single operations.

use super::Section;
use super::plot::{Plot, Scale, Series};
use crate::ops::{Row, cells, head};

/// One section: a plot for each operation, and all rows.
pub(crate) fn sections(rows: &[Row]) -> Vec<Section> {
    let mut names: Vec<&str> = rows.iter().map(|row| row.op).collect();
    names.dedup();
    let plots = names.iter().map(|name| plot(name, rows)).collect();
    vec![Section {
        heading: "Single operations".into(),
        note: "Operations per second of one thread, in batches of each fill, against other libraries one by \
               one in the same run. An RSA signature takes two lanes. Medians of interleaved measurements.",
        plots,
        head: head().map(str::to_owned).to_vec(),
        rows: rows.iter().map(|row| cells(row).to_vec()).collect(),
    }]
}

/// A line for each other library, and for each tier of this crate.
fn plot(name: &str, rows: &[Row]) -> Plot {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.op == name).collect();
    let mut series: Vec<Series> = Vec::new();
    let mut add = |name: &str, row: &Row, rate: f64| {
        let point = (row.fill as f64, rate);
        match series.iter_mut().find(|series| series.name == name) {
            Some(known) if known.points.iter().any(|p| p.0 == point.0) => {}
            Some(known) => known.points.push(point),
            None => series.push(Series { name: name.into(), points: vec![point] }),
        }
    };
    rows.iter().filter(|r| r.baseline == "aws-lc-rs").for_each(|r| add(r.baseline, r, r.baseline_ops_per_s));
    rows.iter().filter(|r| r.tier != "scalar").for_each(|r| add(r.tier, r, r.ops_per_s));
    rows.iter().filter(|r| r.baseline != "aws-lc-rs").for_each(|r| add(r.baseline, r, r.baseline_ops_per_s));
    let most = rows.iter().map(|row| row.fill).max().unwrap_or(1);
    series.iter_mut().for_each(|series| series.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    Plot {
        title: name.into(),
        x_label: "operations in a batch".into(),
        y_label: "operations/s".into(),
        x: Scale::Whole(most),
        y: Scale::Linear,
        series,
    }
}
