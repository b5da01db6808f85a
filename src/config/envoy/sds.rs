//! References to secrets of an SDS server.

use super::certificate::check_directory;
use super::raw;
use crate::config::path::Location;
use crate::config::read::At;
use std::path::PathBuf;
use std::time::Duration;

/// How long Envoy waits for the first answer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// A secret of an SDS server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SdsSecret {
    /// Where the reference stands in the configuration.
    pub location: Location,
    /// The resource's name.
    pub name: String,
    /// The server that it comes from.
    pub server: SdsServer,
    /// How long to wait for the first answer; `None`: for ever.
    pub initial_fetch_timeout: Option<Duration>,
}

/// Where secrets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SdsServer {
    /// A gRPC server that is a cluster of the proxy, by its name.
    Cluster(String),
    /// A gRPC server by its address, such as `unix:/run/spire/sockets/agent.sock`.
    Address(String),
    /// A file that holds the resource.
    File {
        /// The file that holds the resource.
        path: PathBuf,
        /// The directory that tells of new files, in place of the file's own.
        watched_directory: Option<PathBuf>,
    },
}

impl SdsSecret {
    pub(super) fn check(raw: raw::SdsSecretConfig, at: &At<'_>) -> Option<Self> {
        if raw.name.is_empty() {
            at.field("name").error("it is required");
        }
        let at_source = at.field("sds_config");
        let Some(source) = raw.sds_config else {
            return at_source.fail("it is required: there are no static secrets here");
        };
        check_api_version(source.resource_api_version.as_deref(), &at_source.field("resource_api_version"));
        let timeout = source.initial_fetch_timeout.map_or(FETCH_TIMEOUT, |span| span.0);
        let server = match (source.api_config_source, source.path_config_source) {
            (Some(api), None) => check_api(api, &at_source.field("api_config_source")),
            (None, Some(file)) => check_path(file, &at_source.field("path_config_source")),
            _ => at_source.fail("expected one of api_config_source and path_config_source"),
        };
        Some(Self {
            location: at.location(),
            name: raw.name,
            server: server?,
            initial_fetch_timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
        })
    }
}

fn check_api(raw: raw::ApiConfigSource, at: &At<'_>) -> Option<SdsServer> {
    if raw.api_type != "GRPC" {
        at.field("api_type").error("expected GRPC");
    }
    check_api_version(raw.transport_api_version.as_deref(), &at.field("transport_api_version"));
    let at = at.field("grpc_services");
    let mut services = raw.grpc_services;
    if services.len() != 1 {
        return at.fail(format!("expected one server, found {}", services.len()));
    }
    let (service, at) = (services.remove(0), at.index(0));
    match (service.envoy_grpc, service.google_grpc) {
        (Some(cluster), None) if !cluster.cluster_name.is_empty() => {
            Some(SdsServer::Cluster(cluster.cluster_name))
        }
        (Some(_), None) => at.field("envoy_grpc").field("cluster_name").fail("it is required"),
        (None, Some(server)) if !server.target_uri.is_empty() => Some(SdsServer::Address(server.target_uri)),
        (None, Some(_)) => at.field("google_grpc").field("target_uri").fail("it is required"),
        _ => at.fail("expected one of envoy_grpc and google_grpc"),
    }
}

fn check_path(raw: raw::PathConfigSource, at: &At<'_>) -> Option<SdsServer> {
    if raw.path.is_empty() {
        return at.field("path").fail("it is required");
    }
    let watched_directory = check_directory(raw.watched_directory, &at.field("watched_directory"));
    Some(SdsServer::File { path: raw.path.into(), watched_directory })
}

fn check_api_version(version: Option<&str>, at: &At<'_>) {
    if !matches!(version, None | Some("AUTO" | "V3")) {
        at.error("expected V3");
    }
}
