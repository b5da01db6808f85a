//! Identities from a SPIFFE Workload API: SPIRE's agent, and whatever else implements the standard.

mod message;

use super::SpiffeId;
use super::channel::{Ended, EndpointError, Server};
use super::proto::workload::{FETCH_X509_SVID, FetchRequest, SECURITY_HEADER, X509SvidResponse};
use super::source::{Source, SourceError, Updates, Withdrawal};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

/// A [`Source`] that follows the stream of X.509-SVIDs of a SPIFFE Workload API.
///
/// Every message is the complete state: what it lacks is taken back. PermissionDenied takes the identity back
/// at once, and is asked again; after InvalidArgument, which the standard says not to repeat, the API is
/// asked rarely, and [`Health::source_rejects`](super::Health) tells (SPIFFE Workload API §4.4, SPIFFE
/// Workload Endpoint §5). In all other cases the connection is made anew, while the last good identity stays.
/// What is wrong with another trust domain's bundle concerns that domain only.
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
    server: Server,
    id: Option<SpiffeId>,
}

/// What errors call the server.
const NAME: &str = "the Workload API";

impl WorkloadApiSource {
    /// Where `SPIFFE_ENDPOINT_SOCKET` says.
    ///
    /// # Errors
    /// [`EndpointError`] when the variable is absent or is no address.
    pub fn from_env() -> Result<Self, EndpointError> {
        Ok(Self { server: Server::from_env(NAME)?, id: None })
    }

    /// At an address such as `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8081` (SPIFFE Workload
    /// Endpoint §4).
    ///
    /// # Errors
    /// [`EndpointError`] when it is no address.
    pub fn new(address: &str) -> Result<Self, EndpointError> {
        Ok(Self { server: Server::new(NAME, address)?, id: None })
    }

    /// Takes the SVID with this SPIFFE ID, instead of the default one, which is the first.
    #[must_use]
    pub fn identity(self, id: SpiffeId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// How long to wait for the first message before the connection is made anew; 10 seconds unless said
    /// otherwise. Later silence is no fault: there is news only when something rotates.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.server.patience = patience;
        self
    }

    /// The largest message that is accepted, in bytes; 64 MiB unless said otherwise.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.server.max_message_size = bytes;
        self
    }

    async fn stream(&self, updates: &Updates) -> Result<Infallible, Ended> {
        let opening = async {
            let mut responses = self.request().await?;
            let response = self.next(&mut responses).await?;
            Ok::<_, Ended>((responses, response))
        };
        let (mut responses, mut response) = self.server.open(opening).await?;
        loop {
            self.deliver(response, updates)?;
            response = self.next(&mut responses).await?;
        }
    }

    async fn request(&self) -> Result<Streaming<X509SvidResponse>, Ended> {
        let mut grpc = self.server.connect().await?;
        let mut request = Request::new(FetchRequest {});
        request.metadata_mut().insert(SECURITY_HEADER, MetadataValue::from_static("true"));
        let codec = ProstCodec::<FetchRequest, X509SvidResponse>::default();
        let path = PathAndQuery::from_static(FETCH_X509_SVID);
        Ok(grpc.server_streaming(request, path, codec).await?.into_inner())
    }

    async fn next(&self, responses: &mut Streaming<X509SvidResponse>) -> Result<X509SvidResponse, Ended> {
        responses.message().await?.ok_or_else(|| self.server.lost("has ended the stream"))
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
            let Err(ended) = self.stream(updates).await;
            ended.tell(updates)
        })
    }
}
