//! One connection, from its first byte to its last.

use crate::access::Access;
use crate::config::{Direction, ProxyProtocol};
use crate::copy::{End, Interrupted, copy};
use crate::proxy_protocol;
use crate::state::{Listener, Places};
use crate::stream::Plain;
use crate::tls::{Endpoint, Tls, failure};
use rustls_multibuffer::spiffe::Connection;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A listener on one worker.
pub(crate) struct Service {
    pub(crate) listener: Arc<Listener>,
    pub(crate) endpoint: Endpoint,
    /// Connections of the worker that have not begun their handshake.
    pub(crate) early: Rc<Cell<usize>>,
}

/// How a connection ended: a metric label, and what there is to say beside.
struct Ending(&'static str, Option<String>);

impl Ending {
    fn new(result: &'static str, detail: &impl ToString) -> Self {
        Self(result, Some(detail.to_string()))
    }
}

/// Counts a connection among the early ones.
pub(crate) struct Early(Rc<Cell<usize>>);

impl Early {
    pub(crate) fn new(service: &Service) -> Self {
        let count = service.early.clone();
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Service {
    /// Carries a connection that was accepted.
    pub(crate) async fn serve(&self, socket: TcpStream, client: SocketAddr, places: Places, early: Early) {
        let access = Access::new(self.listener.clone(), client);
        let Ending(result, detail) = match self.carry(socket, &access, places, early).await {
            Ok(ending) | Err(ending) => ending,
        };
        access.set_result(result, detail);
    }

    async fn carry(
        &self,
        mut socket: TcpStream,
        access: &Access,
        mut places: Places,
        early: Early,
    ) -> Result<Ending, Ending> {
        socket.set_nodelay(true).map_err(|e| Ending::new("io", &e))?;
        let destination = self.read_header(&mut socket, access).await?;
        let (mut tls, mut connection, mut plain) = match self.listener.config.direction {
            Direction::Inbound => {
                let (tls, connection) = self.handshake(socket, access, early).await?;
                let mut plain = self.dial().await?;
                plain.reset_on_close();
                self.write_header(&mut plain, access, destination).await?;
                (tls, connection, plain)
            }
            Direction::Outbound => {
                let Plain::Tcp(mut server) = self.dial().await? else {
                    return Err(Ending("connect_failed", None));
                };
                self.write_header(&mut server, access, destination).await?;
                let (tls, connection) = self.handshake(server, access, early).await?;
                (tls, connection, Plain::Tcp(socket))
            }
        };
        places.established();
        let idle = self.listener.config.timeouts.idle.limit();
        tokio::select! {
            biased;
            result = copy(&mut tls, &mut plain, idle, access) => Ok(ending(result, &plain)),
            reason = connection.closing() => Ok(Ending(reason.as_label(), None)),
        }
    }

    /// The destination that the client had in mind: that of the PROXY header, or the socket's own.
    async fn read_header(&self, socket: &mut TcpStream, access: &Access) -> Result<SocketAddr, Ending> {
        let config = &self.listener.config;
        let local = socket.local_addr().map_err(|e| Ending::new("io", &e))?;
        if config.proxy_protocol.accept == ProxyProtocol::Off {
            return Ok(local);
        }
        let header = timeout(config.timeouts.handshake.0, proxy_protocol::read(socket)).await;
        let header = header.map_err(|_| Ending("proxy_header_timed_out", None))?;
        match header.map_err(|e| Ending::new("proxy_header", &e))? {
            Some(proxied) => {
                access.set_client(proxied.source);
                Ok(proxied.destination)
            }
            None => Ok(local),
        }
    }

    async fn write_header(
        &self,
        stream: &mut (impl tokio::io::AsyncWrite + Unpin),
        access: &Access,
        destination: SocketAddr,
    ) -> Result<(), Ending> {
        let config = &self.listener.config;
        if config.proxy_protocol.send == ProxyProtocol::Off {
            return Ok(());
        }
        let write = proxy_protocol::write(stream, access.client(), destination);
        let written = timeout(config.timeouts.connect.0, write).await;
        let written = written.map_err(|_| Ending("connect_timed_out", None))?;
        written.map_err(|e| Ending::new("connect_failed", &e))
    }

    async fn dial(&self) -> Result<Plain, Ending> {
        let config = &self.listener.config;
        let dialled = timeout(config.timeouts.connect.0, Plain::connect(&config.target)).await;
        let dialled = dialled.map_err(|_| Ending("connect_timed_out", None))?;
        dialled.map_err(|e| match e.kind() {
            io::ErrorKind::ConnectionRefused => Ending::new("connect_refused", &e),
            _ => Ending::new("connect_failed", &e),
        })
    }

    async fn handshake(
        &self,
        socket: TcpStream,
        access: &Access,
        early: Early,
    ) -> Result<(Tls, Connection), Ending> {
        let (metrics, limit) = (&self.listener.metrics, self.listener.config.timeouts.handshake.0);
        let began = Instant::now();
        // The engine has it from the first poll of the handshake on, before anything else of this thread runs.
        drop(early);
        let result = within(limit, self.endpoint.handshake(socket)).await;
        metrics.handshakes.increment(1);
        match result {
            Ok((tls, connection)) => {
                metrics.handshake_seconds.record(began.elapsed());
                access.set_peer(connection.peer_id().to_string(), connection.generation());
                Ok((tls, connection))
            }
            Err(e) => {
                let reason = if e.kind() == io::ErrorKind::TimedOut { "timed_out" } else { failure(&e) };
                metrics.handshake_failed(reason);
                Err(Ending("handshake_failed", Some(format!("{reason}: {e}"))))
            }
        }
    }
}

async fn within<T>(limit: std::time::Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")),
    }
}

/// What has been cut must not look complete: the plain end is reset, unless both directions have ended. The TLS end gets no
/// close_notify.
fn ending(result: Result<(), Interrupted>, plain: &Plain) -> Ending {
    match result {
        Ok(()) => {
            plain.end_on_close();
            Ending("closed", None)
        }
        Err(Interrupted::Idle) => Ending("idle", None),
        Err(Interrupted::Failed(End::Left, e)) => Ending::new("tls_end_failed", &e),
        Err(Interrupted::Failed(End::Right, e)) => Ending::new("plain_end_failed", &e),
    }
}
