//! How many operations a signer has at a time, and how many wait.

use crate::support::{
    Conduct, PKI, VERSIONS, assert_serves, client, config, for_each_engine, handshake, load, patient, reason,
    server, until,
};
use rustls_multibuffer::offload::{Error, Policy};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

for_each_engine! {
    async fn a_busy_signer_refuses<E>() {
        let engine = E::start(config());
        let (signer, key) = PKI.p256.key_of(patient().max_in_flight(1).queue(1));
        let (server, client) = (Arc::new(server(&PKI.p256, &key)), client(VERSIONS[1]));
        signer.set(Conduct::Hangs);
        let start = || {
            let (engine, server, client) = (engine.clone(), server.clone(), client.clone());
            tokio::task::spawn_local(async move { handshake(&engine, &server, &client).await })
        };
        let hangs = start();
        until(|| key.stats(), |stats| load(stats) == (1, 0)).await;
        signer.set(Conduct::Signs(Duration::ZERO));
        let waits = start();
        until(|| key.stats(), |stats| load(stats) == (1, 1)).await;
        assert!(matches!(reason(start().await.unwrap().0), Error::Busy));
        assert_eq!((key.stats().signers[0].refused, signer.asked.load(Relaxed)), (1, 1));
        // The place of the one that is given up goes to the one that waits.
        hangs.abort();
        assert_serves(waits.await.unwrap()).await;
        until(|| key.stats(), |stats| load(stats) == (0, 0)).await;
        let of_signer = &key.stats().signers[0];
        assert_eq!((of_signer.signed, of_signer.wasted, of_signer.timeouts), (1, 1, 0));
    }

    async fn nobody_waits_for_a_place_for_ever<E>() {
        let engine = E::start(config());
        let policy = Policy::default().timeout(Duration::from_millis(50)).max_in_flight(1);
        let (signer, key) = PKI.p256.key_of(policy);
        let key = key.with_fallback(PKI.p256.stock_key()).unwrap();
        let (server, client) = (Arc::new(server(&PKI.p256, &key)), client(VERSIONS[1]));
        signer.set(Conduct::Hangs);
        let all = (0..8).map(|_| {
            let (engine, server, client) = (engine.clone(), server.clone(), client.clone());
            tokio::task::spawn_local(async move { handshake(&engine, &server, &client).await })
        });
        for one in all.collect::<Vec<_>>() {
            assert_serves(one.await.unwrap()).await;
        }
        let stats = key.stats();
        let of_signer = &stats.signers[0];
        assert_eq!(stats.fallbacks, 8);
        assert_eq!(of_signer.timeouts + of_signer.refused + of_signer.broken, 8);
        assert_eq!(load(&stats), (0, 0));
    }
}
