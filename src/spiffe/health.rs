//! How an identity is doing.

use super::refusal::Refusal;
use super::snapshot::Snapshot;
use super::unavailable::Unavailable;
use ::spiffe::SpiffeId;
use std::time::SystemTime;

/// How an identity is doing, for a health check or an operator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Why there are no new handshakes; `None` while there are.
    pub unavailable: Option<Unavailable>,
    /// Our SPIFFE ID, of the last generation that was published.
    pub id: Option<SpiffeId>,
    /// That generation's number; 0 before the first.
    pub generation: u64,
    /// The beginning of its SVID's validity.
    pub not_before: Option<SystemTime>,
    /// The last second of its SVID's validity.
    pub not_after: Option<SystemTime>,
    /// When it was published.
    pub published: Option<SystemTime>,
    /// Until when a newer SVID, which is not valid yet, is held back.
    pub held_back_until: Option<SystemTime>,
    /// Whether the source is connected.
    pub connected: bool,
    /// Why it was lost last, while it is not connected.
    pub source_error: Option<String>,
    /// Whether the source refuses our request itself (InvalidArgument). It is asked rarely then: somebody has
    /// to look at it.
    pub source_rejects: bool,
    /// When the source last delivered something that was accepted.
    pub last_success: Option<SystemTime>,
    /// Updates that were accepted.
    pub accepted: u64,
    /// Updates that were refused.
    pub refused: u64,
    /// The last refusal, and when it was.
    pub last_refusal: Option<(Refusal, SystemTime)>,
    /// Whether that was after the last success. Their times do not tell: clocks are set back.
    refused_since: bool,
}

impl Health {
    /// Whether new handshakes are made, the source's last update was accepted, and it does not reject our
    /// request.
    pub fn is_good(&self) -> bool {
        self.unavailable.is_none() && !self.refused_since && !self.source_rejects
    }

    pub(super) fn new(
        unavailable: Option<Unavailable>,
        report: &Report,
        held_back_until: Option<SystemTime>,
    ) -> Self {
        let report = report.clone();
        let last = report.last.as_ref();
        Self {
            unavailable,
            id: last.map(|last| last.id.clone()),
            generation: last.map_or(0, |last| last.generation),
            not_before: last.map(|last| last.not_before),
            not_after: last.map(|last| last.not_after),
            published: last.map(|last| last.published),
            held_back_until,
            connected: report.connected,
            source_error: report.source_error,
            source_rejects: report.source_rejects,
            last_success: report.last_success,
            accepted: report.accepted,
            refused: report.refused,
            last_refusal: report.last_refusal,
            refused_since: report.refused_since,
        }
    }
}

/// What is noted of the source's updates.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    last: Option<Last>,
    pub(super) connected: bool,
    pub(super) source_error: Option<String>,
    pub(super) source_rejects: bool,
    last_success: Option<SystemTime>,
    accepted: u64,
    refused: u64,
    last_refusal: Option<(Refusal, SystemTime)>,
    refused_since: bool,
}

/// The generation that was published last. A withdrawal does not forget it, but lets go of its key.
#[derive(Clone, Debug)]
struct Last {
    id: SpiffeId,
    generation: u64,
    not_before: SystemTime,
    not_after: SystemTime,
    published: SystemTime,
}

impl Report {
    pub(super) fn publish(&mut self, snapshot: &Snapshot, now: SystemTime) {
        self.last = Some(Last {
            id: snapshot.id().clone(),
            generation: snapshot.generation(),
            not_before: snapshot.not_before(),
            not_after: snapshot.not_after(),
            published: now,
        });
    }

    pub(super) fn accept(&mut self, now: SystemTime) {
        self.refused_since = false;
        self.last_success = Some(now);
        self.accepted += 1;
    }

    pub(super) fn refuse(&mut self, why: &Refusal, now: SystemTime) {
        self.refused_since = true;
        self.last_refusal = Some((why.clone(), now));
        self.refused += 1;
    }
}
