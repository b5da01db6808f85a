//! When batches leave, seen from outside.

use crate::pki::{Keys, Setup};
use crate::support::{
    PATIENCE, acceptor_and_client, assert_all_returned, assert_serves, bystander, client_hello, config,
    connect, for_each_engine, localhost, run, sockets,
};
use rustls_multibuffer::Tier;
use rustls_multibuffer::handshake::{
    EngineConfig, EngineStats, LocalEngine, Op, OpStats, Reason, TlsAcceptor, TlsConnector,
};
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_rustls::server::TlsStream;

/// One thread, and batches of up to 8 on every machine, however slowly it gets round to them.
fn gathering() -> EngineConfig {
    config().threads(1).gather(8).max_wait(Duration::from_secs(3600))
}

fn rsa2048(stats: &EngineStats) -> OpStats {
    stats.batches.of(Op::RsaSign2048).clone()
}

for_each_engine! {
    async fn concurrent_handshakes_share_batches<E>() {
        let engine = E::start(gathering());
        for setup in [Setup::MTLS13, Setup::MTLS12] {
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            let pairs = (0..64).map(|_| {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                tokio::task::spawn_local(async move {
                    connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
                })
            });
            for pair in pairs.collect::<Vec<_>>() {
                pair.await.unwrap();
            }
        }
        assert_all_returned(&engine).await;
        let stats = rsa2048(&engine.stats());
        assert_eq!(stats.requests(), 2 * 64 * 2, "one signature for each side of each handshake");
        assert!(stats.fills[8] > 0 && stats.mean_fill() > 1.5, "{stats:?}");
        assert_eq!(stats.left(Reason::Full), stats.fills[8]);
        assert_eq!(stats.left(Reason::Full) + stats.left(Reason::Idle), stats.batches());
    }

    async fn a_lone_request_waits_for_nobody<E>() {
        let engine = E::start(gathering());
        assert_serves(&engine).await;
        let stats = rsa2048(&engine.stats());
        assert_eq!((stats.requests(), stats.left(Reason::Idle)), (1, 1));
    }

    async fn an_engine_tells_which_fills_it_has_found_to_be_worth_their_lanes<E>() {
        // The authority's key is known after a few verifications: then one request takes all lanes.
        let op = Op::P256VerifyKnown;
        let has_lanes = Tier::detect() != Tier::Scalar;
        for (config, is_measured) in [(config(), has_lanes), (config().break_even(1), false)] {
            let engine = E::start(config.threads(1));
            let (acceptor, connector) = acceptor_and_client(&engine, Setup::MTLS13);
            for _ in 0..30 {
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
            }
            let stats = engine.stats();
            let found: Vec<_> = stats.break_even.iter().filter(|found| found.op == op).collect();
            assert_eq!(found.len(), usize::from(is_measured), "{:?}", stats.break_even);
            for found in found {
                assert_eq!((found.capacity + 1, found.lanes[0]), (found.lanes.len(), None));
                let (alone, lanes) = (found.scalar, found.lanes[1].unwrap());
                assert_eq!(found.runs_in_lanes(1), lanes * 10 <= alone * 9, "{found}");
                assert!([0, found.capacity + 1].iter().all(|fill| !found.runs_in_lanes(*fill)));
            }
        }
    }

    async fn nothing_waits_longer_than_the_limit_behind_other_work<E>() {
        let engine = E::start(gathering().max_wait(Duration::ZERO));
        let _bystander = bystander(&engine).await;
        assert_serves(&engine).await;
        let stats = rsa2048(&engine.stats());
        assert_eq!((stats.requests(), stats.left(Reason::Deadline)), (1, 1));
    }

    async fn a_handshake_that_nobody_polls_holds_up_no_other<E>() {
        let engine = E::start(gathering().max_wait(Duration::from_millis(30)));
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let bystander = bystander(&engine).await;
        let (server, mut client) = sockets().await;
        client.write_all(&client_hello(Setup::TLS13)).await.unwrap();
        let mut neglected = Box::pin(acceptor.accept(server));
        // Polled until its request is made, and then no more.
        poll_fn(|cx| {
            assert!(neglected.as_mut().poll(cx).is_pending());
            let stats = engine.stats();
            if stats.live_fibers > 0 || rsa2048(&stats).requests() > 0 {
                return Poll::Ready(());
            }
            // It is made on another thread, which wakes nobody for that.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        assert_serves(&engine).await;
        drop(neglected);
        drop(bystander);
        assert_all_returned(&engine).await;
    }

    async fn a_poll_delay_is_waited_for_and_no_longer<E>() {
        for delay in [Duration::from_micros(300), Duration::from_millis(3), Duration::from_millis(40)] {
            let engine = E::start(gathering().poll_delay(delay));
            let began = Instant::now();
            assert_serves(&engine).await;
            assert!(began.elapsed() >= delay);
            let stats = rsa2048(&engine.stats());
            assert_eq!((stats.requests(), stats.left(Reason::Deadline)), (1, 1));
            assert!(stats.waits.max >= delay, "{stats:?}");
            // Generous, because the machine may be busy; a forgotten deadline would hang.
            assert!(stats.waits.max < delay + PATIENCE, "{stats:?}");
        }
    }

    async fn company_ends_a_poll_delay<E>() {
        let engine = E::start(gathering().poll_delay(Duration::from_secs(3600)));
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::TLS13);
        let handshakes = (0..8).map(|_| {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::task::spawn_local(async move {
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
            })
        });
        for handshake in handshakes.collect::<Vec<_>>() {
            handshake.await.unwrap();
        }
        let stats = rsa2048(&engine.stats());
        assert_eq!((stats.fills[8], stats.left(Reason::Full)), (1, 1));
        assert_all_returned(&engine).await;
    }
}

/// A handshake over memory, whose first flight is there, polled once; and the client's end.
async fn polled_once(
    acceptor: &TlsAcceptor<LocalEngine>,
) -> (impl Future<Output = io::Result<TlsStream<DuplexStream>>> + use<>, DuplexStream) {
    let (server, mut client) = tokio::io::duplex(16_384);
    client.write_all(&client_hello(Setup::TLS13)).await.unwrap();
    let mut handshake = Box::pin(acceptor.accept(server));
    poll_fn(|cx| {
        assert!(handshake.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    (handshake, client)
}

#[test]
fn who_is_alone_waits_for_nobody() {
    run(async {
        let engine = LocalEngine::new(config());
        assert_serves(&engine).await;
        let stats = engine.stats();
        let asked: Vec<_> = stats.batches.iter().filter(|op| op.requests() > 0).collect();
        let waited = |op: &&OpStats| op.left(Reason::Idle) < op.requests() || !op.waits.max.is_zero();
        assert!(asked.len() >= 2 && !asked.iter().any(waited), "{stats:?}");
    });
}

#[test]
fn alone_on_a_local_engine_a_handshake_waits_for_no_round_of_the_runtime() {
    run(async {
        let engine = LocalEngine::new(gathering());
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let (_alone, _client) = polled_once(&acceptor).await;
        let stats = engine.stats();
        assert_eq!((stats.live_fibers, stats.in_flight), (0, 1), "one poll answered all its requests");
        assert_eq!((rsa2048(&stats).requests(), rsa2048(&stats).left(Reason::Idle)), (1, 1));
        // Not alone any more: it may be worth while to wait.
        let (_second, _client) = polled_once(&acceptor).await;
        let stats = engine.stats();
        assert_eq!((stats.live_fibers, stats.in_flight, rsa2048(&stats).requests()), (1, 2, 1));
    });
}

#[test]
fn alone_on_a_local_engine_a_handshake_still_waits_for_a_poll_delay() {
    run(async {
        let engine = LocalEngine::new(gathering().poll_delay(Duration::from_secs(3600)));
        let (acceptor, _) = acceptor_and_client(&engine, Setup::TLS13);
        let (_alone, _client) = polled_once(&acceptor).await;
        let stats = engine.stats();
        assert_eq!((stats.live_fibers, stats.batches.iter().map(OpStats::requests).sum()), (1, 0_u64));
    });
}
