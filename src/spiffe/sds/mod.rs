//! Identities from Envoy's secret discovery service, version 3: istio-agent, SPIRE's agent.

mod context;
mod fields;
mod parse;
mod resources;
#[cfg(all(test, feature = "spiffe-authority"))]
mod tests;

use self::resources::{Federated, Resources};
use super::channel::{Ended, EndpointError, Server};
use super::proto::discovery::{
    DiscoveryRequest, DiscoveryResponse, Node, SECRET_TYPE, STREAM_SECRETS, Status as Detail,
};
use super::source::{Source, SourceError, Updates};
use super::{Refusal, TrustDomain};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// A [`Source`] that follows the state of the world of an Envoy secret discovery service, version 3.
///
/// It subscribes to one TLS certificate and the bundles that go with it, and offers what is there as soon as
/// it is complete: the certificate and its own trust domain's bundle. An accepted response is acknowledged
/// (ACK); a response that is refused is answered with the reason (NACK), and the last good identity stays.
/// Servers may send resources one by one, as istio-agent does: those that a response does not name stay as
/// they are. PermissionDenied takes the identity back at once.
///
/// A bundle may be a validation context with trusted CAs, or one for Envoy's SPIFFE validator, which holds
/// the bundles of several trust domains (SPIRE's resource `ALL`). Whatever else a context says is enforced,
/// or the response is refused: it is judged as a static configuration is. All data must be in the messages;
/// names of files are refused. A key may stand in the settings of a `private_key_provider`, as istio-agent
/// sends it.
#[derive(Debug)]
pub struct SdsSource {
    server: Server,
    names: Names,
    node: Node,
    /// What the streams so far had accepted.
    federated: Federated,
}

/// What the resources are called.
#[derive(Clone, Debug)]
struct Names {
    certificate: String,
    bundle: String,
    /// Other domains' bundles, by resource.
    federated: BTreeMap<String, TrustDomain>,
}

impl Names {
    fn all(&self) -> Vec<String> {
        [&self.certificate, &self.bundle].into_iter().chain(self.federated.keys()).cloned().collect()
    }
}

impl SdsSource {
    /// At an address such as `unix:///var/run/secrets/workload-spiffe-uds/socket`, with the resources
    /// `default` and `ROOTCA`.
    ///
    /// # Errors
    /// [`EndpointError`] when it is no address.
    pub fn new(address: &str) -> Result<Self, EndpointError> {
        let node = Node {
            id: "rustls-multibuffer".to_owned(),
            cluster: String::new(),
            user_agent_name: "rustls-multibuffer".to_owned(),
        };
        Ok(Self {
            server: Server::new("the secret discovery service", address)?,
            names: Names {
                certificate: "default".to_owned(),
                bundle: "ROOTCA".to_owned(),
                federated: BTreeMap::new(),
            },
            node,
            federated: Federated::new(),
        })
    }

    /// The name of the resource that holds our certificate and key.
    #[must_use]
    pub fn certificate(mut self, name: impl Into<String>) -> Self {
        self.names.certificate = name.into();
        self
    }

    /// The name of the resource that holds our own trust domain's bundle.
    #[must_use]
    pub fn bundle(mut self, name: impl Into<String>) -> Self {
        self.names.bundle = name.into();
        self
    }

    /// One more resource, which holds the bundle of another trust domain. It is used when it is there;
    /// nothing waits for it.
    ///
    /// Responses may leave resources out, so that absence takes nothing back, in later streams neither: the
    /// roots count until the server sends the resource with others in their place, or denies us our identity.
    /// A server that wants to take back a whole domain sends a bundle for Envoy's SPIFFE validator that no
    /// longer names it, which is why [`bundle`](Self::bundle)`("ALL")` is the better choice where the server
    /// has it.
    #[must_use]
    pub fn federated_bundle(mut self, name: impl Into<String>, domain: TrustDomain) -> Self {
        self.names.federated.insert(name.into(), domain);
        self
    }

    /// What we call ourselves to the server (`node.id` and `node.cluster`).
    #[must_use]
    pub fn node(mut self, id: impl Into<String>, cluster: impl Into<String>) -> Self {
        (self.node.id, self.node.cluster) = (id.into(), cluster.into());
        self
    }

    /// How long to wait for the first response before the connection is made anew; 10 seconds unless said
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

    async fn stream(&mut self, updates: &Updates) -> Result<Infallible, Ended> {
        let opening = async {
            let mut session = Session::open(self).await?;
            let first = session.responses.message().await?;
            Ok::<_, Ended>((session, first))
        };
        let (mut session, mut next) = self.server.open(opening).await?;
        updates.connected();
        while let Some(response) = next {
            let answered = session.take(response, updates).await;
            self.federated.clone_from(session.resources.federated());
            if !answered {
                return Err(self.server.lost("takes no answers"));
            }
            next = session.next(self.server.patience).await?;
        }
        Err(self.server.lost("has ended the stream"))
    }
}

impl Source for SdsSource {
    fn name(&self) -> &'static str {
        "sds"
    }

    fn run<'a>(&'a mut self, updates: &'a Updates) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>> {
        Box::pin(async {
            let Err(ended) = self.stream(updates).await;
            if let Ended::Denied(_) = ended {
                self.federated.clear();
            }
            ended.tell(updates)
        })
    }
}

/// One stream of requests and responses.
struct Session {
    names: Vec<String>,
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
    resources: Resources,
    /// The version that was accepted last.
    version: String,
    /// Whether it was said that secrets are missing.
    told_missing: bool,
}

impl Session {
    async fn open(source: &SdsSource) -> Result<Self, Ended> {
        let mut grpc = source.server.connect().await?;
        let names = source.names.all();
        let (requests, outgoing) = mpsc::channel(1);
        let first = DiscoveryRequest {
            node: Some(source.node.clone()),
            resource_names: names.clone(),
            type_url: SECRET_TYPE.to_owned(),
            ..DiscoveryRequest::default()
        };
        requests.try_send(first).expect("the queue is empty");
        let codec = ProstCodec::<DiscoveryRequest, DiscoveryResponse>::default();
        let path = PathAndQuery::from_static(STREAM_SECRETS);
        let responses = grpc.streaming(Request::new(ReceiverStream::new(outgoing)), path, codec).await?;
        Ok(Self {
            names,
            requests,
            responses: responses.into_inner(),
            resources: Resources::new(source.names.clone(), source.federated.clone()),
            version: String::new(),
            told_missing: false,
        })
    }

    /// The next response. If our own secrets are not there in time, says so once.
    async fn next(&mut self, patience: Duration) -> Result<Option<DiscoveryResponse>, Status> {
        let missing = self.resources.missing();
        if missing.is_empty() || self.told_missing {
            return self.responses.message().await;
        }
        match tokio::time::timeout(patience, self.responses.message()).await {
            Ok(next) => next,
            Err(_) => {
                log::warn!("the secret discovery service has not sent {} yet", missing.join(" and "));
                self.told_missing = true;
                self.responses.message().await
            }
        }
    }

    /// Uses a response if it can be used, and answers it. False: the server takes no answers any more.
    async fn take(&mut self, response: DiscoveryResponse, updates: &Updates) -> bool {
        let (version, nonce) = (response.version_info.clone(), response.nonce.clone());
        let error_detail = match self.resources.take(response, updates) {
            Ok(()) => {
                self.version = version;
                None
            }
            Err(refusal) => Some(nack(&refusal)),
        };
        let answer = DiscoveryRequest {
            version_info: self.version.clone(),
            resource_names: self.names.clone(),
            type_url: SECRET_TYPE.to_owned(),
            response_nonce: nonce,
            error_detail,
            ..DiscoveryRequest::default()
        };
        self.requests.send(answer).await.is_ok()
    }
}

fn nack(refusal: &Refusal) -> Detail {
    Detail { code: Code::InvalidArgument as i32, message: refusal.to_string() }
}
