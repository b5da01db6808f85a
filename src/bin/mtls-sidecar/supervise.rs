//! Supervision: a process that starts the sidecar, and starts it again when it fails.
//!
//! The sidecar and those that take over from it in hot restarts are one process group, and whoever loses its parent
//! becomes a child of this process. So all of them can be waited for, and each gets the signals that this one gets.

use crate::cli::Cli;
use crate::config::Loaded;
use crate::restarts::{Policy, Restarts};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, set_child_subreaper, waitpgid,
};
use rustls_multibuffer::config::Mode;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// How often it is looked whether a process has ended, beside the signals that tell so.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the sidecar until it ends as it should, or fails too often. The exit status of the last.
///
/// # Errors
/// What keeps it from running at all.
pub(crate) fn supervise(cli: &Cli) -> Result<u8, String> {
    // What is wrong with the file would be as wrong the next time.
    let mode = if cli.lenient { Mode::Lenient } else { Mode::Strict };
    let level = cli.log_level.unwrap_or(Loaded::load(&cli.config, mode)?.config.log.level);
    crate::logging::start(level);
    set_child_subreaper(Some(getpid())).map_err(|e| e.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let result = runtime.block_on(run());
    crate::logging::flush();
    result
}

async fn run() -> Result<u8, String> {
    let mut asked = Asked::new()?;
    let mut restarts = Restarts::new(Policy::default());
    loop {
        let began = Instant::now();
        let group = start()?;
        let status = asked.wait(group).await?;
        let code = code(status);
        if code == 0 || asked.to_end {
            return Ok(code);
        }
        let Some(delay) = restarts.after(began.elapsed()) else {
            log::error!(status = code; "the sidecar has failed too often");
            return Ok(code);
        };
        log::error!(status = code, restart = restarts.used(), delay = delay.as_secs_f64(); "the sidecar has failed");
        if asked.end_within(delay).await {
            return Ok(0);
        }
    }
}

/// Starts the sidecar in a process group of its own, with the same arguments.
fn start() -> Result<Pid, String> {
    let program = std::env::current_exe().map_err(|e| format!("this program cannot be found: {e}"))?;
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--supervise");
    let child = Command::new(program).args(arguments).process_group(0).spawn().map_err(|e| e.to_string())?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| "no process id".into())
}

/// Exit statuses as a shell has them.
fn code(status: WaitStatus) -> u8 {
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// What this process is asked for by signals.
struct Asked {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    child: tokio::signal::unix::Signal,
    to_end: bool,
}

impl Asked {
    fn new() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|e| format!("signals cannot be received: {e}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            child: listen(SignalKind::child())?,
            to_end: false,
        })
    }

    /// Waits until none of the group is left, and passes signals on; how the last has ended.
    async fn wait(&mut self, group: Pid) -> Result<WaitStatus, String> {
        let mut last = None;
        loop {
            match waitpgid(group, WaitOptions::NOHANG) {
                Ok(Some((_, status))) => {
                    last = Some(status);
                    continue;
                }
                Ok(None) => {}
                Err(Errno::CHILD) => return last.ok_or_else(|| "the sidecar has vanished".into()),
                Err(e) => return Err(e.to_string()),
            }
            let signal = tokio::select! {
                _ = self.terminate.recv() => Signal::TERM,
                _ = self.interrupt.recv() => Signal::TERM,
                _ = self.hangup.recv() => Signal::HUP,
                _ = self.child.recv() => continue,
                () = sleep(LOOK) => continue,
            };
            self.to_end |= signal == Signal::TERM;
            // All that is left of the group may just have ended.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Whether a signal to end comes before that long.
    async fn end_within(&mut self, delay: Duration) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => true,
            () = sleep(delay) => false,
        }
    }
}
