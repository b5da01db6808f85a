//! The hand-over between two processes, over a pair of Unix sockets that nobody else can connect to.
//!
//! 1. The parent sends what there is to inherit: a length of 4 bytes, a JSON object, and then a byte with a descriptor for
//!    each socket that the object names.
//! 2. The child says `ready`.
//! 3. The parent sends a line of JSON now and then, with what it has counted since the last; until it ends.
//!
//! The child's end is its standard input.

use crate::counters::Increment;
use crate::sockets::ListenSocket;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// What the child says when it accepts.
pub(crate) const READY: &str = "ready";

/// The longest description of what there is to inherit.
const LONGEST: usize = 1 << 20;

/// The sockets that follow.
#[derive(Deserialize, Serialize)]
struct Estate {
    sockets: Vec<Described>,
    /// Whether the admin endpoint's socket comes last.
    admin: bool,
}

#[derive(Deserialize, Serialize)]
struct Described {
    listener: String,
    address: SocketAddr,
    worker: usize,
}

/// What the parent counts now and then.
#[derive(Deserialize, Serialize)]
pub(crate) struct News {
    pub(crate) counters: Vec<Increment>,
    /// Connections that have not ended.
    pub(crate) active: usize,
}

/// What a child has from its parent.
pub(crate) struct Inherited {
    pub(crate) sockets: Vec<ListenSocket>,
    pub(crate) admin: Option<OwnedFd>,
    pub(crate) parent: Parent,
}

/// Sends the sockets. Blocks until the child has read them, if there are many.
///
/// # Errors
/// The socket's.
pub(crate) fn send(
    to: &StdUnixStream,
    sockets: &[ListenSocket],
    admin: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let describe =
        |s: &ListenSocket| Described { listener: s.listener.clone(), address: s.address, worker: s.worker };
    let estate = Estate { sockets: sockets.iter().map(describe).collect(), admin: admin.is_some() };
    let json = serde_json::to_vec(&estate)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let mut stream = to;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&json)?;
    for fd in sockets.iter().map(|s| s.socket.as_fd()).chain(admin) {
        let fds = [fd];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(to, &[IoSlice::new(b"S")], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives what the parent sends to standard input.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn receive() -> Result<Inherited, String> {
    let inherit = || {
        let stream = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // The socket must end with its users, not with the process.
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        receive_from(stream)
    };
    inherit().map_err(|e| format!("nothing can be inherited from the process before: {e}"))
}

fn receive_from(mut stream: StdUnixStream) -> io::Result<Inherited> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long"));
    }
    let mut json = vec![0; length];
    stream.read_exact(&mut json)?;
    let estate: Estate = serde_json::from_slice(&json)?;
    let mut sockets = Vec::new();
    for Described { listener, address, worker } in estate.sockets {
        let socket = receive_descriptor(&stream)?.into();
        sockets.push(ListenSocket { listener, address, worker, socket });
    }
    let admin = if estate.admin { Some(receive_descriptor(&stream)?) } else { None };
    Ok(Inherited { sockets, admin, parent: Parent::Blocking(stream) })
}

fn receive_descriptor(stream: &StdUnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(fd);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a socket is missing"))
}

/// The child's view of its parent.
pub(crate) enum Parent {
    Blocking(StdUnixStream),
    Talking(Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf),
}

impl Parent {
    /// Says that we accept.
    ///
    /// # Errors
    /// The socket's: the parent has given up waiting.
    pub(crate) async fn say_ready(&mut self) -> io::Result<()> {
        if let Self::Blocking(stream) = self {
            stream.set_nonblocking(true)?;
            let (read, write) = UnixStream::from_std(stream.try_clone()?)?.into_split();
            *self = Self::Talking(BufReader::new(read).lines(), write);
        }
        match self {
            Self::Talking(_, write) => write.write_all(format!("{READY}\n").as_bytes()).await,
            Self::Blocking(_) => unreachable!("it was replaced above"),
        }
    }

    /// What the parent has counted; none: it has ended.
    pub(crate) async fn next_counters(&mut self) -> Option<Vec<Increment>> {
        let news = self.news().await;
        let active = news.as_ref().map_or(0, |news| news.active);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a double, and there are no 2^53 connections"
        )]
        metrics::gauge!("mtls_sidecar_parent_connections_active").set(active as f64);
        news.map(|news| news.counters)
    }

    async fn news(&mut self) -> Option<News> {
        let Self::Talking(lines, _) = self else { return None };
        let line = lines.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn sockets_arrive_with_their_names() {
        let (here, there) = StdUnixStream::pair().unwrap();
        let sockets: Vec<_> = (0..40)
            .map(|worker| ListenSocket {
                listener: format!("l{worker}"),
                address: "127.0.0.1:0".parse().unwrap(),
                worker,
                socket: TcpListener::bind("127.0.0.1:0").unwrap(),
            })
            .collect();
        let admin = TcpListener::bind("127.0.0.1:0").unwrap();
        let received = std::thread::scope(|scope| {
            let receiving = scope.spawn(|| receive_from(there).unwrap());
            send(&here, &sockets, Some(admin.as_fd())).unwrap();
            receiving.join().unwrap()
        });
        assert_eq!(received.sockets.len(), sockets.len());
        for (ours, theirs) in sockets.iter().zip(&received.sockets) {
            assert_eq!((&ours.listener, ours.worker), (&theirs.listener, theirs.worker));
            assert_eq!(ours.socket.local_addr().unwrap(), theirs.socket.local_addr().unwrap());
        }
        let theirs = TcpListener::from(received.admin.unwrap());
        assert_eq!(admin.local_addr().unwrap(), theirs.local_addr().unwrap());
    }

    #[test]
    fn a_parent_that_ends_too_early_is_an_error() {
        let (here, there) = StdUnixStream::pair().unwrap();
        (&here).write_all(&[0, 0, 0, 50, b'{']).unwrap();
        drop(here);
        assert!(receive_from(there).is_err());
        let (here, there) = StdUnixStream::pair().unwrap();
        (&here).write_all(&[0xff; 8]).unwrap();
        assert!(receive_from(there).is_err());
    }
}
