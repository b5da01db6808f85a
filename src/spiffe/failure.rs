//! Why handshakes fail, in one word.

use super::{PeerError, Unavailable};
use crate::handshake::HandshakeError;
use std::io;

/// The labels that neither the peer's certificate nor our own identity gives.
const OTHERS: [&str; 9] =
    ["no_certificate", "alert_received", "garbage", "tls", "timed_out", "draining", "engine", "closed", "io"];

/// The reason of a failed handshake as a metric label.
pub fn handshake_failure(error: &io::Error) -> &'static str {
    if let Some(reason) = PeerError::of(error) {
        return reason.as_label();
    }
    if let Some(reason) = Unavailable::of(error) {
        return reason.as_label();
    }
    let Some(inner) = error.get_ref() else { return "io" };
    match (inner.downcast_ref(), inner.downcast_ref()) {
        (Some(rustls::Error::NoCertificatesPresented), _) => "no_certificate",
        (Some(rustls::Error::AlertReceived(_)), _) => "alert_received",
        (Some(rustls::Error::InvalidMessage(_)), _) => "garbage",
        (Some(_), _) => "tls",
        (_, Some(HandshakeError::TimedOut)) => "timed_out",
        (_, Some(HandshakeError::Draining | HandshakeError::ShutDown)) => "draining",
        (_, Some(_)) => "engine",
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "closed",
        _ => "io",
    }
}

/// Every label that [`handshake_failure`] gives.
pub fn handshake_failures() -> impl Iterator<Item = &'static str> {
    PeerError::labels().chain(Unavailable::labels()).chain(OTHERS)
}
