//! gRPC channels to whoever delivers identities: over a Unix socket, or over TCP within a trusted machine.

use ::spiffe::transport::Endpoint;
use std::error::Error;
use std::time::Duration;
use tonic::transport::{self, Channel};

/// How often the other side is asked whether it still lives. gRPC servers take it ill when that is more than
/// every five minutes, unless they were told otherwise.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(6 * 60);

/// The largest message that is accepted unless said otherwise, in bytes: bundles of hundreds of domains, and revocation lists.
pub(super) const MAX_MESSAGE_SIZE: usize = 64 << 20;

/// How long it may take to answer that.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to `endpoint`.
///
/// # Errors
/// The address, and the whole chain of reasons: the first of them says only that it is about transport.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<Channel, Box<dyn Error + Send + Sync>> {
    let uri = match endpoint {
        Endpoint::Unix(path) => format!("unix://{}", path.display()),
        Endpoint::Tcp { host, port } => format!("http://{}", std::net::SocketAddr::new(*host, *port)),
        _ => return Err("an address that is neither a Unix socket nor TCP".into()),
    };
    let address = uri.clone();
    // Without keep-alive, a server that hangs is a server that has no news.
    let endpoint = transport::Endpoint::from_shared(uri)?
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    endpoint.connect().await.map_err(|e| reasons(&address, &e).into())
}

fn reasons(address: &str, e: &dyn Error) -> String {
    let mut text = format!("{address}: {e}");
    let mut source = e.source();
    while let Some(e) = source {
        let reason = e.to_string();
        // Some of them repeat the next one.
        if !text.ends_with(&reason) {
            text = format!("{text}: {reason}");
        }
        source = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_not_there_is_named_with_the_reason() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let tcp = Endpoint::Tcp { host: nobody.ip(), port: nobody.port() };
        let unix = Endpoint::Unix("/nowhere/agent.sock".into());
        for (endpoint, address, reason) in [
            (tcp, nobody.to_string(), "Connection refused"),
            (unix, "unix:///nowhere/agent.sock".to_owned(), "No such file or directory"),
        ] {
            let text = connect(&endpoint).await.unwrap_err().to_string();
            assert!(text.contains(&address) && text.contains(reason), "{text}");
            assert_eq!(text.matches(reason).count(), 1, "{text}");
        }
    }
}
