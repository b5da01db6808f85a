//! The engines' statistics as metrics.
//!
//! Engines keep sums; the facade's counters are told what was added since they were told last, so that what
//! another process hands over in a hot restart stays in them.

use metrics::{Label, counter, describe_counter, describe_gauge, gauge};
use rustls_multibuffer::handshake::{EngineStats, Reason};
use rustls_multibuffer::provider::{known_keys, operations_off_engine, unaccelerated_signatures};
use std::collections::{HashMap, HashSet};

/// How long requests waited. The facade's counters are whole numbers, so that it is told microseconds; they
/// are written as seconds, which is what a counter of time has.
pub(crate) const BATCH_WAIT: &str = "mtls_sidecar_batch_wait_seconds_total";

/// Says what the metrics mean.
pub(crate) fn describe() {
    for (name, help) in [
        ("engine_handshakes_total", "Handshakes of the engines, by how they ended."),
        ("operations_total", "Public-key operations, by where they ran."),
        ("unaccelerated_signatures_total", "Signatures with keys for which there are no lanes."),
        ("unaccelerated_handshakes_total", "Handshakes that an engine could not accelerate, by the reason."),
        ("operations_off_engine_total", "Signatures and key exchanges that ran on no engine."),
        ("batches_total", "Batches that ran, by the reason why they began."),
        ("batch_fills_total", "Batches that ran, by how many requests were in them."),
        ("batch_requests_total", "Requests that left in batches."),
        ("batch_cancelled_total", "Requests that were withdrawn before their batch ran."),
        ("batch_refused_total", "Requests for which the queue had no room."),
        ("verified_at_once_total", "Verifications that were answered without waiting for a batch."),
        ("long_calls_total", "Calls into rustls that held a thread for over 10 ms without parking."),
        ("known_key_tables_made_total", "Tables made for public keys that are seen often."),
        ("known_key_tables_displaced_total", "Tables of public keys that made room for others."),
    ] {
        describe_counter!(format!("mtls_sidecar_{name}"), help);
    }
    describe_counter!(BATCH_WAIT, "How long requests waited for their batch, all together.");
    for (name, help) in [
        ("tier_info", "1 for the tier that batches run on."),
        ("tier_passed_over_info", "1 for each better tier, with the reason why it is not used."),
        ("threads_in_lanes", "Threads that run batches of this fill in lanes, by what they have measured."),
        ("threads_measured", "Threads that have measured batches of the operation."),
        ("handshakes_in_flight", "Handshakes that the engines have begun and not ended."),
        ("fibers", "Fibers that are alive."),
        ("fiber_stacks", "Stacks of fibers, those in the pool included."),
        ("fiber_stack_deepest_bytes", "The most that a fiber has used of its stack."),
        ("known_keys", "Public keys whose uses are counted."),
        ("known_key_tables", "Public keys that are seen often and have a table."),
        ("known_key_table_bytes", "The bytes of these tables."),
    ] {
        describe_gauge!(format!("mtls_sidecar_{name}"), help);
    }
}

/// One sum: its name and labels.
type Key = (&'static str, Vec<(&'static str, String)>);

/// The sums that the counters have.
#[derive(Debug, Default)]
pub(crate) struct Reported(HashMap<Key, u64>);

impl Reported {
    /// Sets the counters to the sums of all workers.
    pub(crate) fn report(&mut self, workers: &[EngineStats]) {
        let Some(first) = workers.first() else { return };
        gauge!("mtls_sidecar_tier_info", "tier" => first.tier.name()).set(1.0);
        for (tier, reason) in &first.passed_over {
            gauge!("mtls_sidecar_tier_passed_over_info", "tier" => tier.name(), "reason" => *reason).set(1.0);
        }
        report_break_even(workers);
        let sum = |f: fn(&EngineStats) -> usize| workers.iter().map(f).sum::<usize>();
        set("mtls_sidecar_handshakes_in_flight", &[], sum(|s| s.in_flight));
        set("mtls_sidecar_fibers", &[], sum(|s| s.live_fibers));
        set("mtls_sidecar_fiber_stacks", &[], sum(|s| s.stacks));
        set(
            "mtls_sidecar_fiber_stack_deepest_bytes",
            &[],
            workers.iter().map(|s| s.deepest_stack).max().unwrap_or(0),
        );
        let known = known_keys();
        set("mtls_sidecar_known_keys", &[], known.keys);
        set("mtls_sidecar_known_key_tables", &[], known.tables);
        set("mtls_sidecar_known_key_table_bytes", &[], known.bytes);
        let mut sums = HashMap::new();
        workers.iter().for_each(|stats| add(&mut sums, stats));
        for (name, sum) in [
            ("mtls_sidecar_unaccelerated_signatures_total", unaccelerated_signatures()),
            ("mtls_sidecar_operations_off_engine_total", operations_off_engine()),
            ("mtls_sidecar_known_key_tables_made_total", known.made),
            ("mtls_sidecar_known_key_tables_displaced_total", known.displaced),
        ] {
            sums.insert((name, Vec::new()), sum);
        }
        for (key, now) in sums {
            let labels: Vec<_> = key.1.iter().map(|(name, value)| Label::new(*name, value.clone())).collect();
            // Less than before: a worker was too busy to answer. Its share is in the counters, and is not
            // added again.
            let reported = self.0.entry(key.clone()).or_default();
            counter!(key.0, labels).increment(now.saturating_sub(*reported));
            *reported = now.max(*reported);
        }
    }
}

/// Which fills run in lanes, on how many threads.
fn report_break_even(workers: &[EngineStats]) {
    let measured = || workers.iter().flat_map(|stats| &stats.break_even);
    for op in measured().map(|known| known.op).collect::<HashSet<_>>() {
        let of_op: Vec<_> = measured().filter(|known| known.op == op).collect();
        set("mtls_sidecar_threads_measured", &[("op", op.name())], of_op.len());
        for fill in 1..=of_op.iter().map(|known| known.capacity).max().unwrap_or(0) {
            let in_lanes = of_op.iter().filter(|known| known.runs_in_lanes(fill)).count();
            let labels = [("op", op.name()), ("fill", &fill.to_string())];
            set("mtls_sidecar_threads_in_lanes", &labels, in_lanes);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a double, and nothing here comes near 2^53")]
fn set(name: &'static str, labels: &[(&'static str, &str)], value: usize) {
    let labels: Vec<_> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    gauge!(name, labels).set(value as f64);
}

fn add(sums: &mut HashMap<Key, u64>, stats: &EngineStats) {
    let mut count = |name, labels: &[(&'static str, &str)], n| {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        *sums.entry((name, labels)).or_default() += n;
    };
    for (result, n) in [
        ("succeeded", stats.succeeded),
        ("failed", stats.failed),
        ("timed_out", stats.timed_out),
        ("cancelled", stats.cancelled),
    ] {
        count("mtls_sidecar_engine_handshakes_total", &[("result", result)], n);
    }
    let lacking = &stats.unaccelerated;
    for (reason, n) in [("provider", lacking.provider), ("key", lacking.key), ("verifier", lacking.verifier)]
    {
        count("mtls_sidecar_unaccelerated_handshakes_total", &[("reason", reason)], n);
    }
    count("mtls_sidecar_verified_at_once_total", &[], stats.verified_at_once);
    count("mtls_sidecar_long_calls_total", &[], stats.long_calls);
    let runner = &stats.runner;
    for (path, n) in [("lanes", runner.in_lanes), ("scalar", runner.scalar), ("redone", runner.redone)] {
        count("mtls_sidecar_operations_total", &[("path", path)], n);
    }
    for of in stats.batches.iter() {
        let op = ("op", of.op.name());
        for reason in Reason::ALL {
            count("mtls_sidecar_batches_total", &[op, ("reason", reason.name())], of.left(*reason));
        }
        for (fill, n) in of.fills.iter().enumerate().skip(1) {
            count("mtls_sidecar_batch_fills_total", &[op, ("fill", &fill.to_string())], *n);
        }
        let micros = u64::try_from(of.waits.sum.as_micros()).unwrap_or(u64::MAX);
        count(BATCH_WAIT, &[op], micros);
        count("mtls_sidecar_batch_requests_total", &[op], of.requests());
        count("mtls_sidecar_batch_cancelled_total", &[op], of.cancelled);
        count("mtls_sidecar_batch_refused_total", &[op], of.refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use rustls_multibuffer::handshake::{EngineConfig, LocalEngine};

    #[tokio::test]
    async fn a_worker_that_is_left_out_once_is_not_counted_twice() {
        let stats = |succeeded| {
            let mut stats = LocalEngine::new(EngineConfig::default()).stats();
            stats.succeeded = succeeded;
            stats
        };
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let mut reported = Reported::default();
        metrics::with_local_recorder(&recorder, || {
            reported.report(&[stats(3), stats(4)]);
            reported.report(&[stats(3)]);
            reported.report(&[stats(4), stats(5)]);
        });
        let text = handle.render();
        assert!(text.contains("handshakes_total{result=\"succeeded\"} 9\n"), "{text}");
    }

    #[tokio::test]
    async fn unaccelerated_handshakes_are_shown_by_reason() {
        let mut stats = LocalEngine::new(EngineConfig::default()).stats();
        (stats.unaccelerated.provider, stats.unaccelerated.key, stats.unaccelerated.verifier) = (1, 2, 3);
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || Reported::default().report(&[stats.clone(), stats]));
        let text = recorder.handle().render();
        for (reason, n) in [("provider", 2), ("key", 4), ("verifier", 6)] {
            let line = format!("mtls_sidecar_unaccelerated_handshakes_total{{reason=\"{reason}\"}} {n}\n");
            assert!(text.contains(&line), "{text}");
        }
    }
}
