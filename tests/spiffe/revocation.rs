//! Revocation lists that come with the bundles.

use crate::ca::{Ca, HOUR, domain, material};
use crate::clock::TestClock;
use crate::support::{
    CLIENT, HOME, SERVER, connects, engine, identity, identity_with, name, reason, run, sockets, stock_client,
};
use rustls_multibuffer::handshake::Engine;
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Clock, CloseReason, Connector, Identity, LivePolicy, Material, Offered, PeerError,
    Refusal, Svid,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsConnector;

fn acceptor(identity: &Identity) -> Acceptor<Engine> {
    Acceptor::new(engine(1), identity, Authorizer::anybody_verified())
}

fn client(svid: &Svid) -> TlsConnector {
    Arc::new(stock_client(svid)).into()
}

/// A server's update with lists of these authorities, each of which revokes nobody but the leaf of `revoked`.
fn update(root: &Ca, authorities: &[&Ca], revoked: Option<&Svid>) -> Material {
    let mut update = material(root.svid(SERVER), [(HOME, vec![root.root()])]);
    let until = SystemTime::now() + 20 * HOUR;
    let leaf = revoked.map(|svid| svid.chain[0].clone());
    let lists = authorities.iter().map(|ca| ca.crl(leaf.as_slice(), until));
    update.bundles.get_mut(&domain(HOME)).unwrap().crls = lists.collect();
    update
}

#[test]
fn who_is_revoked_is_refused_from_the_next_handshake_on() {
    run(async {
        let ca = Ca::new(HOME);
        let (good, bad) = (ca.svid(CLIENT), ca.svid("spiffe://home.test/bad"));
        let (identity, handle) = identity(update(&ca, &[], None)).await;
        let acceptor = acceptor(&identity);
        // Its chain is remembered, and a connection lives on.
        assert_eq!(connects(&acceptor, &client(&bad)).await, Ok(false));
        assert!(matches!(handle.offer(update(&ca, &[&ca], Some(&bad))).await, Ok(Offered::Published(2))));
        assert_eq!(connects(&acceptor, &client(&bad)).await, Err(PeerError::Revoked));
        assert_eq!(connects(&acceptor, &client(&good)).await, Ok(false));
        // A list that takes the revocation back is another one, too.
        handle.offer(update(&ca, &[&ca], None)).await.unwrap();
        assert_eq!(connects(&acceptor, &client(&bad)).await, Ok(false));
    });
}

#[test]
fn each_authority_of_a_chain_needs_a_list_or_only_the_leafs() {
    run(async {
        let root = Ca::new(HOME);
        let below = root.intermediate_named(HOME, "below");
        let peer = client(&below.svid(CLIENT));
        let (identity, handle) = identity(update(&root, &[&below], None)).await;
        let acceptor = acceptor(&identity);
        let unknown = connects(&acceptor, &peer).await.unwrap_err();
        assert_eq!(unknown.as_label(), "revocation_unknown", "the root has none");
        let mut only_leaf = update(&root, &[&below], None);
        only_leaf.bundles.get_mut(&domain(HOME)).unwrap().only_verify_leaf_crl = true;
        handle.offer(only_leaf).await.unwrap();
        assert_eq!(connects(&acceptor, &peer).await, Ok(false));
        handle.offer(update(&root, &[&root, &below], None)).await.unwrap();
        assert_eq!(connects(&acceptor, &peer).await, Ok(false));
        handle.offer(update(&root, &[&root], None)).await.unwrap();
        assert_eq!(connects(&acceptor, &peer).await.unwrap_err().as_label(), "revocation_unknown");
    });
}

#[test]
fn authorities_of_one_name_have_lists_of_their_own_and_the_newest_counts() {
    run(async {
        let (old, new) = (Ca::new(HOME), Ca::new(HOME));
        let peers = [&old, &new].map(|ca| ca.svid(CLIENT));
        let until = SystemTime::now() + HOUR;
        let stale = old.crl(&peers[0].chain[..1], until);
        let update = |crls: Vec<_>| {
            let mut update = material(new.svid(SERVER), [(HOME, vec![old.root(), new.root()])]);
            update.bundles.get_mut(&domain(HOME)).unwrap().crls = crls;
            update
        };
        let (identity, handle) = identity(update(vec![stale.clone(), new.crl(&[], until)])).await;
        let acceptor = acceptor(&identity);
        let clients = peers.each_ref().map(client);
        assert_eq!(connects(&acceptor, &clients[0]).await, Err(PeerError::Revoked));
        assert_eq!(connects(&acceptor, &clients[1]).await, Ok(false));
        let newest = vec![stale, old.crl(&[], until), new.crl(&peers[1].chain[..1], until)];
        handle.offer(update(newest)).await.unwrap();
        assert_eq!(connects(&acceptor, &clients[0]).await, Ok(false));
        assert_eq!(connects(&acceptor, &clients[1]).await, Err(PeerError::Revoked));
    });
}

#[test]
fn a_list_that_has_expired_lets_nobody_in_and_does_not_stop_our_own_rotation() {
    run(async {
        let (ca, clock) = (Ca::new(HOME), TestClock::new());
        let with_list = || {
            let mut update = material(ca.svid(SERVER), [(HOME, vec![ca.root()])]);
            update.bundles.get_mut(&domain(HOME)).unwrap().crls = vec![ca.crl(&[], clock.now() + HOUR / 4)];
            update
        };
        let first = with_list();
        let list = first.bundles[&domain(HOME)].crls.clone();
        let (identity, handle) = identity_with(Identity::builder().clock(clock.clone()), first).await;
        let (acceptor, peer) = (acceptor(&identity), client(&ca.svid(CLIENT)));
        assert_eq!(connects(&acceptor, &peer).await, Ok(false));
        clock.advance(HOUR / 2);
        // The remembered chain ends with the list.
        let expired = connects(&acceptor, &peer).await.unwrap_err();
        assert_eq!(expired, PeerError::RevocationUnknown("a revocation list has expired".to_owned()));
        let mut next = material(ca.svid(SERVER), [(HOME, vec![ca.root()])]);
        next.bundles.get_mut(&domain(HOME)).unwrap().crls = list;
        assert!(matches!(handle.offer(next).await, Ok(Offered::Published(2))));
        handle.offer(with_list()).await.unwrap();
        assert_eq!(connects(&acceptor, &peer).await, Ok(false));
    });
}

#[test]
fn a_list_that_cannot_be_used_refuses_the_update() {
    run(async {
        let ca = Ca::new(HOME);
        let (_identity, handle) = identity(update(&ca, &[], None)).await;
        let mut garbage = update(&ca, &[], None);
        garbage.bundles.get_mut(&domain(HOME)).unwrap().crls = vec![vec![0x30, 0].into()];
        let refused = crate::support::refusal(&handle, garbage).await;
        assert!(matches!(refused, Refusal::BadCrl(..)), "{refused}");
        // Somebody else's list says nothing of this authority: its name is the same, the signature is not.
        let stranger = Ca::new(HOME);
        handle.offer(update(&ca, &[&stranger], None)).await.unwrap();
        let acceptor = acceptor(&_identity);
        let unknown = connects(&acceptor, &client(&ca.svid(CLIENT))).await.unwrap_err();
        assert_eq!(unknown.as_label(), "revocation_unknown");
    });
}

#[test]
fn live_connections_of_the_revoked_are_closed_if_the_policy_says_so() {
    run(async {
        let ca = Ca::new(HOME);
        let peer = ca.svid(CLIENT);
        let (server, handle) = identity(update(&ca, &[], None)).await;
        let (other, _other) = identity(material(peer.clone(), [(HOME, vec![ca.root()])])).await;
        let policy = LivePolicy::keep().close_on_bundle_removal(Duration::ZERO);
        let acceptor = acceptor(&server).live_policy(policy);
        let connector = Connector::new(engine(1), &other, Authorizer::anybody_verified());
        let (here, there) = sockets();
        let (accepted, connected) = tokio::join!(acceptor.accept(here), connector.connect(name(), there));
        let (mut accepted, _connected) = (accepted.unwrap().1, connected.unwrap());
        handle.offer(update(&ca, &[&ca], Some(&peer))).await.unwrap();
        assert_eq!(accepted.closing().await, CloseReason::Revoked);
    });
}

#[test]
fn a_refused_peers_error_says_why_in_words() {
    run(async {
        let ca = Ca::new(HOME);
        let (identity, _handle) = identity(update(&ca, &[], None)).await;
        let nobody = Acceptor::new(engine(1), &identity, Authorizer::any_of([]));
        let (here, there) = sockets();
        let stock = client(&ca.svid(CLIENT));
        let (accepted, _) = tokio::join!(nobody.accept(here), stock.connect(name(), there));
        let Err(error) = accepted else { panic!("nobody is let in") };
        assert_eq!(reason(&error).as_label(), "not_authorized");
        assert_eq!(error.to_string(), format!("{CLIENT} is not authorized"));
    });
}
