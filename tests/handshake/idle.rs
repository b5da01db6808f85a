//! What it costs to wait for company.

use crate::support::{TestEngine, config, for_each_engine};
use rustix::time::{ClockId, clock_gettime};
use rustls::NamedGroup;
use rustls_multibuffer::handshake::Reason;
use rustls_multibuffer::provider::default_provider;
use std::time::{Duration, Instant};

/// How much CPU the calling thread has used so far.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// What a number of waits came to.
struct Waits {
    /// What the engine's thread has worked.
    worked: Duration,
    all: Duration,
    shortest: Duration,
}

/// Makes key shares one after the other, each of which waits for company in vain.
async fn wait<E: TestEngine>(delay: Duration, times: u32) -> Waits {
    let engine = E::start(config().threads(1).gather(8).poll_delay(delay));
    let groups = default_provider().kx_groups;
    let x25519 = *groups.iter().find(|group| group.name() == NamedGroup::X25519).unwrap();
    let share = || {
        engine.run(async move {
            x25519.start().unwrap();
            cpu_time()
        })
    };
    let before = share().await.unwrap();
    let (began, mut shortest, mut after) = (Instant::now(), Duration::MAX, before);
    for _ in 0..times {
        let began = Instant::now();
        after = share().await.unwrap();
        shortest = shortest.min(began.elapsed());
    }
    let left: u64 = engine.stats().batches.iter().map(|op| op.left(Reason::Deadline)).sum();
    assert_eq!(left, u64::from(times) + 1, "each has waited");
    Waits { worked: after - before, all: began.elapsed(), shortest }
}

for_each_engine! {
    async fn waiting_for_company_takes_no_cpu<E>() {
        // Whoever spins takes all of it, however long the wait. The key shares themselves cost
        // 20 us each, and six times that on a busy machine.
        for (delay, times) in [(1, 100), (10, 25)] {
            let Waits { worked, all, .. } = wait::<E>(Duration::from_millis(delay), times).await;
            assert!(worked * 3 < all, "{worked:?} of {all:?}");
        }
    }

    /// On a busy machine some wait longer, but not all.
    async fn a_short_wait_is_as_short_as_it_is_told_to_be<E>() {
        let delay = Duration::from_micros(300);
        let Waits { shortest, .. } = wait::<E>(delay, 200).await;
        assert!(delay <= shortest && shortest < Duration::from_millis(1), "{shortest:?}");
    }
}
