//! TLS contexts inside of larger pieces of Envoy configuration.

use super::context::{DownstreamTlsContext, UpstreamTlsContext, message_of};
use crate::config::node::Document;
use crate::config::path::Location;
use crate::config::problem::{Checked, ConfigError, Mode};

/// A TLS context of either side.
#[derive(Clone, Debug)]
pub enum TlsContext {
    /// Of a listener.
    Downstream(DownstreamTlsContext),
    /// Towards a cluster.
    Upstream(UpstreamTlsContext),
}

/// Every TLS context in the document, in its order, with its place. It is known by its `@type`, wherever it
/// stands, so that a whole bootstrap will do; what surrounds the contexts is not looked at.
///
/// # Errors
/// Everything that is wrong with any of them. To find none is not an error.
pub fn find(document: &Document, mode: Mode) -> Result<Checked<Vec<(Location, TlsContext)>>, ConfigError> {
    let mut found = Checked { value: Vec::new(), warnings: Vec::new() };
    let mut problems = Vec::new();
    let mut rest = vec![document.clone()];
    while let Some(at) = rest.pop() {
        let context = match at.text_at(&["@type"]).as_deref().and_then(message_of) {
            Some("DownstreamTlsContext") => {
                DownstreamTlsContext::read(&at, mode).map(|c| c.map(TlsContext::Downstream))
            }
            Some("UpstreamTlsContext") => {
                UpstreamTlsContext::read(&at, mode).map(|c| c.map(TlsContext::Upstream))
            }
            _ => {
                rest.extend(at.entries().into_iter().map(|(_, inside)| inside).rev());
                rest.extend(at.elements().into_iter().rev());
                continue;
            }
        };
        match context {
            Ok(Checked { value, warnings }) => {
                found.value.push((at.location(), value));
                found.warnings.extend(warnings);
            }
            Err(e) => problems.extend_from_slice(e.problems()),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(ConfigError::new(problems)) }
}
