//! Both engines in valgrind's memcheck, while handshakes are cancelled at any point and engines ended under
//! them: no access beyond what is allocated, to what is free, or by the value of what was never written.

use super::{Engine, EngineConfig, HandshakeEngine, LocalEngine, TlsAcceptor, TlsConnector};
use crate::arch::memcheck::{assert_finds_bad_access, errors, is_running, run};
use crate::arch::testing::Random;
use crate::provider::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::duplex;
use tokio::task::LocalSet;

const TEST: &str = "handshake::memcheck::valgrind_sees_no_bad_access";

/// Handshakes of each round, and rounds of each engine.
const AT_ONCE: usize = 6;
const ROUNDS: usize = 6;

/// Runs this very test in valgrind.
#[test]
#[ignore = "needs valgrind"]
fn valgrind_sees_no_bad_access() {
    if !is_running() {
        return run(TEST, &[]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = EngineConfig::default().threads(1).pin(false).break_even(1).handshake_timeout(None);
    LocalSet::new().block_on(&runtime, async {
        let mut random = Random(7);
        let local = || LocalEngine::new(config.clone().gather(2));
        let threaded = || Engine::new(config.clone().gather(2)).expect("a thread");
        let finished = cancel_some(&mut random, local, LocalEngine::shutdown).await
            + cancel_some(&mut random, threaded, Engine::shutdown).await;
        assert!(finished > 0, "some come through");
        // Here whoever parks stays parked until the engine goes.
        let waiting = config.gather(64).poll_delay(Duration::from_secs(3600));
        end_under_parked(LocalEngine::new(waiting.clone()), LocalEngine::shutdown).await;
        end_under_parked(Engine::new(waiting).expect("a thread"), Engine::shutdown).await;
    });
    assert_eq!(errors(), 0, "what memcheck reports");
    assert_finds_bad_access();
}

/// How many handshakes of some rounds came to their end. Of every second round the engine is shut down before
/// all of them are.
async fn cancel_some<E: HandshakeEngine>(
    random: &mut Random,
    engine: impl Fn() -> E,
    end: impl Fn(&E),
) -> usize {
    let (server, client) = configs();
    let mut finished = 0;
    for round in 0..ROUNDS {
        let engine = engine();
        let acceptor = TlsAcceptor::new(engine.clone(), server.clone());
        let connector = TlsConnector::new(engine.clone(), client.clone());
        let handshake = |polls: [usize; 2]| {
            let (near, far) = duplex(1 << 14);
            let name = "localhost".try_into().expect("a name");
            let accept = tokio::task::spawn_local(at_most(polls[0], acceptor.accept(near)));
            let connect = tokio::task::spawn_local(at_most(polls[1], connector.connect(name, far)));
            (accept, connect)
        };
        let mut polls = || [0, 1, 2, 3, 4, 6, 10, 1000][random.word() as usize % 8];
        let running: Vec<_> = (0..AT_ONCE).map(|_| handshake([polls(), polls()])).collect();
        if round % 2 == 1 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            end(&engine);
        }
        for (accept, connect) in running {
            let accepted = accept.await.expect("no panic").is_some_and(|result| result.is_ok());
            let connected = connect.await.expect("no panic").is_some_and(|result| result.is_ok());
            finished += usize::from(accepted && connected);
        }
    }
    finished
}

async fn end_under_parked<E: HandshakeEngine>(engine: E, end: impl Fn(&E)) {
    let (server, client) = configs();
    let acceptor = TlsAcceptor::new(engine.clone(), server);
    let connector = TlsConnector::new(engine.clone(), client);
    let mut running = Vec::new();
    for _ in 0..3 {
        let (near, far) = duplex(1 << 14);
        running.push(tokio::task::spawn_local(fails(acceptor.accept(near))));
        let name = "localhost".try_into().expect("a name");
        running.push(tokio::task::spawn_local(fails(connector.connect(name, far))));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    end(&engine);
    for handshake in running {
        assert!(handshake.await.expect("no panic"), "given up");
    }
}

/// Whether it failed.
async fn fails<T>(handshake: impl Future<Output = std::io::Result<T>>) -> bool {
    handshake.await.is_err()
}

/// The result of `future`, unless it takes more than `polls` polls: then it is dropped.
async fn at_most<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// An identity that is its own authority, for both sides.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).expect("a CA");
    let pair = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let chain: Vec<CertificateDer<'static>> =
        vec![params.signed_by(&pair, &ca).expect("a certificate").der().clone()];
    let key = PrivateKeyDer::try_from(pair.serialize_der()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).expect("a CA");
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone());
    let server = server.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.expect("versions").with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server.with_single_cert(chain, key).expect("an identity")), Arc::new(client))
}
