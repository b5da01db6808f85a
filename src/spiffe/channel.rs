//! gRPC streams from whoever delivers identities: over a Unix socket, or over TCP within a trusted machine.

use super::refusal::Refusal;
use super::source::{SourceError, Updates, Withdrawal};
use ::spiffe::transport::Endpoint;
use ::spiffe::workload_api::endpoint;
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::transport::{self, Channel};
use tonic::{Code, Status};

/// How often the other side is asked whether it still lives. gRPC servers take it ill when that is more than
/// every five minutes, unless they were told otherwise.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(6 * 60);

/// How long it may take to answer that.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A server that delivers identities in a stream.
#[derive(Debug)]
pub(super) struct Server {
    /// What errors call it.
    name: &'static str,
    endpoint: Endpoint,
    /// How long to wait for the first message.
    pub(super) patience: Duration,
    /// The largest message that is accepted, in bytes.
    pub(super) max_message_size: usize,
}

impl Server {
    /// The server at `address`.
    ///
    /// # Errors
    /// [`EndpointError`] when it is no address.
    pub(super) fn new(name: &'static str, address: &str) -> Result<Self, EndpointError> {
        Ok(Self::at(name, Endpoint::parse(address).map_err(EndpointError::new)?))
    }

    /// The server where `SPIFFE_ENDPOINT_SOCKET` says.
    ///
    /// # Errors
    /// [`EndpointError`] when the variable is absent or is no address.
    pub(super) fn from_env(name: &'static str) -> Result<Self, EndpointError> {
        Ok(Self::at(name, endpoint::from_env().map_err(EndpointError::new)?))
    }

    /// Messages may be large: they hold the bundles of hundreds of domains, and revocation lists.
    fn at(name: &'static str, endpoint: Endpoint) -> Self {
        Self { name, endpoint, patience: Duration::from_secs(10), max_message_size: 64 << 20 }
    }

    /// A connection that is ready for a request.
    pub(super) async fn connect(&self) -> Result<Grpc<Channel>, Ended> {
        let channel = connect(&self.endpoint).await.map_err(Ended::Lost)?;
        let mut grpc = Grpc::new(channel).max_decoding_message_size(self.max_message_size);
        grpc.ready().await.map_err(|why| Ended::Lost(Box::new(why)))?;
        Ok(grpc)
    }

    /// What `opening` ends with, the first message included, if that is within the patience.
    pub(super) async fn open<T>(&self, opening: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
        let opened = tokio::time::timeout(self.patience, opening).await;
        opened.map_err(|_| self.lost("does not answer"))?
    }

    /// The stream has ended because the server `does` something.
    pub(super) fn lost(&self, does: &str) -> Ended {
        Ended::Lost(format!("{} {does}", self.name).into())
    }
}

/// How a stream ended.
pub(super) enum Ended {
    /// We are not entitled to an identity.
    Denied(Status),
    /// There was a message that cannot be used.
    Malformed(Refusal),
    /// The server does not like our request, which will be the same the next time.
    Invalid(Status),
    Lost(Box<dyn Error + Send + Sync>),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::PermissionDenied => Self::Denied(status),
            Code::InvalidArgument => Self::Invalid(status),
            _ => Self::Lost(Box::new(status)),
        }
    }
}

impl Ended {
    /// Tells what the end means for the identity, and what for its source.
    pub(super) fn tell(self, updates: &Updates) -> SourceError {
        match self {
            Self::Denied(why) => {
                updates.withdraw(Withdrawal::Denied(why.message().to_owned()));
                SourceError::Lost(Box::new(why))
            }
            Self::Malformed(refusal) => {
                updates.refuse(refusal.clone());
                SourceError::Lost(Box::new(refusal))
            }
            Self::Invalid(why) => SourceError::Rejected(Box::new(why)),
            Self::Lost(why) => SourceError::Lost(why),
        }
    }
}

/// The address of an identity source is malformed or missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError(String);

impl EndpointError {
    fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for EndpointError {}

/// Connects to `endpoint`.
///
/// # Errors
/// The address, and the whole chain of reasons: the first of them says only that it is about transport.
async fn connect(endpoint: &Endpoint) -> Result<Channel, Box<dyn Error + Send + Sync>> {
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
