//! Child processes to talk to.

use crate::case::Case;
use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Join};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Where the program is. `None`, with a notice, when it is not installed.
///
/// # Panics
/// When it is not installed and `REQUIRE_PEERS` is set.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("REQUIRE_PEERS").is_none(), "{program} is not installed");
        notice(&format!("{program} is not installed"));
    }
    found
}

/// Says what was not run, and why.
pub(crate) fn notice(why: &str) {
    // Not a print macro: the notice must be seen although the test passes.
    std::io::stderr().write_all(format!("not run: {why}\n").as_bytes()).unwrap();
}

/// A running program; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    heard: String,
}

/// Everything that goes into a program's standard input and comes out of its standard output.
pub(crate) type Pipes = Join<BufReader<ChildStdout>, ChildStdin>;

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// All of it, what was heard before included.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Panics unless the program ended well and said all of this.
    #[track_caller]
    pub(crate) fn assert_reports(&self, case: Case, wanted: &[String]) {
        assert!(self.status.success(), "{case:?}: {self:?}");
        for wanted in wanted {
            let is_there = self.stdout.contains(wanted) || self.stderr.contains(wanted);
            assert!(is_there, "{case:?}: no {wanted:?} in {self:?}");
        }
    }
}

impl Peer {
    pub(crate) fn start(program: &std::path::Path, args: &[String]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the program starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("stdout is a pipe"));
        Self { child, stdin, stdout: Some(BufReader::new(stdout)), heard: String::new() }
    }

    /// Writes to its standard input.
    pub(crate) async fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        stdin.write_all(text.as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Reads its standard output up to a line that contains `wanted`, and returns that line.
    pub(crate) async fn hear(&mut self, wanted: &str) -> String {
        loop {
            let mut line = String::new();
            let stdout = self.stdout.as_mut().expect("standard output is open");
            let length = stdout.read_line(&mut line).await.unwrap();
            assert_ne!(length, 0, "the program ended without saying {wanted:?}");
            self.heard.push_str(&line);
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// Its standard input and output, to be used as a connection.
    pub(crate) fn pipes(&mut self) -> Pipes {
        let stdout = self.stdout.take().expect("standard output is open");
        tokio::io::join(stdout, self.stdin.take().expect("standard input is open"))
    }

    /// Closes its standard input, and waits until it ends.
    pub(crate) async fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let mut stderr = self.child.stderr.take().expect("stderr is a pipe");
        let (mut out, mut err) = (self.heard.into_bytes(), Vec::new());
        let rest_of_stdout = async {
            match &mut self.stdout {
                Some(stdout) => stdout.read_to_end(&mut out).await,
                None => Ok(0),
            }
        };
        let (_, _, status) =
            tokio::try_join!(rest_of_stdout, stderr.read_to_end(&mut err), self.child.wait())
                .expect("pipes work");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { status, stdout: text(out), stderr: text(err) }
    }
}

/// Arguments from words separated by blanks.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
