//! What packing gains: the rule that places handshakes on threads, and the queues that make batches, in
//! virtual time. The results are the same on every machine.
//!
//! They are `benches/record/packing.tsv`, which is written anew by
//! `UPDATE_RECORD=1 cargo test --all-features --test placement`.

mod costs;
#[path = "../support/random.rs"]
mod random;
mod simulation;

use costs::{Cost, P256, RSA};
use simulation::{Case, Outcome};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

const THREADS: [usize; 5] = [1, 2, 8, 16, 64];

/// Handshakes that come, in percent of what the threads could do with stock rustls.
const LOADS: [u64; 5] = [5, 25, 50, 75, 95];

struct Scenario {
    name: &'static str,
    kinds: &'static [Cost],
    /// How many handshakes come at once, on average.
    burst: usize,
    has_slow_thread: bool,
    /// In milliseconds; the default of `EngineConfig::latency_budget` is 1.
    budget: u64,
}

const STEADY: Scenario =
    Scenario { name: "rsa2048", kinds: &[RSA], burst: 1, has_slow_thread: false, budget: 1 };

const SCENARIOS: [Scenario; 8] = [
    STEADY,
    Scenario { name: "rsa2048, 4 ms", budget: 4, ..STEADY },
    Scenario { name: "p256", kinds: &[P256], ..STEADY },
    Scenario { name: "mixed", kinds: &[RSA, P256], ..STEADY },
    Scenario { name: "rsa2048, bursts", burst: 16, ..STEADY },
    Scenario { name: "p256, bursts", kinds: &[P256], burst: 16, ..STEADY },
    Scenario { name: "rsa2048, slow thread", has_slow_thread: true, ..STEADY },
    Scenario { name: "mixed, slow thread", kinds: &[RSA, P256], has_slow_thread: true, ..STEADY },
];

/// A row of the table.
struct Row {
    scenario: &'static Scenario,
    threads: usize,
    load: u64,
    spread: Outcome,
    packed: Outcome,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for scenario in &SCENARIOS {
        for threads in THREADS.into_iter().filter(|threads| !scenario.has_slow_thread || *threads > 1) {
            for load in LOADS {
                let Scenario { kinds, burst, has_slow_thread, .. } = *scenario;
                let case = Case { kinds, threads, load, burst, has_slow_thread };
                let [spread, packed] = [0, scenario.budget].map(|ms| case.run(Duration::from_millis(ms)));
                rows.push(Row { scenario, threads, load, spread, packed });
            }
        }
    }
    rows
}

const HEAD: &str = "\
# What packing gains, computed in virtual time by tests/placement; README.md says how to read it.
handshakes\tthreads\tload\tspread CPU\tp50\tp99\tthreads used\tpacked CPU\tp50\tp99\tthreads used
";

fn table(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for Row { scenario, threads, load, spread, packed } in rows {
        write!(text, "{}\t{threads}\t{load}", scenario.name).unwrap();
        for outcome in [spread, packed] {
            let Outcome { p50, p99, used, .. } = outcome;
            write!(text, "\t{}\t{}\t{}\t{used}", outcome.cpu_percent(), p50 / 1000, p99 / 1000).unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn packing_saves_what_the_record_says() {
    let rows = rows();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/record/packing.tsv");
    if std::env::var_os("UPDATE_RECORD").is_some() {
        std::fs::write(&path, table(&rows)).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap();
    let computed = table(&rows);
    let differ = computed.lines().zip(recorded.lines()).find(|(computed, recorded)| computed != recorded);
    assert_eq!(differ, None, "computed and recorded; the module says how to write the record anew");
    assert_eq!(computed.lines().count(), recorded.lines().count());
    rows.iter().for_each(Row::check);
}

impl Row {
    /// What packing promises, whatever the record says.
    fn check(&self) {
        let Self { scenario, threads, load, spread, packed } = self;
        let what = format!("{}, {threads} threads, {load} %", scenario.name);
        let [before, after] = [spread, packed].map(Outcome::cpu_percent);
        let budget = scenario.budget * 1_000_000;
        assert!(after <= before + 1, "{what}: dearer");
        // Of two kinds, the median may be one's before and the other's after.
        let is_mixed = scenario.kinds.len() > 1;
        assert!(is_mixed || packed.p50 <= spread.p50 + budget, "{what}: its median is beyond the budget");
        // A handshake has two turns, each of which may have to wait.
        assert!(packed.p99 <= spread.p99 + 3 * budget, "{what}: somebody has to wait for long");
        if !is_mixed && scenario.kinds[0] == P256 {
            assert!(after + 1 >= before, "{what}: its operations need no company");
        } else if *threads >= 16 && *load >= 25 && scenario.burst == 1 {
            assert!(after * 100 <= before * 92, "{what}: nothing saved");
        }
    }
}
