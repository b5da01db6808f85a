//! What systemd is told (`sd_notify(3)`), if it has named a socket in `NOTIFY_SOCKET`.

use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where the socket is named.
pub(crate) const SOCKET: &str = "NOTIFY_SOCKET";

/// The process is ready.
pub(crate) fn ready() {
    notify("READY=1");
}

/// A hot restart begins; [`ready`] or [`handed_over`] ends it.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000));
}

/// That process is the service's main one from now on.
pub(crate) fn handed_over(to: Pid) {
    notify(&format!("READY=1\nMAINPID={to}"));
}

/// The process drains.
pub(crate) fn stopping() {
    notify("STOPPING=1");
}

fn notify(state: &str) {
    if let Some(socket) = std::env::var_os(SOCKET)
        && let Err(e) = send(&socket, state)
    {
        log::warn!("systemd is not told {state:?}: {e}");
    }
}

/// An address that begins with an @ is an abstract one.
fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagrams = UnixDatagram::unbound()?;
    datagrams.set_nonblocking(true)?;
    datagrams.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_addresses_are_reached() {
        let name = format!("notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let bound = [
            (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
                format!("@{name}").into(),
            ),
        ];
        for (receiver, address) in bound {
            send(&address, "READY=1").unwrap();
            let mut told = [0; 64];
            let n = receiver.recv(&mut told).unwrap();
            assert_eq!(&told[..n], b"READY=1");
        }
        std::fs::remove_file(path).unwrap();
    }
}
