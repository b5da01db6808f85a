//! Sidecar processes.

use crate::pki::{Authority, Issued, write_identity};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long anything may take that is not about time, on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with an identity, where a sidecar has its configuration, its log and its admin socket.
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Paths of Unix sockets must be short.
        let name = format!("mtls-sidecar-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        Self { dir }
    }

    pub(crate) fn with_identity(authority: &Authority, issued: &Issued) -> Self {
        let home = Self::new();
        write_identity(&home.dir, issued, authority);
        home
    }

    /// The configuration with the identity `default` and the admin endpoint, before `rest`.
    pub(crate) fn configure(&self, rest: &str) {
        let dir = self.dir.display();
        self.configure_bare(&format!(
            "identities:
  default:
    tls_identity: {{files: {{certificate_chain: {dir}/chain.pem, private_key: {dir}/key.pem, trusted_ca: \
             {dir}/bundle.pem}}}}
{rest}"
        ));
    }

    /// The configuration with the admin endpoint and nothing else, before `rest`.
    pub(crate) fn configure_bare(&self, rest: &str) {
        let text = format!("admin: {{address: 'unix:{}/admin.sock'}}\n{rest}", self.dir.display());
        fs::write(self.dir.join("config.yaml"), text).unwrap();
    }

    /// Starts a sidecar, and waits until it is ready.
    pub(crate) fn start(self) -> Sidecar {
        let sidecar = self.launch(&[]);
        sidecar.wait_until_ready();
        sidecar
    }

    /// Starts a sidecar by a command before its own, such as one that sets limits.
    pub(crate) fn launch(self, before: &[&str]) -> Sidecar {
        self.launch_with(before, &[])
    }

    /// The same with further options.
    pub(crate) fn launch_with(self, before: &[&str], options: &[&str]) -> Sidecar {
        let program = env!("CARGO_BIN_EXE_mtls-sidecar");
        let mut words = before.iter().copied().chain([program]);
        let log = fs::File::create(self.dir.join("log")).unwrap();
        let child = Command::new(words.next().unwrap())
            .args(words)
            .arg("--config")
            .arg(self.dir.join("config.yaml"))
            .args(options)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Sidecar { home: self, child: RefCell::new(child), others: RefCell::default() }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A running sidecar, and those that took over from it.
pub(crate) struct Sidecar {
    pub(crate) home: Home,
    child: RefCell<Child>,
    others: RefCell<Vec<i32>>,
}

impl Sidecar {
    pub(crate) fn wait_until_ready(&self) {
        self.until("it is ready", || self.try_http("GET", "/ready").is_some_and(|(status, _)| status == 200));
    }

    /// Waits for a condition.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < end, "waited in vain until {what}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A request to the admin endpoint: status and body.
    #[track_caller]
    pub(crate) fn http(&self, method: &str, path: &str) -> (u16, String) {
        self.try_http(method, path).unwrap_or_else(|| panic!("no answer to {path}; log:\n{}", self.log()))
    }

    pub(crate) fn try_http(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let mut stream = UnixStream::connect(self.home.dir.join("admin.sock")).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.http("GET", path).1).unwrap()
    }

    /// Where a listener listens.
    #[track_caller]
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        let listeners = self.json("/listeners");
        let of_name = |l: &&Value| l["name"] == listener;
        let found = listeners.as_array().unwrap().iter().find(of_name).unwrap();
        found["address"].as_str().unwrap().parse().unwrap()
    }

    /// The sum of a metric's samples whose labels contain all of `labels`.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.http("GET", "/stats/prometheus").1;
        let samples = text.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        });
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Waits until a metric is at least `wanted`.
    #[track_caller]
    pub(crate) fn until_metric(&self, name: &str, labels: &[&str], wanted: f64) {
        self.until(&format!("{name} {labels:?} is {wanted}"), || self.metric(name, labels) >= wanted);
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.dir.join("log")).unwrap()
    }

    /// The lines of the log with that target; waits for the first that `is_wanted`.
    #[track_caller]
    pub(crate) fn until_logged(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let find = || {
            let log = self.log();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| is_wanted(line))
        };
        self.until("a line is logged", || find().is_some());
        find().unwrap()
    }

    /// The id of the process that was started first.
    pub(crate) fn id(&self) -> i64 {
        self.child.borrow().id().into()
    }

    /// Sends a signal to the process that was started first.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.borrow().id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Sends a signal until the process has ended: one that soon follows another counts for nothing.
    pub(crate) fn insist(&self, signal: Signal) -> ExitStatus {
        self.until("it ends", || {
            let is_running = self.is_running();
            if is_running {
                self.signal(signal);
                std::thread::sleep(Duration::from_millis(50));
            }
            !is_running
        });
        self.wait()
    }

    /// Remembers a process that took over, to be ended with the test.
    pub(crate) fn adopt(&self, id: i32) {
        self.others.borrow_mut().push(id);
    }

    /// Waits for the end of the process that was started first.
    #[track_caller]
    pub(crate) fn wait(&self) -> ExitStatus {
        let mut status = None;
        let end = Instant::now() + PATIENCE;
        while status.is_none() {
            assert!(Instant::now() < end, "it does not end; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
            status = self.child.borrow_mut().try_wait().unwrap();
        }
        status.unwrap()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.borrow_mut().try_wait().unwrap().is_none()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // Whatever has ended by itself needs no end.
        let _ = child.kill();
        let _ = child.wait();
        for id in self.others.borrow().iter() {
            let _ = kill_process(Pid::from_raw(*id).unwrap(), Signal::KILL);
        }
    }
}
