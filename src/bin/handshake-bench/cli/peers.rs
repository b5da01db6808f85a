//! The command lines of the two halves, `serve` and `connect`, and of `identities`.

use super::{KeyKind, TlsArgs, check_concurrency, rate, seconds};
use crate::address::Address;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// The `identities` command.
#[derive(Debug, Args)]
pub(crate) struct IdentitiesArgs {
    /// The directory to write to: ca.pem, and server.pem, server-key.pem, client.pem and client-key.pem.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// The kind of all keys.
    #[arg(long, value_enum, default_value_t = KeyKind::Rsa2048)]
    pub(crate) key: KeyKind,
    /// Certificates come from an intermediate authority, which follows them in their files.
    #[arg(long)]
    pub(crate) intermediate: bool,
}

/// The implementation that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerKind {
    /// tokio-rustls with rustls' own aws-lc-rs provider.
    Stock,
    /// This crate, with an engine on each server thread.
    Multibuffer,
}

/// The `serve` command. It sends back whatever clients send.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Where to listen: HOST:PORT, port 0 for any, or unix:PATH.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub(crate) listen: Address,
    /// Certificates and keys, as `identities` writes them; an empty or missing directory is filled.
    #[arg(long, value_name = "DIR")]
    pub(crate) identities_from: PathBuf,
    /// The kind of keys to make where there are none.
    #[arg(long, value_enum, default_value_t = KeyKind::Rsa2048)]
    pub(crate) key: KeyKind,
    /// The implementation that serves.
    #[arg(long, value_enum, default_value_t = ServerKind::Multibuffer)]
    pub(crate) server: ServerKind,
    /// Server threads, between which the system spreads connections.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: usize,
    /// End after that many seconds [default: when interrupted or terminated].
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
}

/// The `connect` command.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// The server: HOST:PORT or unix:PATH.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub(crate) to: Address,
    /// Certificates and keys, as `identities` writes them.
    #[arg(long, value_name = "DIR")]
    pub(crate) identities_from: PathBuf,
    /// The name that the server's certificate must have.
    #[arg(long, value_name = "NAME", default_value = crate::ca::SERVER_NAME)]
    pub(crate) server_name: String,
    /// What to send after each handshake, with \\r, \\n and \\\\ for what they mean in C; the handshake
    /// counts when the first byte of an answer has come, whichever it is [default: a byte that must come
    /// back, as from `serve`].
    #[arg(long, value_name = "TEXT", value_parser = unescape)]
    pub(crate) send: Option<String>,
    /// Clients that make one handshake after the other at the same time.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) concurrency: usize,
    /// Handshakes a second that begin at random times, instead of `--concurrency`.
    #[arg(long, value_name = "R", value_parser = rate, conflicts_with = "concurrency")]
    pub(crate) rate: Option<f64>,
    /// With `--rate`: handshakes that run at a time, at most; more wait, and their waiting counts.
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub(crate) max_in_flight: usize,
    /// How long to make handshakes, in seconds.
    #[arg(long, default_value = "5", value_name = "S", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Handshakes to make, at most.
    #[arg(long, value_name = "N")]
    pub(crate) handshakes: Option<usize>,
    /// Also write the result to this file, as one JSON object.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl ServeArgs {
    /// Refuses what cannot be run.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_files(&self.tls)?;
        match self.threads {
            0 => Err("--threads must be above zero".into()),
            _ => Ok(()),
        }
    }
}

impl ConnectArgs {
    /// Refuses what cannot be run.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_files(&self.tls)?;
        if self.duration.is_zero() || self.max_in_flight == 0 {
            return Err("--duration and --max-in-flight must be above zero".into());
        }
        check_concurrency(self.concurrency)
    }
}

/// Identities from files do not rotate, and are one for each side.
fn check_files(tls: &TlsArgs) -> Result<(), String> {
    if tls.rotation.rotate.is_some() || tls.intermediate || tls.identities != 1 {
        return Err("--rotate, --intermediate and --identities are not for identities from files".into());
    }
    tls.check(&[])
}

/// Replaces `\r`, `\n` and `\\` by the bytes that they stand for.
fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        plain.push(match c {
            '\\' => match rest.next() {
                Some('r') => '\r',
                Some('n') => '\n',
                Some('\\') => '\\',
                other => {
                    return Err(format!("\\{} has no meaning", other.map_or(String::new(), String::from)));
                }
            },
            c => c,
        });
    }
    match plain.is_empty() {
        true => Err("nothing to send".into()),
        false => Ok(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_line_ends() {
        assert_eq!(unescape(r"GET / HTTP/1.0\r\n\r\n").as_deref(), Ok("GET / HTTP/1.0\r\n\r\n"));
        assert_eq!(unescape(r"a\\b").as_deref(), Ok("a\\b"));
        assert!(unescape(r"\x").is_err() && unescape("\\").is_err() && unescape("").is_err());
    }
}
