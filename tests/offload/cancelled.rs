//! Handshakes that are given up while somebody is asked.

use crate::support::{
    Conduct, PKI, TestSigner, VERSIONS, assert_serves, client, config, for_each_engine, handshake, load,
    patient, server, until,
};
use rustls::SignatureScheme;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls_multibuffer::offload::{BoxError, BoxFuture, BreakerState, Key, Signer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Gives the work to a task, as does whoever has a connection of its own. The task goes on by itself.
struct Detached {
    signer: Arc<TestSigner>,
    answer: Arc<Notify>,
    has_answered: Arc<Notify>,
}

impl Signer for Detached {
    fn public_key(&self) -> SubjectPublicKeyInfoDer<'_> {
        self.signer.public_key()
    }

    fn sign<'a>(
        &'a self,
        scheme: SignatureScheme,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, BoxError>> {
        let (tell, told) = oneshot::channel();
        let (signer, answer, has_answered) =
            (self.signer.clone(), self.answer.clone(), self.has_answered.clone());
        let message = message.to_vec();
        tokio::spawn(async move {
            answer.notified().await;
            let signature = signer.sign(scheme, &message).await;
            drop(tell.send(signature));
            has_answered.notify_one();
        });
        Box::pin(async { told.await? })
    }
}

for_each_engine! {
    async fn an_answer_that_comes_too_late_is_dropped<E>() {
        let engine = E::start(config());
        let (answer, has_answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let signer = TestSigner::new(&PKI.p256);
        let detached = Detached { signer, answer: answer.clone(), has_answered: has_answered.clone() };
        let key = Key::new(detached, patient()).unwrap();
        let (server, client) = (Arc::new(server(&PKI.p256, &key)), client(VERSIONS[1]));
        let given_up = {
            let (engine, server, client) = (engine.clone(), server.clone(), client.clone());
            tokio::task::spawn_local(async move { handshake(&engine, &server, &client).await })
        };
        until(|| key.stats(), |stats| load(stats) == (1, 0)).await;
        given_up.abort();
        until(|| key.stats(), |stats| load(stats) == (0, 0)).await;
        answer.notify_one();
        has_answered.notified().await;
        let of_signer = &key.stats().signers[0];
        assert_eq!((of_signer.wasted, of_signer.signed, of_signer.errors), (1, 0, 0));
        answer.notify_one();
        assert_serves(handshake(&engine, &server, &client).await).await;
        assert_eq!((key.stats().signers[0].signed, key.stats().failed), (1, 0));
    }

    async fn a_thousand_leave_nothing<E>() {
        let engine = E::start(config().max_parked(1000));
        let (signer, key) = PKI.p256.key_of(patient().max_in_flight(600).queue(400));
        let (server, client) = (Arc::new(server(&PKI.p256, &key)), client(VERSIONS[1]));
        signer.set(Conduct::Hangs);
        let all = (0..1000).map(|_| {
            let (engine, server, client) = (engine.clone(), server.clone(), client.clone());
            tokio::task::spawn_local(async move { handshake(&engine, &server, &client).await })
        });
        let all: Vec<_> = all.collect();
        until(|| key.stats(), |stats| load(stats) == (600, 400)).await;
        all.iter().for_each(|one| one.abort());
        until(|| key.stats(), |stats| load(stats) == (0, 0)).await;
        until(|| engine.stats(), |stats| (stats.in_flight, stats.live_fibers) == (0, 0)).await;
        let stats = key.stats();
        let of_signer = &stats.signers[0];
        // A place that becomes free goes to one that waits, which may not be given up before it has asked.
        assert!((600..=1000).contains(&of_signer.wasted), "{stats:?}");
        assert_eq!((of_signer.timeouts, of_signer.refused, stats.failed), (0, 0, 0));
        assert_eq!(of_signer.breaker, BreakerState::Closed);
        signer.set(Conduct::Signs(Duration::ZERO));
        assert_serves(handshake(&engine, &server, &client).await).await;
    }

    async fn a_probe_that_is_given_up_is_tried_again<E>() {
        let engine = E::start(config());
        let policy = patient().breaker_failures(1).breaker_pause(Duration::ZERO);
        let (signer, key) = PKI.p256.key_of(policy);
        let (server, client) = (Arc::new(server(&PKI.p256, &key)), client(VERSIONS[1]));
        signer.set(Conduct::Fails);
        handshake(&engine, &server, &client).await.0.unwrap_err();
        assert_eq!(key.stats().signers[0].breaker, BreakerState::HalfOpen);
        signer.set(Conduct::Hangs);
        let probe = {
            let (engine, server, client) = (engine.clone(), server.clone(), client.clone());
            tokio::task::spawn_local(async move { handshake(&engine, &server, &client).await })
        };
        until(|| key.stats(), |stats| load(stats) == (1, 0)).await;
        handshake(&engine, &server, &client).await.0.unwrap_err();
        assert_eq!(key.stats().signers[0].broken, 1);
        probe.abort();
        until(|| key.stats(), |stats| load(stats) == (0, 0)).await;
        signer.set(Conduct::Signs(Duration::ZERO));
        assert_serves(handshake(&engine, &server, &client).await).await;
        assert_eq!(key.stats().signers[0].breaker, BreakerState::Closed);
    }
}
