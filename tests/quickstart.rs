//! What `docs/quickstart.md` tells its readers to paste works, and prints what it shows.

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long one block may take, on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the shell prints when a block is done.
const DONE: &str = "-- the block is done --";

/// A block of commands, and what it prints.
struct Block {
    line: usize,
    commands: String,
    output: String,
}

/// The fenced blocks of the document: each `sh`, with the `text` that follows it.
fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
        let body: String = body.map(|line| format!("{line}\n")).collect();
        match (language, blocks.last_mut()) {
            ("sh", _) => blocks.push(Block { line: number + 1, commands: body, output: String::new() }),
            ("text", Some(last)) => last.output = body,
            // The picture at the beginning.
            ("text", None) => {}
            other => panic!("line {}: {other:?}", number + 1, other = other.0),
        }
    }
    blocks
}

/// Whether a line is as shown, where `…` stands for anything.
fn is_shown(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let end = if parts.peek().is_none() { rest.strip_suffix(part).map(|_| "") } else { None };
        match end.or_else(|| rest.find(part).map(|at| &rest[at + part.len()..])) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

/// A folder like that of a fresh clone in which everything has been built; it goes away at the end.
struct Clone(PathBuf);

impl Clone {
    fn new() -> Self {
        // Paths of Unix sockets must be short.
        let path = std::env::temp_dir().join(format!("quickstart-{}", std::process::id()));
        let built = path.join("target/release");
        fs::create_dir_all(built.join("examples")).unwrap();
        symlink(env!("CARGO_BIN_EXE_mtls-sidecar"), built.join("mtls-sidecar")).unwrap();
        symlink(authority(), built.join("examples/spiffe-authority")).unwrap();
        // Building takes minutes; here it only has to ask for the right things.
        let cargo = path.join("bin/cargo");
        fs::create_dir_all(path.join("bin")).unwrap();
        fs::write(&cargo, format!("#!/bin/sh\n[ \"$*\" = '{BUILD}' ] || echo \"other arguments: $*\"\n"))
            .unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(path.join("tmp")).unwrap();
        Self(path)
    }
}

const BUILD: &str =
    "build --release --features sidecar,spiffe-authority --bin mtls-sidecar --example spiffe-authority";

impl Drop for Clone {
    fn drop(&mut self) {
        // What cannot be removed is in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The example, which is built by `cargo test`, but not by `cargo test --test quickstart`.
fn authority() -> PathBuf {
    let profile = Path::new(env!("CARGO_BIN_EXE_mtls-sidecar")).parent().unwrap();
    let example = profile.join("examples/spiffe-authority");
    if example.exists() {
        return example;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--all-features", "--example", "spiffe-authority"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    example
}

/// A shell into which blocks are pasted.
struct Shell {
    bash: Child,
    output: Receiver<String>,
}

impl Shell {
    fn start(clone: &Clone) -> Self {
        let path = format!("{}:{}", clone.0.join("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(&clone.0)
            .env("PATH", path)
            .env("TMPDIR", clone.0.join("tmp"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("bash");
        let lines = BufReader::new(bash.stdout.take().unwrap()).lines();
        let (sender, output) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { bash, output }
    }

    /// Pastes a block; the lines that it prints.
    fn paste(&mut self, block: &Block) -> Vec<String> {
        let stdin = self.bash.stdin.as_mut().unwrap();
        writeln!(stdin, "{}echo '{DONE}'", block.commands).unwrap();
        let mut printed = Vec::new();
        loop {
            let line = self.output.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|e| panic!("line {}: {e} after {printed:?}", block.line));
            if line == DONE {
                return printed;
            }
            printed.push(line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.bash);
        // Whatever it has started and not ended; supervisors pass this on to processes outside of the group.
        let _ = kill_process_group(group, Signal::TERM);
        let _ = self.bash.kill();
        let _ = self.bash.wait();
        let give_up = Instant::now() + Duration::from_secs(10);
        while test_kill_process_group(group).is_ok() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The document, with ports that nobody uses now in place of its own.
fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/quickstart.md");
    let mut text = fs::read_to_string(path).unwrap();
    let ports =
        ["8080", "15001", "15002", "15006"].map(|port| (port, TcpListener::bind("127.0.0.1:0").unwrap()));
    for (port, free) in ports {
        text = text.replace(port, &free.local_addr().unwrap().port().to_string());
    }
    text
}

#[test]
fn every_block_prints_what_the_document_shows() {
    let blocks = blocks(&document());
    assert!(blocks.len() > 10, "{} blocks", blocks.len());
    let clone = Clone::new();
    let mut shell = Shell::start(&clone);
    for block in &blocks {
        let printed = shell.paste(block);
        let shown: Vec<_> = block.output.lines().collect();
        let is_same = printed.len() == shown.len()
            && printed.iter().zip(&shown).all(|(line, shown)| is_shown(line, shown));
        assert!(is_same, "line {}: {printed:#?} instead of {shown:#?}", block.line);
    }
}

#[test]
fn three_dots_stand_for_anything() {
    for (line, shown) in [("a", "a"), ("a 12 b", "a … b"), ("", "…"), ("x 1 y 2", "x … y …")] {
        assert!(is_shown(line, shown), "{line} {shown}");
    }
    for (line, shown) in [("ab", "a"), ("a", "ab"), ("a 12 c", "a … b"), ("x 1 y 2", "x … z …")] {
        assert!(!is_shown(line, shown), "{line} {shown}");
    }
}
