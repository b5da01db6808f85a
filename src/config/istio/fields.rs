//! Reads the fields of each kind of object.

use super::messages::misspelt;
use super::raw::{self, ObjectMeta};
use super::settings::ProxyConfig;
use crate::config::node::Document;
use crate::config::path::Location;
use crate::config::problem::{Checked, ConfigError, Mode, Problem};
use crate::config::read::{At, Report, read_known, read_some_of};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) fn meta(document: &Document) -> Result<ObjectMeta, Problem> {
    read_some_of(document)
}

pub(super) fn meta_of(document: &Document) -> Result<ObjectMeta, Problem> {
    document.at(&["metadata"]).map_or(Ok(ObjectMeta::default()), |inside| meta(&inside))
}

/// The selector, if there is one, and the settings.
pub(super) type Selected = (Option<BTreeMap<String, String>>, ProxyConfig);

/// What a document says, and the fields that say nothing to us.
#[derive(Debug)]
pub(super) struct Parsed<T> {
    pub(super) value: T,
    pub(super) warnings: Vec<Problem>,
    pub(super) passed_over: Vec<Location>,
}

/// Reads a document that holds the message `name`. Its fields that a `T` does not have are passed over; what
/// the message does not have is an error, or a warning, as `mode` has it.
fn read_message<T: for<'de> Deserialize<'de>, U>(
    document: &Document,
    name: &str,
    mode: Mode,
    check: impl FnOnce(T, &At<'_>) -> U,
) -> Result<Parsed<U>, ConfigError> {
    let report = Report::new(document, mode);
    let misspelt = misspelt(document, name);
    let (value, passed_over) = match read_known(&report) {
        Some((raw, unknown)) => (Some(check(raw, &report.root())), passed_over(unknown, &misspelt)),
        None => (None, Vec::new()),
    };
    misspelt.into_iter().for_each(|problem| report.unsupported(problem));
    let Checked { value, warnings } = report.finish(value)?;
    Ok(Parsed { value, warnings, passed_over })
}

/// The unknown fields that are not misspelt.
fn passed_over(unknown: Vec<Problem>, misspelt: &[Problem]) -> Vec<Location> {
    let is_misspelt = |at: &Location| misspelt.iter().any(|problem| problem.location == *at);
    unknown.into_iter().map(|problem| problem.location).filter(|at| !is_misspelt(at)).collect()
}

pub(super) fn read_mesh_fields(document: &Document, mode: Mode) -> Result<Parsed<ProxyConfig>, ConfigError> {
    read_message(document, "ProxyConfig", mode, ProxyConfig::of_mesh)
}

/// The settings of an annotation. A field that is broken is left out, and the others count; a misspelt one is
/// a warning.
pub(super) fn read_annotation(document: &Document) -> (Parsed<ProxyConfig>, Vec<Problem>) {
    let mut warnings = misspelt(document, "ProxyConfig");
    let (mut document, mut errors) = (document.clone(), Vec::new());
    loop {
        let report = Report::new(&document, Mode::Strict);
        let said = read_known(&report).map(|(raw, unknown)| {
            (ProxyConfig::of_mesh(raw, &report.root()), passed_over(unknown, &warnings))
        });
        let (found, more) = report.into_problems();
        let broken = found.first().and_then(|e| e.location.path.first_field_after(document.path()));
        let broken = broken.map(str::to_owned);
        errors.extend(found);
        match (said, broken) {
            (Some((value, passed_over)), _) => {
                warnings.extend(more);
                return (Parsed { value, warnings, passed_over }, errors);
            }
            (None, Some(field)) => document = document.without(&field),
            (None, None) => {
                let value = ProxyConfig::default();
                return (Parsed { value, warnings, passed_over: Vec::new() }, errors);
            }
        }
    }
}

pub(super) fn read_object(spec: &Document, mode: Mode) -> Result<Parsed<Selected>, ConfigError> {
    if let Some(provider) = spec.at(&["private_key_provider"]) {
        let message = "a ProxyConfig object cannot carry it: use meshConfig.defaultConfig or the annotation \
                       proxy.istio.io/config";
        return Err(provider.problem(message).into());
    }
    read_message(spec, "ProxyConfigSpec", mode, |mut raw: raw::ProxyConfigSpec, _| {
        (raw.selector.take().map(labels), ProxyConfig::of_object(raw))
    })
}

pub(super) fn read_template(spec: &Document, mode: Mode) -> Result<Parsed<Selected>, ConfigError> {
    read_message(spec, "AsmTemplateSpec", mode, |raw: raw::TemplateSpec, at| {
        let config = ProxyConfig::of_template(raw.config_patches, &at.field("config_patches"));
        (raw.workload_selector.map(labels), config)
    })
}

fn labels(selector: raw::Selector) -> BTreeMap<String, String> {
    selector.labels.into_iter().chain(selector.match_labels).collect()
}
