//! A child process that owns secrets, and its parent's hold on it.

use crate::memory::Memory;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The test that is the child.
const OWNER: &str = "owner::owns_secrets";

/// Names the scenario to the child.
pub(crate) const SCENARIO: &str = "SECRETS_SCENARIO";

/// What begins the lines that the child says to its parent; the rest are the test harness's.
pub(crate) const SAYS: &str = "#says ";

pub(crate) struct Owner {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Owner {
    /// Starts a child and gives it `secret`, which it imports.
    pub(crate) fn start(scenario: &str, secret: &[u8]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args([OWNER, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(SCENARIO, scenario).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program runs");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut owner = Self { child, input, output: BufReader::new(output) };
        owner.input.write_all(&(secret.len() as u32).to_le_bytes()).expect("the child reads");
        owner.input.write_all(secret).expect("the child reads");
        owner
    }

    /// What the child says before it waits for [`Owner::go_on`]: hexadecimal numbers.
    pub(crate) fn says(&mut self) -> Vec<Vec<u8>> {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).expect("the child's output") > 0, "the child has ended");
            // The harness writes without an end of line before a test.
            if let Some((_, said)) = line.split_once(SAYS) {
                return said.split_whitespace().map(unhex).collect();
            }
        }
    }

    pub(crate) fn go_on(&mut self) {
        self.input.write_all(b"\n").expect("the child waits");
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory::of(self.child.id())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // A child whose test is done may have ended.
        let _ended = self.child.kill();
        self.child.wait().expect("a child ends");
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hexadecimal");
    (0..text.len() / 2).map(byte).collect()
}
