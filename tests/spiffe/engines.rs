//! Both kinds of engine, and what a handshake asks of them.

use crate::ca::{Ca, id, material};
use crate::support::{CLIENT, HOME, SERVER, echo_as_client, echo_as_server, identity, name, sockets};
use rustls_multibuffer::handshake::{Engine, EngineConfig, EngineStats, HandshakeEngine, LocalEngine, Op};
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Connector};
use tokio::task::LocalSet;

const AT_ONCE: u64 = 8;

/// Several mTLS handshakes at once.
async fn handshakes<E: HandshakeEngine>(engine: E) {
    let ca = Ca::new(HOME);
    let (server, _server) = identity(material(ca.svid(SERVER), [(HOME, vec![ca.root()])])).await;
    let (client, _client) = identity(material(ca.svid(CLIENT), [(HOME, vec![ca.root()])])).await;
    let acceptor = Acceptor::new(engine.clone(), &server, Authorizer::exactly(id(CLIENT)));
    let connector = Connector::new(engine, &client, Authorizer::exactly(id(SERVER)));
    let (here, there) = sockets();
    let sizes = [size_of_val(&acceptor.accept(here)), size_of_val(&connector.connect(name(), there))];
    assert!(sizes.iter().all(|size| *size <= 2560), "futures are copied by whoever spawns them: {sizes:?}");
    let mut tasks = Vec::new();
    for _ in 0..AT_ONCE {
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let (here, there) = sockets();
            let server = async { echo_as_server(acceptor.accept(here).await.unwrap().0).await.unwrap() };
            let client =
                async { echo_as_client(connector.connect(name(), there).await.unwrap().0).await.unwrap() };
            tokio::join!(server, client);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Each side signs once, and verifies a signature, and a certificate unless it was verified before: all of it
/// in the engine's queues.
fn assert_batched(stats: &EngineStats) {
    let requests = |op| stats.batches.of(op).requests();
    assert_eq!(requests(Op::P256Sign), 2 * AT_ONCE);
    let verified = requests(Op::P256Verify) + requests(Op::P256VerifyKnown);
    assert!((2 * AT_ONCE + 2..=4 * AT_ONCE).contains(&verified), "{verified}");
    assert_eq!((stats.succeeded, stats.failed), (2 * AT_ONCE, 0));
    // Reading certificates on fibers must leave room on their stacks.
    assert!(stats.deepest_stack < 64 * 1024, "{}", stats.deepest_stack);
}

#[test]
fn every_public_key_operation_is_queued_on_engine() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let engine = Engine::new(EngineConfig::default().threads(1).pin(false)).unwrap();
        handshakes(engine.clone()).await;
        assert_batched(&engine.stats());
    });
}

#[test]
fn every_public_key_operation_is_queued_on_local_engine() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let engine = LocalEngine::new(EngineConfig::default());
        handshakes(engine.clone()).await;
        assert_batched(&engine.stats());
    });
}
