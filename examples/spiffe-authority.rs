//! Runs the embedded authority by hand, for whoever wants to try a workload without SPIRE:
//!
//! ```text
//! cargo run --example spiffe-authority --features spiffe-authority -- /tmp/agent spiffe://example.org/web [LIFETIME_S [CA_LIFETIME_S]]
//! SPIFFE_ENDPOINT_SOCKET=unix:///tmp/agent/api.sock your-workload
//! ```
//!
//! `api.sock` speaks the SPIFFE Workload API, `sds.sock` Envoy's SDS. Enter rotates the SVID, `c` announces the next CA, `u`
//! uses it, `d` denies the identity, `a` allows it again, and the end of the input ends it.

use rustls_multibuffer::spiffe::SpiffeId;
use rustls_multibuffer::spiffe::authority::{Authority, AuthorityConfig};
use std::time::Duration;

const USAGE: &str = "usage: spiffe-authority FOLDER SPIFFE_ID [LIFETIME_S [CA_LIFETIME_S]]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(folder), Some(id)) = (args.next().map(std::path::PathBuf::from), args.next()) else {
        return Err(USAGE.into());
    };
    let id = SpiffeId::new(id)?;
    let mut config = AuthorityConfig::new(id.trust_domain().clone());
    if let Some(lifetime) = args.next() {
        config = config.svid_lifetime(Duration::from_secs(lifetime.parse()?));
    }
    if let Some(lifetime) = args.next() {
        let lifetime = Duration::from_secs(lifetime.parse()?);
        config = config.ca_lifetime(lifetime).announcement(lifetime / 6);
    }
    let authority = Authority::start(config)?;
    authority.allow(&id)?;
    std::fs::create_dir_all(&folder)?;
    let api = authority.serve_workload_api(folder.join("api.sock"), [id.clone()])?;
    let sds = authority.serve_sds(folder.join("sds.sock"), [id.clone()])?;
    println!("SPIFFE_ENDPOINT_SOCKET={}\nSDS on {}", api.address(), sds.path().display());
    // This blocks no worker of the runtime: the servers run on those.
    for line in std::io::stdin().lines() {
        match line?.trim() {
            "" => authority.rotate_svid(&id)?,
            "c" => authority.rotate_ca()?,
            "u" => authority.use_announced_ca()?,
            "d" => authority.deny(&id)?,
            "a" => authority.allow(&id)?,
            other => println!("{other:?} is none of: Enter c u d a"),
        }
    }
    api.stop().await;
    sds.stop().await;
    Ok(())
}
