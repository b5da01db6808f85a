//! Child processes to talk to.

use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
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
        // Not a print macro: the notice must be seen although the test passes.
        let notice = format!("not run: {program} is not installed\n");
        std::io::stderr().write_all(notice.as_bytes()).unwrap();
    }
    found
}

/// A running program; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Peer {
    pub(crate) fn start(program: &std::path::Path, args: &[String]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the program starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("stdout is a pipe"));
        Self { child, stdin, stdout: BufReader::new(stdout) }
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
            let length = self.stdout.read_line(&mut line).await.unwrap();
            assert_ne!(length, 0, "the program ended without saying {wanted:?}");
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// Closes its standard input, and waits until it ends.
    pub(crate) async fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let mut stderr = self.child.stderr.take().expect("stderr is a pipe");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (_, _, status) = tokio::try_join!(
            self.stdout.read_to_end(&mut out),
            stderr.read_to_end(&mut err),
            self.child.wait()
        )
        .expect("pipes work");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { status, stdout: text(out), stderr: text(err) }
    }
}

/// Arguments from words separated by blanks.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
