//! Listening sockets: one for each server thread.

use crate::address::Address;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::Path;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// Connections that may wait to be accepted, as far as the system allows: a load that begins with more at
/// once than fit would be measured with the second that a refused TCP client waits before it tries again.
const BACKLOG: u32 = 4096;

/// A listener of either kind.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection of either kind.
pub(crate) enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// On a free port of the loopback interface. Within a runtime.
    pub(crate) fn loopback() -> io::Result<Self> {
        Self::tcp((Ipv4Addr::LOCALHOST, 0).into(), false)
    }

    /// Several listeners for one address, between which the system spreads connections if it is of TCP. Each
    /// is made within the runtime of its thread, the first before the others: so this is one more, where
    /// `first` is the one before.
    pub(crate) fn on(address: &Address, first: Option<&Shared>) -> io::Result<(Self, Shared)> {
        match (address, first) {
            (Address::Tcp(address), None) => {
                let listener = Self::tcp(*address, true)?;
                let address = listener.address(&Address::Tcp(*address))?;
                Ok((listener, Shared { address, unix: None }))
            }
            (Address::Tcp(_), Some(shared)) => match shared.address {
                Address::Tcp(address) => Ok((Self::tcp(address, true)?, shared.try_clone()?)),
                Address::Unix(_) => Err(io::Error::other("the first listener is of another kind")),
            },
            (Address::Unix(path), first) => {
                let std = match first.and_then(|shared| shared.unix.as_ref()) {
                    Some(listener) => listener.try_clone()?,
                    None => bind_unix(path)?,
                };
                std.set_nonblocking(true)?;
                let shared = Shared { address: address.clone(), unix: Some(std.try_clone()?) };
                Ok((Self::Unix(UnixListener::from_std(std)?), shared))
            }
        }
    }

    fn tcp(address: SocketAddr, shared: bool) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(shared)?;
        socket.set_reuseport(shared)?;
        socket.bind(address)?;
        Ok(Self::Tcp(socket.listen(BACKLOG)?))
    }

    /// Where it listens, if that is not a Unix socket; there the address asked for is the answer.
    pub(crate) fn address(&self, asked: &Address) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_) => Ok(asked.clone()),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, _) = listener.accept().await?;
                tcp.set_nodelay(true)?;
                Ok(Connection::Tcp(tcp))
            }
            Self::Unix(listener) => listener.accept().await.map(|(unix, _)| Connection::Unix(unix)),
        }
    }
}

/// What listeners for one address have in common.
pub(crate) struct Shared {
    /// With the port that was found.
    pub(crate) address: Address,
    unix: Option<StdUnixListener>,
}

impl Shared {
    fn try_clone(&self) -> io::Result<Self> {
        let unix = self.unix.as_ref().map(StdUnixListener::try_clone).transpose()?;
        Ok(Self { address: self.address.clone(), unix })
    }
}

/// Takes over the path of a server that has ended without removing it.
fn bind_unix(path: &Path) -> io::Result<StdUnixListener> {
    match StdUnixListener::bind(path) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            StdUnixListener::bind(path)
        }
        result => result,
    }
}

fn is_abandoned(path: &Path) -> bool {
    StdUnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_dead_server_is_taken_over() {
        let path = std::env::temp_dir().join(format!("handshake-bench-{}.sock", std::process::id()));
        let first = bind_unix(&path).unwrap();
        assert!(bind_unix(&path).is_err(), "a living server's path was taken");
        drop(first);
        drop(bind_unix(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn threads_share_an_address() {
        let asked = "127.0.0.1:0".parse().unwrap();
        let (_first, shared) = Listener::on(&asked, None).unwrap();
        let (second, again) = Listener::on(&asked, Some(&shared)).unwrap();
        assert_eq!(second.address(&asked).unwrap(), shared.address);
        assert_eq!(again.address, shared.address);
        assert_ne!(shared.address, asked);
    }
}
