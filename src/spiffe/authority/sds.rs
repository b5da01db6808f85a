//! Envoy's secret discovery service, version 3, state of the world.

use super::secrets::resources;
use super::server::{Answers, Feed, Serving, serve, unimplemented};
use super::{Authority, AuthorityError};
use crate::spiffe::proto::discovery::{
    Any, DiscoveryRequest, DiscoveryResponse, FETCH_SECRETS, SECRET_TYPE, STREAM_SECRETS,
};
use ::spiffe::SpiffeId;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// What a client has said to a response of the secret discovery service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdsAnswer {
    /// The resources that the client wants.
    pub names: Vec<String>,
    /// The version that it answers to.
    pub version: String,
    /// Why it has refused that version (NACK); `None` if it uses it (ACK).
    pub refusal: Option<String>,
}

/// Secrets that are being served. Ends when dropped.
#[derive(Debug)]
pub struct ServingSds {
    serving: Serving,
    journal: Journal,
}

impl ServingSds {
    /// Where the socket is.
    pub fn path(&self) -> &Path {
        self.serving.path()
    }

    /// Everything that clients have answered so far, oldest first.
    pub fn answers(&self) -> Vec<SdsAnswer> {
        self.journal.lock().clone()
    }

    /// Ends all streams and connections, and returns when that is done.
    pub async fn stop(self) {
        self.serving.stop().await;
    }
}

#[derive(Clone, Debug, Default)]
struct Journal(Arc<Mutex<Vec<SdsAnswer>>>);

impl Journal {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SdsAnswer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authority {
    /// Serves Envoy's secret discovery service on a Unix socket: whoever may open it (our own user) is
    /// entitled to these identities. A file that is there already is replaced.
    ///
    /// `StreamSecrets` and `FetchSecrets` are there. The names of resources are those of SPIRE's and Istio's
    /// agents:
    ///
    /// | name | resource |
    /// |---|---|
    /// | `default`, or empty | the first identity, as a TLS certificate |
    /// | a SPIFFE ID | that identity |
    /// | `ROOTCA` | validation context with the roots of the authority's own trust domain |
    /// | a trust domain, such as `spiffe://example.org` | validation context with the roots of that domain |
    /// | `ALL` | validation context for Envoy's SPIFFE validator, with the roots of every domain |
    ///
    /// A resource that does not exist is left out. As long as the identities, or the authority's own bundle,
    /// are taken back, streams end with PermissionDenied. A client that was told so must stop using what it
    /// has; Envoy does not.
    ///
    /// # Errors
    /// [`AuthorityError::Socket`] when the socket cannot be opened.
    pub fn serve_sds(
        &self,
        path: impl AsRef<Path>,
        ids: impl IntoIterator<Item = SpiffeId>,
    ) -> Result<ServingSds, AuthorityError> {
        let (ids, journal) = (ids.into_iter().collect(), Journal::default());
        let (authority, theirs) = (self.clone(), journal.clone());
        let serving = serve(path.as_ref(), self.shared.views.subscribe(), |feed| Sds {
            feed,
            ids,
            journal: theirs,
            _authority: authority,
        })?;
        Ok(ServingSds { serving, journal })
    }
}

#[derive(Clone)]
struct Sds {
    feed: Feed,
    ids: Arc<[SpiffeId]>,
    journal: Journal,
    /// Lives as long as it is served.
    _authority: Authority,
}

impl Service<http::Request<Body>> for Sds {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let sds = self.clone();
        let grpc = || Grpc::new(ProstCodec::<DiscoveryResponse, DiscoveryRequest>::default());
        match request.uri().path() {
            STREAM_SECRETS => Box::pin(async move { Ok(grpc().streaming(Stream(sds), request).await) }),
            FETCH_SECRETS => Box::pin(async move { Ok(grpc().unary(Fetch(sds), request).await) }),
            _ => unimplemented(),
        }
    }
}

/// `FetchSecrets`
struct Fetch(Sds);

impl UnaryService<DiscoveryRequest> for Fetch {
    type Response = DiscoveryResponse;
    type Future = Ready<Result<Response<DiscoveryResponse>, Status>>;

    fn call(&mut self, request: Request<DiscoveryRequest>) -> Self::Future {
        let view = self.0.feed.views.borrow().clone();
        let resources = resources(&view, &self.0.ids, &request.get_ref().resource_names);
        ready(resources.map(|resources| Response::new(response(resources, view.version, String::new()))))
    }
}

/// `StreamSecrets`
struct Stream(Sds);

impl StreamingService<DiscoveryRequest> for Stream {
    type Response = DiscoveryResponse;
    type ResponseStream = Answers<DiscoveryResponse>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<DiscoveryRequest>>) -> Self::Future {
        let (sds, requests) = (self.0.clone(), request.into_inner());
        let answers = Answers::from_task(|responses| async move {
            match (Session { sds, responses, names: None, sent: None, count: 0 }).run(requests).await {
                Ok(()) => Status::ok("the client has ended the stream"),
                Err(end) => end,
            }
        });
        ready(Ok(Response::new(answers)))
    }
}

/// What was sent last.
struct Sent {
    nonce: String,
    version: String,
    resources: Vec<Any>,
}

/// One client's stream.
struct Session {
    sds: Sds,
    responses: mpsc::Sender<Result<DiscoveryResponse, Status>>,
    /// What the client wants; `None` before its first request.
    names: Option<Vec<String>>,
    sent: Option<Sent>,
    count: u64,
}

impl Session {
    async fn run(&mut self, mut requests: Streaming<DiscoveryRequest>) -> Result<(), Status> {
        loop {
            tokio::select! {
                request = requests.message() => match request? {
                    Some(request) => self.hear(request).await?,
                    None => return Ok(()),
                },
                changed = self.sds.feed.changed() => {
                    changed?;
                    self.send_if_changed().await?;
                }
            }
        }
    }

    /// A first request, a subscription to other names, an ACK or a NACK.
    async fn hear(&mut self, request: DiscoveryRequest) -> Result<(), Status> {
        if !request.type_url.is_empty() && request.type_url != SECRET_TYPE {
            return Err(Status::invalid_argument(format!("no resources of type {}", request.type_url)));
        }
        if !request.response_nonce.is_empty() {
            match &self.sent {
                Some(sent) if sent.nonce == request.response_nonce => {
                    self.sds.journal.lock().push(SdsAnswer {
                        names: request.resource_names.clone(),
                        version: sent.version.clone(),
                        refusal: request.error_detail.map(|detail| detail.message),
                    });
                }
                // It answers to something older than what is under way to it.
                _ => return Ok(()),
            }
        }
        let is_new = self.names.as_ref() != Some(&request.resource_names);
        self.names = Some(request.resource_names);
        if is_new {
            // Other names may be answered by the same resources: they must be answered nevertheless.
            self.sent = None;
            self.send_if_changed().await?;
        }
        Ok(())
    }

    async fn send_if_changed(&mut self) -> Result<(), Status> {
        let Some(names) = &self.names else { return Ok(()) };
        let view = self.sds.feed.views.borrow_and_update().clone();
        let resources = resources(&view, &self.sds.ids, names)?;
        let is_old = self.sent.as_ref().is_some_and(|sent| sent.resources == resources);
        // None yet: the client waits until there are some.
        if is_old || resources.is_empty() {
            return Ok(());
        }
        self.count += 1;
        let (nonce, version) = (self.count.to_string(), view.version);
        self.sent =
            Some(Sent { nonce: nonce.clone(), version: version.to_string(), resources: resources.clone() });
        let sending = self.responses.send(Ok(response(resources, version, nonce))).await;
        sending.map_err(|_| Status::cancelled("nobody listens"))
    }
}

fn response(resources: Vec<Any>, version: u64, nonce: String) -> DiscoveryResponse {
    DiscoveryResponse {
        version_info: version.to_string(),
        resources,
        type_url: SECRET_TYPE.to_owned(),
        nonce,
    }
}
