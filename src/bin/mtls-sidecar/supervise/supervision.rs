//! A supervised sidecar and its supervisor: a socket that processes inherit from one another as their
//! standard output.
//!
//! Processes write lines to it. A process that took over is the child of the one before for as long as that
//! drains, so the supervisor does not see its end: the one before tells. The supervisor writes nothing: when
//! it has closed its side, or has gone, everybody reads the end, and drains. Reading it twice changes
//! nothing, and no process can miss it by being started in that moment.

use rustix::process::{Pid, RawPid};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::str::FromStr;
use std::sync::Arc;
use tokio::net::UnixStream;

/// What a process tells its supervisor, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// That process has been started to take over.
    Starts(Pid),
    /// From now on it is that process that accepts, or is about to, and it knows what signals mean.
    Accepts(Pid),
    /// That process has failed, with this exit status.
    Failed(Pid, u8),
    /// That process is ready.
    Ready(Pid),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starts(id) => write!(f, "starts {id}"),
            Self::Accepts(id) => write!(f, "accepts {id}"),
            Self::Failed(id, code) => write!(f, "failed {id} {code}"),
            Self::Ready(id) => write!(f, "ready {id}"),
        }
    }
}

impl FromStr for Event {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let id = |text: &str| text.parse::<RawPid>().ok().and_then(Pid::from_raw).ok_or(());
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["starts", of] => Ok(Self::Starts(id(of)?)),
            ["accepts", of] => Ok(Self::Accepts(id(of)?)),
            ["failed", of, code] => Ok(Self::Failed(id(of)?, code.parse().map_err(|_| ())?)),
            ["ready", of] => Ok(Self::Ready(id(of)?)),
            _ => Err(()),
        }
    }
}

/// The way to the supervisor, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supervision(Option<Arc<Stream>>);

#[derive(Debug)]
struct Stream {
    /// The runtime's handle is not known to be writable before the runtime has waited for it.
    write: StdUnixStream,
    read: UnixStream,
}

impl Supervision {
    /// Standard output as the way to the supervisor. Within a runtime.
    ///
    /// # Errors
    /// It is no socket.
    pub(crate) fn from_stdout() -> Result<Self, String> {
        let open = || {
            let stream = StdUnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
            stream.local_addr()?;
            stream.set_nonblocking(true)?;
            let read = UnixStream::from_std(stream.try_clone()?)?;
            io::Result::Ok(Stream { write: stream, read })
        };
        let stream = open().map_err(|e| format!("standard output does not lead to a supervisor: {e}"))?;
        Ok(Self(Some(Arc::new(stream))))
    }

    /// Whether there is one.
    pub(crate) fn is_supervised(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn tell(&self, event: Event) {
        let Some(stream) = &self.0 else { return };
        // One write, so that lines of different processes do not mix.
        if let Err(e) = (&stream.write).write_all(format!("{event}\n").as_bytes()) {
            log::warn!("the supervisor is not told: {e}");
        }
    }

    /// Waits until the supervisor wants an end, or has gone. Without one, forever.
    pub(crate) async fn end(&self) {
        let Some(stream) = &self.0 else { return std::future::pending().await };
        loop {
            match stream.read.readable().await.and_then(|()| stream.read.try_read(&mut [0])) {
                Ok(1..) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

/// The supervisor's end of the socket.
pub(crate) struct Events<R> {
    stream: R,
    /// A line that is not complete.
    rest: Vec<u8>,
}

impl<R: Read> Events<R> {
    /// Of a stream that does not block.
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, rest: Vec::new() }
    }

    /// What has been told since the last call.
    pub(crate) fn read(&mut self) -> Vec<Event> {
        // The end is that nothing more is there now, which is an error.
        let _ = self.stream.read_to_end(&mut self.rest);
        let complete = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..complete).collect();
        String::from_utf8_lossy(&lines).lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Events<StdUnixStream> {
    /// Asks every process to end, those included that are started just now.
    pub(crate) fn ask_to_end(&self) {
        // It fails only if it has been done.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

/// A child's process id.
///
/// # Errors
/// It has been waited for.
pub(crate) fn process_id(id: Option<u32>) -> Result<Pid, String> {
    id.and_then(|id| RawPid::try_from(id).ok()).and_then(Pid::from_raw).ok_or_else(|| "no process id".into())
}

/// Exit statuses as a shell has them.
pub(crate) fn code(exited: Option<i32>, signalled: Option<i32>) -> u8 {
    let code = exited.or_else(|| signalled.map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The same for a child of ours.
pub(crate) fn code_of(status: ExitStatus) -> u8 {
    code(status.code(), status.signal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_arrive_line_by_line() {
        let (here, mut there) = StdUnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let mut events = Events::new(here);
        assert_eq!(events.read(), []);
        let id = Pid::from_raw(7).unwrap();
        let told = [Event::Accepts(id), Event::Failed(id, 137), Event::Starts(id), Event::Ready(id)];
        let lines: String = told.iter().map(|event| format!("{event}\n")).collect();
        there.write_all(format!("{lines}acc").as_bytes()).unwrap();
        assert_eq!(events.read(), told);
        there.write_all(b"epts 7\nnonsense\nfailed 0 1\n").unwrap();
        assert_eq!(events.read(), told[..1]);
    }
}
