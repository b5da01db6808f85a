//! Accepts connections of one listener on one worker.

use crate::access::Access;
use crate::config::Direction;
use crate::connection::{NotStarted, Service};
use crate::metric::Ended;
use crate::sockets::BACKLOG;
use crate::state::{Phase, State};
use crate::stream::reset_on_close;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long nothing is accepted after the process had no means to, the first time and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Accepts until the process drains. Until there is an identity, connections wait in the socket's queue.
pub(crate) async fn accept(state: &State, service: Rc<Service>, socket: TcpListener) {
    let mut phases = state.phases();
    let direction = service.listener.config.direction;
    {
        let mut closing = pin!(phases.wait_for(|phase| phase.closes(direction)));
        let mut backoff = BACKOFF.0;
        tokio::select! {
            biased;
            // Even if the process drains already: what has connected is served.
            _ = service.endpoint.identity().ready() => {}
            _ = &mut closing => return,
        }
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut closing => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, client)) => {
                    backoff = BACKOFF.0;
                    begin(&service, stream, client);
                }
                Err(e) => {
                    if let Some(reason) = count(&service, &e) {
                        let listener = service.listener.config.name.as_str();
                        log::warn!(listener; "not accepting: {reason}: {e}");
                        tokio::select! {
                            _ = &mut closing => break,
                            () = tokio::time::sleep(backoff) => {}
                        }
                        backoff = (backoff * 2).min(BACKOFF.1);
                    }
                }
            }
        }
    }
    if state.phase() != Phase::HandedOver {
        empty(&service, socket);
    }
}

/// Takes what has connected already: closing the socket would reset it.
///
/// The socket itself is asked: the runtime lets a task take only so many at a time, and answers from what it
/// was told last.
fn empty(service: &Rc<Service>, socket: TcpListener) {
    let Ok(socket) = socket.into_std() else { return };
    // Whoever goes on connecting does not keep the process from ending.
    for _ in 0..BACKLOG {
        match socket.accept() {
            Ok((stream, client)) => match take(stream) {
                Ok(stream) => begin(service, stream, client),
                Err(e) => drop(count(service, &e)),
            },
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            // A connection that has gone meanwhile is none; no means to accept are not waited for.
            Err(e) => {
                if count(service, &e).is_some() {
                    return;
                }
            }
        }
    }
}

fn take(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

fn begin(service: &Rc<Service>, stream: TcpStream, client: SocketAddr) {
    if service.listener.config.direction == Direction::Outbound {
        reset_on_close(&stream);
    }
    let access = Access::new(service.listener.clone(), client);
    match service.listener.admit() {
        Ok(slots) => {
            let service = service.clone();
            let not_started = NotStarted::new(&service);
            tokio::task::spawn_local(async move { service.serve(stream, access, slots, not_started).await });
        }
        Err(limit) => access.set_result(Ended::OVERFLOW, Some(limit.to_string())),
    }
}

/// Counts a failure; some: it is ours, and trying again at once would not help.
fn count(service: &Service, e: &io::Error) -> Option<&'static str> {
    // EMFILE and ENFILE, ENOBUFS and ENOMEM.
    let reason = match e.raw_os_error() {
        Some(23 | 24) => Some("file_descriptors"),
        Some(12 | 105) => Some("memory"),
        _ => None,
    };
    service.listener.metrics.accept_failed(reason.unwrap_or("connection"));
    reason
}
