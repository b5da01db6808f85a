//! Medians, as a table and as JSON.

use crate::pki::KeyKind;
use crate::proxy::Kind;
use serde::Serialize;
use std::fmt;

/// One proxy in one round.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) connections_per_s: f64,
    pub(crate) cpu_us_per_connection: f64,
    pub(crate) bulk_mb_per_s: f64,
    pub(crate) cpu_ms_per_gb: f64,
}

pub(crate) struct Report {
    key: KeyKind,
    rounds: Vec<(Kind, Vec<Measured>)>,
}

#[derive(Serialize)]
struct Line {
    key: &'static str,
    proxy: &'static str,
    rounds: usize,
    #[serde(flatten)]
    medians: Measured,
}

impl Report {
    pub(crate) fn new(key: KeyKind, kinds: &[Kind]) -> Self {
        Self { key, rounds: kinds.iter().map(|kind| (*kind, Vec::new())).collect() }
    }

    pub(crate) fn add(&mut self, kind: Kind, measured: Measured) {
        let of_kind = self.rounds.iter_mut().filter(|(other, _)| *other == kind);
        of_kind.for_each(|(_, rounds)| rounds.push(measured));
    }

    fn of_each(&self) -> impl Iterator<Item = Line> {
        self.rounds.iter().map(|(kind, rounds)| {
            let median = |of: fn(&Measured) -> f64| {
                let mut values: Vec<f64> = rounds.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                values.get(values.len() / 2).copied().unwrap_or_default()
            };
            let medians = Measured {
                connections_per_s: median(|m| m.connections_per_s),
                cpu_us_per_connection: median(|m| m.cpu_us_per_connection),
                bulk_mb_per_s: median(|m| m.bulk_mb_per_s),
                cpu_ms_per_gb: median(|m| m.cpu_ms_per_gb),
            };
            Line { key: self.key.name(), proxy: kind.name(), rounds: rounds.len(), medians }
        })
    }

    /// An object for each proxy.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.of_each().filter_map(|line| serde_json::to_string(&line).ok()).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["proxy", "connections/s", "CPU us/connection", "bulk MB/s", "CPU ms/GB"];
        let [proxy, connections, cpu, bulk, bulk_cpu] = columns;
        writeln!(f, "{}", self.key.name())?;
        writeln!(f, "{proxy:<14}{connections:>15}{cpu:>20}{bulk:>12}{bulk_cpu:>12}")?;
        for Line { proxy, medians: m, .. } in self.of_each() {
            let (connections, cpu) = (m.connections_per_s, m.cpu_us_per_connection);
            let (bulk, bulk_cpu) = (m.bulk_mb_per_s, m.cpu_ms_per_gb);
            writeln!(f, "{proxy:<14}{connections:>15.0}{cpu:>20.0}{bulk:>12.0}{bulk_cpu:>12.0}")?;
        }
        Ok(())
    }
}
