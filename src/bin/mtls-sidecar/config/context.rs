//! A listener's `tls`: a TLS context as Envoy has it.

use super::later::Later;
use super::{Config, Direction};
use rustls::pki_types::ServerName;
use rustls_multibuffer::config::envoy::{
    self, CommonTlsContext, DownstreamTlsContext, TlsContext, UpstreamTlsContext, ValidationContext,
};
use rustls_multibuffer::config::{
    Checked, ConfigError, Document, Location, Mode, Path, Problem, TlsIdentity,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

/// What a listener has from its TLS context.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Where it stands.
    pub(crate) location: Location,
    pub(crate) source: TlsIdentity,
    pub(crate) common: CommonTlsContext,
    /// The server name to send, outbound.
    pub(crate) sni: Option<ServerName<'static>>,
    /// Whether the client's order of cipher suites is followed, inbound.
    pub(crate) prefer_client_ciphers: bool,
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
        let (common, sni, prefer_client_ciphers) = match (found, direction) {
            (TlsContext::Downstream(context), Direction::Inbound) => {
                if !context.require_client_certificate {
                    let message =
                        "require_client_certificate: true is needed: this sidecar is for mutual TLS only";
                    return Err(problem(message).into());
                }
                (context.common, None, context.prefer_client_ciphers)
            }
            (TlsContext::Upstream(context), Direction::Outbound) => (context.common, context.sni, false),
            (TlsContext::Downstream(_), _) => {
                return Err(problem("an outbound listener needs an UpstreamTlsContext").into());
            }
            (TlsContext::Upstream(_), _) => {
                return Err(problem("an inbound listener needs a DownstreamTlsContext").into());
            }
        };
        let source = common.identity(&location, &config.clusters)?;
        Ok(Checked { value: Self { location, source, common, sni, prefer_client_ciphers }, warnings })
    }
}

/// What may stand around a context. Anything else there, such as another filter, would seem to be in force
/// and is not.
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
            "prefer_client_ciphers": self.prefer_client_ciphers,
            "sni": self.sni.as_ref().map(|name| name.to_str()),
        })
        .serialize(serializer)
    }
}
