//! What there is: the objects of a cluster, as far as they concern a proxy.

use super::fields::{Parsed, meta, meta_of, read_mesh_fields, read_object, read_template};
use super::messages::misspelt;
use super::raw::ObjectMeta;
use super::settings::ProxyConfig;
use super::timestamp;
use crate::config::node::{Document, snake_case};
use crate::config::path::Location;
use crate::config::problem::{Checked, ConfigError, Mode, Problem};
use crate::config::read::{Report, read_some_of};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Kinds that hold a template of pods, all at the same place.
const WORKLOADS: [&str; 6] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Rollout"];

/// What settings come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Origin {
    /// The kind of object, or `built-in`.
    pub kind: &'static str,
    /// The object's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the settings stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

impl Origin {
    fn defaults(location: Location) -> Self {
        Self { kind: "meshConfig.defaultConfig", namespace: None, name: None, location: Some(location) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => write!(f, " {namespace}/{name}")?,
            (None, Some(name)) | (Some(name), None) => write!(f, " {name}")?,
            (None, None) => {}
        }
        match &self.location {
            Some(at) => write!(f, " ({}:{}:{})", at.file, at.position.line, at.position.column),
            None => Ok(()),
        }
    }
}

/// The settings of one object.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) origin: Origin,
    pub(super) config: ProxyConfig,
}

/// The settings of one object of a namespace, and for which pods they are meant.
#[derive(Clone, Debug)]
pub(super) struct Scoped {
    pub(super) layer: Layer,
    pub(super) namespace: String,
    pub(super) selector: Option<BTreeMap<String, String>>,
    pub(super) created: Option<(i64, u32)>,
}

/// A pod, or what pods are made from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Pod {
    /// Its name, or that of what makes it.
    pub name: String,
    /// Its namespace; empty means `default`.
    pub namespace: String,
    /// Its labels, by which selectors choose.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, one of which may hold settings.
    pub annotations: BTreeMap<String, String>,
    /// Where it stands, if it was read.
    pub(super) location: Option<Location>,
}

impl Pod {
    /// A pod without labels and annotations.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { name: name.to_owned(), namespace: namespace.to_owned(), ..Self::default() }
    }

    /// The same with one more label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with one more annotation.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    fn of(meta: ObjectMeta, owner: ObjectMeta, location: Location) -> Self {
        Self {
            name: meta.name.or(owner.name).unwrap_or_default(),
            namespace: meta.namespace.or(owner.namespace).unwrap_or_default(),
            labels: meta.labels,
            annotations: meta.annotations,
            location: Some(location),
        }
    }
}

/// The objects of a cluster, as far as they concern a proxy.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// The mesh configuration's, and what overlays it.
    pub(super) defaults: Vec<Layer>,
    pub(super) root_namespace: Option<String>,
    pub(super) proxy_configs: Vec<Scoped>,
    pub(super) templates: Vec<Scoped>,
    pods: Vec<Pod>,
    passed_over: Vec<Location>,
}

impl Objects {
    /// The objects in the documents: in any order, single or in `List`s. Kinds that do not concern a proxy
    /// are passed over.
    ///
    /// # Errors
    /// Everything that is wrong with those that do. An annotation of a pod is not looked at before it counts.
    pub fn read(documents: &[Document], mode: Mode) -> Result<Checked<Self>, ConfigError> {
        let mut reading = Reading { objects: Self::default(), mode, warnings: Vec::new() };
        let mut problems = Vec::new();
        for document in documents {
            if let Err(e) = reading.take(document) {
                problems.extend_from_slice(e.problems());
            }
        }
        match problems.is_empty() {
            true => Ok(Checked { value: reading.objects, warnings: reading.warnings }),
            false => Err(ConfigError::new(problems)),
        }
    }

    /// The same with a `ProxyConfig` of the mesh configuration's kind over `meshConfig.defaultConfig`: the
    /// text that Istio's injection hands to a proxy in the environment variable `PROXY_CONFIG`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn overlay_defaults(mut self, document: &Document, mode: Mode) -> Result<Checked<Self>, ConfigError> {
        let Parsed { value: config, warnings, passed_over } = read_mesh_fields(document, mode)?;
        self.passed_over.extend(passed_over);
        self.defaults.push(Layer { origin: Origin::defaults(document.location()), config });
        Ok(Checked { value: self, warnings })
    }

    /// Fields of Istio's, ASM's and Kubernetes' messages that mean nothing to a proxy of this kind.
    pub fn passed_over(&self) -> &[Location] {
        &self.passed_over
    }

    /// The pods among the objects, and the templates of pods: of deployments and the like, and of an
    /// operator's gateways.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }
}

struct Reading {
    objects: Objects,
    mode: Mode,
    warnings: Vec<Problem>,
}

impl Reading {
    fn take(&mut self, document: &Document) -> Result<(), ConfigError> {
        let kind = document.text_at(&["kind"]);
        match kind.as_deref() {
            Some("List") => {
                let items = document.at(&["items"]).map(|items| items.elements()).unwrap_or_default();
                items.iter().try_for_each(|item| self.take(item))
            }
            Some("ProxyConfig") => self.take_scoped(document, "ProxyConfig"),
            Some("ASMCustomProxyConfigInjectionTemplate") => {
                self.take_scoped(document, "ASMCustomProxyConfigInjectionTemplate")
            }
            Some("IstioOperator") => self.take_operator(document),
            Some("ConfigMap") => self.take_config_map(document),
            Some("Pod") => self.take_pod(document, document),
            Some(kind) if WORKLOADS.contains(&kind) => match document.at(&["spec", "template"]) {
                Some(template) => self.take_pod(&template, document),
                None => Ok(()),
            },
            Some(_) => Ok(()),
            None => self.take_fragment(document),
        }
    }

    /// Something without a `kind`: the mesh configuration, or the metadata of a pod.
    fn take_fragment(&mut self, document: &Document) -> Result<(), ConfigError> {
        if let Some(mesh) = document.at(&["mesh_config"]) {
            self.take_mesh(&mesh)
        } else if document.at(&["default_config"]).is_some() {
            self.take_mesh(document)
        } else if document.at(&["metadata"]).is_some() {
            self.take_pod(document, document)
        } else {
            Err(document
                .problem("expected an object with a kind, meshConfig, defaultConfig or metadata")
                .into())
        }
    }

    fn take_operator(&mut self, document: &Document) -> Result<(), ConfigError> {
        if let Some(mesh) = document.at(&["spec", "mesh_config"]) {
            self.take_mesh(&mesh)?;
        }
        for kind in ["ingress_gateways", "egress_gateways"] {
            let gateways = document.at(&["spec", "components", kind]).map(|list| list.elements());
            for gateway in gateways.unwrap_or_default() {
                let Some(annotations) = gateway.at(&["k8s", "pod_annotations"]) else { continue };
                let mut pod = Pod::of(meta(&gateway)?, meta_of(document)?, gateway.location());
                pod.annotations = read_some_of(&annotations)?;
                self.objects.pods.push(pod);
            }
        }
        Ok(())
    }

    /// Istio's own way to keep the mesh configuration: as text in a map named `istio`.
    fn take_config_map(&mut self, document: &Document) -> Result<(), ConfigError> {
        match document.text_at(&["data", "mesh"]) {
            Some(text) => {
                let file = format!("{}, data.mesh", document.file());
                self.take_mesh(&Document::parse(&file, &text)?)
            }
            None => Ok(()),
        }
    }

    fn take_mesh(&mut self, mesh: &Document) -> Result<(), ConfigError> {
        self.look_for_misspelt(mesh, "MeshConfig")?;
        let others = mesh.entries().into_iter().filter(|(name, _)| !is_own_of_mesh(name));
        self.objects.passed_over.extend(others.map(|(_, other)| other.location()));
        self.objects.root_namespace =
            mesh.text_at(&["root_namespace"]).or_else(|| self.objects.root_namespace.take());
        let Some(document) = mesh.at(&["default_config"]) else { return Ok(()) };
        if let Some(Layer { origin: Origin { location: Some(first), .. }, .. }) =
            self.objects.defaults.first()
        {
            return Err(document
                .problem(format!("there is a mesh configuration already, at {first}"))
                .into());
        }
        let config = self.take_parsed(read_mesh_fields(&document, self.mode)?);
        self.objects.defaults.push(Layer { origin: Origin::defaults(document.location()), config });
        Ok(())
    }

    /// Notes what was noticed beside the value.
    fn take_parsed<T>(&mut self, parsed: Parsed<T>) -> T {
        self.warnings.extend(parsed.warnings);
        self.objects.passed_over.extend(parsed.passed_over);
        parsed.value
    }

    /// Refuses fields that the message does not have, or warns of them.
    fn look_for_misspelt(&mut self, document: &Document, message: &str) -> Result<(), ConfigError> {
        let report = Report::new(document, self.mode);
        misspelt(document, message).into_iter().for_each(|problem| report.unsupported(problem));
        self.warnings.extend(report.finish(Some(()))?.warnings);
        Ok(())
    }

    fn take_pod(&mut self, pod: &Document, owner: &Document) -> Result<(), ConfigError> {
        let pod = Pod::of(meta_of(pod)?, meta_of(owner)?, pod.location());
        self.objects.pods.push(pod);
        Ok(())
    }

    fn take_scoped(&mut self, document: &Document, kind: &'static str) -> Result<(), ConfigError> {
        self.look_for_misspelt(document, "Object")?;
        let meta = meta_of(document)?;
        let created = match &meta.creation_timestamp {
            Some(text) => Some(timestamp::parse(text).ok_or_else(|| {
                let path = ["metadata", "creation_timestamp"];
                document.at(&path).as_ref().unwrap_or(document).problem("not a time of RFC 3339")
            })?),
            None => None,
        };
        // Without a spec it says nothing, and is one of the objects of its row nevertheless.
        let spec = document.at(&["spec"]);
        let is_template = kind != "ProxyConfig";
        let read = if is_template { read_template } else { read_object };
        let (selector, config) = match &spec {
            Some(spec) => self.take_parsed(read(spec, self.mode)?),
            None => Default::default(),
        };
        let namespace = meta.namespace.unwrap_or_else(|| "default".to_owned());
        let origin = Origin {
            kind,
            namespace: Some(namespace.clone()),
            name: meta.name,
            location: Some(spec.as_ref().unwrap_or(document).location()),
        };
        let scoped = Scoped { layer: Layer { origin, config }, namespace, selector, created };
        let list = if is_template { &mut self.objects.templates } else { &mut self.objects.proxy_configs };
        list.push(scoped);
        Ok(())
    }
}

/// Whether that field of the mesh configuration is looked at.
fn is_own_of_mesh(name: &str) -> bool {
    ["default_config", "root_namespace"].contains(&snake_case(name).as_str())
}
