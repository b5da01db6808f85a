//! The authority's timing, on a clock of our own; and what its certificates say.

use super::ca::IssuedSvid;
use super::core::Core;
use super::view::View;
use super::*;
use std::time::Duration;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

const HOUR: Duration = Duration::from_secs(3600);

fn domain() -> TrustDomain {
    TrustDomain::new("example.org").unwrap()
}

fn web() -> SpiffeId {
    SpiffeId::new("spiffe://example.org/web").unwrap()
}

/// A time without fractions of a second.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)
}

fn core(seed: u64) -> Core {
    let mut core =
        Core::new(AuthorityConfig::new(domain()), fastrand::Rng::with_seed(seed), start()).unwrap();
    core.allow(&web(), start()).unwrap();
    core
}

fn svid(view: &View) -> IssuedSvid {
    view.svid(&web()).expect("it is entitled").clone()
}

fn leaf_key(svid: &IssuedSvid) -> Vec<u8> {
    let (_, leaf) = X509Certificate::from_der(&svid.chain[0]).unwrap();
    leaf.public_key().raw.to_vec()
}

/// Panics unless the root signed the leaf.
fn assert_issued(svid: &IssuedSvid, root: &CertificateDer<'_>) {
    let (_, leaf) = X509Certificate::from_der(&svid.chain[0]).unwrap();
    let (_, root) = X509Certificate::from_der(root).unwrap();
    assert_eq!(leaf.issuer(), root.subject());
    let anchor = [webpki::anchor_from_trusted_cert(&root_der(&root)).unwrap().to_owned()];
    let leaf = webpki::EndEntityCert::try_from(&svid.chain[0]).unwrap();
    let time = rustls::pki_types::UnixTime::since_unix_epoch(
        (svid.validity.not_before + Duration::from_secs(1)).duration_since(SystemTime::UNIX_EPOCH).unwrap(),
    );
    let usage = webpki::KeyUsage::client_auth();
    let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
    leaf.verify_for_usage(algorithms, &anchor, &[], time, usage, None, None).unwrap();
}

fn root_der(root: &X509Certificate<'_>) -> CertificateDer<'static> {
    CertificateDer::from(root.as_raw().to_vec())
}

#[test]
fn an_svid_is_what_the_standard_says() {
    let mut core = core(1);
    let (view, id) = (core.view(), web().to_string());
    let svid = svid(&view);
    assert_eq!(svid.validity.not_before, start() - Duration::from_secs(10));
    assert_eq!(svid.validity.not_after, start() + HOUR);
    let (_, leaf) = X509Certificate::from_der(&svid.chain[0]).unwrap();
    assert_eq!(leaf.validity().not_after.timestamp(), 2_000_003_600);
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::URI(&id)]);
    assert!(!leaf.is_ca());
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature());
    assert!(!usage.value.key_cert_sign() && !usage.value.crl_sign());
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && usage.client_auth);
    let (_, root) = X509Certificate::from_der(&view.own_bundle().unwrap()[0]).unwrap();
    assert!(root.is_ca() && root.key_usage().unwrap().unwrap().value.key_cert_sign());
    let names = root.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::URI("spiffe://example.org")]);
    assert_issued(&svid, &view.own_bundle().unwrap()[0]);
}

#[test]
fn every_kind_of_key_signs_for_its_certificate() {
    for kind in [KeyKind::Rsa2048, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        let config = AuthorityConfig::new(domain()).key_kind(kind).ca_key_kind(kind);
        let mut core = Core::new(config, fastrand::Rng::with_seed(1), start()).unwrap();
        core.allow(&web(), start()).unwrap();
        let view = core.view();
        let svid = svid(&view);
        assert_issued(&svid, &view.own_bundle().unwrap()[0]);
        // PKCS #8 of the first version: version number 0.
        let der = svid.key.expose().secret_der();
        let info = pkcs8::PrivateKeyInfo::try_from(der).unwrap();
        assert_eq!(info.version(), pkcs8::Version::V1, "{kind:?}");
        let key = crate::provider::sign::any_supported_type(svid.key.expose()).unwrap();
        let public = rustls::sign::CertifiedKey::new(svid.chain.clone(), key);
        public.keys_match().unwrap();
    }
}

#[test]
fn svids_rotate_around_half_of_their_life() {
    let mut times = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let mut core = core(seed);
        let first = leaf_key(&svid(&core.view()));
        let next = core.next_tick();
        let after = next.duration_since(start()).unwrap();
        assert!((HOUR.mul_f64(0.45)..=HOUR.mul_f64(0.55)).contains(&after), "{after:?}");
        times.insert(after);
        core.tick(next - Duration::from_secs(1)).unwrap();
        assert_eq!(leaf_key(&svid(&core.view())), first);
        core.tick(next).unwrap();
        let view = core.view();
        assert_ne!(leaf_key(&svid(&view)), first);
        assert_eq!(svid(&view).validity.not_after, start() + Duration::from_secs((after + HOUR).as_secs()));
    }
    assert!(times.len() > 40, "there is no jitter: {times:?}");
}

#[test]
fn a_ca_is_announced_before_it_issues_and_stays_until_its_svids_are_gone() {
    let mut core = core(1);
    let bundle = |core: &mut Core| core.view().own_bundle().unwrap().to_vec();
    let old = bundle(&mut core);
    let announced_at = start() + 16 * HOUR;
    core.tick(announced_at - Duration::from_secs(1)).unwrap();
    assert_eq!(bundle(&mut core), old);
    core.tick(announced_at).unwrap();
    let both = bundle(&mut core);
    assert_eq!((both.len(), &both[0]), (2, &old[0]));
    let used_at = announced_at + 4 * HOUR;
    core.tick(used_at - Duration::from_secs(1)).unwrap();
    assert_issued(&svid(&core.view()), &both[0]);
    core.tick(used_at).unwrap();
    assert_issued(&svid(&core.view()), &both[1]);
    assert_eq!(bundle(&mut core), both);
    // The last SVID of the old CA was issued a second before.
    let gone = used_at + HOUR - Duration::from_secs(1);
    core.tick(gone - Duration::from_secs(1)).unwrap();
    assert_eq!(bundle(&mut core), both);
    core.tick(gone).unwrap();
    assert_eq!(bundle(&mut core), both[1..]);
}

#[test]
fn old_cas_can_be_dropped_early() {
    let mut core = core(1);
    core.announce_ca(start()).unwrap();
    core.use_announced_ca(start()).unwrap();
    let roots = core.view().own_bundle().unwrap().to_vec();
    assert_eq!(roots.len(), 2);
    core.drop_old_cas();
    assert_eq!(core.view().own_bundle().unwrap(), &roots[1..]);
}

#[test]
fn svids_do_not_outlive_their_ca() {
    let config = AuthorityConfig::new(domain()).ca_lifetime(HOUR / 2);
    let mut core = Core::new(config, fastrand::Rng::with_seed(1), start()).unwrap();
    core.allow(&web(), start()).unwrap();
    assert_eq!(svid(&core.view()).validity.not_after, start() + HOUR / 2);
}

#[test]
fn ticks_at_the_planned_times_keep_it_going_for_a_year() {
    let mut core = core(7);
    let (mut now, mut rotations) = (start(), 0);
    while now < start() + 365 * 24 * HOUR {
        let next = core.next_tick();
        assert!(next > now, "time stands still after {rotations} rotations");
        now = next;
        core.tick(now).unwrap();
        let view = core.view();
        let (svid, roots) = (svid(&view), view.own_bundle().unwrap());
        assert!(svid.validity.not_before < now && svid.validity.not_after > now + HOUR / 4);
        assert!((1..=3).contains(&roots.len()));
        rotations += 1;
    }
    assert!(rotations > 365 * 48);
}

#[test]
fn what_is_denied_or_has_no_bundle_is_not_given_out() {
    let mut core = core(1);
    core.deny(&web()).unwrap();
    assert!(core.view().material(&web()).is_none());
    core.allow(&web(), start()).unwrap();
    assert!(core.view().material(&web()).is_some());
    core.remove_bundle(&domain());
    assert!(core.view().material(&web()).is_none());
    core.restore_bundle();
    assert!(core.view().material(&web()).is_some());
    let stranger = SpiffeId::new("spiffe://example.com/web").unwrap();
    assert!(matches!(core.allow(&stranger, start()), Err(AuthorityError::ForeignIdentity(_))));
    let unknown = SpiffeId::new("spiffe://example.org/other").unwrap();
    assert!(matches!(core.deny(&unknown), Err(AuthorityError::UnknownIdentity(_))));
    assert!(matches!(core.federate(domain(), Arc::new([])), Err(AuthorityError::OwnBundle(_))));
}

#[test]
fn bundles_of_others_come_and_go() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let ours = Authority::start(AuthorityConfig::new(domain())).unwrap();
        ours.allow(&web()).unwrap();
        let other_domain = TrustDomain::new("example.com").unwrap();
        let other = Authority::start(AuthorityConfig::new(other_domain.clone())).unwrap();
        ours.federate_with(&other);
        let bundle =
            || ours.material(&web()).unwrap().bundles.get(&other_domain).map(|bundle| bundle.roots.clone());
        assert_eq!(bundle(), Some(other.bundle()));
        other.rotate_ca().unwrap();
        assert_eq!(other.bundle().len(), 2);
        let mut views = ours.shared.views.subscribe();
        views.changed().await.unwrap();
        assert_eq!(bundle(), Some(other.bundle()));
        other.remove_bundle(&other_domain);
        views.changed().await.unwrap();
        assert_eq!(bundle(), None);
    });
}

#[test]
fn an_authority_that_is_dropped_ends_its_rotation() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let authority = Authority::start(AuthorityConfig::new(domain())).unwrap();
        let rotation = authority.shared.rotation.get().unwrap().clone();
        tokio::task::yield_now().await;
        assert!(!rotation.is_finished());
        drop(authority);
        while !rotation.is_finished() {
            tokio::task::yield_now().await;
        }
    });
}
