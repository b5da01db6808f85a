//! The module's metrics, through the `metrics` facade: the table in the module's documentation says what they mean.

use super::refusal::Refusal;
use super::snapshot::Snapshot;
use super::source::Withdrawal;
use metrics::{counter, gauge};
use std::time::SystemTime;

/// The metrics of one identity, which carry its name as the label `identity`.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    identity: String,
}

impl Metrics {
    pub(super) fn new(identity: String) -> Self {
        Self { identity }
    }

    pub(super) fn connected(&self, connected: bool) {
        self.gauge("spiffe_source_connected", f64::from(u8::from(connected)));
    }

    pub(super) fn accepted(&self, now: SystemTime) {
        self.gauge("spiffe_last_success_seconds", seconds(now));
        self.updates("ok");
    }

    pub(super) fn refused(&self, why: &Refusal) {
        self.updates(why.as_label());
    }

    pub(super) fn withdrawn(&self, why: &Withdrawal) {
        counter!("spiffe_withdrawals_total", "identity" => self.identity.clone(), "reason" => why.as_label())
            .increment(1);
    }

    /// Whether new handshakes can be made.
    pub(super) fn available(&self, available: bool) {
        self.gauge("spiffe_identity_available", f64::from(u8::from(available)));
    }

    pub(super) fn published(&self, snapshot: &Snapshot) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a double; 2^53 rotations do not happen")]
        self.gauge("spiffe_generation", snapshot.generation() as f64);
        self.gauge("spiffe_svid_not_before_seconds", seconds(snapshot.not_before()));
        self.gauge("spiffe_svid_not_after_seconds", seconds(snapshot.not_after()));
    }

    pub(super) fn handshake_failed(&self, side: Side, reason: &'static str) {
        let identity = self.identity.clone();
        counter!("spiffe_handshake_failures_total", "identity" => identity, "side" => side.label(), "reason" => reason)
            .increment(1);
    }

    pub(super) fn connection_closed(&self, side: Side, reason: &'static str) {
        let identity = self.identity.clone();
        counter!("spiffe_connections_closed_total", "identity" => identity, "side" => side.label(), "reason" => reason)
            .increment(1);
    }

    fn updates(&self, result: &'static str) {
        counter!("spiffe_updates_total", "identity" => self.identity.clone(), "result" => result)
            .increment(1);
    }

    fn gauge(&self, name: &'static str, value: f64) {
        gauge!(name, "identity" => self.identity.clone()).set(value);
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Which side of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

impl Side {
    fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}
