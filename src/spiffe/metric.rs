//! The module's metrics, through the `metrics` facade: the table in the module's documentation says what they mean.

use super::failure::handshake_failures;
use super::live::CloseReason;
use super::refusal::Refusal;
use super::snapshot::Snapshot;
use super::source::Withdrawal;
use metrics::{Counter, counter, describe_counter, describe_gauge, gauge};
use std::time::SystemTime;

/// The metrics of one identity, which carry its name as the label `identity`.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    identity: String,
}

/// The result of an update that is accepted.
const OK: &str = "ok";

const UPDATES: &str = "spiffe_updates_total";
const WITHDRAWALS: &str = "spiffe_withdrawals_total";
const HANDSHAKE_FAILURES: &str = "spiffe_handshake_failures_total";
const CONNECTIONS_CLOSED: &str = "spiffe_connections_closed_total";

const DESCRIPTIONS: [(&str, &str); 6] = [
    ("spiffe_identity_available", "1 while new handshakes can be made, else 0."),
    (
        "spiffe_svid_not_before_seconds",
        "Beginning of the validity of the SVID that was published last, in seconds since 1970.",
    ),
    (
        "spiffe_svid_not_after_seconds",
        "End of the validity of the SVID that was published last, in seconds since 1970.",
    ),
    ("spiffe_generation", "Number of the generation that was published last."),
    ("spiffe_last_success_seconds", "When an update was last accepted, in seconds since 1970."),
    ("spiffe_source_connected", "1 while the source is connected, else 0."),
];

impl Metrics {
    /// Metrics that begin with 0: what appears only when it counts something looks to an alert as if it never had.
    pub(super) fn new(identity: String) -> Self {
        DESCRIPTIONS.into_iter().for_each(|(name, help)| describe_gauge!(name, help));
        describe_counter!(UPDATES, "Updates of the identity, by what became of them.");
        describe_counter!(WITHDRAWALS, "Withdrawals of the identity, by the reason.");
        describe_counter!(HANDSHAKE_FAILURES, "Handshakes that failed, by the reason.");
        describe_counter!(CONNECTIONS_CLOSED, "Connections that were told to close, by the reason.");
        let metrics = Self { identity };
        metrics.connected(false);
        for result in Refusal::LABELS.iter().chain(&[OK]) {
            metrics.updates(result).increment(0);
        }
        Withdrawal::LABELS.iter().for_each(|reason| metrics.withdrawals(reason).increment(0));
        for side in [Side::Server, Side::Client] {
            handshake_failures().for_each(|reason| metrics.failures(side, reason).increment(0));
            CloseReason::LABELS.iter().for_each(|reason| metrics.closed(side, reason).increment(0));
        }
        metrics
    }

    pub(super) fn connected(&self, connected: bool) {
        self.gauge("spiffe_source_connected", f64::from(u8::from(connected)));
    }

    pub(super) fn accepted(&self, now: SystemTime) {
        self.gauge("spiffe_last_success_seconds", seconds(now));
        self.updates(OK).increment(1);
    }

    pub(super) fn refused(&self, why: &Refusal) {
        self.updates(why.as_label()).increment(1);
    }

    pub(super) fn withdrawn(&self, why: &Withdrawal) {
        self.withdrawals(why.as_label()).increment(1);
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
        self.failures(side, reason).increment(1);
    }

    pub(super) fn connection_closed(&self, side: Side, reason: &'static str) {
        self.closed(side, reason).increment(1);
    }

    fn updates(&self, result: &'static str) -> Counter {
        counter!(UPDATES, "identity" => self.identity.clone(), "result" => result)
    }

    fn withdrawals(&self, reason: &'static str) -> Counter {
        counter!(WITHDRAWALS, "identity" => self.identity.clone(), "reason" => reason)
    }

    fn failures(&self, side: Side, reason: &'static str) -> Counter {
        let identity = self.identity.clone();
        counter!(HANDSHAKE_FAILURES, "identity" => identity, "side" => side.label(), "reason" => reason)
    }

    fn closed(&self, side: Side, reason: &'static str) -> Counter {
        let identity = self.identity.clone();
        counter!(CONNECTIONS_CLOSED, "identity" => identity, "side" => side.label(), "reason" => reason)
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
