//! The module's metrics, through the `metrics` facade: the table in the module's documentation says what they
//! mean.

use super::close_reason::CloseReason;
use super::failure::handshake_failures;
use super::refusal::Refusal;
use super::sessions::NotResumed;
use super::side::Side;
use super::source::Withdrawal;
use ::spiffe::TrustDomain;
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
const HANDSHAKES_RESUMED: &str = "spiffe_handshakes_resumed_total";
const RESUMPTIONS_REFUSED: &str = "spiffe_resumptions_refused_total";
const CONNECTIONS_CLOSED: &str = "spiffe_connections_closed_total";

const DESCRIPTIONS: [(&str, &str); 10] = [
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
    ("spiffe_source_rejected", "1 while the source refuses our request itself, else 0."),
    ("spiffe_unusable_roots", "Certificates of a trust domain's bundle that cannot be used as roots."),
    ("spiffe_unusable_bundle", "1 while a trust domain's new bundle cannot be used, else 0."),
    (
        "spiffe_crl_next_update_seconds",
        "When the first of a trust domain's revocation lists expires, in seconds since 1970.",
    ),
];

impl Metrics {
    /// Metrics that begin with 0: what appears only when it counts something looks to an alert as if it never
    /// had.
    pub(super) fn new(identity: String) -> Self {
        DESCRIPTIONS.into_iter().for_each(|(name, help)| describe_gauge!(name, help));
        describe_counter!(UPDATES, "Updates of the identity, by what became of them.");
        describe_counter!(WITHDRAWALS, "Withdrawals of the identity, by the reason.");
        describe_counter!(HANDSHAKE_FAILURES, "Handshakes that failed, by the reason.");
        describe_counter!(HANDSHAKES_RESUMED, "Handshakes that resumed a session.");
        describe_counter!(RESUMPTIONS_REFUSED, "Sessions that were not resumed, by the reason.");
        describe_counter!(CONNECTIONS_CLOSED, "Connections that were told to close, by the reason.");
        let metrics = Self { identity };
        metrics.connected(false);
        metrics.rejected(false);
        for result in Refusal::labels().chain([OK]) {
            metrics.updates(result).increment(0);
        }
        Withdrawal::labels().for_each(|reason| metrics.withdrawals(reason).increment(0));
        for side in [Side::Server, Side::Client] {
            handshake_failures().for_each(|reason| metrics.failures(side, reason).increment(0));
            metrics.resumptions(side).increment(0);
            NotResumed::ALL
                .into_iter()
                .for_each(|reason| metrics.refused_resumptions(side, reason).increment(0));
            CloseReason::labels().for_each(|reason| metrics.closed(side, reason).increment(0));
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

    pub(super) fn published(&self, generation: u64, not_before: SystemTime, not_after: SystemTime) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a double; 2^53 rotations do not happen")]
        self.gauge("spiffe_generation", generation as f64);
        self.gauge("spiffe_svid_not_before_seconds", seconds(not_before));
        self.gauge("spiffe_svid_not_after_seconds", seconds(not_after));
    }

    /// Whether the source refuses our request itself.
    pub(super) fn rejected(&self, rejected: bool) {
        self.gauge("spiffe_source_rejected", f64::from(u8::from(rejected)));
    }

    /// What there is to say of a trust domain's bundle.
    pub(super) fn bundle(&self, domain: &TrustDomain, status: BundleStatus) {
        let gauge = |name: &'static str, value: f64| {
            gauge!(name, "identity" => self.identity.clone(), "trust_domain" => domain.to_string())
                .set(value);
        };
        gauge("spiffe_unusable_roots", f64::from(status.unusable_roots));
        gauge("spiffe_unusable_bundle", f64::from(u8::from(status.is_unusable)));
        if let Some(next_update) = status.crl_next_update {
            gauge("spiffe_crl_next_update_seconds", seconds(next_update));
        }
    }

    pub(super) fn handshake_failed(&self, side: Side, reason: &'static str) {
        self.failures(side, reason).increment(1);
    }

    pub(super) fn resumed(&self, side: Side) {
        self.resumptions(side).increment(1);
    }

    pub(super) fn not_resumed(&self, side: Side, reason: NotResumed) {
        self.refused_resumptions(side, reason).increment(1);
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

    fn resumptions(&self, side: Side) -> Counter {
        counter!(HANDSHAKES_RESUMED, "identity" => self.identity.clone(), "side" => side.label())
    }

    fn refused_resumptions(&self, side: Side, reason: NotResumed) -> Counter {
        let (identity, reason) = (self.identity.clone(), reason.label());
        counter!(RESUMPTIONS_REFUSED, "identity" => identity, "side" => side.label(), "reason" => reason)
    }

    fn closed(&self, side: Side, reason: &'static str) -> Counter {
        let identity = self.identity.clone();
        counter!(CONNECTIONS_CLOSED, "identity" => identity, "side" => side.label(), "reason" => reason)
    }

    fn gauge(&self, name: &'static str, value: f64) {
        gauge!(name, "identity" => self.identity.clone()).set(value);
    }
}

/// What metrics say of a trust domain's bundle.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BundleStatus {
    pub(super) unusable_roots: u32,
    pub(super) is_unusable: bool,
    pub(super) crl_next_update: Option<SystemTime>,
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
