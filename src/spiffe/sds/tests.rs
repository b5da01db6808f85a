//! Servers that send resources one by one, in any order, and servers that send nonsense.

use super::super::authority::{Authority, AuthorityConfig};
use super::super::clock::SystemClock;
use super::super::metric::Metrics;
use super::super::proto::discovery::{
    Any, DataSource, Secret, SecretKind, Specifier, TlsCertificate, ValidationContext,
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
    };
    resource("default", SecretKind::TlsCertificate(certificate))
}

fn bundle(material: &Material) -> Any {
    let roots = &material.bundles[web().trust_domain()];
    let context = ValidationContext { trusted_ca: inline(pem(roots)), custom_validator_config: None };
    resource("ROOTCA", SecretKind::ValidationContext(context))
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
        let names = SdsSource::new("unix:///nowhere").unwrap().names;
        let resources = Resources::new(names);
        Self { authority, resources, updates: Updates::new(store.clone()), store }
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
fn nonsense_is_refused_whole_and_counted() {
    run(|mut world| {
        let material = world.material();
        assert_eq!(world.take(vec![certificate(&material), bundle(&material)]), Ok(()));
        world.authority.rotate_svid(&web()).unwrap();
        let good = certificate(&world.material());
        let mut cut = bundle(&material);
        cut.value.truncate(cut.value.len() / 2);
        let context = |trusted_ca| {
            let context = ValidationContext { trusted_ca, custom_validator_config: None };
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
