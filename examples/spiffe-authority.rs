//! Runs the embedded authority by hand, to try workloads without SPIRE. Each SPIFFE ID has sockets of its
//! own, in a folder with the name of the last part of its path:
//!
//! ```text
//! cargo run --example spiffe-authority --features spiffe-authority -- \
//!   /tmp/agent spiffe://example.org/web spiffe://example.org/db
//! SPIFFE_ENDPOINT_SOCKET=unix:///tmp/agent/web/api.sock your-workload
//! ```
//!
//! `api.sock` speaks the SPIFFE Workload API, `sds.sock` Envoy's SDS. Enter or SIGHUP rotates the SVIDs, `c`
//! announces the next CA, `u` uses it, `d NAME` denies an identity, `a NAME` allows it again; SIGTERM or
//! Ctrl-C ends it.

use rustls_multibuffer::spiffe::SpiffeId;
use rustls_multibuffer::spiffe::authority::{Authority, AuthorityConfig};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

const USAGE: &str = "usage: spiffe-authority FOLDER [--lifetime SECONDS] [--ca-lifetime SECONDS] SPIFFE_ID…";

/// The identities by their names.
type Workloads = BTreeMap<String, SpiffeId>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or(USAGE)?;
    let (mut workloads, mut lifetime, mut ca_lifetime) = (Workloads::new(), None, None);
    while let Some(arg) = args.next() {
        let mut seconds = || Ok::<_, Box<dyn Error>>(Duration::from_secs(args.next().ok_or(USAGE)?.parse()?));
        match arg.as_str() {
            "--lifetime" => lifetime = Some(seconds()?),
            "--ca-lifetime" => ca_lifetime = Some(seconds()?),
            _ => {
                let id = SpiffeId::new(&arg)?;
                let name = id.path().rsplit('/').next().filter(|name| !name.is_empty()).ok_or(USAGE)?;
                if let Some(other) = workloads.insert(name.to_owned(), id.clone()) {
                    return Err(format!("{other} and {id} would share the folder {name}").into());
                }
            }
        }
    }
    let mut config = AuthorityConfig::new(workloads.values().next().ok_or(USAGE)?.trust_domain().clone());
    if let Some(lifetime) = lifetime {
        config = config.svid_lifetime(lifetime);
    }
    if let Some(lifetime) = ca_lifetime {
        config = config.ca_lifetime(lifetime).announcement(lifetime / 6);
    }
    serve(&Authority::start(config)?, Path::new(&folder), &workloads).await
}

/// Serves each workload until a signal ends it.
async fn serve(authority: &Authority, folder: &Path, workloads: &Workloads) -> Result<(), Box<dyn Error>> {
    let mut serving = Vec::new();
    for (name, id) in workloads {
        authority.allow(id)?;
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let api = authority.serve_workload_api(folder.join("api.sock"), [id.clone()])?;
        let sds = authority.serve_sds(folder.join("sds.sock"), [id.clone()])?;
        println!("{id}\n  SPIFFE_ENDPOINT_SOCKET={}\n  SDS on {}", api.address(), sds.path().display());
        serving.push((api, sds));
    }
    let [mut hangup, mut terminate, mut interrupt] =
        [signal(SignalKind::hangup())?, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let mut lines = lines();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => obey("", authority, workloads)?,
            // After the end of the input, the signals remain.
            Some(line) = lines.recv() => obey(line.trim(), authority, workloads)?,
        }
    }
    for (api, sds) in serving {
        api.stop().await;
        sds.stop().await;
    }
    Ok(())
}

/// The lines of the standard input, read by a thread for which nobody waits.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.blocking_send(line))
    });
    lines
}

fn obey(command: &str, authority: &Authority, workloads: &Workloads) -> Result<(), Box<dyn Error>> {
    let (command, name) = command.split_once(' ').unwrap_or((command, ""));
    match (command, workloads.get(name)) {
        ("", _) => {
            workloads.values().try_for_each(|id| authority.rotate_svid(id))?;
            println!("rotated");
        }
        ("c", _) => authority.rotate_ca()?,
        ("u", _) => authority.use_announced_ca()?,
        ("d", Some(id)) => authority.deny(id)?,
        ("a", Some(id)) => authority.allow(id)?,
        _ => println!("expected Enter, c, u, d NAME or a NAME, with NAME one of {:?}", workloads.keys()),
    }
    Ok(())
}
