//! Which thread of an engine a handshake goes to.

use crate::pki::Setup;
use crate::support::{
    acceptor_and_client, assert_all_returned, config, connect, localhost, run, sockets, until,
};
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls_multibuffer::TierKind;
use rustls_multibuffer::handshake::{Engine, EngineConfig};
use rustls_multibuffer::provider::default_provider;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Of two threads.
const FIRST: &str = "tls-batch-0";

/// So long a delay is none.
const FOREVER: Duration = Duration::from_secs(3600);

/// A key for RSA signatures, which gain much from company.
fn rsa_key() -> Arc<dyn SigningKey> {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    default_provider().key_provider.load_private_key(key).unwrap()
}

/// Signs on one of the engine's threads; which one.
fn sign(engine: &Engine, key: &Arc<dyn SigningKey>) -> impl Future<Output = String> + use<> {
    let key = key.clone();
    let signed = engine.run(async move {
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).unwrap();
        signer.sign(b"message").unwrap();
        std::thread::current().name().unwrap().to_owned()
    });
    async { signed.await.unwrap() }
}

/// An engine that has seen what RSA signatures cost, and its key; `None` where there are no lanes to share.
async fn experienced(config: EngineConfig) -> Option<(Engine, Arc<dyn SigningKey>)> {
    let (engine, key) = (Engine::new(config).unwrap(), rsa_key());
    if engine.tier().kind() == TierKind::Scalar {
        let required = std::env::var("REQUIRE_TIERS").unwrap_or_default();
        assert!(matches!(&*required, "" | "scalar"), "there are no lanes");
        println!("not run: there are no lanes, and handshakes are spread");
        return None;
    }
    // Until some were measured, they are spread.
    for _ in 0..8 {
        futures([sign(&engine, &key), sign(&engine, &key)]).await;
    }
    Some((engine, key))
}

/// The same, as soon as it puts three signatures on one thread. Measurements that were disturbed may say for
/// a while that company is worth nothing.
async fn packing(config: EngineConfig) -> Option<(Engine, Arc<dyn SigningKey>)> {
    let (engine, key) = experienced(config).await?;
    for _ in 0..100 {
        if threads(&engine, &key, 3).await.into_iter().eq([FIRST]) {
            return Some((engine, key));
        }
    }
    panic!("the engine spreads signatures that gain from company: {:?}", engine.stats().break_even);
}

/// The outputs of futures that run at the same time.
async fn futures<F: Future<Output = String> + 'static>(all: impl IntoIterator<Item = F>) -> Vec<String> {
    let tasks: Vec<_> = all.into_iter().map(tokio::task::spawn_local).collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.unwrap());
    }
    outputs
}

/// The threads that so many signatures at a time are made on.
async fn threads(engine: &Engine, key: &Arc<dyn SigningKey>, signatures: usize) -> BTreeSet<String> {
    futures((0..signatures).map(|_| sign(engine, key))).await.into_iter().collect()
}

#[test]
fn within_the_budget_the_first_thread_has_all_and_beyond_it_both_work() {
    run(async {
        let Some((engine, key)) = packing(config().latency_budget(FOREVER)).await else { return };
        let used = threads(&engine, &key, 20).await;
        assert_eq!(used.into_iter().collect::<Vec<_>>(), [FIRST]);
        let Some((engine, key)) = experienced(config().latency_budget(Duration::from_nanos(1))).await else {
            return;
        };
        assert_eq!(threads(&engine, &key, 20).await.len(), 2);
        let (engine, key) = (Engine::new(config().latency_budget(Duration::ZERO)).unwrap(), rsa_key());
        assert_eq!(threads(&engine, &key, 20).await.len(), 2);
    });
}

#[test]
fn a_thread_that_is_held_up_is_passed_over() {
    run(async {
        let budget = Duration::from_millis(20);
        let Some((engine, key)) = packing(config().latency_budget(budget)).await else { return };
        let (release, released) = std::sync::mpsc::channel::<()>();
        let held = tokio::task::spawn_local(engine.run(async move {
            let name = std::thread::current().name().unwrap().to_owned();
            let _released = released.recv();
            name
        }));
        // The longer it takes, the surer.
        tokio::time::sleep(budget * 4).await;
        let used = threads(&engine, &key, 5).await;
        drop(release);
        assert!(!used.contains(&held.await.unwrap().unwrap()), "{used:?}");
    });
}

#[test]
fn what_was_cancelled_is_in_nobody_s_way() {
    run(async {
        // A thousand signatures take longer, if they are expected.
        let budget = Duration::from_millis(300);
        let Some((engine, key)) = packing(config().latency_budget(budget)).await else { return };
        let (acceptor, connector) = acceptor_and_client(&engine, Setup::TLS13);
        for round in 0..3 {
            let never_polled: Vec<_> = (0..4000).map(|_| sign(&engine, &key)).collect();
            let mut pending = Vec::new();
            for _ in 0..5 {
                let (server, client) = sockets().await;
                pending.push((tokio::task::spawn_local(acceptor.accept(server)), client));
            }
            until(&engine, |stats| stats.in_flight == 5).await;
            drop(never_polled);
            for (task, _) in &pending {
                task.abort();
            }
            assert_all_returned(&engine).await;
            connect(|io| acceptor.accept(io), |io| connector.connect(localhost(), io)).await;
            assert_eq!(sign(&engine, &key).await, FIRST, "round {round}");
        }
        engine.drain().await;
        assert_eq!(engine.stats().in_flight, 0);
    });
}
