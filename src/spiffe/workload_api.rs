//! Identities from a SPIFFE Workload API: SPIRE's agent, and whatever else implements the standard.

mod message;

use super::channel::{MAX_MESSAGE_SIZE, connect};
use super::proto::workload::{FETCH_X509_SVID, FetchRequest, SECURITY_HEADER, X509SvidResponse};
use super::source::{Source, SourceError, Updates, Withdrawal};
use super::{Refusal, SpiffeId};
use ::spiffe::transport::Endpoint;
use ::spiffe::workload_api::endpoint;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// A [`Source`] that follows the stream of X.509-SVIDs of a SPIFFE Workload API.
///
/// Every message is the complete state: what it lacks is taken back. PermissionDenied takes the identity back at once, and
/// is asked again; after InvalidArgument, which the standard says not to repeat, the API is asked rarely, and
/// [`Health::source_rejects`](super::Health) tells (SPIFFE Workload API §4.4, SPIFFE Workload Endpoint §5). In all other cases
/// the connection is made anew, while the last good identity stays. What is wrong with another trust domain's bundle
/// concerns that domain only.
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
    max_message_size: usize,
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
        let patience = Duration::from_secs(10);
        Self { endpoint, id: None, patience, max_message_size: MAX_MESSAGE_SIZE }
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

    /// The largest message that is accepted, in bytes; 64 MiB unless said otherwise.
    #[must_use]
    pub fn max_message_size(self, bytes: usize) -> Self {
        Self { max_message_size: bytes, ..self }
    }

    async fn follow(&self, updates: &Updates) -> Result<Infallible, Ended> {
        let first = async {
            let mut responses = self.open().await?;
            let response = next(&mut responses).await?;
            Ok::<_, Ended>((responses, response))
        };
        let first = tokio::time::timeout(self.patience, first).await;
        let (mut responses, mut response) =
            first.map_err(|_| Ended::Lost("the Workload API does not answer".into()))??;
        loop {
            self.deliver(response, updates)?;
            response = next(&mut responses).await?;
        }
    }

    async fn open(&self) -> Result<Streaming<X509SvidResponse>, Ended> {
        let channel = connect(&self.endpoint).await.map_err(Ended::Lost)?;
        let mut grpc = Grpc::new(channel).max_decoding_message_size(self.max_message_size);
        grpc.ready().await.map_err(|why| Ended::Lost(Box::new(why)))?;
        let mut request = Request::new(FetchRequest {});
        request.metadata_mut().insert(SECURITY_HEADER, MetadataValue::from_static("true"));
        let codec = ProstCodec::<FetchRequest, X509SvidResponse>::default();
        let path = PathAndQuery::from_static(FETCH_X509_SVID);
        Ok(grpc.server_streaming(request, path, codec).await?.into_inner())
    }

    fn deliver(&self, response: X509SvidResponse, updates: &Updates) -> Result<(), Ended> {
        match message::material(response, self.id.as_ref()).map_err(Ended::Malformed)? {
            // A refusal is counted and told by those who refuse; the next message may be better.
            Some(material) => drop(updates.offer(material)),
            None => {
                updates.connected();
                updates.withdraw(Withdrawal::Removed);
            }
        }
        Ok(())
    }
}

impl Source for WorkloadApiSource {
    fn name(&self) -> &'static str {
        "workload_api"
    }

    fn run<'a>(&'a mut self, updates: &'a Updates) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>> {
        Box::pin(async {
            let Err(ended) = self.follow(updates).await;
            match ended {
                Ended::Denied(why) => {
                    updates.withdraw(Withdrawal::Denied(why.message().to_owned()));
                    SourceError::Lost(Box::new(why))
                }
                Ended::Malformed(refusal) => {
                    updates.refuse(refusal.clone());
                    SourceError::Lost(Box::new(refusal))
                }
                Ended::Invalid(why) => SourceError::Rejected(Box::new(why)),
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
    Denied(Status),
    /// There was a message that cannot be used.
    Malformed(Refusal),
    /// The API does not like our request, which will be the same the next time.
    Invalid(Status),
    Lost(Box<dyn Error + Send + Sync>),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::PermissionDenied => Self::Denied(status),
            Code::InvalidArgument => Self::Invalid(status),
            _ => Self::Lost(Box::new(status)),
        }
    }
}

async fn next(responses: &mut Streaming<X509SvidResponse>) -> Result<X509SvidResponse, Ended> {
    let next = responses.message().await?;
    next.ok_or_else(|| Ended::Lost("the Workload API has ended the stream".into()))
}
