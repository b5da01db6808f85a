//! OpenSSL's `s_client` and `s_server`.

use rustls_multibuffer::spiffe::Svid;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// Where it is. `None`, with a notice, when it is not installed.
///
/// # Panics
/// When it is not installed and `REQUIRE_PEERS` is set.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("openssl")).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("REQUIRE_PEERS").is_none(), "openssl is not installed");
        // Not a print macro: the notice must be seen although the test passes.
        std::io::stderr().write_all(b"not run: openssl is not installed\n").unwrap();
    }
    found
}

/// The leaf and the key of an SVID as files, and a place for others.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(name: &str, svid: &Svid) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("leaf.der"), &svid.chain[0]).unwrap();
        std::fs::write(folder.join("key.der"), svid.key.expose().secret_der()).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn identity(&self) -> [String; 8] {
        let [leaf, key] = ["leaf.der", "key.der"].map(|name| self.path(name));
        let [cert, certform, key_flag, keyform] =
            ["-cert", "-certform", "-key", "-keyform"].map(String::from);
        [cert, leaf, certform, "DER".into(), key_flag, key, keyform, "DER".into()]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left is of no use, and in nobody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(program: &Path, args: &[&str], files: &Files) -> Child {
    let mut command = Command::new(program);
    command.args(args).args(files.identity());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().expect("openssl starts")
}

/// Connects, sends a byte and waits for it; returns everything that it has printed.
pub(crate) async fn s_client(program: &Path, port: u16, files: &Files, session: [&str; 2]) -> String {
    let address = format!("127.0.0.1:{port}");
    let args = ["s_client", "-connect", &address, "-tls1_3", "-servername", "workload.localhost"];
    let mut child = start(program, &[&args[..], &session].concat(), files);
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(b"x").await.unwrap();
    stdin.flush().await.unwrap();
    let mut said = Vec::new();
    // The server closes when it has sent the byte back.
    stdout.read_to_end(&mut said).await.unwrap();
    child.wait().await.unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// A server that sends each line back reversed, and its port.
pub(crate) async fn s_server(program: &Path, files: &Files) -> (Child, u16) {
    let args = ["s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-Verify", "1", "-rev"];
    let mut child = start(program, &args, files);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next_line().await.unwrap().expect("s_server tells its port");
        if let Some(port) = line.trim().strip_prefix("ACCEPT ").and_then(|at| at.rsplit(':').next()) {
            break port.parse().unwrap();
        }
    };
    // It must be able to go on printing.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, port)
}
