//! What is counted, through the `metrics` facade; the table of names is in `docs/sidecar.md`.

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use rustls_multibuffer::spiffe::{CloseReason, handshake_failures};

/// How a connection ended, as a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended(&'static str);

macro_rules! endings {
    ($($name:ident = $label:literal,)+) => {
        impl Ended {
            $(pub(crate) const $name: Self = Self($label);)+

            /// All but those of [`CloseReason`].
            const ALL: &[&str] = &[$($label),+];
        }
    };
}

endings! {
    CLOSED = "closed",
    IDLE = "idle",
    OVERFLOW = "overflow",
    EVICTED = "evicted",
    SHUTDOWN = "shutdown",
    IO = "io",
    PROXY_HEADER = "proxy_header",
    PROXY_HEADER_TIMED_OUT = "proxy_header_timed_out",
    HANDSHAKE_FAILED = "handshake_failed",
    LOOKUP_FAILED = "lookup_failed",
    LOOKUP_TIMED_OUT = "lookup_timed_out",
    CONNECT_REFUSED = "connect_refused",
    CONNECT_TIMED_OUT = "connect_timed_out",
    CONNECT_FAILED = "connect_failed",
    TLS_END_FAILED = "tls_end_failed",
    PLAIN_END_FAILED = "plain_end_failed",
}

impl Ended {
    pub(crate) fn as_label(self) -> &'static str {
        self.0
    }
}

impl From<CloseReason> for Ended {
    fn from(reason: CloseReason) -> Self {
        Self(reason.as_label())
    }
}

/// Why a connection could not be accepted.
pub(crate) const ACCEPT_ERRORS: [&str; 3] = ["file_descriptors", "memory", "connection"];

const HANDSHAKE_FAILURES_TOTAL: &str = "mtls_sidecar_handshake_failures_total";
const CONNECTIONS_ENDED_TOTAL: &str = "mtls_sidecar_connections_ended_total";
const ACCEPT_ERRORS_TOTAL: &str = "mtls_sidecar_accept_errors_total";

/// Says what the metrics mean, and shows those that count what is rare.
pub(crate) fn describe() {
    for (name, help) in [
        ("connections_total", "Connections that were accepted, those over the limits included."),
        ("connections_ended_total", "Connections that have ended, by the reason."),
        ("received_bytes_total", "Bytes that came from the listener's clients."),
        ("sent_bytes_total", "Bytes that went to the listener's clients."),
        ("handshakes_total", "TLS handshakes that were begun and have ended."),
        ("handshake_failures_total", "TLS handshakes that failed, by the reason."),
        ("overflows_total", "Connections for which there was no room, by the limit."),
        ("accept_errors_total", "Connections that could not be accepted, by the reason."),
        ("hot_restart_failures_total", "Hot restarts whose new process did not become ready."),
        ("log_lines_dropped_total", "Lines that the log had no room for."),
    ] {
        describe_counter!(format!("mtls_sidecar_{name}"), help);
    }
    for (name, help) in [
        ("connections_active", "Connections that have not ended."),
        ("connections_pending", "Connections that are not complete on both sides yet."),
        ("parent_connections_active", "Connections of the processes before this one that have not ended."),
        ("build_info", "1; the label says which version this is."),
    ] {
        describe_gauge!(format!("mtls_sidecar_{name}"), help);
    }
    describe_histogram!("mtls_sidecar_handshake_seconds", "How long the TLS handshakes took that succeeded.");
    gauge!("mtls_sidecar_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!("mtls_sidecar_parent_connections_active").set(0.0);
    for name in ["hot_restart_failures_total", "log_lines_dropped_total"] {
        counter!(format!("mtls_sidecar_{name}")).absolute(0);
    }
}

/// The metrics of one listener.
#[derive(Clone)]
pub(crate) struct ListenerMetrics {
    listener: String,
    pub(crate) connections: Counter,
    pub(crate) active: Gauge,
    pub(crate) pending: Gauge,
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    pub(crate) handshakes: Counter,
    pub(crate) handshake_seconds: Histogram,
    pub(crate) connection_overflow: Counter,
    pub(crate) pending_overflow: Counter,
}

impl ListenerMetrics {
    pub(crate) fn new(listener: &str) -> Self {
        let label = || [("listener", listener.to_owned())];
        let overflow = |limit: &str| {
            let labels = [("listener", listener.to_owned()), ("limit", limit.to_owned())];
            counter!("mtls_sidecar_overflows_total", &labels)
        };
        let metrics = Self {
            listener: listener.to_owned(),
            connections: counter!("mtls_sidecar_connections_total", &label()),
            active: gauge!("mtls_sidecar_connections_active", &label()),
            pending: gauge!("mtls_sidecar_connections_pending", &label()),
            received: counter!("mtls_sidecar_received_bytes_total", &label()),
            sent: counter!("mtls_sidecar_sent_bytes_total", &label()),
            handshakes: counter!("mtls_sidecar_handshakes_total", &label()),
            handshake_seconds: histogram!("mtls_sidecar_handshake_seconds", &label()),
            connection_overflow: overflow("max_connections"),
            pending_overflow: overflow("max_pending"),
        };
        metrics.show();
        metrics
    }

    /// Shows every counter with 0: what appears only when it counts something looks to an alert as if it
    /// never had.
    fn show(&self) {
        let show = |name, reason| self.counter(name, reason).increment(0);
        let ended = Ended::ALL.iter().copied().chain(CloseReason::labels());
        ended.for_each(|reason| show(CONNECTIONS_ENDED_TOTAL, reason));
        handshake_failures().for_each(|reason| show(HANDSHAKE_FAILURES_TOTAL, reason));
        ACCEPT_ERRORS.into_iter().for_each(|reason| show(ACCEPT_ERRORS_TOTAL, reason));
    }

    pub(crate) fn handshake_failed(&self, reason: &'static str) {
        self.counter(HANDSHAKE_FAILURES_TOTAL, reason).increment(1);
    }

    pub(crate) fn connection_ended(&self, ended: Ended) {
        self.counter(CONNECTIONS_ENDED_TOTAL, ended.as_label()).increment(1);
    }

    pub(crate) fn accept_failed(&self, reason: &'static str) {
        self.counter(ACCEPT_ERRORS_TOTAL, reason).increment(1);
    }

    fn counter(&self, name: &'static str, reason: &'static str) -> Counter {
        counter!(name, "listener" => self.listener.clone(), "reason" => reason)
    }
}
