//! One signer with its limits, its breaker and its statistics.

use super::breaker::{Admitted, Breaker};
use super::{Error, Policy, Signer, SignerStats};
use crate::handshake::{HandshakeError, unpanicking};
use rustls::SignatureScheme;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub(super) struct Source {
    signer: Arc<dyn Signer>,
    /// Its place among the signers of its key, from 1: its name in the log.
    number: usize,
    policy: Policy,
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    breaker: Breaker,
    stats: SignerStats,
}

impl Source {
    pub(super) fn new(signer: impl Signer, number: usize, policy: Policy) -> Arc<Self> {
        let places = policy.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            signer: Arc::new(signer),
            number,
            policy,
            places: Arc::new(Semaphore::new(places)),
            state: Mutex::new(State { breaker: Breaker::new(), stats: SignerStats::default() }),
        })
    }

    /// Asks the signer, if it may be asked. The answer is not verified: [`Answer::judge`] is to be called.
    pub(super) async fn ask(
        self: Arc<Self>,
        scheme: SignatureScheme,
        message: Arc<[u8]>,
    ) -> Result<Answer, Error> {
        let place = self.place().await?;
        let operation = self.begin(place)?;
        let (signer, limit) = (&self.signer, self.policy.timeout);
        let sign = Box::pin(async { signer.sign(scheme, &message).await });
        match timeout(limit, unpanicking(sign)).await {
            Ok(Ok(Ok(signature))) => Ok(operation.answered(signature)),
            Ok(Ok(Err(why))) => {
                operation.latency();
                Err(operation.failed(Error::Failed(why.into())))
            }
            Ok(Err(HandshakeError::Panicked(message))) => Err(operation.failed(Error::Panicked(message))),
            Ok(Err(other)) => Err(operation.failed(Error::Failed(Arc::new(other)))),
            Err(_) => Err(operation.failed(Error::TimedOut(limit))),
        }
    }

    /// A place with the signer. Whoever cannot be served anyhow does not wait for one.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        {
            let mut state = self.state();
            if !state.breaker.would_admit(Instant::now()) {
                state.stats.broken += 1;
                return Err(Error::BreakerOpen);
            }
        }
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::begin(self)?;
        let place = timeout(self.policy.timeout, self.places.clone().acquire_owned()).await;
        match place {
            Ok(Ok(place)) => Ok(place),
            _ => {
                self.state().stats.refused += 1;
                Err(Error::Busy)
            }
        }
    }

    fn begin(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Result<Operation, Error> {
        let (mut state, started) = (self.state(), Instant::now());
        let Some(admitted) = state.breaker.admit(started) else {
            state.stats.broken += 1;
            return Err(Error::BreakerOpen);
        };
        state.stats.in_flight += 1;
        drop(state);
        Ok(Operation { source: self.clone(), place: Some(place), started, admitted, is_judged: false })
    }

    pub(super) fn stats(&self) -> SignerStats {
        let state = self.state();
        SignerStats { breaker: state.breaker.state(Instant::now()), ..state.stats.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits for a place.
struct Waiting<'a>(&'a Source);

impl<'a> Waiting<'a> {
    fn begin(source: &'a Source) -> Result<Self, Error> {
        let mut state = source.state();
        if state.stats.waiting >= source.policy.queue {
            state.stats.refused += 1;
            return Err(Error::Busy);
        }
        state.stats.waiting += 1;
        Ok(Self(source))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().stats.waiting -= 1;
    }
}

/// One that the signer has, or has had: wasted if it is dropped before it is judged.
struct Operation {
    source: Arc<Source>,
    /// Until the signer has answered.
    place: Option<OwnedSemaphorePermit>,
    started: Instant,
    admitted: Admitted,
    is_judged: bool,
}

impl Operation {
    /// Notes how long the answer took.
    fn latency(&self) {
        self.source.state().stats.latency.record(self.started.elapsed());
    }

    fn answered(mut self, signature: Vec<u8>) -> Answer {
        self.latency();
        self.leave();
        Answer { signature, operation: self }
    }

    /// The signer has no more to do with it.
    fn leave(&mut self) {
        if self.place.take().is_some() {
            self.source.state().stats.in_flight -= 1;
        }
    }

    fn succeeded(mut self) {
        self.is_judged = true;
        let mut state = self.source.state();
        state.stats.signed += 1;
        let is_closed = state.breaker.succeeded(self.admitted);
        drop(state);
        if is_closed {
            log::info!("signer {} of a key works again", self.source.number);
        }
    }

    fn failed(mut self, why: Error) -> Error {
        self.is_judged = true;
        self.leave();
        let source = &self.source;
        let mut state = source.state();
        *match why {
            Error::TimedOut(_) => &mut state.stats.timeouts,
            Error::Panicked(_) => &mut state.stats.panics,
            Error::WrongSignature => &mut state.stats.wrong,
            _ => &mut state.stats.errors,
        } += 1;
        let is_opened = state.breaker.failed(self.admitted, &source.policy, Instant::now());
        state.stats.opened += u64::from(is_opened);
        drop(state);
        if is_opened {
            let pause = source.policy.breaker_pause;
            log::warn!("signer {} of a key is not asked for {pause:?}: {why}", source.number);
        }
        why
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.leave();
        if !self.is_judged {
            let mut state = self.source.state();
            state.stats.wasted += 1;
            state.breaker.abandoned(self.admitted);
        }
    }
}

/// What the signer has answered.
pub(super) struct Answer {
    signature: Vec<u8>,
    operation: Operation,
}

impl Answer {
    /// The signature, if it verifies.
    pub(super) fn judge(self, verify: impl FnOnce(&[u8]) -> Result<(), Error>) -> Result<Vec<u8>, Error> {
        match verify(&self.signature) {
            Ok(()) => {
                self.operation.succeeded();
                Ok(self.signature)
            }
            Err(why) => Err(self.operation.failed(why)),
        }
    }
}
