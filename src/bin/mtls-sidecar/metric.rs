//! What is counted, through the `metrics` facade; the table of names is in `docs/sidecar.md`.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

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
        let overflow = |limit| counter!("mtls_sidecar_overflows_total", "listener" => listener.to_owned(), "limit" => limit);
        Self {
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
        }
    }

    pub(crate) fn handshake_failed(&self, reason: &'static str) {
        self.count("mtls_sidecar_handshake_failures_total", reason);
    }

    pub(crate) fn connection_ended(&self, reason: &'static str) {
        self.count("mtls_sidecar_connections_ended_total", reason);
    }

    pub(crate) fn accept_failed(&self, reason: &'static str) {
        self.count("mtls_sidecar_accept_errors_total", reason);
    }

    fn count(&self, name: &'static str, reason: &'static str) {
        counter!(name, "listener" => self.listener.clone(), "reason" => reason).increment(1);
    }
}
