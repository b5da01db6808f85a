//! Hot restart, the parent's side: a new process from the same command line takes the listen sockets over.

use crate::admin;
use crate::counters::Increment;
use crate::restart::handover::{Overrides, Progress, read_answer, send};
use crate::state::State;
use crate::supervise::supervision::{Event, Supervision, code_of, process_id};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a process that failed may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The process that came after this one.
pub(crate) struct Successor {
    /// `None` when somebody waits for its end.
    child: Option<Child>,
    /// `None` when it takes no counters any more.
    stream: Option<BufReader<UnixStream>>,
    id: Pid,
    handle: Option<Handle>,
    /// As it inherited them.
    overrides: Overrides,
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

/// How the next process is started, and what it is compared with.
pub(crate) struct Relaunch {
    /// As this one was started: what is there may have changed.
    pub(crate) program: PathBuf,
    pub(crate) supervision: Supervision,
    /// The level of the log that this process began with.
    pub(crate) configured_level: log::LevelFilter,
}

/// A new process that does not accept yet: without us it is of no use, and ends.
struct Starting {
    child: Option<Child>,
    /// Closed after the child was ended: until then it takes the end for ours, and would go on alone.
    stream: StdUnixStream,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.start_kill();
        }
    }
}

impl Starting {
    /// What has become of a child that does not say it.
    async fn how_it_ended(&mut self) -> String {
        let Some(child) = &mut self.child else { return String::new() };
        match timeout(LAST_WORDS, child.wait()).await {
            Ok(Ok(status)) => format!("it ended: {status}"),
            Ok(Err(e)) => e.to_string(),
            Err(_) => "it does not answer".to_owned(),
        }
    }
}

/// Starts a new process, and waits until it accepts connections. Dropped before, it ends that process.
///
/// # Errors
/// Why it does not; then it is ended, and nothing has changed.
pub(crate) async fn restart(
    state: &State,
    relaunch: &Relaunch,
    admin: Option<&admin::Listener>,
) -> Result<Successor, String> {
    let overrides = Overrides::of(state, relaunch.configured_level);
    let mut starting = start(state, relaunch)?;
    let id = process_id(starting.child.as_ref().and_then(Child::id))?;
    relaunch.supervision.tell(Event::Starts(id));
    let limit = state.config.drain.restart_timeout.0;
    let ready = timeout(limit, initialise(&mut starting, state, admin, overrides.clone())).await;
    let result = ready.unwrap_or_else(|_| Err(format!("it took more than {limit:?}")));
    let stream = result.map_err(|e| format!("the new process did not become ready: {e}"))?;
    let handle = pidfd_open(id, PidfdFlags::empty()).ok().map(Handle);
    let child = starting.child.take();
    Ok(Successor { child, stream: Some(stream), id, handle, overrides })
}

fn start(state: &State, relaunch: &Relaunch) -> Result<Starting, String> {
    let (ours, theirs) = StdUnixStream::pair().map_err(|e| e.to_string())?;
    let child = Command::new(&relaunch.program)
        .args(arguments(std::env::args_os().skip(1), state.epoch + 1))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(|e| format!("{}: {e}", relaunch.program.display()))?;
    Ok(Starting { child: Some(child), stream: ours })
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

/// Hands the sockets over, and waits for the answer.
///
/// # Errors
/// Why the process does not accept.
async fn initialise(
    starting: &mut Starting,
    state: &State,
    admin: Option<&admin::Listener>,
    overrides: Overrides,
) -> Result<BufReader<UnixStream>, String> {
    let hand_over = async {
        let sockets: Vec<_> = state.sockets().iter().map(|s| s.try_clone()).collect::<io::Result<_>>()?;
        let admin = admin.map(|listener| listener.as_fd().try_clone_to_owned()).transpose()?;
        let stream = starting.stream.try_clone()?;
        let sending = move || {
            // One that has ended has perhaps said why.
            let _ = send(&stream, &sockets, admin.as_ref().map(AsFd::as_fd), overrides);
            stream
        };
        let stream = tokio::task::spawn_blocking(sending).await.map_err(io::Error::other)?;
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream).map(BufReader::new)
    };
    let mut stream = hand_over.await.map_err(|e| e.to_string())?;
    let mut line = String::new();
    // Its end is an answer, too.
    let _ = stream.read_line(&mut line).await;
    let Err(reason) = read_answer(&line) else { return Ok(stream) };
    let end = starting.how_it_ended().await;
    Err(reason.unwrap_or(end))
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

    /// Tells it what was set while it started.
    pub(crate) async fn override_again(&mut self, overrides: Overrides, active: usize) {
        if overrides != self.overrides {
            self.send(&Progress { counters: Vec::new(), active, overrides: Some(overrides) }).await;
        }
    }

    /// Tells it what this process has counted since the last time.
    pub(crate) async fn tell(&mut self, counters: Vec<Increment>, active: usize) {
        self.send(&Progress { counters, active, overrides: None }).await;
    }

    async fn send(&mut self, progress: &Progress) {
        let Some(stream) = &mut self.stream else { return };
        let told = async {
            let mut line = serde_json::to_vec(progress)?;
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
