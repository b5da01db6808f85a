//! Identities from a SPIFFE Workload API: SPIRE's agent, and whatever else implements the standard.

use super::channel::connect;
use super::source::{Material, Source, SourceError, Svid, Updates, Withdrawal};
use super::{Refusal, SpiffeId};
use ::spiffe::cert::error::CertificateError;
use ::spiffe::transport::Endpoint;
use ::spiffe::workload_api::{WorkloadApiClient, WorkloadApiError, endpoint};
use ::spiffe::{X509Context, X509SvidError};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tonic::codegen::tokio_stream::{Stream, StreamExt};

/// A [`Source`] that follows the stream of X.509-SVIDs of a SPIFFE Workload API.
///
/// Every message is the complete state: what it lacks is taken back. PermissionDenied takes the identity back at once, and
/// is asked again; InvalidArgument ends the source (SPIFFE Workload API §4.4, SPIFFE Workload Endpoint §5). In all other
/// cases the connection is made anew, while the last good identity stays.
///
/// ```
/// use rustls_multibuffer::spiffe::WorkloadApiSource;
///
/// let source = WorkloadApiSource::new("unix:///run/spire/agent.sock")?;
/// assert!(WorkloadApiSource::new("agent.sock").is_err());
/// # Ok::<(), rustls_multibuffer::spiffe::EndpointError>(())
/// ```
#[derive(Debug)]
pub struct WorkloadApiSource {
    endpoint: Endpoint,
    id: Option<SpiffeId>,
    patience: Duration,
}

impl WorkloadApiSource {
    /// Where `SPIFFE_ENDPOINT_SOCKET` says.
    ///
    /// # Errors
    /// [`EndpointError`] when the variable is absent or is no address.
    pub fn from_env() -> Result<Self, EndpointError> {
        Ok(Self::at(endpoint::from_env().map_err(EndpointError::new)?))
    }

    /// At an address such as `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8081` (SPIFFE Workload Endpoint §4).
    ///
    /// # Errors
    /// [`EndpointError`] when it is no address.
    pub fn new(address: &str) -> Result<Self, EndpointError> {
        Ok(Self::at(Endpoint::parse(address).map_err(EndpointError::new)?))
    }

    fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, id: None, patience: Duration::from_secs(10) }
    }

    /// Takes the SVID with this SPIFFE ID, instead of the default one, which is the first.
    #[must_use]
    pub fn identity(self, id: SpiffeId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// How long to wait for the first message before the connection is made anew; 10 seconds unless said otherwise. Later
    /// silence is no fault: there is news only when something rotates.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    async fn follow(&self, updates: &Updates) -> Ended {
        let first = async {
            let channel = connect(&self.endpoint).await.map_err(Ended::Lost)?;
            let client = WorkloadApiClient::new_with_channel(self.endpoint.clone(), channel);
            let mut contexts = client.stream_x509_contexts().await?;
            let context = next(&mut contexts).await?;
            Ok::<_, Ended>((contexts, context))
        };
        let (mut contexts, mut context) = match tokio::time::timeout(self.patience, first).await {
            Ok(Ok(first)) => first,
            Ok(Err(ended)) => return ended,
            Err(_) => return Ended::Lost("the Workload API does not answer".into()),
        };
        loop {
            self.deliver(&context, updates);
            context = match next(&mut contexts).await {
                Ok(context) => context,
                Err(ended) => return ended,
            }
        }
    }

    fn deliver(&self, context: &X509Context, updates: &Updates) {
        match material(context, self.id.as_ref()) {
            // A refusal is counted and told by those who refuse; the next message may be better.
            Some(material) => drop(updates.offer(material)),
            None => {
                updates.connected();
                updates.withdraw(Withdrawal::Removed);
            }
        }
    }
}

impl Source for WorkloadApiSource {
    fn name(&self) -> &'static str {
        "workload_api"
    }

    fn run<'a>(&'a mut self, updates: &'a Updates) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>> {
        Box::pin(async {
            match self.follow(updates).await {
                Ended::Denied(why) => {
                    updates.withdraw(Withdrawal::Denied(why.to_string()));
                    SourceError::Lost(Box::new(why))
                }
                Ended::Malformed(refusal) => {
                    updates.refuse(refusal.clone());
                    SourceError::Lost(Box::new(refusal))
                }
                Ended::Invalid(why) => SourceError::Final(Box::new(why)),
                Ended::Lost(why) => SourceError::Lost(why),
            }
        })
    }
}

/// The address of an identity source that is none, or is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError(String);

impl EndpointError {
    pub(super) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for EndpointError {}

/// How the stream ended.
enum Ended {
    /// We are not entitled to an identity.
    Denied(WorkloadApiError),
    /// There was a message that cannot be used.
    Malformed(Refusal),
    /// The API does not like our request, which will be the same the next time.
    Invalid(WorkloadApiError),
    Lost(Box<dyn Error + Send + Sync>),
}

impl From<WorkloadApiError> for Ended {
    fn from(why: WorkloadApiError) -> Self {
        use WorkloadApiError as E;
        match why {
            E::NoIdentityIssued | E::PermissionDenied(_) => Self::Denied(why),
            _ if why.is_invalid_argument() => Self::Invalid(why),
            E::X509Svid(why) => Self::Malformed(refusal(&why)),
            E::EmptyResponse | E::MissingRequiredField { .. } => Self::Malformed(Refusal::Empty),
            E::InvalidResponseField { .. } | E::X509Bundle(_) | E::SpiffeId(_) => {
                Self::Malformed(Refusal::Malformed(why.to_string()))
            }
            _ => Self::Lost(Box::new(why)),
        }
    }
}

/// The client checks some of what we check, and says it in its own words.
fn refusal(why: &X509SvidError) -> Refusal {
    use X509SvidError as E;
    match why {
        E::EmptyChain => Refusal::Empty,
        E::LeafCertificateHasCaFlag => Refusal::CaLeaf,
        E::LeafCertificateHasCrlSign => Refusal::KeyUsage("has cRLSign"),
        E::LeafCertificateHasKeyCertSign => Refusal::KeyUsage("has keyCertSign"),
        E::LeafCertificateMissingDigitalSignature => Refusal::KeyUsage("lacks digitalSignature"),
        E::LeafSpiffeIdMissingPath => Refusal::InvalidSpiffeId(why.to_string()),
        E::Certificate(CertificateError::MissingSpiffeId) => Refusal::NoSpiffeId,
        E::Certificate(CertificateError::MultipleUriSanEntries) => Refusal::SeveralUris,
        E::PrivateKey(_) => Refusal::Key(why.to_string()),
        _ => Refusal::Malformed(why.to_string()),
    }
}

async fn next(
    contexts: &mut (impl Stream<Item = Result<X509Context, WorkloadApiError>> + Unpin),
) -> Result<X509Context, Ended> {
    match contexts.next().await {
        Some(context) => Ok(context?),
        None => Err(Ended::Lost("the Workload API has ended the stream".into())),
    }
}

/// The identity that we want, if it is there.
fn material(context: &X509Context, id: Option<&SpiffeId>) -> Option<Material> {
    let svid = match id {
        Some(id) => context.svids().iter().find(|svid| svid.spiffe_id() == id),
        None => context.default_svid(),
    }?;
    let certificate =
        |certificate: &::spiffe::Certificate| CertificateDer::from(certificate.as_bytes().to_vec());
    let key = PrivatePkcs8KeyDer::from(svid.private_key().as_bytes().to_vec());
    let bundles = context.bundle_set().iter().map(|(domain, bundle)| {
        (domain.clone(), bundle.authorities().iter().map(certificate).collect::<Vec<_>>())
    });
    Some(Material {
        svid: Svid {
            chain: svid.cert_chain().iter().map(certificate).collect(),
            key: PrivateKeyDer::from(key).into(),
        },
        // A domain without roots is not trusted: leaving it out says the same.
        bundles: bundles.filter(|(_, roots)| !roots.is_empty()).collect(),
    })
}
