//! Reads the fields of each kind of object.

use super::raw::{self, ObjectMeta};
use super::settings::ProxyConfig;
use crate::config::node::Document;
use crate::config::problem::{Checked, ConfigError, Mode, Problem};
use crate::config::read::{Report, read, read_some_of};
use std::collections::BTreeMap;

pub(super) fn meta(document: &Document) -> Result<ObjectMeta, Problem> {
    read_some_of(document)
}

pub(super) fn meta_of(document: &Document) -> Result<ObjectMeta, Problem> {
    document.at(&["metadata"]).map_or(Ok(ObjectMeta::default()), |inside| meta(&inside))
}

/// The selector, if there is one, and the settings.
pub(super) type Selected = (Option<BTreeMap<String, String>>, ProxyConfig);

pub(super) fn read_mesh_fields(document: &Document, mode: Mode) -> Result<Checked<ProxyConfig>, ConfigError> {
    let report = Report::new(document, mode);
    let value = read(&report).map(|raw: raw::ProxyConfig| ProxyConfig::of_mesh(raw, &report.root()));
    report.finish(value)
}

pub(super) fn read_object(spec: &Document, mode: Mode) -> Result<Checked<Selected>, ConfigError> {
    let report = Report::new(spec, mode);
    if spec.at(&["private_key_provider"]).is_some() {
        let message = "a ProxyConfig object cannot carry it: use meshConfig.defaultConfig or the annotation \
                       proxy.istio.io/config";
        report.root().field("private_key_provider").error(message);
        return report.finish(None);
    }
    let value = read(&report).map(|mut raw: raw::ProxyConfigSpec| {
        let selector = raw.selector.take().map(labels);
        (selector, ProxyConfig::of_object(raw))
    });
    report.finish(value)
}

pub(super) fn read_template(spec: &Document, mode: Mode) -> Result<Checked<Selected>, ConfigError> {
    let report = Report::new(spec, mode);
    let value = read(&report).map(|raw: raw::TemplateSpec| {
        let config = ProxyConfig::of_template(raw.config_patches, &report.root().field("config_patches"));
        (raw.workload_selector.map(labels), config)
    });
    report.finish(value)
}

fn labels(selector: raw::Selector) -> BTreeMap<String, String> {
    selector.labels.into_iter().chain(selector.match_labels).collect()
}
