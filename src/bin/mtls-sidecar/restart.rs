//! Hot restart, the parent's side: a new process from the same command line takes the listen sockets over.

use crate::admin;
use crate::counters::Increment;
use crate::handover::{News, READY, send};
use crate::state::State;
use crate::supervision::{code_of, process_id};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The process that came after this one.
pub(crate) struct Successor {
    /// `None` when somebody waits for its end.
    child: Option<Child>,
    /// `None` when it takes no counters any more.
    stream: Option<BufReader<UnixStream>>,
    id: Pid,
    handle: Option<Handle>,
}

/// A way to signal a process that stays its own when it has ended and its id is another's.
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// Asks for a hot restart.
    pub(crate) fn hang_up(&self) {
        if let Err(e) = pidfd_send_signal(&self.0, Signal::HUP) {
            log::warn!("the process that had taken over gets no SIGHUP: {e}");
        }
    }
}

/// A new process that does not accept yet: without us it is of no use, and ends.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            let _ = child.start_kill();
        }
    }
}

/// Starts a new process, and waits until it accepts connections. Dropped before, it ends that process.
///
/// # Errors
/// Why it does not; then it is ended, and nothing has changed.
pub(crate) async fn restart(
    state: &State,
    program: &Path,
    admin: Option<&admin::Listener>,
) -> Result<Successor, String> {
    let (ours, theirs) = StdUnixStream::pair().map_err(|e| e.to_string())?;
    let child = Command::new(program)
        .args(arguments(std::env::args_os().skip(1), state.epoch + 1))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    let id = process_id(child.id())?;
    let mut starting = Starting(Some(child));
    let limit = state.config.drain.restart_timeout.0;
    let ready = timeout(limit, initialise(ours, state, admin)).await;
    let result = ready.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")));
    let stream = result.map_err(|e| format!("the new process did not become ready: {e}"))?;
    let handle = pidfd_open(id, PidfdFlags::empty()).ok().map(Handle);
    Ok(Successor { child: starting.0.take(), stream: Some(stream), id, handle })
}

/// The same arguments for the next process.
fn arguments(ours: impl Iterator<Item = OsString>, epoch: u64) -> Vec<OsString> {
    let (mut arguments, mut ours) = (Vec::new(), ours);
    while let Some(argument) = ours.next() {
        let text = argument.to_string_lossy();
        if text == "--restart-epoch" {
            ours.next();
        } else if !text.starts_with("--restart-epoch=") {
            arguments.push(argument);
        }
    }
    arguments.push(format!("--restart-epoch={epoch}").into());
    arguments
}

async fn initialise(
    stream: StdUnixStream,
    state: &State,
    admin: Option<&admin::Listener>,
) -> io::Result<BufReader<UnixStream>> {
    let sockets: Vec<_> = state.sockets().iter().map(|s| s.try_clone()).collect::<io::Result<_>>()?;
    let admin = admin.map(|listener| listener.as_fd().try_clone_to_owned()).transpose()?;
    let stream = tokio::task::spawn_blocking(move || {
        send(&stream, &sockets, admin.as_ref().map(AsFd::as_fd)).map(|()| stream)
    })
    .await
    .map_err(io::Error::other)??;
    stream.set_nonblocking(true)?;
    let mut stream = BufReader::new(UnixStream::from_std(stream)?);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.trim_end() == READY { Ok(stream) } else { Err(io::Error::other("it ended, see its log")) }
}

impl Successor {
    /// Its process id.
    pub(crate) fn id(&self) -> Pid {
        self.id
    }

    /// How to signal it, if the system has such handles. To be asked once.
    pub(crate) fn handle(&mut self) -> Option<Handle> {
        self.handle.take()
    }

    /// Its exit status, ready when it has ended and should not have. To be asked once.
    pub(crate) fn failure(&mut self) -> impl Future<Output = u8> + use<> {
        let child = self.child.take();
        async move {
            if let Some(mut child) = child
                && let Ok(status) = child.wait().await
                && !status.success()
            {
                log::error!("the process that had taken over has failed: {status}");
                return code_of(status);
            }
            std::future::pending().await
        }
    }

    /// Tells it what this process has counted since the last time.
    pub(crate) async fn tell(&mut self, counters: Vec<Increment>, active: usize) {
        let Some(stream) = &mut self.stream else { return };
        let told = async {
            let mut line = serde_json::to_vec(&News { counters, active })?;
            line.push(b'\n');
            stream.write_all(&line).await
        };
        if let Err(e) = told.await {
            log::warn!("the new process takes no counters: {e}");
            self.stream = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_process_has_the_same_arguments_but_for_the_epoch() {
        for before in [&["--restart-epoch", "4"][..], &["--restart-epoch=4"], &[]] {
            let ours = ["--config", "f"].into_iter().chain(before.iter().copied()).chain(["--validate"]);
            let next = arguments(ours.map(OsString::from), 5);
            assert_eq!(next, ["--config", "f", "--validate", "--restart-epoch=5"]);
        }
    }
}
