//! What a handshake has asked its engine for, and what it should have: none goes unaccelerated without a
//! word.

use crate::fiber::contained;
use crate::ops::Request;
use crate::provider::answer::Ask;
use rustls::{CommonState, HandshakeKind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

const KEY_EXCHANGE: u8 = 1;
const SIGNATURE: u8 = 2;
const VERIFICATION: u8 = 4;

/// The kinds of operations that a future has asked for.
#[derive(Debug, Default)]
pub struct Asked(AtomicU8);

impl Asked {
    pub(super) fn note(&self, ask: &Ask) {
        let kind = match ask {
            Ask::InBatch(request) | Ask::AtOnce(request) => match request {
                Request::RsaSign(_) | Request::EcdsaSign(_) | Request::Ed25519Sign(_) => SIGNATURE,
                Request::RsaVerify(_) | Request::EcdsaVerify(_) | Request::Ed25519Verify(_) => VERIFICATION,
                Request::Agree(_) | Request::Keygen(_) | Request::Exchange(_) => KEY_EXCHANGE,
            },
            Ask::Await { for_signature, .. } => SIGNATURE * u8::from(*for_signature),
        };
        self.0.fetch_or(kind, Relaxed);
    }

    /// Adds all of this to `other`, and begins anew.
    pub(super) fn move_to(&self, other: &Self) {
        let kinds = self.0.load(Relaxed);
        if kinds != 0 {
            self.0.store(0, Relaxed);
            other.0.fetch_or(kinds, Relaxed);
        }
    }
}

/// Full handshakes on an engine that did not ask it for what it could have batched, by the first reason of
/// these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unaccelerated {
    /// They asked for nothing: their configuration has another [`provider`](crate::provider), or none of
    /// its groups.
    pub provider: u64,
    /// Servers that made no signature on the engine: their key was loaded by another provider's loader, or
    /// has no lanes. One of [`offload`](crate::offload) is none of these.
    pub key: u64,
    /// They verified none of the peer's signatures on the engine: their verifier has other algorithms.
    pub verifier: u64,
}

/// Counts for [`Unaccelerated`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    provider: AtomicU64,
    key: AtomicU64,
    verifier: AtomicU64,
}

impl Counts {
    /// Counts a handshake of a server or client that has ended well, and warns once in the life of the
    /// process for each reason.
    pub(super) fn judge(&self, asked: &Asked, is_server: bool, connection: &CommonState) {
        static WARNED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];
        if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            return;
        }
        let kinds = asked.0.load(Relaxed);
        let lacks = |kind| kinds & kind == 0;
        let (count, warned, what) = if kinds == 0 {
            (
                &self.provider,
                &WARNED[0],
                "its configuration is not made with provider::default_provider() or provider::accelerate()",
            )
        } else if is_server && lacks(SIGNATURE) {
            (&self.key, &WARNED[1], "its key was not loaded by provider::sign, or is of a kind without lanes")
        } else if connection.peer_certificates().is_some() && lacks(VERIFICATION) {
            (
                &self.verifier,
                &WARNED[2],
                "its verifier does not use signature_verification_algorithms of provider::default_provider()",
            )
        } else {
            return;
        };
        count.fetch_add(1, Relaxed);
        let side = if is_server { "server" } else { "client" };
        if !warned.swap(true, Relaxed) {
            let warn = || {
                log::warn!("a {side}'s handshake on an engine is not fully accelerated: {what} (told once)")
            };
            // The logger is anybody's.
            drop(contained(warn));
        }
    }

    pub(super) fn read(&self) -> Unaccelerated {
        let [provider, key, verifier] =
            [&self.provider, &self.key, &self.verifier].map(|count| count.load(Relaxed));
        Unaccelerated { provider, key, verifier }
    }
}
