//! Peers that come back: their chains are not verified again while that could not change anything.

use crate::ca::{Ca, HOUR, Spec, domain, id, key, material, private};
use crate::clock::TestClock;
use crate::support::{
    CLIENT, HOME, SERVER, connects, engine, home, identity_with, name, reaches, reason, run, sockets,
    stock_client, stock_client_with, stock_server, whole_seconds,
};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls_multibuffer::handshake::{Engine, Op};
use rustls_multibuffer::spiffe::{Acceptor, Authorizer, Connector, Identity, PeerError, Svid};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn acceptor(identity: &Identity) -> Acceptor<Engine> {
    Acceptor::new(engine(1), identity, Authorizer::anybody_verified())
}

fn client(svid: &Svid) -> TlsConnector {
    Arc::new(stock_client(svid)).into()
}

fn server(svid: &Svid) -> TlsAcceptor {
    Arc::new(stock_server(svid)).into()
}

/// How many signatures an engine has verified.
fn verified(engine: &Engine) -> u64 {
    let batches = engine.stats().batches;
    [Op::P256Verify, Op::P256VerifyKnown].map(|op| batches.of(op).requests()).iter().sum()
}

/// A chain with an intermediate certificate, in both roles.
#[test]
fn a_chain_is_verified_once_while_the_bundles_are_the_same() {
    run(async {
        let (ca, identity, handle) = home().await;
        let acceptor = acceptor(&identity);
        let connector = Connector::new(engine(1), &identity, Authorizer::anybody_verified());
        let peer = ca.intermediate(HOME).svid(CLIENT);
        let (client, server) = (client(&peer), server(&peer));
        // The signatures that one handshake verifies in each role: its own, and those of the chain.
        let signatures = async || {
            let before = (verified(acceptor.engine()), verified(connector.engine()));
            assert_eq!(connects(&acceptor, &client).await, Ok(false));
            assert_eq!(reaches(&connector, &server).await, Ok(false));
            let [of_clients, of_servers] =
                [verified(acceptor.engine()) - before.0, verified(connector.engine()) - before.1];
            assert_eq!(of_clients, of_servers);
            of_clients
        };
        assert!(signatures().await >= 3);
        assert_eq!(signatures().await, 1);
        assert_eq!(signatures().await, 1);
        // Our own rotation changes nothing for peers.
        handle.offer(material(ca.svid(SERVER), [(HOME, vec![ca.root()])])).await.unwrap();
        assert_eq!(signatures().await, 1);
        // Other bundles do, even if the peer's authority is in them as before.
        let more = vec![ca.root(), Ca::new(HOME).root()];
        handle.offer(material(ca.svid(SERVER), [(HOME, more)])).await.unwrap();
        assert!(signatures().await >= 3);
        assert_eq!(signatures().await, 1);
    });
}

#[test]
fn a_root_that_is_gone_makes_nobody_welcome() {
    run(async {
        let (old, identity, handle) = home().await;
        let acceptor = acceptor(&identity);
        let client = client(&old.svid(CLIENT));
        assert_eq!(connects(&acceptor, &client).await, Ok(false));
        let new = Ca::new(HOME);
        handle.offer(material(new.svid(SERVER), [(HOME, vec![new.root()])])).await.unwrap();
        assert_eq!(connects(&acceptor, &client).await, Err(PeerError::NotInBundle(domain(HOME))));
    });
}

/// One of a chain's certificates ends after an hour: the leaf, the intermediate or the root.
#[test]
fn no_certificate_outlives_its_validity() {
    let end = whole_seconds(SystemTime::now() + HOUR);
    let late = end + 10 * HOUR;
    let leaf = |not_after| {
        let mut spec = Spec::new(CLIENT);
        spec.not_after = not_after;
        spec
    };
    let always = Ca::until(HOME, late);
    let brief = Ca::until(HOME, end);
    let chains = [
        (always.issue(leaf(end)), "expired"),
        (always.intermediate_until(HOME, end).issue(leaf(late)), "bad_chain"),
        (brief.issue(leaf(late)), "bad_chain"),
    ];
    run(async {
        for (peer, label) in chains {
            let clock = TestClock::new();
            let mut own = Spec::new(SERVER);
            own.not_after = late;
            let own = material(always.issue(own), [(HOME, vec![always.root(), brief.root()])]);
            let (identity, _handle) = identity_with(Identity::builder().clock(clock.clone()), own).await;
            let (acceptor, client) = (acceptor(&identity), client(&peer));
            assert_eq!(connects(&acceptor, &client).await, Ok(false));
            clock.set(end);
            assert_eq!(connects(&acceptor, &client).await, Ok(false), "the last second");
            clock.set(end + Duration::from_secs(1));
            let refused = connects(&acceptor, &client).await.unwrap_err();
            assert_eq!(refused.as_label(), label, "{refused}");
        }
    });
}

#[test]
fn a_clock_before_the_verification_asks_again() {
    run(async {
        let (clock, ca) = (TestClock::new(), Ca::new(HOME));
        let now = SystemTime::now();
        let own = material(ca.svid(SERVER), [(HOME, vec![ca.root()])]);
        let (identity, _handle) = identity_with(Identity::builder().clock(clock.clone()), own).await;
        let mut peer = Spec::new(CLIENT);
        peer.not_before = whole_seconds(now - HOUR / 4);
        let early = PeerError::NotYetValid { not_before: peer.not_before };
        let (acceptor, client) = (acceptor(&identity), client(&ca.issue(peer)));
        assert_eq!(connects(&acceptor, &client).await, Ok(false));
        clock.set(now - HOUR / 2);
        assert_eq!(connects(&acceptor, &client).await, Err(early));
    });
}

#[test]
fn what_is_verified_for_a_client_is_not_for_a_server() {
    run(async {
        let (ca, identity, _handle) = home().await;
        let mut peer = Spec::new(CLIENT);
        peer.purposes = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let peer = ca.issue(peer);
        assert_eq!(connects(&acceptor(&identity), &client(&peer)).await, Ok(false));
        let connector = Connector::new(engine(1), &identity, Authorizer::anybody_verified());
        assert_eq!(reaches(&connector, &server(&peer)).await, Err(PeerError::ExtendedKeyUsage));
    });
}

#[test]
fn authorizers_are_asked_each_time() {
    run(async {
        let (ca, identity, _handle) = home().await;
        let open = Arc::new(AtomicBool::new(true));
        let asked = open.clone();
        let authorizer = Authorizer::custom(move |_| asked.load(Ordering::SeqCst));
        let acceptor = Acceptor::new(engine(1), &identity, authorizer);
        let client = client(&ca.svid(CLIENT));
        assert_eq!(connects(&acceptor, &client).await, Ok(false));
        open.store(false, Ordering::SeqCst);
        assert_eq!(connects(&acceptor, &client).await, Err(PeerError::NotAuthorized(id(CLIENT))));
        open.store(true, Ordering::SeqCst);
        assert_eq!(connects(&acceptor, &client).await, Ok(false));
    });
}

/// Presents these certificates with this key, whether they fit or not.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn presents(svid: &Svid) -> TlsConnector {
    let key = any_supported_type(svid.key.expose()).unwrap();
    let mut config = stock_client_with(None, rustls::DEFAULT_VERSIONS);
    config.client_auth_cert_resolver =
        Arc::new(Presents(Arc::new(CertifiedKey::new(svid.chain.clone(), key))));
    Arc::new(config).into()
}

/// After `known` was let in, `other` is refused: the error.
fn refusal(known: impl FnOnce(&Ca) -> Svid, other: impl FnOnce(&Svid) -> Svid) -> std::io::Error {
    run(async {
        let (ca, identity, _handle) = home().await;
        let acceptor = acceptor(&identity);
        let known = known(&ca);
        for _ in 0..2 {
            assert_eq!(connects(&acceptor, &presents(&known)).await, Ok(false));
        }
        let (here, there) = sockets();
        let client = presents(&other(&known));
        let (accepted, _) = tokio::join!(acceptor.accept(here), client.connect(name(), there));
        accepted.expect_err("another peer")
    })
}

#[test]
fn a_known_chain_does_not_stand_for_its_key() {
    let thief = |known: &Svid| Svid { chain: known.chain.clone(), key: private(&key()) };
    let error = refusal(|ca| ca.svid(CLIENT), thief).to_string();
    assert!(error.contains("BadSignature"), "{error}");
}

/// Any bit may differ, those that tell a leaf's place among the known ones excepted.
#[test]
fn a_chain_that_differs_in_a_bit_is_another() {
    let chains: [fn(&mut Vec<CertificateDer<'static>>); 3] = [
        |chain| chain[0] = with_another_bit(&chain[0]),
        |chain| chain[1] = with_another_bit(&chain[1]),
        |chain| chain.truncate(1),
    ];
    for change in chains {
        let other = |known: &Svid| {
            let mut other = known.clone();
            change(&mut other.chain);
            other
        };
        let error = refusal(|ca| ca.intermediate(HOME).svid(CLIENT), other);
        assert_eq!(reason(&error), PeerError::NotInBundle(domain(HOME)));
    }
}

/// One bit of the certificate's signature.
fn with_another_bit(certificate: &[u8]) -> CertificateDer<'static> {
    let mut der = certificate.to_vec();
    let at = der.len() - 9;
    der[at] ^= 1;
    der.into()
}
