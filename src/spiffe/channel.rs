//! gRPC channels to whoever delivers identities: over a Unix socket, or over TCP within a trusted machine.

use ::spiffe::transport::Endpoint;
use std::error::Error;
use std::time::Duration;
use tonic::transport::{self, Channel};

/// How often the other side is asked whether it still lives. gRPC servers take it ill when that is more than every five
/// minutes, unless they were told otherwise.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(6 * 60);

/// How long it may take to answer that.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to `endpoint`.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<Channel, Box<dyn Error + Send + Sync>> {
    let uri = match endpoint {
        Endpoint::Unix(path) => format!("unix://{}", path.display()),
        Endpoint::Tcp { host, port } => format!("http://{}", std::net::SocketAddr::new(*host, *port)),
        _ => return Err("an address that is neither a Unix socket nor TCP".into()),
    };
    // Without keep-alive, a server that hangs is a server that has no news.
    let endpoint = transport::Endpoint::from_shared(uri)?
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(endpoint.connect().await?)
}
