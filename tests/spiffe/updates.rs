//! Updates that are refused, held back, or run out.

use crate::ca::{Ca, HOUR, Spec, domain, id, key, material, private};
use crate::clock::TestClock;
use crate::support::{
    HOME, SERVER, engine, home, identity_with, name, refusal, run, sockets, stock_client, until,
    whole_seconds,
};
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Clock, Connector, Identity, LeafError, Material, Offered, Refusal, Unavailable,
    Withdrawal,
};
use std::time::Duration;

/// The reason why home's server refuses `update`; its identity must be the one that it was.
fn refused(update: impl FnOnce(&Ca) -> Material) -> Refusal {
    run(async {
        let (ca, identity, handle) = home().await;
        let before = identity.current().unwrap();
        let reason = refusal(&handle, update(&ca)).await;
        assert!(std::sync::Arc::ptr_eq(&before, &identity.current().unwrap()));
        let health = identity.health();
        assert_eq!((health.accepted, health.refused, health.generation), (1, 1, 1));
        assert_eq!(health.last_refusal.as_ref().map(|(reason, _)| reason), Some(&reason));
        assert!(!health.is_good() && health.unavailable.is_none());
        // The next good one is taken, and all is well.
        handle.offer(material(ca.svid(SERVER), [(HOME, vec![ca.root()])])).await.unwrap();
        assert_eq!(identity.current().unwrap().generation(), 2);
        assert!(identity.health().is_good());
        reason
    })
}

/// The same for an SVID that home's authority issues by `spec`.
fn refused_spec(change: impl FnOnce(&mut Spec)) -> Refusal {
    refused(|ca| {
        let mut spec = Spec::new(SERVER);
        change(&mut spec);
        material(ca.issue(spec), [(HOME, vec![ca.root()])])
    })
}

#[test]
fn leafs_that_break_the_standard() {
    assert_eq!(refused_spec(|spec| spec.uris.clear()), LeafError::NoSpiffeId.into());
    assert_eq!(
        refused_spec(|spec| spec.uris.push("spiffe://home.test/b".to_owned())),
        LeafError::SeveralUris.into()
    );
    assert_eq!(refused_spec(|spec| spec.is_ca = true), LeafError::Ca.into());
    assert_eq!(refused_spec(|spec| spec.key_usages.clear()), LeafError::KeyUsage("is absent").into());
    let signs_certificates = |spec: &mut Spec| spec.key_usages.push(KeyUsagePurpose::KeyCertSign);
    assert_eq!(refused_spec(signs_certificates), LeafError::KeyUsage("has keyCertSign").into());
    for purpose in [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth] {
        assert_eq!(refused_spec(|spec| spec.purposes = vec![purpose]), Refusal::ExtendedKeyUsage);
    }
    let not_an_id = refused_spec(|spec| spec.uris = vec!["https://home.test".to_owned()]);
    assert!(matches!(not_an_id, Refusal::Leaf(LeafError::InvalidSpiffeId(_))), "{not_an_id:?}");
}

#[test]
fn expired() {
    run(async {
        let (ca, _identity, handle) = home().await;
        let mut spec = Spec::new(SERVER);
        spec.not_after = whole_seconds(std::time::SystemTime::now() - HOUR / 2);
        let not_after = spec.not_after;
        let update = material(ca.issue(spec), [(HOME, vec![ca.root()])]);
        assert_eq!(refusal(&handle, update).await, Refusal::Expired { not_after });
    });
}

#[test]
fn key_that_does_not_match() {
    let reason = refused(|ca| {
        let mut svid = ca.svid(SERVER);
        svid.key = private(&key());
        material(svid, [(HOME, vec![ca.root()])])
    });
    assert_eq!(reason, Refusal::KeyMismatch);
    assert_eq!(reason.as_label(), "key_mismatch");
}

#[test]
fn truncated_update() {
    let truncated = |der: &CertificateDer<'_>| CertificateDer::from(der[..der.len() - 7].to_vec());
    let leaf = refused(|ca| {
        let mut svid = ca.svid(SERVER);
        svid.chain[0] = truncated(&svid.chain[0]);
        material(svid, [(HOME, vec![ca.root()])])
    });
    assert!(matches!(leaf, Refusal::Leaf(LeafError::Malformed(_))), "{leaf:?}");
    assert_eq!(leaf.as_label(), "malformed");
    let root = refused(|ca| material(ca.svid(SERVER), [(HOME, vec![truncated(&ca.root())])]));
    assert_eq!(root.as_label(), "bad_root");
    let key = refused(|ca| {
        let mut svid = ca.svid(SERVER);
        let der = svid.key.expose().secret_der();
        svid.key = rustls::pki_types::PrivateKeyDer::from(rustls::pki_types::PrivatePkcs8KeyDer::from(
            der[..der.len() - 7].to_vec(),
        ))
        .into();
        material(svid, [(HOME, vec![ca.root()])])
    });
    assert!(matches!(key, Refusal::Key(_)), "{key:?}");
}

#[test]
fn empty_update() {
    let reason = refused(|ca| {
        let mut svid = ca.svid(SERVER);
        svid.chain.clear();
        material(svid, [(HOME, vec![ca.root()])])
    });
    assert_eq!(reason, Refusal::Empty);
    assert_eq!(reason.as_label(), "empty");
}

#[test]
fn svid_that_its_bundle_does_not_verify() {
    let impostor = refused(|ca| material(Ca::new(HOME).svid(SERVER), [(HOME, vec![ca.root()])]));
    assert!(matches!(impostor, Refusal::NotInBundle(_)), "{impostor:?}");
    let foreign =
        refused(|ca| material(ca.intermediate("away.test").svid(SERVER), [(HOME, vec![ca.root()])]));
    assert!(matches!(foreign, Refusal::NotInBundle(_)), "{foreign:?}");
    let none = refused(|ca| material(ca.svid(SERVER), [("away.test", vec![ca.root()])]));
    assert_eq!(none, Refusal::NoBundle(domain(HOME)));
    let no_roots = refused(|ca| material(ca.svid(SERVER), [(HOME, vec![])]));
    assert_eq!(no_roots, Refusal::NoBundle(domain(HOME)));
}

#[test]
fn roots_that_cannot_be_used_are_left_out_unless_none_is_left() {
    run(async {
        let (ca, identity, handle) = home().await;
        let bad = || vec![ca.svid("spiffe://home.test/other").chain.remove(0), vec![0x30, 0].into()];
        let some = [bad(), vec![ca.root()]].concat();
        handle.offer(material(ca.svid(SERVER), [(HOME, some)])).await.unwrap();
        let current = identity.current().unwrap();
        assert_eq!((current.generation(), current.roots(&domain(HOME)).count()), (2, 1));
        let reason = refusal(&handle, material(ca.svid(SERVER), [(HOME, bad())])).await;
        assert_eq!(reason.as_label(), "bad_root");
        let said = reason.to_string();
        assert!(said.contains("no CA") && said.contains("malformed"), "{said}");
    });
}

#[test]
fn another_domains_bad_bundle_concerns_that_domain_only() {
    run(async {
        const AWAY: &str = "away.test";
        let (ca, identity, handle) = home().await;
        let away = Ca::new(AWAY);
        let bad = || away.svid("spiffe://away.test/x").chain;
        let update = |theirs| material(ca.svid(SERVER), [(HOME, vec![ca.root()]), (AWAY, theirs)]);
        let theirs = || identity.current().unwrap().roots(&domain(AWAY)).cloned().collect::<Vec<_>>();
        handle.offer(update(bad())).await.unwrap();
        assert!(theirs().is_empty(), "there is no last good one");
        handle.offer(update(vec![away.root()])).await.unwrap();
        assert_eq!(theirs(), [away.root()]);
        let next = update(bad());
        assert_eq!(handle.offer(next.clone()).await, Ok(Offered::Published(4)));
        assert_eq!(
            (theirs(), identity.current().unwrap().chain()),
            (vec![away.root()], &next.svid.chain[..])
        );
        assert_eq!(handle.offer(next).await, Ok(Offered::Unchanged(4)));
        handle.offer(material(ca.svid(SERVER), [(HOME, vec![ca.root()])])).await.unwrap();
        assert!(theirs().is_empty(), "it is taken back");
    });
}

#[test]
fn an_own_root_that_has_expired() {
    run(async {
        let (_ca, _identity, handle) = home().await;
        let over = Ca::until(HOME, whole_seconds(std::time::SystemTime::now() - HOUR / 2));
        let reason = refusal(&handle, material(over.svid(SERVER), [(HOME, vec![over.root()])])).await;
        assert!(matches!(&reason, Refusal::NotInBundle(why) if why.contains("expired")), "{reason:?}");
    });
}

#[test]
fn health_does_not_depend_on_the_clocks_course() {
    run(async {
        let (clock, ca) = (TestClock::new(), Ca::new(HOME));
        let update = || material(ca.svid(SERVER), [(HOME, vec![ca.root()])]);
        let (identity, handle) = identity_with(Identity::builder().clock(clock.clone()), update()).await;
        assert!(identity.health().is_good());
        refusal(&handle, material(ca.svid(SERVER), [])).await;
        assert!(!identity.health().is_good(), "both at the same time");
        clock.set(clock.now() - HOUR / 2);
        handle.offer(update()).await.unwrap();
        assert!(identity.health().is_good(), "the clock was set back");
        clock.advance(HOUR / 2);
        assert!(identity.health().is_good());
    });
}

#[test]
fn wrong_trust_domain() {
    run(async {
        let (ours, theirs) = (Ca::new(HOME), Ca::new("away.test"));
        let first = material(ours.svid(SERVER), [(HOME, vec![ours.root()])]);
        let (_identity, handle) = identity_with(Identity::builder().trust_domain(domain(HOME)), first).await;
        let update = material(theirs.svid("spiffe://away.test/server"), [("away.test", vec![theirs.root()])]);
        let reason = refusal(&handle, update).await;
        assert_eq!(reason, Refusal::WrongTrustDomain(id("spiffe://away.test/server")));
    });
}

#[test]
fn what_is_the_same_is_no_new_generation() {
    run(async {
        let ca = Ca::new(HOME);
        let update = material(ca.svid(SERVER), [(HOME, vec![ca.root()])]);
        let (identity, handle) = identity_with(Identity::builder(), update.clone()).await;
        assert_eq!(handle.offer(update.clone()).await, Ok(Offered::Unchanged(1)));
        assert_eq!(identity.health().accepted, 2);
        let mut more_roots = update;
        more_roots.bundles.get_mut(&domain(HOME)).unwrap().roots.push(Ca::new(HOME).root());
        assert_eq!(handle.offer(more_roots.clone()).await, Ok(Offered::Published(2)));
        // Their order, and how often they are said, mean nothing.
        let roots = more_roots.bundles.get_mut(&domain(HOME)).unwrap();
        roots.roots.reverse();
        roots.roots.extend_from_within(..1);
        assert_eq!(handle.offer(more_roots).await, Ok(Offered::Unchanged(2)));
    });
}

#[test]
fn not_yet_valid_is_held_back_until_it_is() {
    run(async {
        let (clock, ca) = (TestClock::new(), Ca::new(HOME));
        let early = |by: Duration| {
            let mut spec = Spec::new(SERVER);
            (spec.not_before, spec.not_after) = (whole_seconds(clock.now() + by), clock.now() + by + HOUR);
            material(ca.issue(spec), [(HOME, vec![ca.root()])])
        };
        let (source, handle) = rustls_multibuffer::spiffe::memory_source();
        let identity = Identity::builder().clock(clock.clone()).start(source);
        // The first one: there is nothing else to present.
        let until_first = whole_seconds(clock.now() + HOUR / 4);
        assert_eq!(handle.offer(early(HOUR / 4)).await, Ok(Offered::HeldBack { until: until_first }));
        assert_eq!(identity.current().unwrap_err(), Unavailable::HeldBack { until: until_first });
        let mut changes = identity.changes();
        clock.set(until_first - Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(identity.current().is_err());
        clock.set(until_first);
        changes.changed().await;
        assert_eq!(identity.ready().await.generation(), 1);
        // A later one: the present SVID serves until then.
        let until = whole_seconds(clock.now() + HOUR / 2);
        assert_eq!(handle.offer(early(HOUR / 2)).await, Ok(Offered::HeldBack { until }));
        assert_eq!(identity.current().unwrap().generation(), 1);
        assert_eq!(identity.health().held_back_until, Some(until));
        clock.set(until);
        self::until(|| identity.current().unwrap().generation() == 2).await;
        assert_eq!(identity.current().unwrap().not_before(), until);
        assert_eq!(identity.acceptable(), Ok(()));
        // The clock is set back: who is right is not known, so handshakes are tried, but no readiness is
        // claimed.
        clock.set(until - HOUR / 8);
        assert_eq!(identity.acceptable(), Err(Unavailable::HeldBack { until }));
        assert!(identity.current().is_ok());
    });
}

#[test]
fn a_bundle_that_is_removed_counts_while_the_svid_is_held_back() {
    run(async {
        let (clock, ca, away) = (TestClock::new(), Ca::new(HOME), Ca::new("away.test"));
        let both = [(HOME, vec![ca.root()]), ("away.test", vec![away.root()])];
        let (identity, handle) =
            identity_with(Identity::builder().clock(clock.clone()), material(ca.svid(SERVER), both)).await;
        let first = identity.current().unwrap();
        let mut spec = Spec::new(SERVER);
        spec.not_before = clock.now() + HOUR / 2;
        let offered = handle.offer(material(ca.issue(spec), [(HOME, vec![ca.root()])])).await;
        assert!(matches!(offered, Ok(Offered::HeldBack { .. })), "{offered:?}");
        let second = identity.current().unwrap();
        assert_eq!((first.chain(), second.generation()), (second.chain(), 2));
        assert_eq!(second.roots(&domain("away.test")).count(), 0);
    });
}

#[test]
fn our_own_svid_is_not_presented_when_it_has_expired() {
    run(async {
        let (clock, ca) = (TestClock::new(), Ca::new(HOME));
        let fresh = |clock: &TestClock| {
            let mut spec = Spec::new(SERVER);
            (spec.not_before, spec.not_after) = (clock.now() - HOUR, whole_seconds(clock.now() + HOUR));
            material(ca.issue(spec), [(HOME, vec![ca.root()])])
        };
        let (identity, handle) = identity_with(Identity::builder().clock(clock.clone()), fresh(&clock)).await;
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let connector = Connector::new(engine(1), &identity, Authorizer::anybody_verified());
        let not_after = identity.current().unwrap().not_after();
        let mut changes = identity.changes();
        clock.set(not_after + Duration::from_millis(999));
        assert!(identity.current().is_ok(), "the last second counts");
        clock.set(not_after + Duration::from_secs(1));
        let expired = Unavailable::Expired { not_after };
        assert_eq!(identity.current().unwrap_err(), expired);
        changes.changed().await;
        let error = acceptor.accept(sockets().0).await.unwrap_err();
        assert_eq!(Unavailable::of(&error), Some(&expired));
        let error = connector.connect(name(), sockets().0).await.unwrap_err();
        assert_eq!(Unavailable::of(&error), Some(&expired));
        assert_eq!(identity.health().unavailable, Some(expired));
        // It recovers with the next one.
        handle.offer(fresh(&clock)).await.unwrap();
        assert_eq!(identity.current().unwrap().generation(), 2);
    });
}

#[test]
fn peers_expire_by_the_identitys_clock() {
    run(async {
        let (clock, ca) = (TestClock::new(), Ca::new(HOME));
        let mut own = Spec::new(SERVER);
        own.not_after += 100 * HOUR;
        let first = material(ca.issue(own), [(HOME, vec![ca.root()])]);
        let (identity, _handle) = identity_with(Identity::builder().clock(clock.clone()), first).await;
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let svid = ca.svid(crate::support::CLIENT);
        let accept = || async {
            let stock = tokio_rustls::TlsConnector::from(std::sync::Arc::new(stock_client(&svid)));
            let (here, there) = sockets();
            tokio::join!(acceptor.accept(here), stock.connect(name(), there)).0
        };
        accept().await.unwrap();
        clock.advance(2 * HOUR);
        assert_eq!(crate::support::peer_error(accept().await).as_label(), "expired");
    });
}

#[test]
fn withdrawal_acts_at_once() {
    run(async {
        let (ca, identity, handle) = home().await;
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let why = Withdrawal::Denied("no such workload".to_owned());
        handle.withdraw(why.clone()).await.unwrap();
        let error = acceptor.accept(sockets().0).await.unwrap_err();
        assert_eq!(Unavailable::of(&error), Some(&Unavailable::Withdrawn(why.clone())));
        let health = identity.health();
        assert_eq!(health.unavailable, Some(Unavailable::Withdrawn(why.clone())));
        // It says what was in use last.
        assert_eq!((health.id, health.generation), (Some(id(SERVER)), 1));
        assert!(health.not_before < health.not_after && health.published.is_some());
        // To hear the same again is no change.
        let mut changes = identity.changes();
        handle.withdraw(why).await.unwrap();
        let change = tokio::time::timeout(Duration::from_millis(50), changes.changed());
        change.await.expect_err("nothing has changed");
        handle.withdraw(Withdrawal::Removed).await.unwrap();
        changes.changed().await;
        assert_eq!(identity.health().unavailable, Some(Unavailable::Withdrawn(Withdrawal::Removed)));
        // A refused update does not bring it back; a good one does, even if it is what we had.
        refusal(&handle, material(ca.svid(SERVER), [])).await;
        assert!(identity.current().is_err());
        handle.offer(material(ca.svid(SERVER), [(HOME, vec![ca.root()])])).await.unwrap();
        assert_eq!(identity.current().unwrap().generation(), 2);
    });
}
