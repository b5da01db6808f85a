//! What the admin endpoint reports, as JSON.

use crate::state::{Phase, State};
use crate::tls::Identities;
use rustls_multibuffer::spiffe::{Health, Identity};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

/// The configuration. Keys that it holds itself are never written; the paths of others stay.
pub(super) fn config(state: &State) -> Value {
    serde_json::to_value(&state.config).unwrap_or_default()
}

/// The identities and how they are doing.
pub(super) fn certificates(identities: &Identities) -> Value {
    identities.iter().map(|(name, identity)| (name.clone(), health(&identity.health()))).collect()
}

fn health(health: &Health) -> Value {
    json!({
        "good": health.is_good(),
        "unavailable": health.unavailable.as_ref().map(ToString::to_string),
        "spiffe_id": health.id.as_ref().map(ToString::to_string),
        "generation": health.generation,
        "not_before": health.not_before.map(seconds),
        "not_after": health.not_after.map(seconds),
        "published": health.published.map(seconds),
        "source_connected": health.connected,
        "source_error": health.source_error,
        "last_success": health.last_success.map(seconds),
        "updates_accepted": health.accepted,
        "updates_refused": health.refused,
        "last_refusal": health.last_refusal.as_ref().map(|(why, _)| why.to_string()),
    })
}

/// The identities that peers cannot accept now, a line each with the reason.
pub(super) fn unusable(identities: &Identities) -> String {
    let why = |(name, identity): (&String, &Identity)| {
        Some(format!("identity {name}: {}\n", identity.acceptable().err()?))
    };
    identities.iter().filter_map(why).collect()
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The open listeners, with the addresses that they have.
pub(super) fn listeners(state: &State) -> Value {
    let sockets = state.sockets();
    let of_first_worker = sockets.iter().filter(|socket| socket.worker == 0);
    of_first_worker
        .map(|socket| {
            let address = socket.socket.local_addr().map_or(socket.address, |address| address);
            json!({"name": socket.listener, "address": address.to_string()})
        })
        .collect()
}

/// The state of the process as a whole.
pub(super) fn server(state: &State) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "restart_epoch": state.epoch,
        "concurrency": state.config.workers(),
        "state": self::state(state),
        "connections_active": state.active(),
    })
}

/// Envoy's words for it.
pub(super) fn state(state: &State) -> &'static str {
    match state.phase() {
        Phase::Running if !state.is_started.load(Relaxed) => "INITIALIZING",
        Phase::Running if state.is_failed.load(Relaxed) => "FAILED",
        Phase::Running => "LIVE",
        _ => "DRAINING",
    }
}
