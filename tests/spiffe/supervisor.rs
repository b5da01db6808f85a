//! Sources that fail, stay silent, or deliver garbage.

use crate::ca::{Ca, material};
use crate::support::{HOME, SERVER, run, until};
use rustls_multibuffer::spiffe::{
    Identity, Material, Offered, Refusal, Source, SourceError, Unavailable, Updates, Withdrawal,
};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// What a source does in one run.
enum Run {
    DeliverAndFail(Box<Material>),
    Fail,
    Panic,
    Garbage,
    Withdraw,
    Reject,
    Final,
    Silence,
    /// Nobody answers for so long.
    Unanswered(Duration),
}

/// Does one thing after the other, and is silent then.
struct Script {
    runs: VecDeque<Run>,
    begun: Arc<AtomicUsize>,
}

impl Source for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn run<'a>(&'a mut self, updates: &'a Updates) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>> {
        self.begun.fetch_add(1, SeqCst);
        Box::pin(async {
            let lost = || SourceError::Lost("the script says so".into());
            match self.runs.pop_front().unwrap_or(Run::Silence) {
                Run::DeliverAndFail(material) => {
                    updates.offer(*material).unwrap();
                    lost()
                }
                Run::Fail => lost(),
                Run::Panic => panic!("the script says so"),
                Run::Garbage => {
                    updates.refuse(Refusal::Malformed("no protobuf".to_owned()));
                    lost()
                }
                Run::Withdraw => {
                    updates.withdraw(Withdrawal::Denied("revoked".to_owned()));
                    lost()
                }
                Run::Reject => SourceError::Rejected("the script says so".into()),
                Run::Final => SourceError::Final("the script says so".into()),
                Run::Unanswered(patience) => {
                    tokio::time::sleep(patience).await;
                    lost()
                }
                Run::Silence => {
                    updates.connected();
                    std::future::pending().await
                }
            }
        })
    }
}

/// An identity by the script, and the count of runs begun.
fn start(runs: impl Into<VecDeque<Run>>) -> (Identity, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let builder = Identity::builder().backoff(Duration::from_millis(10), Duration::from_millis(40));
    (builder.start(Script { runs: runs.into(), begun: begun.clone() }), begun)
}

fn update(ca: &Ca) -> Box<Material> {
    material(ca.svid(SERVER), [(HOME, vec![ca.root()])]).into()
}

#[test]
fn the_last_good_identity_outlives_failures_panics_and_garbage() {
    run(async {
        let ca = Ca::new(HOME);
        let runs = [
            Run::Fail,
            Run::DeliverAndFail(update(&ca)),
            Run::Fail,
            Run::Panic,
            Run::Garbage,
            Run::Panic,
            Run::DeliverAndFail(update(&ca)),
        ];
        let (identity, begun) = start(runs);
        assert_eq!(identity.current().unwrap_err(), Unavailable::NotYet);
        let first = identity.ready().await;
        until(|| identity.health().refused == 1).await;
        assert_eq!(identity.current().unwrap().generation(), first.generation());
        until(|| begun.load(SeqCst) == 8).await;
        until(|| identity.health().connected).await;
        let health = identity.health();
        assert_eq!((health.generation, health.accepted, &health.source_error), (2, 2, &None));
        assert!(health.is_good());
    });
}

#[test]
fn a_silent_source_takes_nothing_away() {
    run(async {
        let (identity, begun) = start([]);
        until(|| identity.health().connected).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(identity.current().unwrap_err(), Unavailable::NotYet);
        assert_eq!(begun.load(SeqCst), 1);
    });
}

#[test]
fn a_final_error_ends_the_source_but_not_the_identity() {
    run(async {
        let ca = Ca::new(HOME);
        let (identity, begun) = start([Run::DeliverAndFail(update(&ca)), Run::Final]);
        until(|| begun.load(SeqCst) == 2).await;
        until(|| identity.health().source_error.is_some_and(|why| why.starts_with("ended"))).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(begun.load(SeqCst), 2);
        assert_eq!(identity.current().unwrap().generation(), 1);
    });
}

#[test]
fn a_source_that_rejects_our_request_is_asked_rarely_and_for_ever() {
    run(async {
        let ca = Ca::new(HOME);
        let script = [Run::DeliverAndFail(update(&ca)), Run::Reject, Run::Reject, Run::Reject];
        let begun = Arc::new(AtomicUsize::new(0));
        let script = Script { runs: script.into(), begun: begun.clone() };
        let builder = Identity::builder().backoff(Duration::from_millis(1), Duration::from_millis(1));
        let rarely = Duration::from_millis(400);
        let identity = builder.rejected_backoff(rarely, 2 * rarely).start(script);
        until(|| begun.load(SeqCst) == 2).await;
        let first = Instant::now();
        until(|| identity.health().source_rejects).await;
        assert!(!identity.health().is_good());
        assert_eq!(identity.acceptable(), Ok(()), "what it has lasts");
        until(|| begun.load(SeqCst) == 5).await;
        // At least half of each wait: jitter takes the rest.
        assert!(first.elapsed() >= (rarely + 4 * rarely) / 2);
        until(|| identity.health().is_good()).await;
    });
}

#[test]
fn a_withdrawal_outlives_the_loss_of_the_source() {
    run(async {
        let ca = Ca::new(HOME);
        let (identity, begun) = start([Run::DeliverAndFail(update(&ca)), Run::Withdraw, Run::Fail]);
        until(|| begun.load(SeqCst) == 4).await;
        assert!(matches!(identity.current(), Err(Unavailable::Withdrawn(_))));
    });
}

#[test]
fn a_source_that_always_fails_is_tried_with_growing_pauses() {
    run(async {
        let runs: Vec<_> = (0..1000).map(|_| Run::Fail).collect();
        let began = Instant::now();
        let (identity, begun) = start(runs);
        until(|| begun.load(SeqCst) >= 12).await;
        // 10, 20, then 40 ms each, of which jitter takes at most half.
        assert!(began.elapsed() >= Duration::from_millis(5 + 10 + 9 * 20), "{:?}", began.elapsed());
        assert!(!identity.health().connected);
    });
}

#[test]
fn a_server_that_never_answers_is_tried_with_growing_pauses() {
    run(async {
        // Longer than the longest pause.
        let patience = Duration::from_millis(50);
        let runs: Vec<_> = (0..1000).map(|_| Run::Unanswered(patience)).collect();
        let began = Instant::now();
        let (_identity, begun) = start(runs);
        until(|| begun.load(SeqCst) >= 12).await;
        let pauses = began.elapsed() - 11 * patience;
        assert!(pauses >= Duration::from_millis(5 + 10 + 9 * 20), "{pauses:?}");
    });
}

#[test]
fn the_source_ends_with_the_last_handle() {
    run(async {
        struct Watched {
            _alive: Arc<()>,
            material: Box<Material>,
        }
        impl Source for Watched {
            fn name(&self) -> &'static str {
                "watched"
            }
            fn run<'a>(
                &'a mut self,
                updates: &'a Updates,
            ) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>> {
                assert_eq!(updates.offer((*self.material).clone()), Ok(Offered::Published(1)));
                Box::pin(std::future::pending())
            }
        }
        let (alive, ca) = (Arc::new(()), Ca::new(HOME));
        let identity = Identity::start(Watched { _alive: alive.clone(), material: update(&ca) });
        identity.ready().await;
        let clone = identity.clone();
        drop(identity);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(clone);
        until(|| Arc::strong_count(&alive) == 1).await;
    });
}

#[test]
fn keys_are_never_printed() {
    let ca = Ca::new(HOME);
    let material = update(&ca);
    let der = material.svid.key.expose().secret_der().to_vec();
    let printed = format!("{material:?} {:?} {:?}", material.svid, material.svid.key);
    let leaks = |text: &str| der.windows(8).any(|window| text.contains(&format!("{window:?}")[1..20]));
    assert!(!leaks(&printed));
    assert!(leaks(&format!("{der:?}")), "the check finds a leak");
}
