//! Servers that send resources one by one, in any order, and servers that send nonsense.

use super::super::authority::{Authority, AuthorityConfig};
use super::super::clock::SystemClock;
use super::super::metric::Metrics;
use super::super::proto::discovery::{
    Any, BoolValue, CryptoMbConfig, DataSource, DomainBundle, Duration, ExtensionConfig, MatchPattern,
    PrivateKeyProvider, RegexMatcher, SPIFFE_VALIDATOR_TYPE, Secret, SecretKind, Specifier, SpiffeValidator,
    StringMatcher, SubjectAltNameMatcher, TlsCertificate, UInt32Value, ValidationContext,
};
use super::super::store::Store;
use super::super::{Material, SpiffeId, Unavailable};
use super::*;
use pkcs8::LineEnding;
use pkcs8::der::pem::encode_string;
use prost::Message;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

fn web() -> SpiffeId {
    SpiffeId::new("spiffe://example.org/web").unwrap()
}

fn inline(text: String) -> Option<DataSource> {
    Some(DataSource { specifier: Some(Specifier::InlineString(text)) })
}

fn pem(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|der| encode_string("CERTIFICATE", LineEnding::LF, der).unwrap()).collect()
}

fn resource(name: &str, kind: SecretKind) -> Any {
    let secret = Secret { name: name.to_owned(), kind: Some(kind) };
    Any { type_url: SECRET_TYPE.to_owned(), value: secret.encode_to_vec() }
}

fn certificate(material: &Material) -> Any {
    let key = material.svid.key.expose().secret_der();
    let certificate = TlsCertificate {
        certificate_chain: inline(pem(&material.svid.chain)),
        private_key: inline(encode_string("PRIVATE KEY", LineEnding::LF, key).unwrap()),
        private_key_provider: None,
    };
    resource("default", SecretKind::TlsCertificate(certificate))
}

fn bundle(material: &Material) -> Any {
    roots("ROOTCA", &material.bundles[web().trust_domain()].roots)
}

fn roots(name: &str, roots: &[CertificateDer<'_>]) -> Any {
    let context = ValidationContext { trusted_ca: inline(pem(roots)), ..Default::default() };
    resource(name, SecretKind::ValidationContext(context))
}

fn partner() -> TrustDomain {
    TrustDomain::new("example.com").unwrap()
}

/// A source's state, and the store that judges what it offers.
struct World {
    authority: Authority,
    resources: Resources,
    store: Arc<Store>,
    updates: Updates,
}

impl World {
    fn new() -> Self {
        let authority = Authority::start(AuthorityConfig::new(web().trust_domain().clone())).unwrap();
        authority.allow(&web()).unwrap();
        let store = Arc::new(Store::new(Arc::new(SystemClock), None, Metrics::new("test".to_owned())));
        let resources = Resources::new(Self::names(), Federated::new());
        Self { authority, resources, updates: Updates::new(store.clone()), store }
    }

    fn names() -> Names {
        SdsSource::new("unix:///nowhere").unwrap().federated_bundle("partner", partner()).names
    }

    /// The stream ends, and another begins.
    fn reconnect(&mut self) {
        self.resources = Resources::new(Self::names(), self.resources.federated().clone());
    }

    fn material(&self) -> Material {
        self.authority.material(&web()).unwrap()
    }

    fn take(&mut self, resources: Vec<Any>) -> Result<(), &'static str> {
        let response =
            DiscoveryResponse { resources, type_url: SECRET_TYPE.to_owned(), ..DiscoveryResponse::default() };
        self.resources.take(response, &self.updates).map_err(|refusal| refusal.as_label())
    }

    /// Whether this SVID is published, with that many roots.
    #[track_caller]
    fn assert_published(&self, material: &Material, roots: usize) {
        let current = self.store.current().unwrap();
        assert_eq!(current.chain(), material.svid.chain);
        assert_eq!(current.roots(web().trust_domain()).count(), roots);
    }
}

/// The authority's tasks need a runtime.
fn run(test: impl FnOnce(World)) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        test(World::new());
    });
}

#[test]
fn nothing_is_offered_until_it_is_complete() {
    run(|mut world| {
        let material = world.material();
        assert_eq!(world.take(vec![certificate(&material)]), Ok(()));
        assert_eq!(world.store.current().unwrap_err(), Unavailable::NotYet);
        assert_eq!(world.take(vec![bundle(&material)]), Ok(()));
        world.assert_published(&material, 1);
    });
}

#[test]
fn an_svid_that_comes_before_its_root_is_used_when_the_root_is_there() {
    run(|mut world| {
        let old = world.material();
        assert_eq!(world.take(vec![certificate(&old), bundle(&old)]), Ok(()));
        world.authority.rotate_ca().unwrap();
        world.authority.use_announced_ca().unwrap();
        let new = world.material();
        assert_eq!(world.take(vec![certificate(&new)]), Err("not_in_bundle"));
        world.assert_published(&old, 1);
        assert_eq!(world.take(vec![bundle(&new)]), Ok(()));
        world.assert_published(&new, 2);
    });
}

#[test]
fn a_bundle_is_used_although_an_svid_was_refused_for_good() {
    run(|mut world| {
        let old = world.material();
        assert_eq!(world.take(vec![certificate(&old), bundle(&old)]), Ok(()));
        world.authority.rotate_svid(&web()).unwrap();
        let mut mismatched = world.material();
        mismatched.svid.key = old.svid.key.clone();
        assert_eq!(world.take(vec![certificate(&mismatched)]), Err("key_mismatch"));
        world.authority.rotate_ca().unwrap();
        assert_eq!(world.take(vec![bundle(&world.material())]), Ok(()));
        world.assert_published(&old, 2);
        let good = world.material();
        assert_eq!(world.take(vec![certificate(&good)]), Ok(()));
        world.assert_published(&good, 2);
    });
}

#[test]
fn a_bundle_is_used_although_only_a_key_was_refused() {
    run(|mut world| {
        let old = world.material();
        assert_eq!(world.take(vec![certificate(&old), bundle(&old)]), Ok(()));
        world.authority.rotate_ca().unwrap();
        let announced = world.material();
        world.authority.rotate_svid(&web()).unwrap();
        let mut same_chain = old.clone();
        same_chain.svid.key = world.material().svid.key.clone();
        assert_eq!(world.take(vec![certificate(&same_chain)]), Err("key_mismatch"));
        assert_eq!(world.take(vec![bundle(&announced)]), Ok(()));
        world.assert_published(&old, 2);
    });
}

#[test]
fn a_new_stream_has_the_other_domains_bundles_until_others_come() {
    run(|mut world| {
        let other = Authority::start(AuthorityConfig::new(partner())).unwrap();
        let old = world.material();
        let all = vec![certificate(&old), bundle(&old), roots("partner", &other.bundle())];
        assert_eq!(world.take(all), Ok(()));
        world.authority.rotate_svid(&web()).unwrap();
        let new = world.material();
        world.reconnect();
        assert_eq!(world.take(vec![certificate(&new)]), Ok(()));
        world.assert_published(&old, 1);
        assert_eq!(world.take(vec![bundle(&new)]), Ok(()));
        world.assert_published(&new, 1);
        let partners = |world: &World| {
            let current = world.store.current().unwrap();
            current.roots(&partner()).cloned().collect::<Vec<_>>()
        };
        assert_eq!(partners(&world), other.bundle());
        // What was never part of a complete identity is not left to the next stream.
        world.reconnect();
        assert_eq!(world.take(vec![roots("partner", &new.svid.chain)]), Ok(()));
        world.reconnect();
        assert_eq!(world.take(vec![certificate(&new), bundle(&new)]), Ok(()));
        assert_eq!(partners(&world), other.bundle());
        let next = Authority::start(AuthorityConfig::new(partner())).unwrap();
        assert_eq!(world.take(vec![roots("partner", &next.bundle())]), Ok(()));
        assert_eq!(partners(&world), next.bundle());
    });
}

#[test]
fn nobody_else_speaks_for_our_own_domain() {
    run(|mut world| {
        let (good, impostor) =
            (world.material(), Authority::start(AuthorityConfig::new(web().trust_domain().clone())).unwrap());
        let per_domain = |name: &str, domain: &TrustDomain, roots: &[CertificateDer<'_>]| {
            let trusted = DomainBundle { name: domain.to_string(), trust_bundle: inline(pem(roots)) };
            let validator = SpiffeValidator { trust_domains: vec![trusted] };
            let typed = Any { type_url: SPIFFE_VALIDATOR_TYPE.to_owned(), value: validator.encode_to_vec() };
            let config = ExtensionConfig { name: String::new(), typed_config: Some(typed) };
            let context = ValidationContext { custom_validator_config: Some(config), ..Default::default() };
            resource(name, SecretKind::ValidationContext(context))
        };
        let theirs = per_domain("partner", web().trust_domain(), &impostor.bundle());
        assert_eq!(world.take(vec![certificate(&good), bundle(&good), theirs]), Ok(()));
        world.assert_published(&good, 1);
        let without_us = per_domain("ROOTCA", &partner(), &impostor.bundle());
        assert_eq!(world.take(vec![without_us]), Err("no_bundle"));
    });
}

#[test]
fn nonsense_is_refused_whole_and_counted() {
    run(|mut world| {
        let material = world.material();
        assert_eq!(world.take(vec![certificate(&material), bundle(&material)]), Ok(()));
        world.authority.rotate_svid(&web()).unwrap();
        let good = certificate(&world.material());
        let mut cut = bundle(&material);
        cut.value.truncate(cut.value.len() / 2);
        let context = |trusted_ca| {
            let context = ValidationContext { trusted_ca, ..Default::default() };
            resource("ROOTCA", SecretKind::ValidationContext(context))
        };
        let untyped = Any { type_url: "type.googleapis.com/other".to_owned(), value: Vec::new() };
        let swapped = resource("ROOTCA", SecretKind::TlsCertificate(TlsCertificate::default()));
        for (nonsense, label) in [
            (vec![], "empty"),
            (vec![cut], "malformed"),
            (vec![context(None)], "malformed"),
            (vec![context(inline(String::new()))], "empty"),
            (vec![context(inline("-----BEGIN CERTIFICATE-----\nAAAA".to_owned()))], "malformed"),
            (vec![untyped], "malformed"),
            (vec![swapped], "malformed"),
        ] {
            let refused = world.store.health().refused;
            // A good resource beside it does not help, but for nothing at all.
            let all = if nonsense.is_empty() { nonsense } else { [vec![good.clone()], nonsense].concat() };
            assert_eq!(world.take(all), Err(label));
            assert_eq!(world.store.health().refused, refused + 1);
            world.assert_published(&material, 1);
        }
        // What nobody asked for is skipped.
        let mut stranger = bundle(&material);
        stranger.value = Secret { name: "other".to_owned(), ..Secret::decode(&stranger.value[..]).unwrap() }
            .encode_to_vec();
        let new = world.material();
        assert_eq!(world.take(vec![stranger, certificate(&new)]), Ok(()));
        world.assert_published(&new, 1);
    });
}

/// A context with these roots, and more in it.
fn restricted(roots: &[CertificateDer<'_>], restrict: impl FnOnce(&mut ValidationContext)) -> Any {
    let mut context = ValidationContext { trusted_ca: inline(pem(roots)), ..Default::default() };
    restrict(&mut context);
    resource("ROOTCA", SecretKind::ValidationContext(context))
}

fn string_matcher(pattern: MatchPattern) -> StringMatcher {
    StringMatcher { pattern: Some(pattern), ignore_case: false }
}

#[test]
fn what_a_context_asks_for_is_refused_if_it_is_not_enforced() {
    run(|mut world| {
        let material = world.material();
        let roots = material.bundles[web().trust_domain()].roots.clone();
        type Restrict = fn(&mut ValidationContext);
        let cases: [Restrict; 13] = [
            |context| context.verify_certificate_hash = vec!["00".repeat(32)],
            |context| context.verify_certificate_spki = vec!["A".repeat(44)],
            |context| context.require_signed_certificate_timestamp = Some(BoolValue { value: true }),
            |context| context.allow_expired_certificate = true,
            |context| context.trust_chain_verification = 1,
            |context| context.max_verify_depth = Some(UInt32Value { value: 1 }),
            |context| {
                context.crl = Some(DataSource { specifier: Some(Specifier::Filename("/crl.pem".into())) })
            },
            |context| {
                context.trusted_ca =
                    Some(DataSource { specifier: Some(Specifier::Filename("/ca.pem".into())) })
            },
            |context| context.custom_validator_config = Some(ExtensionConfig::default()),
            |context| {
                let matcher = Some(string_matcher(MatchPattern::Exact("web.test".to_owned())));
                context.match_typed_subject_alt_names = vec![SubjectAltNameMatcher { san_type: 2, matcher }];
            },
            |context| {
                let matcher = Some(string_matcher(MatchPattern::Custom(ExtensionConfig::default())));
                context.match_typed_subject_alt_names = vec![SubjectAltNameMatcher { san_type: 3, matcher }];
            },
            |context| {
                let broken = MatchPattern::SafeRegex(RegexMatcher { regex: "(".to_owned() });
                context.match_subject_alt_names = vec![string_matcher(broken)];
            },
            |context| {
                let text = string_matcher(MatchPattern::Exact("spiffe://example.org/web".to_owned()));
                context.match_subject_alt_names = vec![text.clone()];
                let typed = SubjectAltNameMatcher { san_type: 3, matcher: Some(text) };
                context.match_typed_subject_alt_names = vec![typed];
            },
        ];
        for (i, restrict) in cases.into_iter().enumerate() {
            let all = vec![certificate(&material), restricted(&roots, restrict)];
            assert_eq!(world.take(all), Err("unsupported"), "case {i}");
            assert_eq!(world.store.current().unwrap_err(), Unavailable::NotYet);
        }
        // Fields that are not known, or newer than this: ca_certificate_provider_instance (13),
        // system_root_certs (17).
        for tag in [13_u32, 17, 99] {
            let context = ValidationContext { trusted_ca: inline(pem(&roots)), ..Default::default() };
            let mut content = context.encode_to_vec();
            prost::encoding::bytes::encode(tag, &vec![], &mut content);
            let mut value = Secret { name: "ROOTCA".to_owned(), kind: None }.encode_to_vec();
            prost::encoding::bytes::encode(4, &content, &mut value);
            let unknown = Any { type_url: SECRET_TYPE.to_owned(), value };
            assert_eq!(world.take(vec![certificate(&material), unknown]), Err("unsupported"), "field {tag}");
        }
        // Defaults that are written out are no restrictions.
        let defaults = restricted(&roots, |context| {
            context.require_signed_certificate_timestamp = Some(BoolValue { value: false });
            context.max_verify_depth = Some(UInt32Value { value: 100 });
        });
        assert_eq!(world.take(vec![certificate(&material), defaults]), Ok(()));
        world.assert_published(&material, 1);
    });
}

#[test]
fn names_that_a_context_wants_matched_decide() {
    run(|mut world| {
        let material = world.material();
        let roots = material.bundles[web().trust_domain()].roots.clone();
        let other = SpiffeId::new("spiffe://example.org/other").unwrap();
        for is_typed in [true, false] {
            let only_web = restricted(&roots, |context| {
                let text = string_matcher(MatchPattern::Suffix("/web".to_owned()));
                match is_typed {
                    true => context
                        .match_typed_subject_alt_names
                        .push(SubjectAltNameMatcher { san_type: 3, matcher: Some(text) }),
                    false => context.match_subject_alt_names.push(text),
                }
            });
            assert_eq!(world.take(vec![certificate(&material), only_web]), Ok(()));
            let current = world.store.current().unwrap();
            let trusted = current.bundles().get(web().trust_domain()).unwrap();
            assert!(trusted.admits(&web()) && !trusted.admits(&other));
            assert_eq!(world.take(vec![bundle(&material)]), Ok(()));
            let current = world.store.current().unwrap();
            assert!(
                current.bundles().get(web().trust_domain()).unwrap().admits(&other),
                "nobody is named any more"
            );
        }
    });
}

#[test]
fn a_key_may_stand_in_a_provider() {
    run(|mut world| {
        let material = world.material();
        let key =
            encode_string("PRIVATE KEY", LineEnding::LF, material.svid.key.expose().secret_der()).unwrap();
        let secret = |provider: &str, message: &str, key: Option<DataSource>, beside: Option<DataSource>| {
            let config = CryptoMbConfig {
                private_key: key,
                poll_delay: Some(Duration { seconds: 0, nanos: 2_000_000 }),
            };
            let type_url =
                format!("type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.{message}");
            let provider = PrivateKeyProvider {
                provider_name: provider.to_owned(),
                typed_config: Some(Any { type_url, value: config.encode_to_vec() }),
                fallback: true,
            };
            let certificate = TlsCertificate {
                certificate_chain: inline(pem(&material.svid.chain)),
                private_key: beside,
                private_key_provider: Some(provider),
            };
            resource("default", SecretKind::TlsCertificate(certificate))
        };
        let (alpha, v3) = ("v3alpha.CryptoMbPrivateKeyMethodConfig", "v3.CryptoMbPrivateKeyMethodConfig");
        let file = Some(DataSource { specifier: Some(Specifier::Filename("/key.pem".to_owned())) });
        for (refused, label) in [
            (secret("qat", alpha, inline(key.clone()), None), "unsupported"),
            (secret("cryptomb", "v3.Other", inline(key.clone()), None), "unsupported"),
            (secret("cryptomb", alpha, file, inline(key.clone())), "unsupported"),
            (secret("cryptomb", alpha, None, None), "malformed"),
        ] {
            assert_eq!(world.take(vec![refused, bundle(&material)]), Err(label));
        }
        for served in [
            secret("cryptomb", alpha, inline(key.clone()), None),
            secret("cryptomb", v3, None, inline(key.clone())),
            secret("cryptomb", alpha, inline(key.clone()), inline("not used".to_owned())),
        ] {
            assert_eq!(world.take(vec![served, bundle(&material)]), Ok(()));
            world.assert_published(&material, 1);
        }
    });
}

#[test]
fn another_domains_bad_resource_is_refused_alone() {
    run(|mut world| {
        let old = world.material();
        assert_eq!(world.take(vec![certificate(&old), bundle(&old)]), Ok(()));
        world.authority.rotate_svid(&web()).unwrap();
        let new = world.material();
        let pinned = ValidationContext { verify_certificate_hash: vec![String::new()], ..Default::default() };
        let theirs = resource("partner", SecretKind::ValidationContext(pinned));
        assert_eq!(world.take(vec![theirs, certificate(&new)]), Err("unsupported"));
        world.assert_published(&new, 1);
    });
}
