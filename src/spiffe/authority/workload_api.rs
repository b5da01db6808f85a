//! The SPIFFE Workload API, X.509 profile.

use super::ca::IssuedSvid;
use super::server::{Answers, Feed, Serving, serve, unimplemented};
use super::view::View;
use super::{Authority, AuthorityError};
use crate::spiffe::proto::workload::{
    FETCH_X509_BUNDLES, FETCH_X509_SVID, FetchRequest, SECURITY_HEADER, X509BundlesResponse, X509Svid,
    X509SvidResponse,
};
use ::spiffe::SpiffeId;
use prost::Message;
use prost::bytes::Bytes;
use rustls::pki_types::CertificateDer;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

impl Authority {
    /// Serves the SPIFFE Workload API on a Unix socket: whoever may open it (our own user) is entitled to
    /// these identities, the first of which is the default one. A file that is there already is replaced.
    ///
    /// `FetchX509SVID` and `FetchX509Bundles` are there; the methods for JWTs answer Unimplemented.
    ///
    /// # Errors
    /// [`AuthorityError::Socket`] when the socket cannot be opened.
    pub fn serve_workload_api(
        &self,
        path: impl AsRef<Path>,
        ids: impl IntoIterator<Item = SpiffeId>,
    ) -> Result<Serving, AuthorityError> {
        let ids: Arc<[SpiffeId]> = ids.into_iter().collect();
        let authority = self.clone();
        serve(path.as_ref(), self.shared.views.subscribe(), |feed| WorkloadApi {
            feed,
            ids,
            _authority: authority,
        })
    }
}

#[derive(Clone)]
struct WorkloadApi {
    feed: Feed,
    ids: Arc<[SpiffeId]>,
    /// Lives as long as it is served.
    _authority: Authority,
}

impl Service<http::Request<Body>> for WorkloadApi {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (feed, ids) = (self.feed.clone(), self.ids.clone());
        match request.uri().path() {
            FETCH_X509_SVID => {
                answer(Follow { feed, message: move |view: &View| svids(view, &ids) }, request)
            }
            FETCH_X509_BUNDLES => {
                answer(Follow { feed, message: move |view: &View| bundles(view, &ids) }, request)
            }
            _ => unimplemented(),
        }
    }
}

fn answer<S>(method: S, request: http::Request<Body>) -> BoxFuture<http::Response<Body>, Infallible>
where
    S: ServerStreamingService<FetchRequest> + Send + 'static,
    S::Response: Message + Default,
    S::ResponseStream: Send + 'static,
    S::Future: Send,
{
    Box::pin(async move {
        let codec = ProstCodec::<S::Response, FetchRequest>::default();
        Ok(Grpc::new(codec).server_streaming(method, request).await)
    })
}

/// A method that answers with a message for what is published, and with another one whenever that changes.
struct Follow<F> {
    feed: Feed,
    message: F,
}

impl<F, M> ServerStreamingService<FetchRequest> for Follow<F>
where
    F: Fn(&View) -> Result<M, Status> + Clone + Send + 'static,
    M: Clone + PartialEq + Send + 'static,
{
    type Response = M;
    type ResponseStream = Answers<M>;
    type Future = Ready<Result<Response<Answers<M>>, Status>>;

    fn call(&mut self, request: Request<FetchRequest>) -> Self::Future {
        if request.metadata().get(SECURITY_HEADER).is_none_or(|value| value != "true") {
            return ready(Err(Status::invalid_argument("security header missing from request")));
        }
        let (mut feed, message) = (self.feed.clone(), self.message.clone());
        let answers = Answers::from_task(|sender| async move {
            let mut last = None;
            loop {
                let now = message(&feed.views.borrow_and_update());
                match now {
                    Err(end) => return end,
                    Ok(now) if last.as_ref() == Some(&now) => {}
                    Ok(now) => {
                        last = Some(now.clone());
                        if sender.send(Ok(now)).await.is_err() {
                            return Status::cancelled("nobody listens");
                        }
                    }
                }
                if let Err(end) = feed.changed().await {
                    return end;
                }
            }
        });
        ready(Ok(Response::new(answers)))
    }
}

/// SPIRE's words, by which clients know this answer.
fn denied() -> Status {
    Status::permission_denied("no identity issued")
}

fn svids(view: &View, ids: &[SpiffeId]) -> Result<X509SvidResponse, Status> {
    let bundle = concatenated(view.own_bundle().ok_or_else(denied)?);
    let entry = |id: &SpiffeId| {
        let IssuedSvid { chain, key, .. } = view.svid(id)?;
        Some(X509Svid {
            spiffe_id: id.to_string(),
            x509_svid: concatenated(chain),
            x509_svid_key: Bytes::copy_from_slice(key.expose().secret_der()),
            bundle: bundle.clone(),
            hint: String::new(),
        })
    };
    let svids: Vec<_> = ids.iter().filter_map(entry).collect();
    if svids.is_empty() {
        return Err(denied());
    }
    let others = view.federated().map(|(domain, roots)| (domain.id_string(), concatenated(roots)));
    Ok(X509SvidResponse { svids, federated_bundles: others.collect() })
}

fn bundles(view: &View, ids: &[SpiffeId]) -> Result<X509BundlesResponse, Status> {
    let is_entitled = ids.iter().any(|id| view.svid(id).is_some());
    let bundles = view.bundles.iter().map(|(domain, roots)| (domain.id_string(), concatenated(roots)));
    is_entitled.then(|| X509BundlesResponse { bundles: bundles.collect() }).ok_or_else(denied)
}

fn concatenated(certificates: &[CertificateDer<'_>]) -> Bytes {
    certificates.iter().flat_map(|certificate| certificate.iter().copied()).collect()
}
