//! Peers that must be refused, each for its own reason, whether they are clients or servers.

use crate::ca::{Ca, HOUR, Spec, domain, id, material};
use crate::clock::TestClock;
use crate::support::{
    CLIENT, HOME, SERVER, connects, echo_as_client, echo_as_server, engine, home, identity, identity_with,
    name, peer_error, run, sockets, stock_client, stock_client_with, stock_server, whole_seconds,
};
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Clock, Connector, Identity, LeafError, PeerError, Svid, TlsOptions,
};
use std::sync::Arc;
use std::time::SystemTime;
use tokio_rustls::TlsConnector;

/// Presents `svid` to an identity that knows the roots of home and away, as a client and as a server. The
/// reason must be the same.
async fn reason(identity: &Identity, authorizer: Authorizer, svid: &Svid) -> PeerError {
    let engine = engine(1);
    let acceptor = Acceptor::new(engine.clone(), identity, authorizer.clone());
    let (here, there) = sockets();
    let stock: TlsConnector = Arc::new(stock_client(svid)).into();
    let client = async {
        // The client learns of its refusal when it wants to read.
        echo_as_client(stock.connect(name(), there).await?).await
    };
    let (accepted, connected) = tokio::join!(acceptor.accept(here), client);
    let as_client = peer_error(accepted);
    connected.expect_err("a refused client has no connection");

    let connector = Connector::new(engine, identity, authorizer);
    let (here, there) = sockets();
    let stock: tokio_rustls::TlsAcceptor = Arc::new(stock_server(svid)).into();
    let (connected, accepted) = tokio::join!(connector.connect(name(), here), stock.accept(there));
    let as_server = peer_error(connected);
    assert_eq!(as_client, as_server);
    accepted.expect_err("a refused server has no connection");
    as_client
}

/// The reason why an identity of home refuses the SVID that its own authority issues by `spec`.
fn reason_for(change: impl FnOnce(&mut Spec)) -> PeerError {
    run(async {
        let (ca, identity, _handle) = home().await;
        let mut spec = Spec::new(CLIENT);
        change(&mut spec);
        reason(&identity, Authorizer::anybody_verified(), &ca.issue(spec)).await
    })
}

#[track_caller]
fn assert_label(reason: &PeerError, label: &str) {
    assert_eq!(reason.as_label(), label, "{reason}");
}

#[test]
fn a_good_peer_is_let_in() {
    run(async {
        let (ca, identity, _handle) = home().await;
        let svid = ca.intermediate(HOME).svid(CLIENT);
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::exactly(id(CLIENT)));
        let (here, there) = sockets();
        let stock: TlsConnector = Arc::new(stock_client(&svid)).into();
        let server = async {
            let (stream, connection) = acceptor.accept(here).await.unwrap();
            assert_eq!(connection.peer_id(), &id(CLIENT));
            assert_eq!(connection.generation(), 1);
            echo_as_server(stream).await.unwrap();
        };
        let client = async { echo_as_client(stock.connect(name(), there).await.unwrap()).await.unwrap() };
        tokio::join!(server, client);
    });
}

#[test]
fn no_san() {
    let reason = reason_for(|spec| spec.uris.clear());
    assert_eq!(reason, LeafError::NoSpiffeId.into());
    assert_label(&reason, "no_spiffe_id");
}

#[test]
fn two_uri_sans() {
    let reason = reason_for(|spec| spec.uris.push("https://home.test/".to_owned()));
    assert_eq!(reason, LeafError::SeveralUris.into());
    assert_label(&reason, "several_uris");
}

#[test]
fn a_uri_that_is_no_spiffe_id() {
    for bad in
        ["https://home.test/client", "spiffe://home.test", "spiffe://home.test/a//b", "spiffe:///client"]
    {
        let reason = reason_for(|spec| spec.uris = vec![bad.to_owned()]);
        assert!(matches!(reason, PeerError::Leaf(LeafError::InvalidSpiffeId(_))), "{bad}: {reason:?}");
        assert_label(&reason, "invalid_spiffe_id");
    }
}

#[test]
fn ca_leaf() {
    let reason = reason_for(|spec| spec.is_ca = true);
    assert_eq!(reason, LeafError::Ca.into());
    assert_label(&reason, "ca_leaf");
}

#[test]
fn missing_key_usage() {
    let reason = reason_for(|spec| spec.key_usages.clear());
    assert_eq!(reason, LeafError::KeyUsage("is absent").into());
    assert_label(&reason, "key_usage");
}

#[test]
fn wrong_key_usage() {
    let only = |usages: &[KeyUsagePurpose]| reason_for(|spec| spec.key_usages = usages.to_vec());
    let signs = KeyUsagePurpose::DigitalSignature;
    assert_eq!(only(&[KeyUsagePurpose::KeyAgreement]), LeafError::KeyUsage("lacks digitalSignature").into());
    assert_eq!(only(&[signs, KeyUsagePurpose::KeyCertSign]), LeafError::KeyUsage("has keyCertSign").into());
    assert_eq!(only(&[signs, KeyUsagePurpose::CrlSign]), LeafError::KeyUsage("has cRLSign").into());
}

#[test]
fn wrong_extended_key_usage() {
    let reason = reason_for(|spec| spec.purposes = vec![ExtendedKeyUsagePurpose::CodeSigning]);
    assert_eq!(reason, PeerError::ExtendedKeyUsage);
    assert_label(&reason, "extended_key_usage");
}

#[test]
fn expired() {
    let not_after = whole_seconds(SystemTime::now() - HOUR / 2);
    let reason = reason_for(|spec| spec.not_after = not_after);
    assert_eq!(reason, PeerError::Expired { not_after });
    assert_label(&reason, "expired");
}

#[test]
fn not_yet_valid() {
    let not_before = whole_seconds(SystemTime::now() + HOUR / 2);
    let reason = reason_for(|spec| spec.not_before = not_before);
    assert_eq!(reason, PeerError::NotYetValid { not_before });
    assert_label(&reason, "not_yet_valid");
}

#[test]
fn wrong_trust_domain() {
    run(async {
        let (_ca, identity, _handle) = home().await;
        let stranger = Ca::new("strange.test").svid("spiffe://strange.test/client");
        let reason = reason(&identity, Authorizer::anybody_verified(), &stranger).await;
        assert_eq!(reason, PeerError::UnknownTrustDomain(domain("strange.test")));
        assert_label(&reason, "unknown_trust_domain");
    });
}

#[test]
fn not_in_bundle() {
    run(async {
        let (_ca, identity, _handle) = home().await;
        let impostor = Ca::new(HOME).svid(CLIENT);
        let reason = reason(&identity, Authorizer::anybody_verified(), &impostor).await;
        assert_eq!(reason, PeerError::NotInBundle(domain(HOME)));
        assert_label(&reason, "not_in_bundle");
    });
}

#[test]
fn wrong_id() {
    run(async {
        let (ca, identity, _handle) = home().await;
        let reason = reason(&identity, Authorizer::exactly(id(SERVER)), &ca.svid(CLIENT)).await;
        assert_eq!(reason, PeerError::NotAuthorized(id(CLIENT)));
        assert_label(&reason, "not_authorized");
    });
}

/// Home's server, which federates with away.
async fn federated() -> (Ca, Ca, Identity, rustls_multibuffer::spiffe::MemoryHandle) {
    let (home, away) = (Ca::new(HOME), Ca::new("away.test"));
    let bundles = [(HOME, vec![home.root()]), ("away.test", vec![away.root()])];
    let (identity, handle) = identity(material(home.svid(SERVER), bundles)).await;
    (home, away, identity, handle)
}

#[test]
fn intermediate_of_a_foreign_domain() {
    run(async {
        let (home, away, identity, _handle) = federated().await;
        let foreign = PeerError::ForeignAuthority { domain: domain(HOME), authority: domain("away.test") };
        // Made by the other domain's authority, which may speak for its own domain only.
        let anybody = Authorizer::anybody_verified;
        for svid in [
            away.svid(CLIENT),
            away.intermediate(HOME).svid(CLIENT),
            away.intermediate("away.test").svid(CLIENT),
        ] {
            let reason = reason(&identity, anybody(), &svid).await;
            assert_eq!(reason, foreign);
            assert_label(&reason, "foreign_authority");
        }
        // Made below our own root by an authority that belongs to another domain.
        let lent = home.intermediate("away.test").svid(CLIENT);
        assert_eq!(reason(&identity, anybody(), &lent).await, foreign);
    });
}

#[test]
fn federated_peers_are_verified_with_their_own_bundle() {
    run(async {
        let (_home, away, identity, _handle) = federated().await;
        let id = id("spiffe://away.test/client");
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::trust_domain(domain("away.test")));
        let (here, there) = sockets();
        let stock: TlsConnector = Arc::new(stock_client(&away.svid(&id.to_string()))).into();
        let (accepted, connected) = tokio::join!(acceptor.accept(here), stock.connect(name(), there));
        connected.unwrap();
        assert_eq!(accepted.unwrap().1.peer_id(), &id);
    });
}

#[test]
fn bundle_removed_refuses_new_handshakes_at_once() {
    run(async {
        let (home, away, identity, handle) = federated().await;
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let stock: TlsConnector = Arc::new(stock_client(&away.svid("spiffe://away.test/client"))).into();
        assert_eq!(connects(&acceptor, &stock).await, Ok(false));

        handle.offer(material(home.svid(SERVER), [(HOME, vec![home.root()])])).await.unwrap();
        let reason = connects(&acceptor, &stock).await.unwrap_err();
        assert_eq!(reason, PeerError::BundleRemoved(domain("away.test")));
        assert_label(&reason, "bundle_removed");
        // It is remembered over further generations, until the bundle is back.
        handle.offer(material(home.svid(SERVER), [(HOME, vec![home.root()])])).await.unwrap();
        assert_eq!(connects(&acceptor, &stock).await, Err(reason));
        let both = [(HOME, vec![home.root()]), ("away.test", vec![away.root()])];
        handle.offer(material(home.svid(SERVER), both)).await.unwrap();
        assert_eq!(connects(&acceptor, &stock).await, Ok(false));
    });
}

/// Whether the second of two handshakes between these is a resumption.
async fn resumes(client: &TlsConnector, server: &tokio_rustls::TlsAcceptor) -> bool {
    let mut is_resumed = false;
    for _ in 0..2 {
        let (here, there) = sockets();
        let server = async { echo_as_server(server.accept(there).await.unwrap()).await.unwrap() };
        let client = async {
            let stream = client.connect(name(), here).await.unwrap();
            is_resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            echo_as_client(stream).await.unwrap();
        };
        tokio::join!(server, client);
    }
    is_resumed
}

/// Whoever drives rustls without us repeats no check, so that there must be nothing to repeat.
#[test]
fn configurations_without_our_acceptor_and_connector_never_resume() {
    run(async {
        let (ca, identity, _handle) = home().await;
        let (snapshot, peer) = (identity.current().unwrap(), ca.svid(CLIENT));
        let (anybody, options) = (Authorizer::anybody_verified(), TlsOptions::default().resumption(true));
        let ours: tokio_rustls::TlsAcceptor =
            Arc::new(snapshot.server_config(&anybody, &options).unwrap()).into();
        let stock: TlsConnector = Arc::new(stock_client(&peer)).into();
        assert!(!resumes(&stock, &ours).await);
        let ours: TlsConnector = Arc::new(snapshot.client_config(&anybody, &options).unwrap()).into();
        let stock: tokio_rustls::TlsAcceptor = Arc::new(stock_server(&peer)).into();
        assert!(!resumes(&ours, &stock).await);
    });
}

#[test]
fn a_chain_below_an_expired_root() {
    run(async {
        let (clock, ca) = (TestClock::new(), Ca::new(HOME));
        let away = Ca::until("away.test", whole_seconds(clock.now() + HOUR));
        let long = |issuer: &Ca, id: &str| {
            let mut spec = Spec::new(id);
            spec.not_after += 100 * HOUR;
            issuer.issue(spec)
        };
        let bundles = [(HOME, vec![ca.root()]), ("away.test", vec![away.root()])];
        let own = material(long(&ca, SERVER), bundles);
        let (identity, handle) = identity_with(Identity::builder().clock(clock.clone()), own).await;
        let peer = long(&away, "spiffe://away.test/client");
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let stock: TlsConnector = Arc::new(stock_client(&peer)).into();
        assert_eq!(connects(&acceptor, &stock).await, Ok(false));
        clock.advance(2 * HOUR);
        let expired = reason(&identity, Authorizer::anybody_verified(), &peer).await;
        assert!(matches!(&expired, PeerError::BadChain(why) if why.contains("expired")), "{expired:?}");
        // Another root beside it is a root by itself.
        let next = Ca::new("away.test");
        let bundles = [(HOME, vec![ca.root()]), ("away.test", vec![away.root(), next.root()])];
        handle.offer(material(long(&ca, SERVER), bundles)).await.unwrap();
        let stock: TlsConnector = Arc::new(stock_client(&long(&next, "spiffe://away.test/client"))).into();
        assert_eq!(connects(&acceptor, &stock).await, Ok(false));
    });
}

#[test]
fn too_many_intermediates() {
    run(async {
        let (ca, identity, _handle) = home().await;
        let mut svid = ca.svid(CLIENT);
        svid.chain.extend((0..8).map(|_| Ca::new(HOME).root()));
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let stock: TlsConnector = Arc::new(stock_client(&svid)).into();
        assert_eq!(connects(&acceptor, &stock).await, Ok(false), "needless ones do no harm");
        svid.chain.push(ca.root());
        let reason = reason(&identity, Authorizer::anybody_verified(), &svid).await;
        assert!(matches!(reason, PeerError::BadChain(_)), "{reason:?}");
        assert_label(&reason, "bad_chain");
    });
}

#[test]
fn not_every_domain_is_asked_who_made_a_chain() {
    run(async {
        let home = Ca::new(HOME);
        let others: Vec<_> = (0..20).map(|i| (format!("away{i:02}.test"), Ca::new(HOME))).collect();
        let mut own = material(home.svid(SERVER), [(HOME, vec![home.root()])]);
        own.bundles.extend(others.iter().map(|(name, ca)| (domain(name), vec![ca.root()].into())));
        let (identity, _handle) = identity(own).await;
        let anybody = Authorizer::anybody_verified;
        let first = reason(&identity, anybody(), &others[0].1.svid(CLIENT)).await;
        let authority = domain(&others[0].0);
        assert_eq!(first, PeerError::ForeignAuthority { domain: domain(HOME), authority });
        let last = reason(&identity, anybody(), &others[19].1.svid(CLIENT)).await;
        assert_eq!(last, PeerError::NotInBundle(domain(HOME)));
    });
}

#[test]
fn resumption_is_off_by_default() {
    run(async {
        let (ca, identity, _handle) = home().await;
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let stock: TlsConnector = Arc::new(stock_client(&ca.svid(CLIENT))).into();
        for _ in 0..3 {
            assert_eq!(connects(&acceptor, &stock).await, Ok(false));
        }
    });
}

#[test]
fn a_client_without_certificate_is_refused() {
    run(async {
        let (_ca, identity, _handle) = home().await;
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let stock: TlsConnector = Arc::new(stock_client_with(None, rustls::DEFAULT_VERSIONS)).into();
        let (here, there) = sockets();
        let client = async { echo_as_client(stock.connect(name(), there).await?).await };
        let (accepted, connected) = tokio::join!(acceptor.accept(here), client);
        connected.expect_err("there is no connection");
        let error = accepted.expect_err("must fail");
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        assert_eq!(inner, Some(&rustls::Error::NoCertificatesPresented));
    });
}
