//! The listen sockets: one for each listener and worker, so that the kernel spreads connections over workers. They may
//! come from an earlier process.

use crate::config::{Config, ListenerConfig};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Connections that have been made and not accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// A listen socket, and which listener's it is.
#[derive(Debug)]
pub(crate) struct ListenSocket {
    /// The listener's name.
    pub(crate) listener: String,
    /// As configured: with port 0 it is not the socket's own.
    pub(crate) address: SocketAddr,
    /// A later worker uses it if there are fewer.
    pub(crate) worker: usize,
    pub(crate) socket: TcpListener,
}

impl ListenSocket {
    /// Another handle to the same socket.
    ///
    /// # Errors
    /// No descriptor is free.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { listener: self.listener.clone(), address: self.address, worker: self.worker, socket })
    }
}

/// The sockets of all listeners and workers: those of `inherited` that fit, and new ones for the rest.
///
/// # Errors
/// What cannot be bound, with the listener's name.
pub(crate) fn bind(config: &Config, inherited: Vec<ListenSocket>) -> Result<Vec<ListenSocket>, String> {
    // All that are inherited are kept, even if there are fewer workers now: connections wait in each. An address is one
    // listener's, whatever its name is now; port 0 may be several listeners'.
    let adopt = |mut socket: ListenSocket| {
        let is_its = |l: &&ListenerConfig| {
            l.address == socket.address && (l.address.port() != 0 || l.name == socket.listener)
        };
        socket.listener = config.listeners.iter().find(is_its)?.name.clone();
        Some(socket)
    };
    let mut sockets: Vec<_> = inherited.into_iter().filter_map(adopt).collect();
    for listener in &config.listeners {
        let mut address = listener.address;
        for worker in 0..config.workers() {
            let of_this = |s: &&ListenSocket| s.listener == listener.name;
            // With port 0, all workers listen where the first does.
            if let Some(first) = sockets.iter().find(of_this) {
                address = first.socket.local_addr().map_err(|e| e.to_string())?;
            }
            if sockets.iter().filter(of_this).any(|s| s.worker == worker) {
                continue;
            }
            let socket = open(address)
                .map_err(|e| format!("listener {}: cannot listen on {address}: {e}", listener.name))?;
            let (listener, address) = (listener.name.clone(), listener.address);
            sockets.push(ListenSocket { listener, address, worker, socket });
        }
    }
    Ok(sockets)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(concurrency: usize) -> Config {
        config_at("127.0.0.1:0", concurrency)
    }

    fn config_at(address: &str, concurrency: usize) -> Config {
        Config::parse(&format!(
            "
concurrency: {concurrency}
identities: {{d: {{tls_identity: {{files: {{certificate_chain: c, private_key: k, trusted_ca: b}}}}}}}}
listeners:
- {{name: l, direction: inbound, address: '{address}', target: '127.0.0.1:2', identity: d, peers: {{any: true}}}}"
        ))
        .unwrap()
    }

    fn ports(sockets: &[ListenSocket]) -> Vec<u16> {
        sockets.iter().map(|s| s.socket.local_addr().unwrap().port()).collect()
    }

    #[test]
    fn workers_share_a_port_and_sockets_are_inherited() {
        let sockets = bind(&config(3), Vec::new()).unwrap();
        let before = ports(&sockets);
        assert!(before.len() == 3 && before.iter().all(|port| *port == before[0] && *port != 0));
        let fewer = bind(&config(1), sockets).unwrap();
        assert_eq!(ports(&fewer), before, "connections may wait in each of them");
        let more = bind(&config(4), fewer).unwrap();
        assert_eq!(ports(&more), [before[0]; 4]);
        let mut workers: Vec<_> = more.iter().map(|s| s.worker).collect();
        workers.sort_unstable();
        assert_eq!(workers, [0, 1, 2, 3]);
    }

    #[test]
    fn a_renamed_listener_takes_the_connections_that_wait() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut sockets = bind(&config_at(&free, 1), Vec::new()).unwrap();
        let _waiting = std::net::TcpStream::connect(&free).unwrap();
        sockets[0].listener = "other".into();
        let sockets = bind(&config_at(&free, 1), sockets).unwrap();
        assert_eq!((sockets.len(), sockets[0].listener.as_str()), (1, "l"));
        sockets[0].socket.accept().expect("it waits in the same socket");
    }

    #[test]
    fn sockets_of_no_listener_are_closed() {
        let mut sockets = bind(&config(1), Vec::new()).unwrap();
        let before = ports(&sockets);
        sockets[0].listener = "other".into();
        assert_ne!(ports(&bind(&config(1), sockets).unwrap()), before);
    }
}
