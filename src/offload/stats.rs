//! What became of signatures.

use super::BreakerState;
use crate::handshake::Waits;

/// What a [`Key`](super::Key) has done so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeyStats {
    /// Its signers, in the order in which they are asked.
    pub signers: Vec<SignerStats>,
    /// How often another signer was asked because one before it gave no signature.
    pub retries: u64,
    /// Signatures by the fallback key.
    pub fallbacks: u64,
    /// How often there was no signature in the end, other than because the handshake was given up.
    pub failed: u64,
}

/// What one of its signers has done so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SignerStats {
    /// Operations that the signer has at present.
    pub in_flight: usize,
    /// Operations that wait for a place at present.
    pub waiting: usize,
    /// Good signatures.
    pub signed: u64,
    /// How long the answers took that came in time, good or not.
    pub latency: Waits,
    /// Operations that took too long.
    pub timeouts: u64,
    /// Operations that the signer ended with an error.
    pub errors: u64,
    /// Operations that ended with a panic.
    pub panics: u64,
    /// Signatures that did not verify, and were not released.
    pub wrong: u64,
    /// Operations that were refused because the signer was busy.
    pub refused: u64,
    /// Operations that were refused because the breaker was open.
    pub broken: u64,
    /// Operations whose handshake was given up while the signer had them.
    pub wasted: u64,
    /// Whether the signer is asked.
    pub breaker: BreakerState,
    /// How often the breaker has opened.
    pub opened: u64,
}
