//! Which object counts.

use super::explain::{Explanation, Note};
use super::fields::{Parsed, read_annotation};
use super::objects::{Layer, Objects, Origin, Pod, Scoped};
use super::settings::ProxyConfig;
use crate::config::node::Document;
use crate::config::path::Location;
use crate::config::problem::Problem;
use std::collections::BTreeMap;

/// The namespace whose objects are for the whole mesh, where nothing says otherwise.
const ROOT_NAMESPACE: &str = "istio-system";

/// The annotation with settings.
const ANNOTATION: &str = "proxy.istio.io/config";

/// Whose order of precedence is followed; see [the module](super).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precedence {
    /// The order that Istio follows.
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
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Resolver {
    /// Whose order of precedence is followed.
    pub precedence: Precedence,
    /// The namespace whose `ProxyConfig` objects are for the whole mesh; default: what the mesh configuration
    /// says, else `istio-system`.
    pub root_namespace: Option<String>,
}

/// The settings of one pod.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// The settings that count.
    pub config: ProxyConfig,
    /// Where each of them came from.
    pub explanation: Explanation,
    /// About the annotation: fields that Istio does not have.
    pub warnings: Vec<Problem>,
    /// What is broken in the annotation and left out. Istio's agent does not start with it.
    pub errors: Vec<Problem>,
    /// Fields of the annotation that are Istio's and mean nothing here.
    pub passed_over: Vec<Location>,
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
        self.root_namespace = Some(namespace.to_owned());
        self
    }

    /// The settings of `pod`.
    pub fn resolve(&self, objects: &Objects, pod: &Pod) -> Resolved {
        let mut search = Search {
            pod,
            layers: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            passed_over: Vec::new(),
        };
        search.layers.push(Layer {
            origin: Origin { kind: "built-in", namespace: None, name: None, location: None },
            config: ProxyConfig::built_in(),
        });
        search.layers.extend(objects.defaults.iter().cloned());
        match self.precedence {
            Precedence::Istio => {
                let root = self.root_namespace.as_deref().or(objects.root_namespace.as_deref());
                let (root, own) = (root.unwrap_or(ROOT_NAMESPACE), search.namespace());
                search.skip(&objects.templates, "not looked at: the precedence is Istio's");
                if root != own {
                    search.add(&objects.proxy_configs, root, Scope::Namespace);
                }
                search.add(&objects.proxy_configs, own, Scope::Namespace);
                search.add_annotation();
                search.add(&objects.proxy_configs, own, Scope::Workload);
                search.skip_foreign(&objects.proxy_configs, root);
            }
            Precedence::Asm => {
                let own = search.namespace();
                search.skip(&objects.proxy_configs, "not looked at: the precedence is ASM's");
                search.add(&objects.templates, own, Scope::Namespace);
                search.add(&objects.templates, own, Scope::Workload);
                search.add_annotation();
                search.skip_foreign(&objects.templates, own);
            }
        }
        let explanation = Explanation::new(&search.layers, std::mem::take(&mut search.notes));
        let configs = search.layers.iter().map(|layer| &layer.config);
        let config = configs.fold(ProxyConfig::default(), ProxyConfig::overlaid_with);
        let Search { warnings, errors, passed_over, .. } = search;
        Resolved { config, explanation, warnings, errors, passed_over }
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
    errors: Vec<Problem>,
    passed_over: Vec<Location>,
}

impl<'a> Search<'a> {
    fn namespace(&self) -> &'a str {
        if self.pod.namespace.is_empty() { "default" } else { &self.pod.namespace }
    }

    /// An empty selector is for nobody, as in Istio.
    fn matches(&self, selector: &BTreeMap<String, String>) -> bool {
        !selector.is_empty() && selector.iter().all(|(name, value)| self.pod.labels.get(name) == Some(value))
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
        // Those of unknown age come first, as in Istio: to it they are of the year 1.
        row.sort_by_key(|object| (object.created, &object.layer.origin.name));
        let mut row = row.into_iter();
        let Some(oldest) = row.next() else { return };
        for younger in row {
            self.note(&younger.layer.origin, format!("there is an older one: {}", oldest.layer.origin));
        }
        self.layers.push(oldest.layer.clone());
    }

    fn add_annotation(&mut self) {
        let Some(text) = self.pod.annotations.get(ANNOTATION) else { return };
        let origin = Origin {
            kind: "annotation proxy.istio.io/config",
            namespace: Some(self.namespace().to_owned()),
            name: Some(self.pod.name.clone()),
            location: self.pod.location.clone(),
        };
        let file = format!("{} {}/{}", origin.kind, self.namespace(), self.pod.name);
        let document = match Document::parse_all(&file, text).map(<[_; 1]>::try_from) {
            Ok(Ok([document])) => document,
            Ok(Err(none)) if none.is_empty() => return,
            Ok(Err(several)) => {
                return self.leave_out(&origin, vec![several[1].problem("expected one document")]);
            }
            Err(e) => return self.leave_out(&origin, e.problems().to_vec()),
        };
        let (Parsed { value: config, warnings, passed_over }, errors) = read_annotation(&document);
        self.warnings.extend(warnings);
        self.passed_over.extend(passed_over);
        self.leave_out(&origin, errors);
        self.layers.push(Layer { origin, config });
    }

    fn leave_out(&mut self, origin: &Origin, errors: Vec<Problem>) {
        for error in &errors {
            self.note(origin, format!("left out: {error}"));
        }
        self.errors.extend(errors);
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
                Some(selector) if is_own && selector.is_empty() => {
                    self.note(&object.layer.origin, "its selector is empty, which selects nothing");
                }
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
