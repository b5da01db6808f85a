//! InvalidArgument: asking again at once is useless (SPIFFE Workload Endpoint §5).

use crate::run;
use crate::support::{Folder, address, builder, eventually};
use rustls_multibuffer::spiffe::WorkloadApiSource;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::UnixListener;
use tonic::body::Body;
use tonic::codegen::tokio_stream::wrappers::UnixListenerStream;
use tonic::codegen::{Service, http};
use tonic::{Code, Status};

/// Answers every call with the same status, and counts calls.
#[derive(Clone)]
struct Always {
    code: Code,
    calls: Arc<AtomicU32>,
}

impl Service<http::Request<Body>> for Always {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.headers()["workload.spiffe.io"], "true");
        self.calls.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Status::new(self.code, "as always").into_http()))
    }
}

/// How often the source asks within a time in which it could ask often.
async fn calls(code: Code) -> (u32, String) {
    let (folder, calls) = (Folder::new(), Arc::new(AtomicU32::new(0)));
    let path = folder.join("socket");
    let incoming = UnixListenerStream::new(UnixListener::bind(&path).unwrap());
    let service = Always { code, calls: calls.clone() };
    let server = tokio::spawn(tonic::transport::Server::builder().serve_with_incoming(service, incoming));
    let identity = builder().start(WorkloadApiSource::new(&address(&path)).unwrap());
    eventually("an answer", || identity.health().source_error.is_some()).await;
    if code == Code::InvalidArgument {
        tokio::time::sleep(Duration::from_millis(500)).await;
    } else {
        eventually("it asks again", || calls.load(Ordering::SeqCst) > 3).await;
    }
    server.abort();
    (calls.load(Ordering::SeqCst), identity.health().source_error.unwrap())
}

#[test]
fn a_refused_request_is_not_repeated() {
    run(async {
        let (count, why) = calls(Code::InvalidArgument).await;
        assert_eq!(count, 1);
        assert!(why.contains("as always") && why.contains("rejecting"), "{why}");
        for code in [Code::PermissionDenied, Code::Unavailable, Code::Internal, Code::Unimplemented] {
            let (count, _) = calls(code).await;
            assert!(count > 3, "{code:?}: asked {count} times");
        }
    });
}
