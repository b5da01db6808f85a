//! The process that starts the sidecar, and starts it again when it fails.
//!
//! The sidecar and those that take over from it in hot restarts are one process group, and whoever loses its
//! parent becomes a child of this process. So all of them can be waited for. What it cannot see it is told,
//! and it asks all of them to end by closing a socket, see [`super::supervision`]: when the process that
//! accepts has failed, another is started at once, while those before go on with their connections.

use super::restarts::{Policy, Restarts};
use crate::cli::Cli;
use crate::notify;
use crate::restart::program;
use crate::run::load;
use crate::signals::{Ends, ignore_others, listen};
use crate::supervise::supervision::{Event, Events, Supervision, code, process_id};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpgid, getpid, kill_process, kill_process_group, set_child_subreaper,
    waitpgid,
};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::signal::unix::SignalKind;
use tokio::time::sleep;

/// How often it is looked whether a process has ended, beside the signals that tell so.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the sidecar until it ends as it should, or fails too often. The exit status of the last.
///
/// # Errors
/// What keeps it from running at all.
pub(crate) fn supervise(cli: &Cli) -> Result<u8, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let entered = runtime.enter();
    let requests = Requests::new()?;
    // What is wrong with the file would be as wrong the next time.
    log::set_max_level(cli.log_level.unwrap_or(load(cli)?.config.log.level));
    set_child_subreaper(Some(getpid())).map_err(|e| e.to_string())?;
    drop(entered);
    runtime.block_on(run(requests))
}

async fn run(mut requests: Requests) -> Result<u8, String> {
    let mut sidecar = Sidecar::new()?;
    let mut restarts = Restarts::new(Policy::default());
    loop {
        let began = Instant::now();
        // What starts now reads the configuration as it is now.
        requests.forget_hangups();
        sidecar.start()?;
        let code = sidecar.newest_end(&mut requests).await?;
        if code == 0 || requests.is_to_end {
            sidecar.all_end(&mut requests).await?;
            return Ok(code);
        }
        let Some(delay) = restarts.after(began.elapsed()) else {
            log::error!(status = code; "the sidecar has failed too often");
            return Ok(code);
        };
        let (restart, delay_s) = (restarts.used(), delay.as_secs_f64());
        log::error!(status = code, restart, delay = delay_s; "the sidecar has failed");
        if sidecar.is_to_end_within(delay, &mut requests).await {
            sidecar.all_end(&mut requests).await?;
            return Ok(0);
        }
    }
}

/// The processes of the sidecar.
struct Sidecar {
    program: PathBuf,
    /// A group for each start, as long as there is somebody in it: whoever takes over belongs to it, too.
    groups: Vec<Pid>,
    /// Who accepts, or is about to.
    newest: Option<Pid>,
    /// Who is to take over from it, and has the sockets perhaps.
    starting: Option<Pid>,
    /// Whether the newest knows what SIGHUP means.
    knows_hangup: bool,
    /// How the last of those that we waited for has ended.
    last: u8,
    /// What they have as standard output.
    stdout: OwnedFd,
    events: Events<UnixStream>,
}

impl Sidecar {
    fn new() -> Result<Self, String> {
        let program = program::path()?;
        let (ours, theirs) = UnixStream::pair().map_err(|e| e.to_string())?;
        ours.set_nonblocking(true).map_err(|e| e.to_string())?;
        Ok(Self {
            program,
            groups: Vec::new(),
            newest: None,
            starting: None,
            knows_hangup: false,
            last: 1,
            stdout: theirs.into(),
            events: Events::new(ours),
        })
    }

    /// Starts a process in a group of its own, with the same arguments.
    fn start(&mut self) -> Result<(), String> {
        let arguments = std::env::args_os().skip(1);
        let arguments =
            arguments.map(|word| if word == "--supervise" { "--supervised".into() } else { word });
        let stdout = self.stdout.try_clone().map_err(|e| e.to_string())?;
        let mut command = Command::new(&self.program);
        // This process stays the service's main one, and speaks for it.
        command.args(arguments).stdout(stdout).process_group(0).env_remove(notify::SOCKET);
        let child = command.spawn();
        let child = child.map_err(|e| format!("{}: {e}", self.program.display()))?;
        let id = process_id(Some(child.id()))?;
        self.groups.push(id);
        (self.newest, self.knows_hangup) = (Some(id), false);
        Ok(())
    }

    /// Waits until the newest process has ended, and passes requests on; how it has.
    async fn newest_end(&mut self, requests: &mut Requests) -> Result<u8, String> {
        loop {
            if let Some(code) = self.look()? {
                return Ok(code);
            }
            let request = requests.next(self.knows_hangup).await;
            self.pass_on(request, requests.is_impatient);
        }
    }

    /// Waits until none is left, and passes requests on.
    async fn all_end(&mut self, requests: &mut Requests) -> Result<(), String> {
        loop {
            self.look()?;
            if self.groups.is_empty() {
                return Ok(());
            }
            let request = requests.next(false).await;
            self.pass_on(request, requests.is_impatient);
        }
    }

    /// Whether a request to end comes before that long.
    async fn is_to_end_within(&mut self, delay: Duration, requests: &mut Requests) -> bool {
        let mut end = pin!(sleep(delay));
        while !requests.is_to_end {
            tokio::select! {
                () = &mut end => return false,
                request = requests.next(false) => self.pass_on(request, requests.is_impatient),
            }
        }
        true
    }

    /// How the newest process has ended, if it has and leaves nobody who is about to take over.
    fn look(&mut self) -> Result<Option<u8>, String> {
        // In this order: who hands over says so before it ends.
        let mut ended = self.reap()?;
        for event in self.events.read() {
            match event {
                Event::Accepts(id) => (self.newest, self.knows_hangup) = (Some(id), true),
                Event::Starts(id) => self.starting = Some(id),
                Event::Failed(id, code) => ended.push((id, code)),
                Event::Ready(_) => notify::ready(),
            }
        }
        let code = ended.iter().find(|(id, _)| Some(*id) == self.newest).map(|(_, code)| *code);
        if let Some(1..) = code
            && let Some(successor) = self.starting.take_if(|id| is_in(*id, &self.groups))
        {
            log::warn!("the sidecar has failed while another process was to take over, which goes on alone");
            (self.newest, self.knows_hangup) = (Some(successor), false);
            return Ok(None);
        }
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

    fn pass_on(&self, request: Option<Request>, is_impatient: bool) {
        // Whoever is left may just have ended.
        match (request, self.newest) {
            (Some(Request::End), _) => {
                notify::stopping();
                self.events.ask_to_end();
            }
            // Not to one that it has started and that does not know what it means yet.
            (Some(Request::Restart), Some(newest)) => {
                let _ = kill_process(newest, Signal::HUP);
            }
            _ => {}
        }
        if is_impatient {
            // More than once: a process takes two that come close together for one.
            for group in &self.groups {
                let _ = kill_process_group(*group, Signal::TERM);
            }
        }
    }
}

/// Whether a process is there, and in one of these groups.
fn is_in(process: Pid, groups: &[Pid]) -> bool {
    getpgid(Some(process)).is_ok_and(|group| groups.contains(&group))
}

/// What a signal asks for.
enum Request {
    End,
    Restart,
}

/// What this process is asked for by signals.
struct Requests {
    ends: Ends,
    hangup: tokio::signal::unix::Signal,
    child: tokio::signal::unix::Signal,
    is_to_end: bool,
    /// Whether it was asked to end twice.
    is_impatient: bool,
}

impl Requests {
    fn new() -> Result<Self, String> {
        ignore_others();
        Ok(Self {
            ends: Ends::new(Supervision::default())?,
            hangup: listen(SignalKind::hangup())?,
            child: listen(SignalKind::child())?,
            is_to_end: false,
            is_impatient: false,
        })
    }

    /// The next request to pass on; none: it is time to look whether a process has ended. Hangups may have to
    /// wait.
    async fn next(&mut self, takes_hangups: bool) -> Option<Request> {
        tokio::select! {
            () = self.ends.next() => {
                self.is_impatient = self.is_to_end;
                self.is_to_end = true;
                Some(Request::End)
            }
            _ = self.hangup.recv(), if takes_hangups => Some(Request::Restart),
            _ = self.child.recv() => None,
            () = sleep(LOOK) => None,
        }
    }

    fn forget_hangups(&mut self) {
        while self.hangup.poll_recv(&mut Context::from_waker(Waker::noop())).is_ready() {}
    }
}
