//! From a file, and from what it names, to the configuration that is in effect.

use super::acceleration::{Elsewhere, Provider, of_contexts, settle};
use super::check::check;
use super::context::Context;
use super::explain::{Explanation, Origin, Origins, Said};
use super::later::Later;
use super::level;
use super::limits::within_limits;
use super::mesh::{self, Environment};
use super::source::IdentitySource;
use super::{Config, MeshConfig};
use rustls_multibuffer::config::istio::{Explained, ProxyConfig, Resolved};
use rustls_multibuffer::config::{
    Checked, ConfigError, Document, Mode, Path, Problem, Span, TlsAcceleration, TlsIdentity,
};
use serde_json::Value;
use std::path::Path as FilePath;
use std::time::Duration;

/// A configuration, and where all of it came from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) explanation: Explanation,
}

impl Loaded {
    /// Reads and checks a file, with the environment of this process.
    ///
    /// # Errors
    /// Everything that is wrong, with file, line, column and path.
    pub(crate) fn load(file: &FilePath, mode: Mode) -> Result<Self, String> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|e| format!("{name}: {e}"))?;
        Self::read(&name, &text, &|variable| std::env::var(variable).ok(), mode).map_err(|e| e.to_string())
    }

    /// Reads and checks YAML or JSON, which is a part of YAML.
    pub(super) fn read(
        file: &str,
        text: &str,
        environment: Environment<'_>,
        mode: Mode,
    ) -> Result<Self, ConfigError> {
        let document = Document::parse(file, text)?;
        let Checked { value: mut config, mut warnings } = document.read::<Config>(mode)?;
        read_rest(&mut config, &document, mode, &mut warnings)?;
        let Checked { value: own, warnings: more } = TlsAcceleration::read(&document, mode)?;
        warnings.extend(more);
        let own = own.unwrap_or_default();

        let mut settled = Settled { document: &document, origins: Origins::new(), said: Said::new() };
        let found = settled.resolve_mesh(&mut config, environment, mode)?;
        let (objects, passed_over) = match found {
            Some(found) => {
                warnings.extend(found.warnings);
                (Some(found.settings), found.passed_over)
            }
            None => (None, Vec::new()),
        };
        settled.workers(&mut config, &own)?;
        let provider = objects.as_ref().map(provider);
        let elsewhere = Elsewhere { mesh: provider, contexts: of_contexts(&config) };
        settle(&mut config, own, &elsewhere, &document, &mut settled.origins)?;
        check(&config, &document)?;

        let mut explanation = Explanation::new(&config, &document, &settled.origins, &settled.said);
        explanation.notes = objects.map(|objects| objects.explanation.notes).unwrap_or_default();
        explanation.warnings = warnings;
        explanation.passed_over = passed_over;
        within_limits(&explanation, &document)?;
        Ok(Self { config, explanation })
    }
}

/// Reads the fields that the types of this crate read.
fn read_rest(
    config: &mut Config,
    document: &Document,
    mode: Mode,
    warnings: &mut Vec<Problem>,
) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    for (name, identity) in &mut config.identities {
        let at = Path::default().field("identities").field(name);
        match read_identity(document, &at, mode, warnings) {
            Ok(source) => identity.tls_identity = Later(source),
            Err(e) => problems.extend_from_slice(e.problems()),
        }
    }
    for i in 0..config.listeners.len() {
        let at = Path::default().field("listeners").index(i);
        if config.listeners[i].tls_identity.is_some() {
            match read_identity(document, &at, mode, warnings) {
                Ok(source) => config.listeners[i].tls_identity = Some(Later(source)),
                Err(e) => problems.extend_from_slice(e.problems()),
            }
        }
        if let Some(tls) = document.find(&at.field("tls")).filter(|_| config.listeners[i].tls.is_some()) {
            match Context::read(&tls, config.listeners[i].direction, config, mode) {
                Ok(Checked { value, warnings: more }) => {
                    config.listeners[i].tls = Some(Later(Some(value)));
                    warnings.extend(more);
                }
                Err(e) => problems.extend_from_slice(e.problems()),
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigError::new(problems)) }
}

/// The `tls_identity` of what stands there.
fn read_identity(
    document: &Document,
    at: &Path,
    mode: Mode,
    warnings: &mut Vec<Problem>,
) -> Result<Option<IdentitySource>, ConfigError> {
    let Some(holder) = document.find(at) else { return Ok(None) };
    let Checked { value, warnings: more } = TlsIdentity::read(&holder, mode)?;
    warnings.extend(more);
    let location = document.locate(&at.field("tls_identity"));
    let wrong = |message: String| ConfigError::from(Problem { location: location.clone(), message });
    let source = value.and_then(IdentitySource::of).ok_or_else(|| wrong("it is required".into()))?;
    source.check_address().map_err(|e| wrong(e.to_string()))?;
    Ok(Some(source))
}

/// The provider that the objects name, and which of them do.
fn provider(objects: &Resolved) -> Option<Provider<'_>> {
    let cryptomb = objects.config.private_key_provider.as_ref()?;
    let origin = &explained(objects, "privateKeyProvider")?.origin;
    let delay = explained(objects, "privateKeyProvider.pollDelay");
    Some(Provider { cryptomb, origin, delay_origin: delay.map_or(origin, |delay| &delay.origin) })
}

fn explained<'a>(objects: &'a Resolved, name: &str) -> Option<&'a Explained> {
    objects.explanation.fields.iter().find(|explained| explained.field == name)
}

/// Notes what came from where.
struct Settled<'a> {
    document: &'a Document,
    origins: Origins,
    said: Said,
}

impl Settled<'_> {
    /// Whether the file itself has the field.
    fn file_says(&self, field: &str) -> bool {
        let path = field.split('.').fold(Path::default(), |path, name| path.field(name));
        self.document.find(&path).is_some()
    }

    /// Notes what the objects say of a field; `Some`: nothing is stronger.
    fn take<T>(
        &mut self,
        objects: &Resolved,
        name: &str,
        field: &'static str,
        value: Option<T>,
    ) -> Option<T> {
        let value = value?;
        let explained = explained(objects, name)?;
        let all = [(explained.value.clone(), explained.origin.clone())];
        // Istio's own defaults are those of its proxy; this program has its own.
        let all: Vec<(Value, Origin)> = all
            .into_iter()
            .chain(explained.overridden.iter().cloned())
            .filter(|(_, origin)| origin.kind != "built-in")
            .map(|(value, origin)| (value, Origin::Object(origin)))
            .collect();
        let (_, strongest) = all.first()?;
        let is_strongest = !self.file_says(field);
        if is_strongest {
            self.origins.insert(field.to_owned(), strongest.clone());
        }
        self.said.insert(field, all);
        is_strongest.then_some(value)
    }

    /// Finds the settings of this pod, if there are objects, and takes over what the file does not say
    /// itself.
    fn resolve_mesh(
        &mut self,
        config: &mut Config,
        environment: Environment<'_>,
        mode: Mode,
    ) -> Result<Option<mesh::Found>, ConfigError> {
        if config.mesh.is_none() && environment(mesh::PROXY_CONFIG).is_none() {
            return Ok(None);
        }
        let wanted = config.mesh.get_or_insert_with(MeshConfig::default);
        let at = self.document.find(&Path::default().field("mesh"));
        let found = mesh::resolve(wanted, at.as_ref().unwrap_or(self.document), environment, mode)?;
        self.overlay(config, &found.settings)?;
        Ok(Some(found))
    }

    fn overlay(&mut self, config: &mut Config, objects: &Resolved) -> Result<(), ConfigError> {
        let ProxyConfig { concurrency, parent_shutdown_duration, termination_drain_duration, .. } =
            &objects.config;
        if let Some(n) = self.take(objects, "concurrency", "concurrency", *concurrency) {
            config.concurrency = n as usize;
        }
        let field = "drain.termination_drain_duration";
        if let Some(time) = self.take(objects, "terminationDrainDuration", field, *termination_drain_duration)
        {
            config.drain.termination_drain_duration = Span(time);
        }
        let field = "drain.parent_shutdown_time";
        if let Some(time) = self.take(objects, "parentShutdownDuration", field, *parent_shutdown_duration) {
            config.drain.parent_shutdown_time = Span(time);
        }
        let level = objects.config.log_level.as_deref();
        let level = self.parsed(objects, "logLevel", level, |text| level::parse(text).ok())?;
        if let Some(level) = self.take(objects, "logLevel", "log.level", level) {
            config.log.level = level;
        }
        self.overlay_variables(config, objects)
    }

    /// The proxy's environment variables that mean something here.
    fn overlay_variables(&mut self, config: &mut Config, objects: &Resolved) -> Result<(), ConfigError> {
        const EXIT: &str = "EXIT_ON_ZERO_ACTIVE_CONNECTIONS";
        const MINIMUM: &str = "MINIMUM_DRAIN_DURATION";
        let variable = |name: &str| objects.config.proxy_metadata.get(name).map(String::as_str);
        let name = format!("proxyMetadata.{EXIT}");
        let exit = self.parsed(objects, &name, variable(EXIT), |text| text.parse().ok())?;
        if let Some(exit) = self.take(objects, &name, "drain.exit_on_zero_active_connections", exit) {
            config.drain.exit_on_zero_active_connections = exit;
        }
        let name = format!("proxyMetadata.{MINIMUM}");
        let read = |text: &str| {
            let document = Document::parse(MINIMUM, &format!("\"{text}\"")).ok()?;
            document.read::<Span>(Mode::Strict).ok().map(|span| span.value.0)
        };
        let minimum: Option<Duration> = self.parsed(objects, &name, variable(MINIMUM), read)?;
        if let Some(minimum) = self.take(objects, &name, "drain.minimum_drain_duration", minimum) {
            config.drain.minimum_drain_duration = Span(minimum);
        }
        Ok(())
    }

    /// A text of the objects as what it means.
    fn parsed<T>(
        &self,
        objects: &Resolved,
        name: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = text else { return Ok(None) };
        let origin = explained(objects, name).and_then(|explained| explained.origin.location.clone());
        let location = origin.unwrap_or_else(|| self.document.location());
        let wrong = || Problem { location, message: format!("{name}: {text:?} is not understood") };
        parse(text).map(Some).ok_or_else(|| wrong().into())
    }

    /// The number of workers, which are the engine's threads.
    fn workers(&mut self, config: &mut Config, own: &TlsAcceleration) -> Result<(), ConfigError> {
        let Some(threads) = own.threads else {
            let origin = self.origins.get("concurrency").cloned();
            let concurrency = || self.document.find(&Path::default().field("concurrency"));
            let origin = origin.or_else(|| concurrency().map(|found| Origin::File(found.location())));
            if let Some(origin) = origin {
                self.origins.insert("tls_acceleration.threads".to_owned(), origin);
            }
            return Ok(());
        };
        let path = Path::default().field("tls_acceleration").field("threads");
        let location = self.document.locate(&path);
        if self.file_says("concurrency") && config.concurrency != threads {
            let message = "concurrency says another number; a worker is an engine's thread".to_owned();
            return Err(Problem { location, message }.into());
        }
        if !self.file_says("concurrency") {
            self.origins.insert("concurrency".to_owned(), Origin::File(location));
        }
        config.concurrency = threads;
        Ok(())
    }
}

#[cfg(test)]
impl Config {
    /// Reads and checks a text, without an environment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let loaded = Loaded::read("test.yaml", text, &|_| None, Mode::Strict);
        loaded.map(|loaded| loaded.config).map_err(|e| e.to_string())
    }
}
