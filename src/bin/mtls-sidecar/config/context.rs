//! A listener's `tls`: a TLS context as Envoy has it.

use super::later::Later;
use super::source::{Crl, IdentitySource, Shown};
use super::{Config, Direction};
use rustls::pki_types::ServerName;
use rustls_multibuffer::config::envoy::{
    self, Certificate, CommonTlsContext, DownstreamTlsContext, SdsSecret, SdsServer, TlsContext, TrustedCa,
    UpstreamTlsContext, ValidationContext,
};
use rustls_multibuffer::config::{Checked, ConfigError, DataSource, Document, Location, Mode, Path, Problem};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a listener has from its TLS context.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Where it stands.
    pub(crate) location: Location,
    pub(crate) source: IdentitySource,
    pub(crate) common: CommonTlsContext,
    /// The server name to send, outbound.
    pub(crate) sni: Option<ServerName<'static>>,
}

impl Context {
    /// Whom it admits, beside the listener's own `peers`.
    pub(crate) fn validation(&self) -> Option<&ValidationContext> {
        self.common.validation.as_ref()
    }

    /// Reads the context of a listener of that direction: bare, or in a `transport_socket`.
    pub(super) fn read(
        document: &Document,
        direction: Direction,
        config: &Config,
        mode: Mode,
    ) -> Result<Checked<Self>, ConfigError> {
        let Checked { value: document, mut warnings } = unwrap(document, mode)?;
        let location = document.location();
        let Checked { value: found, warnings: more } = find(&document, direction, mode)?;
        warnings.extend(more);
        let problem = |message: &str| Problem { location: location.clone(), message: message.to_owned() };
        let (common, sni) = match (found, direction) {
            (TlsContext::Downstream(context), Direction::Inbound) => {
                if !context.require_client_certificate {
                    let message =
                        "require_client_certificate: true is needed: this sidecar is for mutual TLS only";
                    return Err(problem(message).into());
                }
                (context.common, None)
            }
            (TlsContext::Upstream(context), Direction::Outbound) => (context.common, context.sni),
            (TlsContext::Downstream(_), _) => {
                return Err(problem("an outbound listener needs an UpstreamTlsContext").into());
            }
            (TlsContext::Upstream(_), _) => {
                return Err(problem("an inbound listener needs a DownstreamTlsContext").into());
            }
        };
        let source = source(&common, config).map_err(|message| problem(&message))?;
        Ok(Checked { value: Self { location, source, common, sni }, warnings })
    }
}

/// What may stand around a context. Anything else there, such as another filter, would seem to be in force and is not.
#[derive(Deserialize)]
struct Holder {
    #[serde(rename = "transport_socket")]
    _transport_socket: Later<()>,
}

#[derive(Deserialize)]
struct TransportSocket {
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "typed_config")]
    _typed_config: Later<()>,
}

/// The context itself: bare, in a transport socket, or in what holds one.
fn unwrap(document: &Document, mode: Mode) -> Result<Checked<Document>, ConfigError> {
    let (mut at, mut warnings) = (document.clone(), Vec::new());
    if let Some(inside) = at.find(&Path::default().field("transport_socket")) {
        warnings.extend(at.read::<Holder>(mode)?.warnings);
        at = inside;
    }
    if let Some(inside) = at.find(&Path::default().field("typed_config")) {
        warnings.extend(at.read::<TransportSocket>(mode)?.warnings);
        at = inside;
    }
    Ok(Checked { value: at, warnings })
}

fn find(document: &Document, direction: Direction, mode: Mode) -> Result<Checked<TlsContext>, ConfigError> {
    if document.find(&Path::default().field("@type")).is_none() {
        // As it is shown in documentation.
        return Ok(match direction {
            Direction::Inbound => DownstreamTlsContext::read(document, mode)?.map(TlsContext::Downstream),
            Direction::Outbound => UpstreamTlsContext::read(document, mode)?.map(TlsContext::Upstream),
        });
    }
    let mut found = envoy::find(document, mode)?;
    match found.value.pop() {
        Some((_, context)) => Ok(Checked { value: context, warnings: found.warnings }),
        None => Err(document.problem("expected a DownstreamTlsContext or an UpstreamTlsContext").into()),
    }
}

/// Where certificate and roots come from, which must be one place.
fn source(common: &CommonTlsContext, config: &Config) -> Result<IdentitySource, String> {
    let [identity] = &common.identities[..] else {
        return Err(format!("expected one certificate, found {}", common.identities.len()));
    };
    let Some(validation) = &common.validation else {
        return Err("a validation context is needed: this sidecar is for mutual TLS only".into());
    };
    match (identity, &validation.trusted_ca) {
        (envoy::IdentitySource::Certificate(ours), TrustedCa::Source { source, .. }) => {
            Ok(of_data(ours, Some(source), &BTreeMap::new(), validation))
        }
        (envoy::IdentitySource::Certificate(ours), TrustedCa::PerDomain(bundles)) => {
            Ok(of_data(ours, None, bundles, validation))
        }
        (envoy::IdentitySource::Sds(ours), TrustedCa::Sds(roots)) => of_secrets(ours, roots, config),
        _ => Err("certificate and trusted_ca must both come from SDS, or neither of them".into()),
    }
}

/// Files are followed; Envoy does that with a `watched_directory` only.
fn of_data(
    ours: &Certificate,
    roots: Option<&DataSource>,
    bundles: &BTreeMap<String, DataSource>,
    validation: &ValidationContext,
) -> IdentitySource {
    let only_verify_leaf_cert_crl = validation.only_verify_leaf_crl;
    let files = || {
        let federated = bundles.iter().map(|(domain, bundle)| Some((domain.clone(), file(bundle)?)));
        let crl = validation.crl.as_ref().map(file);
        Some(IdentitySource::Files {
            certificate_chain: file(&ours.certificate_chain)?,
            private_key: file(&ours.private_key)?,
            trusted_ca: roots.map(file).map_or(Some(None), |file| file.map(Some))?,
            federated: federated.collect::<Option<_>>()?,
            crl: Crl { crl: crl.map_or(Some(None), |file| file.map(Some))?, only_verify_leaf_cert_crl },
        })
    };
    files().unwrap_or_else(|| IdentitySource::Static {
        certificate_chain: ours.certificate_chain.clone(),
        private_key: ours.private_key.clone(),
        trusted_ca: roots.cloned(),
        federated: bundles.clone(),
        crl: Crl { crl: validation.crl.clone().map(Shown), only_verify_leaf_cert_crl },
    })
}

fn file(source: &DataSource) -> Option<PathBuf> {
    match source {
        DataSource::File(path) => Some(path.clone()),
        _ => None,
    }
}

fn of_secrets(ours: &SdsSecret, roots: &SdsSecret, config: &Config) -> Result<IdentitySource, String> {
    if ours.server != roots.server {
        return Err("certificate and trusted_ca must come from the same SDS server".into());
    }
    let address = match &ours.server {
        SdsServer::Address(address) => address.clone(),
        SdsServer::Cluster(name) => match config.clusters.get(name) {
            Some(address) => address.clone(),
            None => return Err(format!("clusters.{name} is needed: the address of that SDS server")),
        },
        _ => return Err("secrets in files of Envoy's own format are not supported".into()),
    };
    Ok(IdentitySource::Sds {
        address,
        certificate: ours.name.clone(),
        trusted_ca: roots.name.clone(),
        patience: ours.initial_fetch_timeout,
    })
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let params = &self.common.params;
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let names = |names: &[_]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>();
        let matchers = self.validation().map_or(&[][..], |validation| &validation.uri_matchers);
        json!({
            "source": self.source,
            "uri_matchers": matchers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "alpn_protocols": self.common.alpn_protocols.iter().map(text).collect::<Vec<_>>(),
            "minimum_protocol_version": format!("{:?}", params.minimum),
            "maximum_protocol_version": format!("{:?}", params.maximum),
            "ecdh_curves": names(&params.groups),
            "cipher_suites": params.cipher_suites.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>(),
            "sni": self.sni.as_ref().map(|name| name.to_str()),
        })
        .serialize(serializer)
    }
}
