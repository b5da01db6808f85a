//! Keeps a source running, and a store in time.

use super::source::{Source, SourceError, Updates};
use super::store::Store;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long a lost source is left alone before it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Backoff {
    /// The wait after `losses` losses in a row, the present one included: doubled each time, and a random
    /// part of its half taken off, so that many workloads do not come back at once: the first time, too,
    /// because one restart of a server is a loss for all.
    pub(super) fn wait(self, losses: u32, random: f64) -> Duration {
        let doublings = losses.saturating_sub(1).min(16);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        whole.mul_f64(1.0 - random / 2.0)
    }
}

/// Runs `source` again and again, until it says that this is useless: after a loss with the waits of
/// `backoff`, and after its server has rejected our request with those of `rejected`.
pub(super) async fn run(mut source: impl Source, store: Arc<Store>, backoff: Backoff, rejected: Backoff) {
    let updates = Updates::new(store.clone());
    let (mut losses, mut rejections) = (0, 0);
    loop {
        let began = Instant::now();
        let end = run_once(&mut source, &updates).await;
        let was_connected = store.is_connected();
        store.lose(&end);
        match end {
            SourceError::Final(_) => {
                log::warn!("the identity source {} is {end}", source.name());
                return;
            }
            SourceError::Rejected(_) => {
                rejections += 1;
                let wait = rejected.wait(rejections, fastrand::f64());
                log::error!(
                    "the identity source {} is {end}; it is asked again in {wait:.0?}",
                    source.name()
                );
                tokio::time::sleep(wait).await;
                continue;
            }
            SourceError::Lost(_) => {
                log::warn!("the identity source {} is {end}", source.name());
                rejections = 0;
            }
        }
        // A source that was well for a while starts from the shortest wait again; one that only waited for an
        // answer does not.
        losses = if was_connected && began.elapsed() > backoff.longest { 1 } else { losses + 1 };
        tokio::time::sleep(backoff.wait(losses, fastrand::f64())).await;
    }
}

/// One run of a source. A panic is a loss, too: it ends neither the process nor the supervisor.
async fn run_once(source: &mut impl Source, updates: &Updates) -> SourceError {
    // Inside a future, because the call may panic as well as what it returns.
    let mut running = pin!(async { source.run(updates).await });
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(_panic) => Poll::Ready(SourceError::Lost("it panicked".into())),
    })
    .await
}

/// Publishes what was held back when it is time, and notices the expiry of our SVID.
pub(super) async fn keep_time(store: Arc<Store>) {
    let clock = store.clock().clone();
    let mut changes = store.changes();
    loop {
        changes.mark_unchanged();
        let due = store.tick();
        let mut changed = pin!(changes.changed());
        let mut ripe = pin!(async {
            match due {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|cx| match changed.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => ripe.as_mut().poll(cx),
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(10) };

    #[test]
    fn waits_grow_from_the_first_to_the_longest() {
        for losses in 1..100 {
            for random in [0.0, 0.5, 0.999] {
                let wait = BACKOFF.wait(losses, random);
                assert!((BACKOFF.first / 2..=BACKOFF.longest).contains(&wait), "{losses}: {wait:?}");
            }
        }
        assert_eq!(BACKOFF.wait(1, 0.0), BACKOFF.first);
        assert_eq!(BACKOFF.wait(3, 0.0), 4 * BACKOFF.first);
        assert_eq!(BACKOFF.wait(99, 0.0), BACKOFF.longest);
    }

    #[test]
    fn waits_are_spread() {
        assert!(BACKOFF.wait(99, 0.9) < BACKOFF.longest.mul_f64(0.6));
        assert!(BACKOFF.wait(1, 0.9) < BACKOFF.first.mul_f64(0.6));
    }
}
