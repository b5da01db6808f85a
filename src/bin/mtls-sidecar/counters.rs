//! The counters as text, and as increments for the process that comes after this one.

use crate::engine_metric::{BATCH_WAIT, Reported};
use crate::process;
use metrics::{Label, counter};
use metrics_exporter_prometheus::PrometheusHandle;
use rustls_multibuffer::handshake::EngineStats;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often histograms' samples are added up.
const UPKEEP: Duration = Duration::from_secs(5);

/// What a counter of that name and those labels was incremented by.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Increment {
    name: String,
    labels: Vec<(String, String)>,
    by: u64,
}

/// A counter's name and labels.
type Key = (String, Vec<(String, String)>);

/// The recorder, and what was read from it last.
pub(crate) struct Counters {
    recorder: PrometheusHandle,
    reported: Mutex<Reported>,
    sent: Mutex<HashMap<Key, u64>>,
}

impl Counters {
    pub(crate) fn new(recorder: PrometheusHandle) -> Self {
        Self { recorder, reported: Mutex::default(), sent: Mutex::default() }
    }

    /// Everything, in the text format of Prometheus, with these statistics of the workers.
    pub(crate) fn render(&self, workers: &[EngineStats]) -> String {
        let mut text = in_seconds(&self.render_own(workers));
        process::write(&mut text);
        text
    }

    /// What goes through the facade.
    fn render_own(&self, workers: &[EngineStats]) -> String {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).report(workers);
        self.recorder.run_upkeep();
        self.recorder.render()
    }

    /// What was counted since the last call.
    pub(crate) fn increments(&self, workers: &[EngineStats]) -> Vec<Increment> {
        let text = self.render_own(workers);
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut increments = counters(&text);
        for increment in &mut increments {
            let now = increment.by;
            let before = sent.insert((increment.name.clone(), increment.labels.clone()), now).unwrap_or(0);
            increment.by = now.saturating_sub(before);
        }
        increments.retain(|increment| increment.by > 0);
        increments
    }

    /// Counts what another process has counted.
    pub(crate) fn add(&self, increments: Vec<Increment>) {
        for Increment { name, labels, by } in increments {
            let labels: Vec<_> = labels.into_iter().map(|(name, value)| Label::new(name, value)).collect();
            counter!(name, labels).increment(by);
        }
    }
}

/// Adds histograms' samples up now and then: the recorder keeps each of them until somebody does, and perhaps
/// nobody ever asks for the metrics.
pub(crate) async fn upkeep(recorder: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        recorder.run_upkeep();
    }
}

/// The same text with seconds where the facade was told microseconds.
fn in_seconds(text: &str) -> String {
    let convert = |line: &str| {
        let (name, micros) = line.rsplit_once(' ')?;
        let micros: u64 = micros.parse().ok().filter(|_| name.starts_with(BATCH_WAIT))?;
        Some(format!("{name} {}.{:06}\n", micros / 1_000_000, micros % 1_000_000))
    };
    text.lines().map(|line| convert(line).unwrap_or_else(|| format!("{line}\n"))).collect()
}

/// The counters in the text format of Prometheus.
fn counters(text: &str) -> Vec<Increment> {
    let mut counter = None;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            counter = declared.strip_suffix(" counter");
        } else if let Some(rest) = counter.and_then(|name| line.strip_prefix(name)) {
            found.extend(sample(counter.unwrap_or_default(), rest));
        }
    }
    found
}

/// A sample, `rest` being what follows its name.
fn sample(name: &str, rest: &str) -> Option<Increment> {
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        None => (Vec::new(), rest),
    };
    Some(Increment { name: name.to_owned(), labels, by: value.trim().parse().ok()? })
}

/// Labels up to the closing brace, and what follows it.
fn read_labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), quoted.char_indices());
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &quoted[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn waits_are_written_in_seconds() {
        let text =
            format!("# TYPE {BATCH_WAIT} counter\n{BATCH_WAIT}{{op=\"a\"}} 1500000\nother_total 1500000\n");
        let expected = text.replacen("1500000", "1.500000", 1);
        assert_eq!(in_seconds(&text), expected);
    }

    #[test]
    fn counters_go_from_one_process_to_the_next() {
        let [(first, one), (second, two)] = [(); 2].map(|()| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let counters = Counters::new(recorder.handle());
            (recorder, counters)
        });
        let increments = metrics::with_local_recorder(&first, || {
            counter!("plain_total").increment(3);
            counter!("labelled_total", "a" => "x\"y\\z\nw", "b" => "").increment(5);
            metrics::gauge!("gauge").set(7.0);
            metrics::histogram!("seconds").record(0.5);
            one.increments(&[])
        });
        assert_eq!(increments.len(), 2, "none of the process's own, nor gauges: {increments:?}");
        let json = serde_json::to_string(&increments).unwrap();
        metrics::with_local_recorder(&second, || {
            counter!("plain_total").increment(10);
            two.add(serde_json::from_str(&json).unwrap());
            let text = two.render(&[]);
            assert!(text.contains("plain_total 13"), "{text}");
            assert!(counters(&text).contains(&Increment {
                name: "labelled_total".into(),
                labels: vec![("a".into(), "x\"y\\z\nw".into()), ("b".into(), String::new())],
                by: 5,
            }));
        });
        metrics::with_local_recorder(&first, || {
            assert_eq!(one.increments(&[]), []);
            counter!("plain_total").increment(1);
            assert_eq!(one.increments(&[])[0].by, 1);
        });
    }
}
