//! A gRPC server on a Unix socket, which can be stopped although its streams never end.

use super::AuthorityError;
use super::lenient::Lenient;
use super::view::View;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::transport::Server;

/// A service that is being served on a Unix socket. Ends when dropped; the socket's file goes with it.
#[derive(Debug)]
pub struct Serving {
    path: PathBuf,
    /// Which file that was: device and inode.
    file: (u64, u64),
    stop: watch::Sender<bool>,
    /// `None` when it has ended.
    task: Option<JoinHandle<()>>,
}

impl Serving {
    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a workload finds in `SPIFFE_ENDPOINT_SOCKET`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Ends all streams and connections, and returns when that is done.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // A client that does not hang up must not keep us.
            let abort = task.abort_handle();
            if tokio::time::timeout(std::time::Duration::from_secs(1), task).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // Not what a successor has put in its place. A failure means that somebody else has taken the file
        // away.
        if file_at(&self.path).is_ok_and(|file| file == self.file) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// What a service's streams live on.
#[derive(Clone)]
pub(super) struct Feed {
    /// What the authority publishes.
    pub(super) views: watch::Receiver<Arc<View>>,
    stopped: watch::Receiver<bool>,
}

impl Feed {
    /// Waits until there is something new. Nothing more comes when the server is being stopped.
    pub(super) async fn changed(&mut self) -> Result<(), Status> {
        let stopped = self.stopped.wait_for(|stopped| *stopped);
        tokio::select! {
            changed = self.views.changed() => {
                changed.map_err(|_| Status::unavailable("the authority has ended"))
            }
            _ = stopped => Err(Status::unavailable("the server is being stopped")),
        }
    }
}

/// Serves what `service` makes of the feed.
pub(super) fn serve<S>(
    path: &Path,
    views: watch::Receiver<Arc<View>>,
    service: impl FnOnce(Feed) -> S,
) -> Result<Serving, AuthorityError>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    let listener = listen(path).map_err(AuthorityError::Socket)?;
    let file = file_at(path).map_err(AuthorityError::Socket)?;
    let (stop, mut stopped) = watch::channel(false);
    let service = service(Feed { views, stopped: stopped.clone() });
    let until = async move {
        // An error is the end of the handle, which is a reason to stop as well.
        drop(stopped.wait_for(|stopped| *stopped).await);
    };
    let serving = Server::builder().serve_with_incoming_shutdown(service, Incoming(listener), until);
    let task = tokio::spawn(async move {
        if let Err(why) = serving.await {
            log::warn!("a socket of the embedded authority is lost: {why}");
        }
    });
    Ok(Serving { path: path.to_owned(), file, stop, task: Some(task) })
}

/// Device and inode of a file.
fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Opens the socket for our own user only. A file that a former process left there is replaced.
///
/// The socket is made in a folder of our own and then moved, so that at no time others can connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let folder = path.with_file_name(format!(".{name}.{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let socket = folder.join("s");
    let listener = UnixListener::bind(&socket).and_then(|listener| {
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&socket, path)?;
        Ok(listener)
    });
    std::fs::remove_dir_all(&folder)?;
    listener
}

/// The connections that come in.
struct Incoming(UnixListener);

impl Stream for Incoming {
    type Item = io::Result<Lenient>;

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_accept(cx).map(|accepted| Some(accepted.map(|(stream, _)| Lenient::new(stream))))
    }
}

/// A stream of answers that a task produces; the task ends with the stream.
pub(super) struct Answers<T> {
    receiver: mpsc::Receiver<Result<T, Status>>,
    task: AbortHandle,
}

impl<T: Send + 'static> Answers<T> {
    /// Starts the task. What it returns is the stream's end.
    pub(super) fn from_task<F>(task: impl FnOnce(mpsc::Sender<Result<T, Status>>) -> F) -> Self
    where
        F: Future<Output = Status> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(1);
        let answers = task(sender.clone());
        let task = tokio::spawn(async move {
            let end = answers.await;
            // Nobody needs to hear of the end when the stream is gone.
            drop(sender.send(Err(end)).await);
        });
        Self { receiver, task: task.abort_handle() }
    }
}

impl<T> Stream for Answers<T> {
    type Item = Result<T, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx)
    }
}

impl<T> Drop for Answers<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a call of a method that we do not have.
pub(super) fn unimplemented() -> BoxFuture<http::Response<Body>, Infallible> {
    Box::pin(async { Ok(Status::unimplemented("the embedded authority has no such method").into_http()) })
}
