//! What a server has told so far, and when that is a complete identity.

use super::super::leaf::Leaf;
use super::super::proto::discovery::{Any, DiscoveryResponse, SECRET_TYPE};
use super::super::source::{Material, Offered, Svid, TrustBundle, Updates};
use super::super::{Refusal, TrustDomain};
use super::Names;
use super::context::Bundle;
use super::parse::{Parsed, secret};
use std::collections::BTreeMap;

/// Resources by their kind and name.
#[derive(Clone, Default)]
struct Parts {
    svid: Option<Svid>,
    bundles: BTreeMap<String, Bundle>,
}

/// Bundles of other domains, by resource, that a stream leaves to the next one.
pub(super) type Federated = BTreeMap<String, Bundle>;

/// The resources that we subscribe to.
///
/// A server may send them one by one. Then a new SVID can come before the bundle with the new root that has
/// issued it: it is refused, because it does not verify, and is tried again when the bundle is there. So what
/// could be read is remembered even if it was refused; and as it may also be refused for good, a later
/// response is tried with what was accepted, too.
///
/// When a stream begins anew, our own certificate and bundle must come again. Nothing waits for the bundles
/// of other domains: those that the stream before had accepted count until the server sends others, so that
/// no reconnection makes strangers of them for a moment.
pub(super) struct Resources {
    names: Names,
    accepted: Parts,
    latest: Parts,
    /// What is wrong with other domains' bundles in the response at hand.
    strangers: Option<Refusal>,
    /// Whether something in `latest` was refused.
    has_refused: bool,
    federated: Federated,
}

impl Resources {
    pub(super) fn new(names: Names, federated: Federated) -> Self {
        let accepted = Parts { svid: None, bundles: federated.clone() };
        Self { names, latest: accepted.clone(), accepted, strangers: None, has_refused: false, federated }
    }

    /// Those of our own secrets that the server has not sent yet.
    pub(super) fn missing(&self) -> Vec<&str> {
        let certificate = self.latest.svid.is_none().then_some(self.names.certificate.as_str());
        let bundle = !self.latest.bundles.contains_key(&self.names.bundle);
        certificate.into_iter().chain(bundle.then_some(self.names.bundle.as_str())).collect()
    }

    /// What was accepted of other domains' bundles, as parts of a complete identity.
    pub(super) fn federated(&self) -> &Federated {
        &self.federated
    }

    /// Offers what is there after a response, if that is complete. What is wrong with another domain's bundle
    /// is told the server, and concerns that bundle only.
    pub(super) fn take(&mut self, response: DiscoveryResponse, updates: &Updates) -> Result<(), Refusal> {
        self.use_all(response, updates)?;
        match self.strangers.take() {
            Some(refusal) => {
                updates.refuse(refusal.clone());
                Err(refusal)
            }
            None => Ok(()),
        }
    }

    fn use_all(&mut self, response: DiscoveryResponse, updates: &Updates) -> Result<(), Refusal> {
        let news = match self.read(response) {
            Ok(news) => news,
            Err(refusal) => {
                updates.refuse(refusal.clone());
                return Err(refusal);
            }
        };
        self.latest.replace(&news);
        let refusal = match self.offer(&self.latest, updates) {
            Ok(offered) => {
                self.has_refused = false;
                self.accept(self.latest.clone(), offered);
                return Ok(());
            }
            Err(refusal) => refusal,
        };
        let had_refused = std::mem::replace(&mut self.has_refused, true);
        let mut without_refused = self.accepted.clone();
        without_refused.replace(&news);
        if had_refused && let Ok(offered) = self.offer(&without_refused, updates) {
            self.accept(without_refused, offered);
            return Ok(());
        }
        Err(refusal)
    }

    fn accept(&mut self, parts: Parts, offered: Option<Offered>) {
        if offered.is_some() {
            self.federated = parts.bundles.clone();
            self.federated.retain(|name, _| self.names.federated.contains_key(name));
        }
        self.accepted = parts;
    }

    /// Those of our resources that are in the response. All of it is refused if any of them cannot be read.
    fn read(&mut self, response: DiscoveryResponse) -> Result<Parts, Refusal> {
        if response.type_url != SECRET_TYPE {
            return Err(Refusal::Malformed(format!("resources of type {}", response.type_url)));
        }
        let mut news = Parts::default();
        self.strangers = None;
        for resource in response.resources {
            self.sort(resource, &mut news)?;
        }
        if news.svid.is_none() && news.bundles.is_empty() && self.strangers.is_none() {
            return Err(Refusal::Empty);
        }
        Ok(news)
    }

    fn sort(&mut self, resource: Any, news: &mut Parts) -> Result<(), Refusal> {
        let (name, parsed) = secret(resource)?;
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(refusal) if self.names.federated.contains_key(&name) && name != self.names.bundle => {
                self.strangers = Some(refusal);
                return Ok(());
            }
            Err(refusal) => return Err(refusal),
        };
        let is_bundle = name == self.names.bundle || self.names.federated.contains_key(&name);
        match parsed {
            Parsed::Certificate(svid) if name == self.names.certificate => news.svid = Some(svid),
            Parsed::Bundle(bundle) if is_bundle => drop(news.bundles.insert(name, bundle)),
            _ if is_bundle || name == self.names.certificate => {
                return Err(Refusal::Malformed(format!("secret {name} is of another kind")));
            }
            // Nothing that we asked for.
            _ => {}
        }
        Ok(())
    }

    /// `None` as long as it is not complete.
    fn offer(&self, parts: &Parts, updates: &Updates) -> Result<Option<Offered>, Refusal> {
        match parts.material(&self.names) {
            Ok(Some(material)) => updates.offer(material).map(Some),
            Ok(None) => Ok(None),
            Err(refusal) => {
                updates.refuse(refusal.clone());
                Err(refusal)
            }
        }
    }
}

impl Parts {
    fn replace(&mut self, news: &Self) {
        self.svid = news.svid.clone().or(self.svid.take());
        self.bundles.extend(news.bundles.clone());
    }

    fn material(&self, names: &Names) -> Result<Option<Material>, Refusal> {
        let (Some(svid), Some(own)) = (&self.svid, self.bundles.get(&names.bundle)) else {
            return Ok(None);
        };
        let ours = trust_domain(svid)?;
        let mut bundles = BTreeMap::new();
        for (name, domain) in &names.federated {
            if let Some(bundle) = self.bundles.get(name) {
                trust(&mut bundles, bundle, domain);
            }
        }
        // Nobody else speaks for our own trust domain.
        bundles.remove(&ours);
        trust(&mut bundles, own, &ours);
        Ok(Some(Material { svid: svid.clone(), bundles }))
    }
}

/// Adds what `bundle` holds; `domain` is meant if it names none.
fn trust(bundles: &mut BTreeMap<TrustDomain, TrustBundle>, bundle: &Bundle, domain: &TrustDomain) {
    match bundle {
        Bundle::OfOne(bundle) => drop(bundles.insert(domain.clone(), bundle.clone())),
        Bundle::PerDomain(domains) => bundles.extend(domains.clone()),
    }
}

/// Whose roots a bundle without a name holds.
fn trust_domain(svid: &Svid) -> Result<TrustDomain, Refusal> {
    let leaf = svid.chain.first().ok_or(Refusal::Empty)?;
    Ok(Leaf::read(leaf)?.id.trust_domain().clone())
}
