//! Supervision: a process that starts the sidecar, and starts it again when it fails.
//!
//! The sidecar and those that take over from it in hot restarts are one process group, and whoever loses its parent
//! becomes a child of this process. So all of them can be waited for, and each gets the signals that this one gets. What it
//! cannot see it is told, see [`crate::supervision`]: when the process that accepts has failed, another is started at once,
//! while those before go on with their connections.

use crate::cli::Cli;
use crate::config::Loaded;
use crate::restarts::{Policy, Restarts};
use crate::supervision::{Hearing, News, code, process_id};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper, waitpgid,
};
use rustls_multibuffer::config::Mode;
use std::io::{PipeReader, PipeWriter};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Waker};
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
    let mut sidecar = Sidecar::new()?;
    let mut restarts = Restarts::new(Policy::default());
    loop {
        let began = Instant::now();
        // What starts now reads the configuration as it is now.
        asked.forget_hangups();
        sidecar.start()?;
        let code = sidecar.newest_end(&mut asked).await?;
        if code == 0 || asked.to_end {
            sidecar.all_end(&mut asked).await?;
            return Ok(code);
        }
        let Some(delay) = restarts.after(began.elapsed()) else {
            log::error!(status = code; "the sidecar has failed too often");
            return Ok(code);
        };
        log::error!(status = code, restart = restarts.used(), delay = delay.as_secs_f64(); "the sidecar has failed");
        if sidecar.is_to_end_within(delay, &mut asked).await {
            sidecar.all_end(&mut asked).await?;
            return Ok(0);
        }
    }
}

/// Its processes.
struct Sidecar {
    program: PathBuf,
    /// A group for each start, as long as there is somebody in it: whoever takes over belongs to it, too.
    groups: Vec<Pid>,
    /// Who accepts, or is about to.
    newest: Option<Pid>,
    /// Whether it knows what SIGHUP means.
    knows_hangup: bool,
    /// How the last of those that we waited for has ended.
    last: u8,
    pipe: PipeWriter,
    hearing: Hearing<PipeReader>,
}

impl Sidecar {
    fn new() -> Result<Self, String> {
        // Asked once: when its file has been replaced, this program is "… (deleted)".
        let program = std::env::current_exe().map_err(|e| format!("this program cannot be found: {e}"))?;
        let (reader, pipe) = std::io::pipe().map_err(|e| e.to_string())?;
        ioctl_fionbio(&reader, true).map_err(|e| e.to_string())?;
        let hearing = Hearing::new(reader);
        Ok(Self { program, groups: Vec::new(), newest: None, knows_hangup: false, last: 1, pipe, hearing })
    }

    /// Starts a process in a group of its own, with the same arguments.
    fn start(&mut self) -> Result<(), String> {
        let arguments = std::env::args_os().skip(1);
        let arguments =
            arguments.map(|word| if word == "--supervise" { "--supervised".into() } else { word });
        let pipe = self.pipe.try_clone().map_err(|e| e.to_string())?;
        let child = Command::new(&self.program).args(arguments).stdout(pipe).process_group(0).spawn();
        let child = child.map_err(|e| format!("{}: {e}", self.program.display()))?;
        let id = process_id(Some(child.id()))?;
        self.groups.push(id);
        (self.newest, self.knows_hangup) = (Some(id), false);
        Ok(())
    }

    /// Waits until the newest process has ended, and passes signals on; how it has.
    async fn newest_end(&mut self, asked: &mut Asked) -> Result<u8, String> {
        loop {
            if let Some(code) = self.look()? {
                return Ok(code);
            }
            if let Some(signal) = asked.next(self.knows_hangup).await {
                self.pass_on(signal);
            }
        }
    }

    /// Waits until none is left, and passes signals on.
    async fn all_end(&mut self, asked: &mut Asked) -> Result<(), String> {
        loop {
            self.look()?;
            if self.groups.is_empty() {
                return Ok(());
            }
            if let Some(signal) = asked.next(false).await {
                self.pass_on(signal);
            }
        }
    }

    /// Whether a signal to end comes before that long.
    async fn is_to_end_within(&mut self, delay: Duration, asked: &mut Asked) -> bool {
        let mut end = pin!(sleep(delay));
        loop {
            tokio::select! {
                () = &mut end => return false,
                signal = asked.next(false) => if let Some(signal) = signal {
                    self.pass_on(signal);
                    return true;
                },
            }
        }
    }

    /// How the newest process has ended, if it has.
    fn look(&mut self) -> Result<Option<u8>, String> {
        // In this order: who hands over says so before it ends.
        let mut ended = self.reap()?;
        for news in self.hearing.news() {
            match news {
                News::Accepts(id) => (self.newest, self.knows_hangup) = (Some(id), true),
                News::Failed(id, code) => ended.push((id, code)),
            }
        }
        let code = ended.iter().find(|(id, _)| Some(*id) == self.newest).map(|(_, code)| *code);
        let nobody = self.groups.is_empty().then_some(self.last);
        Ok(code.or(nobody))
    }

    /// Those that have ended and whose parent this process is.
    fn reap(&mut self) -> Result<Vec<(Pid, u8)>, String> {
        let (mut ended, mut left) = (Vec::new(), Vec::new());
        for group in self.groups.drain(..) {
            loop {
                match waitpgid(group, WaitOptions::NOHANG) {
                    Ok(Some((id, status))) => {
                        self.last = code(status.exit_status(), status.terminating_signal());
                        ended.push((id, self.last));
                    }
                    Ok(None) => break left.push(group),
                    Err(Errno::CHILD) => break,
                    Err(e) => return Err(e.to_string()),
                }
            }
        }
        self.groups = left;
        Ok(ended)
    }

    fn pass_on(&self, signal: Signal) {
        // Whoever is left may just have ended.
        if signal == Signal::HUP {
            // Not to one that it has started and that does not know what it means yet.
            self.newest.map(|newest| kill_process(newest, signal));
        } else {
            for group in &self.groups {
                let _ = kill_process_group(*group, signal);
            }
        }
    }
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

    /// The next signal to pass on; none: it is time to look whether a process has ended. Hangups may have to wait.
    async fn next(&mut self, takes_hangups: bool) -> Option<Signal> {
        let signal = tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::TERM,
            _ = self.hangup.recv(), if takes_hangups => Signal::HUP,
            _ = self.child.recv() => return None,
            () = sleep(LOOK) => return None,
        };
        self.to_end |= signal == Signal::TERM;
        Some(signal)
    }

    fn forget_hangups(&mut self) {
        while self.hangup.poll_recv(&mut Context::from_waker(Waker::noop())).is_ready() {}
    }
}
