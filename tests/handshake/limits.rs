//! The bounds of the configuration.

use crate::pki::{Keys, Setup};
use crate::support::{
    acceptor_and_client, assert_all_returned, bystander, config, connect, echo, for_each_engine, localhost,
    sockets, until,
};
use rustls_multibuffer::handshake::{Op, TlsAcceptor, TlsConnector};
use std::sync::Arc;
use std::time::Duration;

for_each_engine! {
    async fn more_handshakes_than_fibers_wait_in_order<E>() {
        let engine = E::start(config().threads(1).max_parked(3).gather(8));
        let (acceptor, _) = acceptor_and_client(&engine, Setup::MTLS13);
        let connector = TlsConnector::new(engine.clone(), Arc::new(Setup::MTLS13.client(Keys::Ours)));
        let handshakes = (0..40).map(|_| {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            tokio::task::spawn_local(async move {
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
            })
        });
        for handshake in handshakes.collect::<Vec<_>>() {
            handshake.await.unwrap();
        }
        assert_all_returned(&engine).await;
        let stats = engine.stats();
        assert_eq!((stats.succeeded, stats.failed), (80, 0));
        // A fiber runs even while all others are parked: at most that one more than may park.
        assert!(stats.stacks <= 4, "{stats:?}");
        assert!(
            stats.batches.of(Op::RsaSign2048).fills[4..].iter().all(|batches| *batches == 0),
            "{stats:?}"
        );
    }

    async fn more_handshakes_than_may_be_in_flight_wait<E>() {
        let engine = E::start(config().max_in_flight(1));
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::TLS13);
        let (server, _silent) = sockets().await;
        let first = tokio::task::spawn_local(acceptor.accept(server));
        until(&engine, |stats| stats.in_flight == 1).await;
        let second = tokio::task::spawn_local(async move {
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!second.is_finished(), "only one at a time");
        first.abort();
        second.await.unwrap();
        let stats = engine.stats();
        assert_eq!((stats.succeeded, stats.cancelled, stats.in_flight), (1, 1, 0));
    }

    async fn what_finds_the_queue_full_is_done_at_once<E>() {
        let engine =
            E::start(config().threads(1).gather(8).queue_bound(1).poll_delay(Duration::from_secs(3600)));
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::TLS13);
        let first = tokio::task::spawn_local({
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            async move { connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await }
        });
        until(&engine, |stats| stats.live_fibers == 1).await;
        connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
        // A key exchange and a signature.
        assert_eq!(engine.stats().batches.iter().map(|op| op.refused).sum::<u64>(), 2);
        engine.drain().await;
        first.await.unwrap();
        assert_all_returned(&engine).await;
    }

    async fn no_peer_is_blamed_for_a_full_queue<E>() {
        let engine = E::start(config().threads(1).queue_bound(0));
        let _bystander = bystander(&engine).await;
        for setup in Setup::ALL {
            let acceptor = TlsAcceptor::new(engine.clone(), Arc::new(setup.server(Keys::Ours)));
            let connector = TlsConnector::new(engine.clone(), Arc::new(setup.client(Keys::Ours)));
            let (mut server, mut client) =
                connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
            echo(&mut client, &mut server).await;
        }
        assert_eq!((engine.stats().succeeded, engine.stats().runner.in_lanes), (8, 0));
    }
}
