//! Which object counts.

use super::explain::{Explanation, Note};
use super::fields::read_mesh_fields;
use super::objects::{Layer, Objects, Origin, Pod, Scoped};
use super::settings::ProxyConfig;
use crate::config::node::Document;
use crate::config::problem::{Mode, Problem};
use std::collections::BTreeMap;

/// The annotation with settings.
const ANNOTATION: &str = "proxy.istio.io/config";

/// Whose order of precedence is followed; see [the module](super).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precedence {
    /// Istio's.
    #[default]
    Istio,
    /// That of Alibaba Cloud Service Mesh.
    Asm,
}

/// How the settings of a pod are found.
///
/// ```
/// use rustls_multibuffer::config::{Document, Mode};
/// use rustls_multibuffer::config::istio::{Objects, Resolver};
///
/// let objects = "
/// meshConfig: {defaultConfig: {concurrency: 4}}
/// ---
/// kind: Pod
/// metadata:
///   namespace: shop
///   name: cart-0
///   annotations:
///     proxy.istio.io/config: |
///       privateKeyProvider: {cryptomb: {pollDelay: 10ms, fallback: true}}
/// ";
/// let objects = Objects::read(&Document::parse_all("cluster.yaml", objects)?, Mode::Strict)?.value;
/// let resolved = Resolver::default().resolve(&objects, &objects.pods()[0]);
/// assert_eq!(resolved.config.concurrency, Some(4));
/// assert!(resolved.explanation.to_string().contains("annotation proxy.istio.io/config shop/cart-0"));
/// # Ok::<(), rustls_multibuffer::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolver {
    /// Whose precedence.
    pub precedence: Precedence,
    /// The namespace whose `ProxyConfig` objects are for the whole mesh; default: `istio-system`.
    pub root_namespace: String,
    /// What an annotation with fields that are not supported is: broken, or taken without them.
    pub mode: Mode,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { precedence: Precedence::Istio, root_namespace: "istio-system".to_owned(), mode: Mode::Strict }
    }
}

/// The settings of one pod.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// The settings.
    pub config: ProxyConfig,
    /// Where each of them came from.
    pub explanation: Explanation,
    /// About the annotation.
    pub warnings: Vec<Problem>,
}

impl Resolver {
    /// The same with another [`precedence`](Self#structfield.precedence).
    #[must_use]
    pub fn precedence(mut self, precedence: Precedence) -> Self {
        self.precedence = precedence;
        self
    }

    /// The same with another [`root_namespace`](Self#structfield.root_namespace).
    #[must_use]
    pub fn root_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.root_namespace);
        self
    }

    /// The same with another [`mode`](Self#structfield.mode).
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The settings of `pod`.
    pub fn resolve(&self, objects: &Objects, pod: &Pod) -> Resolved {
        let mut search = Search { pod, layers: Vec::new(), notes: Vec::new(), warnings: Vec::new() };
        search.layers.push(Layer {
            origin: Origin { kind: "built-in", namespace: None, name: None, location: None },
            config: ProxyConfig::built_in(),
        });
        search.layers.extend(objects.mesh.clone());
        match self.precedence {
            Precedence::Istio => {
                let (root, own) = (self.root_namespace.as_str(), search.namespace());
                search.skip(&objects.templates, "not looked at: the precedence is Istio's");
                if root != own {
                    search.add(&objects.proxy_configs, root, Scope::Namespace);
                }
                search.add(&objects.proxy_configs, own, Scope::Namespace);
                search.add_annotation(self.mode);
                search.add(&objects.proxy_configs, own, Scope::Workload);
                search.skip_foreign(&objects.proxy_configs, root);
            }
            Precedence::Asm => {
                let own = search.namespace();
                search.skip(&objects.proxy_configs, "not looked at: the precedence is ASM's");
                search.add(&objects.templates, own, Scope::Namespace);
                search.add(&objects.templates, own, Scope::Workload);
                search.add_annotation(self.mode);
                search.skip_foreign(&objects.templates, own);
            }
        }
        let explanation = Explanation::new(&search.layers, search.notes);
        let configs = search.layers.iter().map(|layer| &layer.config);
        let config = configs.fold(ProxyConfig::default(), ProxyConfig::overlaid_with);
        Resolved { config, explanation, warnings: search.warnings }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Objects without a selector.
    Namespace,
    /// Objects whose selector matches.
    Workload,
}

struct Search<'a> {
    pod: &'a Pod,
    /// The lowest first.
    layers: Vec<Layer>,
    notes: Vec<Note>,
    warnings: Vec<Problem>,
}

impl<'a> Search<'a> {
    fn namespace(&self) -> &'a str {
        if self.pod.namespace.is_empty() { "default" } else { &self.pod.namespace }
    }

    fn matches(&self, selector: &BTreeMap<String, String>) -> bool {
        selector.iter().all(|(name, value)| self.pod.labels.get(name) == Some(value))
    }

    /// Adds the oldest of the objects of one row of the table.
    fn add(&mut self, objects: &[Scoped], namespace: &str, scope: Scope) {
        let mut row: Vec<_> = objects
            .iter()
            .filter(|object| object.namespace == namespace)
            .filter(|object| match &object.selector {
                None => scope == Scope::Namespace,
                Some(selector) => scope == Scope::Workload && self.matches(selector),
            })
            .collect();
        // Those of unknown age come last.
        row.sort_by_key(|object| (object.created.is_none(), object.created, &object.layer.origin.name));
        let mut row = row.into_iter();
        let Some(oldest) = row.next() else { return };
        for younger in row {
            self.note(&younger.layer.origin, format!("there is an older one: {}", oldest.layer.origin));
        }
        self.layers.push(oldest.layer.clone());
    }

    fn add_annotation(&mut self, mode: Mode) {
        let Some(text) = self.pod.annotations.get(ANNOTATION) else { return };
        let origin = Origin {
            kind: "annotation proxy.istio.io/config",
            namespace: Some(self.namespace().to_owned()),
            name: Some(self.pod.name.clone()),
            location: self.pod.location.clone(),
        };
        let file = format!("{} {}/{}", origin.kind, self.namespace(), self.pod.name);
        let read = Document::parse(&file, text).and_then(|document| read_mesh_fields(&document, mode));
        match read {
            Ok(checked) => {
                self.warnings.extend(checked.warnings);
                self.layers.push(Layer { origin, config: checked.value });
            }
            Err(e) => {
                self.note(&origin, format!("not understood, left out: {e}"));
                self.warnings.extend_from_slice(e.problems());
            }
        }
    }

    fn note(&mut self, origin: &Origin, reason: impl Into<String>) {
        self.notes.push(Note { origin: origin.clone(), reason: reason.into() });
    }

    fn skip(&mut self, objects: &[Scoped], reason: &str) {
        objects.iter().for_each(|object| self.note(&object.layer.origin, reason));
    }

    /// Says of the objects that are not for this pod why.
    fn skip_foreign(&mut self, objects: &[Scoped], root: &str) {
        for object in objects {
            let is_own = object.namespace == self.namespace();
            match &object.selector {
                Some(selector) if is_own && !self.matches(selector) => {
                    self.note(&object.layer.origin, "its selector does not match");
                }
                Some(_) if !is_own => self.note(&object.layer.origin, "its namespace is another"),
                None if !is_own && object.namespace != root => {
                    self.note(&object.layer.origin, "its namespace is another");
                }
                _ => {}
            }
        }
    }
}
