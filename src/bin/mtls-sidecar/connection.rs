//! One connection, from its first byte to its last.

use crate::access::Access;
use crate::config::{Direction, ProxyProtocol, UncleanClose};
use crate::copy::{End, Interrupted, copy};
use crate::metric::Ended;
use crate::pending::Slot;
use crate::proxy_protocol;
use crate::state::{Limit, Listener, Slots};
use crate::stream::{Plain, ReadAhead, prepare};
use crate::tls::{Endpoint, Tls};
use crate::upstream::Failure;
use rustls_multibuffer::handshake::HandshakeError;
use rustls_multibuffer::spiffe::{Connection, PeerError, handshake_failure};
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
    pub(crate) not_started: Rc<Cell<usize>>,
}

/// How a connection ended, and what there is to say beside.
struct Outcome(Ended, Option<String>);

impl Outcome {
    fn new(result: Ended, detail: &impl ToString) -> Self {
        Self(result, Some(detail.to_string()))
    }
}

/// Counts a connection among those that have not started their handshake.
pub(crate) struct NotStarted(Rc<Cell<usize>>);

impl NotStarted {
    pub(crate) fn new(service: &Service) -> Self {
        let count = service.not_started.clone();
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for NotStarted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Service {
    /// Carries a connection that was accepted.
    pub(crate) async fn serve(
        &self,
        socket: TcpStream,
        access: Access,
        mut slots: Slots,
        not_started: NotStarted,
    ) {
        let evicted = slots.evicted();
        let Outcome(result, detail) = tokio::select! {
            biased;
            () = evicted => Outcome::new(Ended::EVICTED, &Limit::Pending),
            carried = self.carry(socket, &access, &mut slots, not_started) => match carried {
                Ok(outcome) | Err(outcome) => outcome,
            },
        };
        access.set_result(result, detail);
    }

    async fn carry(
        &self,
        mut socket: TcpStream,
        access: &Access,
        slots: &mut Slots,
        not_started: NotStarted,
    ) -> Result<Outcome, Outcome> {
        let config = &self.listener.config;
        prepare(&socket, config).map_err(|e| Outcome::new(Ended::IO, &e))?;
        let destination = self.read_header(&mut socket, access, slots).await?;
        let (mut tls, mut connection, mut plain) = match config.direction {
            Direction::Inbound => {
                let (tls, connection) = self.handshake(socket, access, slots.pending(), not_started).await?;
                slots.is_known();
                let mut plain = self.dial().await?;
                plain.reset_on_close();
                self.write_header(&mut plain, access, destination).await?;
                (tls, connection, plain)
            }
            Direction::Outbound => {
                slots.is_known();
                let Plain::Tcp(mut server) = self.dial().await? else {
                    return Err(Outcome(Ended::CONNECT_FAILED, None));
                };
                self.write_header(&mut server, access, destination).await?;
                let (tls, connection) = self.handshake(server, access, None, not_started).await?;
                (tls, connection, Plain::Tcp(socket))
            }
        };
        slots.establish().map_err(|limit| Outcome::new(Ended::OVERFLOW, &limit))?;
        let idle = config.timeouts.idle.limit();
        let takes_unclean_end = config.unclean_close == UncleanClose::End;
        tokio::select! {
            biased;
            result = copy(&mut tls, &mut plain, idle, takes_unclean_end, access) => {
                Ok(outcome(result, &plain))
            }
            reason = connection.closing() => Ok(Outcome(reason.into(), None)),
        }
    }

    /// The destination that the client had in mind: that of the PROXY header, or the socket's own.
    async fn read_header(
        &self,
        socket: &mut TcpStream,
        access: &Access,
        slots: &Slots,
    ) -> Result<SocketAddr, Outcome> {
        let config = &self.listener.config;
        let local = socket.local_addr().map_err(|e| Outcome::new(Ended::IO, &e))?;
        if config.proxy_protocol.accept == ProxyProtocol::Off {
            return Ok(local);
        }
        let header = async {
            match socket.peek(&mut [0]).await {
                Ok(1) => slots.pending().into_iter().for_each(|place| place.speaks()),
                _ => access.set_check(),
            }
            proxy_protocol::read(socket).await
        };
        let header = timeout(config.timeouts.handshake.0, header).await;
        let header = header.map_err(|_| Outcome(Ended::PROXY_HEADER_TIMED_OUT, None))?;
        match header.map_err(|e| Outcome::new(Ended::PROXY_HEADER, &e))? {
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
    ) -> Result<(), Outcome> {
        let config = &self.listener.config;
        if config.proxy_protocol.send == ProxyProtocol::Off {
            return Ok(());
        }
        let write = proxy_protocol::write(stream, access.client(), destination);
        let written = timeout(config.timeouts.connect.0, write).await;
        let late = |_| Outcome::new(Ended::CONNECT_TIMED_OUT, &"the PROXY header could not be sent");
        written.map_err(late)?.map_err(|e| Outcome::new(Ended::CONNECT_FAILED, &e))
    }

    async fn dial(&self) -> Result<Plain, Outcome> {
        let config = &self.listener.config;
        let dialled = self.listener.upstream.connect(config.timeouts.connect.0).await;
        let plain = dialled.map_err(|Failure(ended, detail)| Outcome(ended, Some(detail)))?;
        if let Plain::Tcp(stream) = &plain {
            prepare(stream, config).map_err(|e| Outcome::new(Ended::CONNECT_FAILED, &e))?;
        }
        Ok(plain)
    }

    /// `stranger` is the place of whoever is at the other end, if that is who connected.
    async fn handshake(
        &self,
        socket: TcpStream,
        access: &Access,
        stranger: Option<&Arc<Slot>>,
        not_started: NotStarted,
    ) -> Result<(Tls, Connection), Outcome> {
        let (metrics, limit) = (&self.listener.metrics, self.listener.config.timeouts.handshake.0);
        let began = Instant::now();
        // The engine has it from the first poll of the handshake on, before anything else of this thread
        // runs.
        drop(not_started);
        let heard = stranger.map(Arc::downgrade);
        let result = within(limit, self.endpoint.handshake(ReadAhead::new(socket, heard))).await;
        metrics.handshakes.increment(1);
        match result {
            Ok((tls, connection)) => {
                metrics.handshake_seconds.record(began.elapsed());
                access.set_peer(connection.peer_id().to_string(), connection.generation());
                Ok((tls, connection))
            }
            Err(e) => {
                let reason = handshake_failure(&e);
                metrics.handshake_failed(reason);
                let peer_error = PeerError::of(&e);
                if let Some(PeerError::NotAuthorized(id)) = peer_error {
                    access.set_peer(id.to_string(), 0);
                }
                if matches!(reason, "closed" | "io") && stranger.is_some_and(|place| place.is_silent()) {
                    access.set_check();
                }
                // What wraps the peer's error shows it as the program sees it.
                let why = peer_error.map_or_else(|| e.to_string(), ToString::to_string);
                Err(Outcome(Ended::HANDSHAKE_FAILED, Some(format!("{reason}: {why}"))))
            }
        }
    }
}

async fn within<T>(limit: std::time::Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => Err(HandshakeError::TimedOut.into()),
    }
}

/// What has been cut must not look complete: the plain end is reset, unless both directions have ended. The
/// TLS end gets no close_notify.
fn outcome(result: Result<(), Interrupted>, plain: &Plain) -> Outcome {
    match result {
        Ok(()) => {
            plain.end_on_close();
            Outcome(Ended::CLOSED, None)
        }
        Err(Interrupted::Idle) => Outcome(Ended::IDLE, None),
        Err(Interrupted::Failed(End::Left, e)) => Outcome::new(Ended::TLS_END_FAILED, &e),
        Err(Interrupted::Failed(End::Right, e)) => Outcome::new(Ended::PLAIN_END_FAILED, &e),
    }
}
