//! Settings from Istio's and ASM's objects.

use rustls_multibuffer::config::istio::{Objects, Pod, Precedence, Resolved, Resolver};
use rustls_multibuffer::config::{Checked, ConfigError, Document, Location, Mode, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The variable in which Istio's injection hands a proxy its `meshConfig.defaultConfig`.
pub(super) const PROXY_CONFIG: &str = "PROXY_CONFIG";

/// Where the objects are, and which pod this is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct MeshConfig {
    /// Files with the objects, in YAML or JSON.
    pub(crate) objects: Vec<PathBuf>,
    pub(crate) precedence: Order,
    /// Default: `istio-system`.
    pub(crate) root_namespace: Option<String>,
    pub(crate) pod: PodConfig,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    #[default]
    Istio,
    Asm,
}

/// This pod. If the objects have one of that name, what is said here is added to it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct PodConfig {
    /// Default: the environment variable `POD_NAMESPACE`.
    pub(crate) namespace: Option<String>,
    /// Default: the environment variable `POD_NAME`.
    pub(crate) name: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// The process's environment, or a test's.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings of this pod, and what was noticed about the objects.
pub(super) struct Found {
    pub(super) settings: Resolved,
    pub(super) warnings: Vec<Problem>,
    /// Fields that mean nothing to this program.
    pub(super) passed_over: Vec<Location>,
}

/// The settings of this pod.
///
/// # Errors
/// What is wrong with the objects and the pod's annotation; `at` is where their files are named.
pub(super) fn resolve(
    config: &MeshConfig,
    at: &Document,
    environment: Environment<'_>,
    mode: Mode,
) -> Result<Found, ConfigError> {
    let mut documents = Vec::new();
    for file in &config.objects {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|e| at.problem(format!("{name}: {e}")))?;
        documents.extend(Document::parse_all(&name, &text)?);
    }
    let Checked { value: mut objects, mut warnings } = Objects::read(&documents, mode)?;
    if let Some(text) = environment(PROXY_CONFIG).filter(|text| !text.trim().is_empty()) {
        let overlaid = objects.overlay_defaults(&Document::parse(PROXY_CONFIG, &text)?, mode)?;
        warnings.extend(overlaid.warnings);
        objects = overlaid.value;
    }
    let mut resolver = Resolver::default();
    if let Order::Asm = config.precedence {
        resolver = resolver.precedence(Precedence::Asm);
    }
    if let Some(namespace) = &config.root_namespace {
        resolver = resolver.root_namespace(namespace);
    }
    let settings = resolver.resolve(&objects, &pod(&config.pod, &objects, environment));
    if !settings.errors.is_empty() {
        return Err(ConfigError::new(settings.errors));
    }
    warnings.extend(settings.warnings.iter().cloned());
    let passed_over = objects.passed_over().iter().chain(&settings.passed_over).cloned().collect();
    Ok(Found { settings, warnings, passed_over })
}

fn pod(config: &PodConfig, objects: &Objects, environment: Environment<'_>) -> Pod {
    let said = |own: &Option<String>, variable| own.clone().or_else(|| environment(variable));
    let name = said(&config.name, "POD_NAME").unwrap_or_default();
    let namespace = said(&config.namespace, "POD_NAMESPACE").unwrap_or_else(|| "default".into());
    let is_it = |pod: &&Pod| {
        let other = if pod.namespace.is_empty() { "default" } else { &pod.namespace };
        pod.name == name && other == namespace
    };
    let mut pod = objects.pods().iter().find(is_it).cloned().unwrap_or_else(|| Pod::new(&namespace, &name));
    pod.labels.extend(config.labels.clone());
    pod.annotations.extend(config.annotations.clone());
    pod
}
