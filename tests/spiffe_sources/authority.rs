//! What an authority does reaches the identity: rotation, withdrawal, defects, federation.

use crate::run;
use crate::support::{
    Folder, Kind, Server, World, address, authority, builder, domain, eventually, follow, id, trusts,
};
use rustls_multibuffer::spiffe::authority::{Authority, AuthorityConfig, Defect, KeyKind};
use rustls_multibuffer::spiffe::{Identity, SdsSource, Unavailable, Withdrawal, WorkloadApiSource};
use std::time::Duration;

#[test]
fn svids_and_keys_of_every_kind_arrive_and_rotate() {
    run(async {
        for kind in Kind::ALL {
            for key_kind in [KeyKind::Rsa2048, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
                let config = AuthorityConfig::new(domain("example.org")).key_kind(key_kind);
                let (folder, authority) = (Folder::new(), Authority::start(config).unwrap());
                authority.allow(&id("web")).unwrap();
                let path = folder.join("socket");
                let _server = Server::start(kind, &authority, &path, &[id("web")]);
                let identity = follow(kind, &path);
                let first = identity.ready().await;
                assert_eq!((first.generation(), first.id()), (1, &id("web")));
                assert_eq!(first.chain(), authority.material(&id("web")).unwrap().svid.chain);
                assert!(trusts(&first, &authority));
                authority.rotate_svid(&id("web")).unwrap();
                let rotated = || identity.current().is_ok_and(|now| now.generation() == 2);
                eventually("the second generation", rotated).await;
                assert_ne!(identity.current().unwrap().chain(), first.chain());
            }
        }
    });
}

#[test]
fn svids_rotate_by_themselves_at_half_of_their_life() {
    run(async {
        // The other half of the life is left to a machine that is busy with something else.
        let config = AuthorityConfig::new(domain("example.org")).svid_lifetime(Duration::from_secs(20));
        let (folder, authority) = (Folder::new(), Authority::start(config).unwrap());
        let begin = std::time::Instant::now();
        authority.allow(&id("web")).unwrap();
        let follow = |kind: Kind| {
            let path = folder.join(&format!("{kind:?}"));
            (Server::start(kind, &authority, &path, &[id("web")]), follow(kind, &path))
        };
        for (_server, identity) in &Kind::ALL.map(follow) {
            identity.ready().await;
            eventually("the second generation", || {
                // It never runs out.
                identity.current().expect("it is always valid").generation() >= 2
            })
            .await;
            // Half of the life, which is cut to whole seconds, ± 10 %.
            assert!(begin.elapsed() > Duration::from_millis(8500), "{:?}", begin.elapsed());
        }
    });
}

#[test]
fn the_next_ca_is_announced_before_it_issues() {
    run(async {
        for kind in Kind::ALL {
            let world = World::new(kind).await;
            let first = world.current();
            world.authority.rotate_ca().unwrap();
            world.catch_up().await;
            let announced = world.current();
            assert_eq!(announced.chain(), first.chain());
            assert_eq!(announced.roots(&domain("example.org")).count(), 2);
            world.authority.use_announced_ca().unwrap();
            world.catch_up().await;
            let used = world.current();
            assert_ne!(used.chain(), first.chain());
            assert_eq!(used.roots(&domain("example.org")).count(), 2);
            assert_eq!(world.identity.health().refused, 0);
            assert!(world.server.refusals().is_empty());
        }
    });
}

#[test]
fn a_denied_identity_is_taken_back_until_it_is_allowed_again() {
    run(async {
        for kind in Kind::ALL {
            let world = World::new(kind).await;
            world.authority.deny(&id("web")).unwrap();
            let denied =
                || matches!(world.identity.current(), Err(Unavailable::Withdrawn(Withdrawal::Denied(_))));
            eventually("the identity is withdrawn", denied).await;
            world.authority.allow(&id("web")).unwrap();
            world.catch_up().await;
        }
    });
}

#[test]
fn without_the_own_bundle_there_is_no_identity() {
    run(async {
        for kind in Kind::ALL {
            let world = World::new(kind).await;
            world.authority.remove_bundle(&domain("example.org"));
            let denied =
                || matches!(world.identity.current(), Err(Unavailable::Withdrawn(Withdrawal::Denied(_))));
            eventually("the identity is withdrawn", denied).await;
            world.authority.restore_bundle();
            world.catch_up().await;
        }
    });
}

/// The reason for which an identity must refuse a defect, by what delivered it.
fn expected_label(defect: Defect, kind: Kind) -> &'static str {
    match (defect, kind) {
        (Defect::KeyMismatch, _) => "key_mismatch",
        (Defect::Empty, _) => "empty",
        // DER that cannot be read.
        _ => "malformed",
    }
}

#[test]
fn defects_are_refused_and_the_last_good_identity_stays() {
    run(async {
        for kind in Kind::ALL {
            let world = World::new(kind).await;
            let good = world.current();
            for defect in [Defect::KeyMismatch, Defect::Truncated, Defect::Garbage, Defect::Empty] {
                let refused = world.identity.health().refused;
                world.authority.set_defect(&id("web"), Some(defect)).unwrap();
                eventually("a refusal", || world.identity.health().refused > refused).await;
                let (refusal, _) = world.identity.health().last_refusal.unwrap();
                assert_eq!(refusal.as_label(), expected_label(defect, kind), "{kind:?} {defect:?}");
                assert_eq!(world.current().generation(), good.generation(), "{kind:?} {defect:?}");
                assert!(!world.identity.health().is_good());
                if kind == Kind::Sds {
                    let told = || world.server.refusals().contains(&refusal.to_string());
                    eventually("the server hears of it", told).await;
                }
            }
            world.authority.set_defect(&id("web"), None).unwrap();
            world.authority.rotate_svid(&id("web")).unwrap();
            world.catch_up().await;
            assert!(world.identity.health().is_good());
        }
    });
}

#[test]
fn bundles_of_other_domains_come_rotate_and_go() {
    run(async {
        let (ours, folder) = (authority(&["web"]), Folder::new());
        let other = Authority::start(AuthorityConfig::new(domain("example.com"))).unwrap();
        let (api, sds) = (folder.join("api"), folder.join("sds"));
        let _api = ours.serve_workload_api(&api, [id("web")]).unwrap();
        let _sds = ours.serve_sds(&sds, [id("web")]).unwrap();
        let sds = || SdsSource::new(&address(&sds)).unwrap();
        let identities: [(Identity, bool); 3] = [
            (builder().start(WorkloadApiSource::new(&address(&api)).unwrap()), true),
            (builder().start(sds().bundle("ALL")), true),
            // Absence in the state of the world is no removal.
            (builder().start(sds().federated_bundle("spiffe://example.com", domain("example.com"))), false),
        ];
        for (identity, _) in &identities {
            identity.ready().await;
        }
        ours.federate_with(&other);
        other.rotate_ca().unwrap();
        for (identity, _) in &identities {
            let has_it = || trusts(&identity.current().unwrap(), &other);
            eventually("the other domain's two roots", has_it).await;
            assert!(trusts(&identity.current().unwrap(), &ours));
        }
        other.remove_bundle(&domain("example.com"));
        ours.rotate_svid(&id("web")).unwrap();
        for (identity, is_removed) in &identities {
            let rotated = || {
                let current = identity.current().unwrap();
                let federated = current.roots(&domain("example.com")).count();
                current.chain() == ours.material(&id("web")).unwrap().svid.chain
                    && federated == if *is_removed { 0 } else { 2 }
            };
            eventually("the rotation", rotated).await;
        }
    });
}

#[test]
fn a_bundle_that_sds_had_sent_outlives_the_stream() {
    run(async {
        let (ours, folder) = (authority(&["web"]), Folder::new());
        let other = Authority::start(AuthorityConfig::new(domain("example.com"))).unwrap();
        ours.federate_with(&other);
        let path = folder.join("sds");
        let server = ours.serve_sds(&path, [id("web")]).unwrap();
        let source = SdsSource::new(&address(&path)).unwrap();
        let identity =
            builder().start(source.federated_bundle("spiffe://example.com", domain("example.com")));
        let trusts_other = || identity.current().is_ok_and(|now| trusts(&now, &other));
        eventually("the other domain's root", trusts_other).await;
        server.stop().await;
        // The next stream begins without it, as with a server that sends it later.
        ours.remove_bundle(&domain("example.com"));
        ours.rotate_svid(&id("web")).unwrap();
        let _server = ours.serve_sds(&path, [id("web")]).unwrap();
        let next = ours.material(&id("web")).unwrap();
        let rotated = || {
            let now = identity.current().unwrap();
            assert!(trusts(&now, &other), "no generation is without it");
            now.chain() == next.svid.chain
        };
        eventually("the rotation", rotated).await;
        // A denial takes back everything.
        ours.deny(&id("web")).unwrap();
        eventually("the identity is withdrawn", || identity.current().is_err()).await;
        ours.allow(&id("web")).unwrap();
        assert_eq!(identity.ready().await.roots(&domain("example.com")).count(), 0);
    });
}

#[test]
fn one_of_several_identities_is_chosen() {
    run(async {
        let (authority, folder) = (authority(&["web", "db"]), Folder::new());
        let (api, sds) = (folder.join("api"), folder.join("sds"));
        let _api = authority.serve_workload_api(&api, [id("web"), id("db")]).unwrap();
        let _sds = authority.serve_sds(&sds, [id("web"), id("db")]).unwrap();
        let api = || WorkloadApiSource::new(&address(&api)).unwrap();
        let sds = || SdsSource::new(&address(&sds)).unwrap();
        let default = [builder().start(api()), builder().start(sds())];
        let chosen = [
            builder().start(api().identity(id("db"))),
            builder().start(sds().certificate("spiffe://example.org/db").bundle("spiffe://example.org")),
        ];
        for (default, chosen) in default.iter().zip(&chosen) {
            assert_eq!(default.ready().await.id(), &id("web"));
            assert_eq!(chosen.ready().await.id(), &id("db"));
        }
        // The other one is still there: this is an update that lacks ours.
        authority.deny(&id("db")).unwrap();
        let removed = || matches!(chosen[0].current(), Err(Unavailable::Withdrawn(Withdrawal::Removed)));
        eventually("the chosen identity is removed", removed).await;
        assert!(default[0].current().is_ok());
    });
}

#[test]
fn sds_versions_are_acknowledged_one_after_the_other() {
    run(async {
        let (authority, folder) = (authority(&["web"]), Folder::new());
        let path = folder.join("socket");
        let server = authority.serve_sds(&path, [id("web")]).unwrap();
        let identity = follow(Kind::Sds, &path);
        identity.ready().await;
        eventually("an answer", || server.answers().len() == 1).await;
        authority.rotate_svid(&id("web")).unwrap();
        eventually("two answers", || server.answers().len() == 2).await;
        let answers = server.answers();
        assert!(answers.iter().all(|answer| answer.refusal.is_none()));
        assert!(answers.iter().all(|answer| answer.names == ["default", "ROOTCA"]));
        let versions: Vec<u64> = answers.iter().map(|answer| answer.version.parse().unwrap()).collect();
        assert!(versions[0] < versions[1], "{versions:?}");
    });
}
