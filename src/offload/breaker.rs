//! The circuit breaker of a signer: it knows no clock.

use super::Policy;
use std::time::{Duration, Instant};

/// What can be added to the time.
const LONGEST_PAUSE: Duration = Duration::from_secs(1 << 30);

/// Whether a signer is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// It is.
    #[default]
    Closed,
    /// It has failed too often, and is not asked until its pause is over.
    Open,
    /// The pause is over: one signature is tried, which is under way or will be the next.
    HalfOpen,
}

#[derive(Debug)]
pub(super) enum Breaker {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing { since_open: Instant },
}

/// What the breaker has admitted: to be given back with what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// The signer was healthy.
    Usual,
    /// It is the one that is tried.
    Probe,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    /// Whether [`admit`](Self::admit) would.
    pub(super) fn would_admit(&self, now: Instant) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Open { until } => now >= *until,
            Self::Probing { .. } => false,
        }
    }

    pub(super) fn admit(&mut self, now: Instant) -> Option<Admitted> {
        match *self {
            Self::Closed { .. } => Some(Admitted::Usual),
            Self::Open { until } if now >= until => {
                *self = Self::Probing { since_open: until };
                Some(Admitted::Probe)
            }
            _ => None,
        }
    }

    /// Whether the breaker was closed by this. What was admitted before it opened says nothing of today.
    pub(super) fn succeeded(&mut self, admitted: Admitted) -> bool {
        match (admitted, &*self) {
            (Admitted::Probe, _) => *self = Self::new(),
            (Admitted::Usual, Self::Closed { .. }) => *self = Self::new(),
            (Admitted::Usual, _) => {}
        }
        admitted == Admitted::Probe
    }

    /// Whether the breaker was opened by this.
    pub(super) fn failed(&mut self, admitted: Admitted, policy: &Policy, now: Instant) -> bool {
        let opens = match (admitted, &mut *self) {
            (Admitted::Probe, _) => true,
            (Admitted::Usual, Self::Closed { failures }) => {
                *failures += 1;
                *failures >= policy.breaker_failures.max(1)
            }
            (Admitted::Usual, _) => false,
        };
        if opens {
            *self = Self::Open { until: now + policy.breaker_pause.min(LONGEST_PAUSE) };
        }
        opens
    }

    /// Nobody has waited for the answer. If it was the probe, the next one will be.
    pub(super) fn abandoned(&mut self, admitted: Admitted) {
        if let (Admitted::Probe, Self::Probing { since_open }) = (admitted, &*self) {
            *self = Self::Open { until: *since_open };
        }
    }

    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::Open { until } if now < *until => BreakerState::Open,
            Self::Open { .. } | Self::Probing { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn policy() -> Policy {
        Policy::default().breaker_failures(2).breaker_pause(PAUSE)
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new();
        assert!(!breaker.failed(Admitted::Usual, &policy(), now));
        assert!(breaker.failed(Admitted::Usual, &policy(), now));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it() {
        let (mut breaker, now) = (Breaker::new(), Instant::now());
        for _ in 0..3 {
            assert_eq!(breaker.admit(now), Some(Admitted::Usual));
            assert!(!breaker.failed(Admitted::Usual, &policy(), now));
            assert!(!breaker.succeeded(Admitted::Usual));
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
        let mut breaker = opened(now);
        assert_eq!((breaker.state(now), breaker.admit(now)), (BreakerState::Open, None));
        assert!(!breaker.would_admit(now + PAUSE - Duration::from_nanos(1)));
    }

    #[test]
    fn one_probe_closes_it_or_opens_it_again() {
        let (start, after) = (Instant::now(), Instant::now() + 2 * PAUSE);
        let mut breaker = opened(start);
        assert_eq!(breaker.state(after), BreakerState::HalfOpen);
        assert_eq!(breaker.admit(after), Some(Admitted::Probe));
        assert_eq!((breaker.admit(after), breaker.state(after)), (None, BreakerState::HalfOpen));
        assert!(breaker.failed(Admitted::Probe, &policy(), after));
        assert_eq!((breaker.admit(after), breaker.state(after)), (None, BreakerState::Open));
        assert_eq!(breaker.admit(after + PAUSE), Some(Admitted::Probe));
        assert!(breaker.succeeded(Admitted::Probe));
        assert_eq!(breaker.admit(after + PAUSE), Some(Admitted::Usual));
        // The failures of before are forgotten.
        assert!(!breaker.failed(Admitted::Usual, &policy(), after));
    }

    #[test]
    fn what_was_admitted_before_neither_closes_nor_prolongs_it() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert!(!breaker.succeeded(Admitted::Usual));
        assert!(!breaker.failed(Admitted::Usual, &policy(), start + PAUSE / 2));
        assert_eq!(breaker.state(start + PAUSE / 2), BreakerState::Open);
        assert_eq!(breaker.admit(start + PAUSE), Some(Admitted::Probe));
        assert!(!breaker.failed(Admitted::Usual, &policy(), start + PAUSE));
        assert!(!breaker.succeeded(Admitted::Usual));
        assert_eq!(breaker.admit(start + PAUSE), None);
    }

    #[test]
    fn a_probe_that_nobody_waits_for_is_tried_again() {
        let start = Instant::now();
        let mut breaker = opened(start);
        assert_eq!(breaker.admit(start + PAUSE), Some(Admitted::Probe));
        breaker.abandoned(Admitted::Usual);
        assert_eq!(breaker.admit(start + PAUSE), None);
        breaker.abandoned(Admitted::Probe);
        assert_eq!(breaker.admit(start + PAUSE), Some(Admitted::Probe));
    }
}
