//! The hand-over between two processes, over a pair of Unix sockets that nobody else can connect to.
//!
//! 1. The parent sends what there is to inherit: a length of 4 bytes, a JSON object, and then a byte with a
//!    descriptor for each socket that the object names.
//! 2. The child says `ready`, or `failed` and the reason as a JSON string.
//! 3. The parent sends a line of JSON now and then, with what it has counted since the last; until it ends.
//!
//! A parent that gives up ends the child before it closes its side: a child that reads the end has lost its
//! parent, and goes on alone.
//!
//! The child's end is its standard input.

use crate::counters::Increment;
use crate::sockets::ListenSocket;
use crate::state::State;
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
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// What the child says when it accepts.
const READY: &str = "ready";

/// The longest description of what there is to inherit.
const LONGEST: usize = 1 << 20;

/// What comes before a reason.
const FAILED: &str = "failed ";

/// What was set through the admin endpoint, and holds for the next process, too.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Overrides {
    is_failed: bool,
    /// None: as configured.
    log_level: Option<String>,
}

impl Overrides {
    /// Those that are in effect now.
    pub(crate) fn of(state: &State, configured: log::LevelFilter) -> Self {
        let level = log::max_level();
        let log_level = (level != configured).then(|| level.to_string());
        Self { is_failed: state.is_failed.load(Relaxed), log_level }
    }

    pub(crate) fn apply(&self, state: &State) {
        state.is_failed.store(self.is_failed, Relaxed);
        if let Some(level) = self.log_level.as_ref().and_then(|level| level.parse().ok()) {
            log::set_max_level(level);
        }
    }
}

/// The sockets that follow, and what else a child inherits.
#[derive(Deserialize, Serialize)]
struct Inheritance {
    sockets: Vec<Described>,
    /// Whether the admin endpoint's socket comes last.
    admin: bool,
    #[serde(default)]
    overrides: Overrides,
}

#[derive(Deserialize, Serialize)]
struct Described {
    listener: String,
    address: SocketAddr,
    worker: usize,
}

/// What the parent counts now and then.
#[derive(Deserialize, Serialize)]
pub(crate) struct Progress {
    pub(crate) counters: Vec<Increment>,
    /// Connections that have not ended.
    pub(crate) active: usize,
    /// If they have changed since the child inherited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overrides: Option<Overrides>,
}

/// What a child has from its parent.
pub(crate) struct Inherited {
    pub(crate) sockets: Vec<ListenSocket>,
    pub(crate) admin: Option<OwnedFd>,
    pub(crate) overrides: Overrides,
    pub(crate) parent: StdUnixStream,
}

/// Sends the sockets. Blocks until the child has read them, if there are many.
///
/// # Errors
/// The socket's.
pub(crate) fn send(
    to: &StdUnixStream,
    sockets: &[ListenSocket],
    admin: Option<BorrowedFd<'_>>,
    overrides: Overrides,
) -> io::Result<()> {
    let describe =
        |s: &ListenSocket| Described { listener: s.listener.clone(), address: s.address, worker: s.worker };
    let sockets_described = sockets.iter().map(describe).collect();
    let inheritance = Inheritance { sockets: sockets_described, admin: admin.is_some(), overrides };
    let json = serde_json::to_vec(&inheritance)?;
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

/// Receives what the parent sends to standard input. None: it has ended before it had sent everything.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn receive() -> Result<Option<Inherited>, String> {
    let inherit = || {
        let stream = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // The socket must end with its users, not with the process.
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        receive_from(stream)
    };
    match inherit() {
        Ok(inherited) => Ok(Some(inherited)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            log::warn!("the process before ended before it had handed its sockets over");
            Ok(None)
        }
        Err(e) => Err(format!("nothing can be inherited from the process before: {e}")),
    }
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
    let inheritance: Inheritance = serde_json::from_slice(&json)?;
    let mut sockets = Vec::new();
    for Described { listener, address, worker } in inheritance.sockets {
        let socket = receive_descriptor(&stream)?.into();
        sockets.push(ListenSocket { listener, address, worker, socket });
    }
    let admin = if inheritance.admin { Some(receive_descriptor(&stream)?) } else { None };
    Ok(Inherited { sockets, admin, overrides: inheritance.overrides, parent: stream })
}

fn receive_descriptor(stream: &StdUnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(fd);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a socket is missing"))
}

/// Tells the parent why this process does not take over.
pub(crate) fn say_failed(mut parent: &StdUnixStream, reason: &str) {
    // It may have given up, or have ended.
    let _ = parent.write_all(format!("{FAILED}{}\n", serde_json::Value::from(reason)).as_bytes());
}

/// What the child says, in a line.
///
/// # Errors
/// Why it does not accept, if it says so.
pub(crate) fn read_answer(line: &str) -> Result<(), Option<String>> {
    match line.strip_prefix(FAILED) {
        _ if line.trim_end() == READY => Ok(()),
        Some(reason) => Err(serde_json::from_str(reason).ok()),
        None => Err(None),
    }
}

/// The child's view of its parent.
pub(crate) struct Parent {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
}

impl Parent {
    /// Within a runtime.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn new(stream: StdUnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        Ok(Self { lines: BufReader::new(read).lines(), write })
    }

    /// Says that we accept.
    ///
    /// # Errors
    /// The socket's: the parent has ended.
    pub(crate) async fn say_ready(&mut self) -> io::Result<()> {
        self.write.write_all(format!("{READY}\n").as_bytes()).await
    }

    /// Waits for its end, before we have said that we accept.
    pub(crate) async fn end(&mut self) {
        while let Ok(Some(_)) = self.lines.next_line().await {}
    }

    /// What the parent has counted; none: it has ended.
    pub(crate) async fn progress(&mut self) -> Option<Progress> {
        let progress = self.read_progress().await;
        let active = progress.as_ref().map_or(0, |progress| progress.active);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a double, and there are no 2^53 connections"
        )]
        metrics::gauge!("mtls_sidecar_parent_connections_active").set(active as f64);
        progress
    }

    async fn read_progress(&mut self) -> Option<Progress> {
        let line = self.lines.next_line().await.ok()??;
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
            let overrides = Overrides { is_failed: true, log_level: None };
            send(&here, &sockets, Some(admin.as_fd()), overrides).unwrap();
            receiving.join().unwrap()
        });
        assert!(received.overrides.is_failed);
        assert_eq!(received.sockets.len(), sockets.len());
        for (ours, theirs) in sockets.iter().zip(&received.sockets) {
            assert_eq!((&ours.listener, ours.worker), (&theirs.listener, theirs.worker));
            assert_eq!(ours.socket.local_addr().unwrap(), theirs.socket.local_addr().unwrap());
        }
        let theirs = TcpListener::from(received.admin.unwrap());
        assert_eq!(admin.local_addr().unwrap(), theirs.local_addr().unwrap());
    }

    #[test]
    fn a_child_says_why_it_failed() {
        assert_eq!(read_answer("ready\n"), Ok(()));
        assert_eq!(read_answer(""), Err(None));
        let (here, mut there) = StdUnixStream::pair().unwrap();
        say_failed(&here, "two\nlines");
        drop(here);
        let mut line = String::new();
        there.read_to_string(&mut line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(read_answer(&line), Err(Some("two\nlines".into())));
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
