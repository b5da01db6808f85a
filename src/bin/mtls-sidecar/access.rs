//! What is noted of a connection, and its line in the access log.

use crate::config::Direction;
use crate::copy::{End, Meter};
use crate::logging::ACCESS;
use crate::metric::Ended;
use crate::state::Listener;
use log::Level;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// A connection's record. Dropped, it is counted and logged: also when the process ends before the
/// connection.
pub(crate) struct Access {
    listener: Arc<Listener>,
    began: Instant,
    client: Cell<SocketAddr>,
    peer: RefCell<Option<(String, u64)>>,
    received: Cell<u64>,
    sent: Cell<u64>,
    result: Cell<Ended>,
    detail: RefCell<Option<String>>,
    is_check: Cell<bool>,
}

impl Access {
    pub(crate) fn new(listener: Arc<Listener>, client: SocketAddr) -> Self {
        Self {
            listener,
            began: Instant::now(),
            client: client.into(),
            peer: RefCell::default(),
            received: Cell::new(0),
            sent: Cell::new(0),
            result: Cell::new(Ended::SHUTDOWN),
            detail: RefCell::default(),
            is_check: Cell::new(false),
        }
    }

    /// The client closed without having sent a byte.
    pub(crate) fn set_check(&self) {
        self.is_check.set(true);
    }

    /// The address that a PROXY header gives.
    pub(crate) fn set_client(&self, client: SocketAddr) {
        self.client.set(client);
    }

    pub(crate) fn client(&self) -> SocketAddr {
        self.client.get()
    }

    /// The TLS peer, also one that is not let in, and the generation of our own identity, 0 without a
    /// connection.
    pub(crate) fn set_peer(&self, id: String, generation: u64) {
        *self.peer.borrow_mut() = Some((id, generation));
    }

    /// How it ended.
    pub(crate) fn set_result(&self, result: Ended, detail: Option<String>) {
        self.result.set(result);
        *self.detail.borrow_mut() = detail;
    }
}

impl Access {
    /// Health checks connect and close, every few seconds: nobody wants a line for each.
    fn level(&self) -> Level {
        // An application's check looks to us like a connection over which nothing was carried.
        let is_outbound_check = self.listener.config.direction == Direction::Outbound
            && self.result.get() == Ended::CLOSED
            && self.received.get() + self.sent.get() == 0;
        let is_check = self.is_check.get() || is_outbound_check;
        if is_check { Level::Debug } else { Level::Info }
    }
}

impl Meter for Access {
    /// The left end is TLS. "Received" and "sent" are meant as the listener's client sees the sidecar.
    fn count(&self, from: End, bytes: usize) {
        let is_from_client = (from == End::Left) == (self.listener.config.direction == Direction::Inbound);
        let (cell, counter) = match is_from_client {
            true => (&self.received, &self.listener.metrics.received),
            false => (&self.sent, &self.listener.metrics.sent),
        };
        cell.set(cell.get() + bytes as u64);
        counter.increment(bytes as u64);
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.listener.metrics.connection_ended(self.result.get());
        let config = &self.listener.config;
        if !self.listener.logs_access {
            return;
        }
        let peer = self.peer.take();
        let (peer, generation) = peer.unwrap_or_default();
        log::log!(
            target: ACCESS,
            self.level(),
            listener = config.name.as_str(),
            direction = config.direction.name(),
            client:% = self.client.get(),
            peer = peer.as_str(),
            generation = generation,
            upstream:% = config.target,
            received_bytes = self.received.get(),
            sent_bytes = self.sent.get(),
            seconds = self.began.elapsed().as_secs_f64(),
            result = self.result.get().as_label(),
            detail = self.detail.take().unwrap_or_default().as_str();
            "connection"
        );
    }
}
