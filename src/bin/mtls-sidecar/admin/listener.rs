//! Where the admin endpoint listens.

use super::Admin;
use crate::config::{AdminAddress, AdminConfig};
use crate::stream::Plain;
use crate::unix_socket;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(10);

/// The endpoint's socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

impl Listener {
    /// The socket of the configured address: the inherited one if it is that.
    ///
    /// # Errors
    /// What cannot be bound.
    pub(crate) fn bind(
        config: Option<&AdminConfig>,
        inherited: Option<OwnedFd>,
    ) -> Result<Option<Self>, String> {
        let Some(AdminConfig { address, .. }) = config else { return Ok(None) };
        let inherited = inherited.and_then(|fd| Self::recognise(fd, address));
        let listener = match inherited {
            Some(listener) => Ok(listener),
            None => Self::open(address),
        };
        listener.map(Some).map_err(|e| format!("admin: cannot listen on {address}: {e}"))
    }

    fn open(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => {
                let listener = StdTcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(listener))
            }
            AdminAddress::Unix(path) => unix_socket::bind(path).map(Self::Unix),
        }
    }

    fn recognise(fd: OwnedFd, address: &AdminAddress) -> Option<Self> {
        match address {
            AdminAddress::Tcp(address) => {
                let listener = StdTcpListener::from(fd);
                let is_it = listener.local_addr().is_ok_and(|local| {
                    local == *address || (address.port() == 0 && local.ip() == address.ip())
                });
                is_it.then_some(Self::Tcp(listener))
            }
            AdminAddress::Unix(path) => {
                let listener = StdUnixListener::from(fd);
                let is_it = listener.local_addr().is_ok_and(|local| local.as_pathname() == Some(path));
                is_it.then_some(Self::Unix(listener))
            }
        }
    }

    /// Serves on the current runtime, until the task is aborted.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn serve(&self, admin: Admin) -> Result<JoinHandle<()>, String> {
        let listening = match self {
            Self::Tcp(listener) => listener.try_clone().and_then(TcpListener::from_std).map(Listening::Tcp),
            Self::Unix(listener) => {
                listener.try_clone().and_then(UnixListener::from_std).map(Listening::Unix)
            }
        };
        let listening = listening.map_err(|e| format!("admin: {e}"))?;
        Ok(tokio::spawn(accept(admin, listening)))
    }
}

/// The socket on a runtime.
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    async fn accept(&self) -> io::Result<Plain> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Plain::Tcp(stream)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Plain::Unix(stream)),
        }
    }
}

async fn accept(admin: Admin, listening: Listening) {
    loop {
        match listening.accept().await {
            Ok(stream) => drop(tokio::spawn(serve(stream, admin.clone()))),
            Err(e) => {
                log::warn!("admin: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: Plain, admin: Admin) {
    let service = service_fn(move |request| admin.clone().answer(request));
    let mut http = http1::Builder::new();
    // A connection that is kept would go on asking this process when another has taken over.
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
    if let Err(e) = http.serve_connection(TokioIo::new(stream), service).await {
        log::debug!("admin: {e}");
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}
