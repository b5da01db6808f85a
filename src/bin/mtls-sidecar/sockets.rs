//! The listen sockets: one for each listener and worker, so that the kernel spreads connections over workers.
//! They may come from an earlier process.

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
    // All that are inherited are kept, even if there are fewer workers now: connections wait in each. An
    // address is one listener's, whatever its name is now; port 0 may be several listeners'.
    let adopt = |mut socket: ListenSocket| {
        let is_its = |l: &&ListenerConfig| {
            l.address == socket.address && (l.address.port() != 0 || l.name == socket.listener)
        };
        socket.listener = config.listeners.iter().find(is_its)?.name.clone();
        Some(socket)
    };
    // The process before us listens on all of these still, whatever becomes of them.
    let mut ours: Vec<_> = inherited.iter().filter_map(|s| s.socket.local_addr().ok()).collect();
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
            let is_shared = ours.iter().any(|one| overlap(*one, address));
            let socket = if is_shared { join(address) } else { open(address) };
            let socket =
                socket.map_err(|e| format!("listener {}: cannot listen on {address}: {e}", listener.name))?;
            ours.extend(socket.local_addr());
            let (listener, address) = (listener.name.clone(), listener.address);
            sockets.push(ListenSocket { listener, address, worker, socket });
        }
    }
    Ok(sockets)
}

/// Whether a socket that listens on one takes connections to the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (is_any || one.ip() == other.ip())
}

/// The first socket of an address. Whoever else listens there is a stranger, or this program once more: as
/// long as the socket does not share its port, the system refuses the second of two, in whatever order they
/// come.
fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address, false)?;
    socket.listen(BACKLOG)?;
    socket.set_reuse_port(true)?;
    Ok(socket.into())
}

/// One more socket of an address where we listen already.
fn join(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, shares_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shares_port)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
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
- {{name: l, direction: inbound, address: '{address}', target: '127.0.0.1:2', identity: d,
   peers: {{any: true}}}}"
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
    fn an_address_is_one_process_s_unless_it_is_handed_over() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let at = |ip: &str| config_at(&format!("{ip}:{}", free.port()), 2);
        for (first, second) in
            [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")]
        {
            let sockets = bind(&at(first), Vec::new()).unwrap();
            let error = bind(&at(second), Vec::new()).unwrap_err();
            assert!(error.contains("in use"), "{error}");
            let clones = sockets.iter().map(|s| s.try_clone().unwrap()).collect();
            assert_eq!(bind(&at(second), clones).expect("as in a hot restart").len(), 2);
        }
    }

    #[test]
    fn of_many_that_start_at_the_same_time_one_listens() {
        for _ in 0..20 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let config = config_at(&free, 3);
            let bound = std::thread::scope(|scope| {
                let binding: Vec<_> = (0..4).map(|_| scope.spawn(|| bind(&config, Vec::new()))).collect();
                binding.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect::<Vec<_>>()
            });
            assert_eq!(bound.len(), 1);
        }
    }

    #[test]
    fn workers_get_their_shares_though_the_first_socket_was_alone_once() {
        let sockets = bind(&config(2), Vec::new()).unwrap();
        let address = sockets[0].socket.local_addr().unwrap();
        let clients: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let accepted = sockets.iter().map(|s| std::iter::from_fn(|| s.socket.accept().ok()).count());
        let accepted: Vec<_> = accepted.collect();
        assert!(accepted.iter().all(|share| *share > 0), "{accepted:?}");
        assert_eq!(accepted.iter().sum::<usize>(), clients.len());
    }

    #[test]
    fn sockets_of_no_listener_are_closed() {
        let mut sockets = bind(&config(1), Vec::new()).unwrap();
        let before = ports(&sockets);
        sockets[0].listener = "other".into();
        assert_ne!(ports(&bind(&config(1), sockets).unwrap()), before);
    }
}
