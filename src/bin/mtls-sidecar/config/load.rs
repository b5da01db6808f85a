//! From a file, and from what it names, to the configuration that is in effect.

use super::check::check;
use super::context::Context;
use super::explain::Explanation;
use super::later::Later;
use super::limits::within_limits;
use super::mesh::{self, Environment};
use super::resolution::{Others, Resolution};
use super::sourced::{Origin, Sourced};
use super::{Config, MeshConfig, acceleration, level};
use rustls_multibuffer::config::istio::{ProxyConfig, Resolved};
use rustls_multibuffer::config::{
    Checked, ConfigError, Document, Location, Mode, Path, Problem, Span, TlsAcceleration, TlsIdentity,
};
use std::path::Path as FilePath;

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

        let (objects, passed_over) = match resolve_mesh(&mut config, &document, environment, mode)? {
            Some(found) => {
                warnings.extend(found.warnings);
                (Some(found.settings), found.passed_over)
            }
            None => (None, Vec::new()),
        };
        let mut resolution = Resolution::new(&document);
        let said = objects.as_ref().map(|settings| Objects { settings, file: document.location() });
        if let Some(said) = &said {
            said.overlay(&mut config, &mut resolution)?;
        }
        resolve_workers(&mut config, &own, said.as_ref(), &mut resolution)?;
        acceleration::resolve(&mut config, &own, objects.as_ref(), &document, &mut resolution)?;
        check(&config, &document)?;

        let mut explanation = Explanation::new(&config, &document, &resolution);
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
) -> Result<Option<TlsIdentity>, ConfigError> {
    let Some(holder) = document.find(at) else { return Ok(None) };
    let Checked { value, warnings: more } = TlsIdentity::read(&holder, mode)?;
    warnings.extend(more);
    let location = document.locate(&at.field("tls_identity"));
    let wrong = |message: String| ConfigError::from(Problem { location: location.clone(), message });
    let source = value.ok_or_else(|| wrong("it is required".into()))?;
    source.check_address().map_err(|e| wrong(e.to_string()))?;
    Ok(Some(source))
}

/// Finds the settings of this pod, if there are objects.
fn resolve_mesh(
    config: &mut Config,
    document: &Document,
    environment: Environment<'_>,
    mode: Mode,
) -> Result<Option<mesh::Found>, ConfigError> {
    if config.mesh.is_none() && environment(mesh::PROXY_CONFIG).is_none() {
        return Ok(None);
    }
    let wanted = config.mesh.get_or_insert_with(MeshConfig::default);
    let at = document.find(&Path::default().field("mesh"));
    mesh::resolve(wanted, at.as_ref().unwrap_or(document), environment, mode).map(Some)
}

/// The number of workers, which are the engine's threads: what the file says in one of two places, else the
/// objects.
fn resolve_workers(
    config: &mut Config,
    own: &TlsAcceleration,
    objects: Option<&Objects<'_>>,
    resolution: &mut Resolution<'_>,
) -> Result<(), ConfigError> {
    let mut at = resolution.in_file("concurrency");
    let threads_at = own.threads.and_then(|_| resolution.in_file("tls_acceleration.threads"));
    if let (Some(threads), Some(location)) = (own.threads, threads_at.clone()) {
        if at.is_some() && config.concurrency != threads {
            let message = "concurrency says another number; a worker is an engine's thread".to_owned();
            return Err(Problem { location, message }.into());
        }
        config.concurrency = threads;
        at.get_or_insert(location);
    }
    let others = objects.and_then(|objects| {
        let concurrency = objects.settings.config.concurrency;
        objects.others("concurrency", concurrency.map(|n| n as usize))
    });
    resolution.choose_at("concurrency", &mut config.concurrency, at, others);
    if threads_at.is_none() {
        resolution.copy("concurrency", "tls_acceleration.threads");
    }
    Ok(())
}

/// What the mesh's objects say of this pod.
struct Objects<'a> {
    settings: &'a Resolved,
    /// Where the file stands, for what has no place of its own.
    file: Location,
}

impl Objects<'_> {
    /// Takes over what the file does not say itself.
    fn overlay(&self, config: &mut Config, resolution: &mut Resolution<'_>) -> Result<(), ConfigError> {
        let ProxyConfig { parent_shutdown_duration, termination_drain_duration, log_level, .. } =
            &self.settings.config;
        let drain = &mut config.drain;
        let time = self.others("terminationDrainDuration", termination_drain_duration.map(Span));
        resolution.choose("drain.termination_drain_duration", &mut drain.termination_drain_duration, time);
        let time = self.others("parentShutdownDuration", parent_shutdown_duration.map(Span));
        resolution.choose("drain.parent_shutdown_time", &mut drain.parent_shutdown_time, time);
        let minimum = self.variable("MINIMUM_DRAIN_DURATION", span)?;
        resolution.choose("drain.minimum_drain_duration", &mut drain.minimum_drain_duration, minimum);
        let exit = self.variable("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", |text| text.parse().ok())?;
        let field = "drain.exit_on_zero_active_connections";
        resolution.choose(field, &mut drain.exit_on_zero_active_connections, exit);
        let level = self.parsed("logLevel", log_level.as_deref(), |text| level::parse(text).ok())?;
        resolution.choose("log.level", &mut config.log.level, level);
        Ok(())
    }

    /// What they say of a setting, the strongest first. Istio's own defaults are those of its proxy; this
    /// program has its own.
    fn others<T>(&self, name: &str, value: Option<T>) -> Option<Others<T>> {
        let (value, explained) = (value?, self.settings.explanation.field(name)?);
        let strongest = (explained.value.clone(), explained.origin.clone());
        let all = [strongest].into_iter().chain(explained.overridden.iter().cloned());
        let all = all.filter(|(_, origin)| origin.kind != "built-in");
        let all: Vec<_> =
            all.map(|(value, origin)| Sourced { value, origin: Origin::Object(origin) }).collect();
        (!all.is_empty()).then_some(Others { value, all })
    }

    /// An environment variable of the proxy.
    fn variable<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Others<T>>, ConfigError> {
        let text = self.settings.config.proxy_metadata.get(name).map(String::as_str);
        self.parsed(&format!("proxyMetadata.{name}"), text, parse)
    }

    /// A text as what it means.
    fn parsed<T>(
        &self,
        name: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Others<T>>, ConfigError> {
        let Some(text) = text else { return Ok(None) };
        if let Some(value) = parse(text) {
            return Ok(self.others(name, Some(value)));
        }
        let origin = self.settings.explanation.field(name).and_then(|found| found.origin.location.clone());
        let location = origin.unwrap_or_else(|| self.file.clone());
        Err(Problem { location, message: format!("{name}: {text:?} is not understood") }.into())
    }
}

/// A time in a variable, in any notation that a file may have.
fn span(text: &str) -> Option<Span> {
    let document = Document::parse("variable", &format!("\"{text}\"")).ok()?;
    document.read(Mode::Strict).ok().map(|span| span.value)
}

#[cfg(test)]
impl Config {
    /// Reads and checks a text, without an environment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let loaded = Loaded::read("test.yaml", text, &|_| None, Mode::Strict);
        loaded.map(|loaded| loaded.config).map_err(|e| e.to_string())
    }
}
