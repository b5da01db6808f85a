//! Whole key exchanges, as a server of TLS 1.3 makes them: it has the client's public key when it makes a
//! key pair of its own, so both are done in one batch.
//!
//! An exchange takes a seat among the agreements of its group. Before they run, the key pairs of the batch's
//! exchanges are made, in a batch of their own: then each exchange is an agreement like the others. Its
//! private key does not outlive the batch, and nobody outside sees it.

use super::{AgreeRequest, KeyPair, PeerKey};
use crate::error::Error;
use crate::ops::{Request, Response, SharedSecret};

/// What a key exchange gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchanged {
    /// Our public key, in the form of [`KeyPair::public`]: what the peer makes the same secret of.
    pub public: Vec<u8>,
    /// What both have agreed on.
    pub secret: SharedSecret,
}

impl PeerKey {
    /// Makes a key pair, agrees with this key, and forgets the private key; through aws-lc-rs.
    pub(crate) fn exchange_scalar(&self) -> Result<Exchanged, Error> {
        let KeyPair { private, public } = KeyPair::generate(self.group())?;
        let secret = AgreeRequest { key: private, peer: self.clone() }.run_scalar()?;
        Ok(Exchanged { public, secret })
    }
}

/// The agreements of a batch that has exchanges in it, and what these have besides.
pub(in crate::ops) struct Exchanges {
    /// All agreements of the batch, in its order: those of exchanges that have a key pair, and the others.
    pub(in crate::ops) agreements: Vec<Request>,
    /// For each request of the batch our public key, if it is an exchange.
    shares: Vec<Option<Result<Vec<u8>, Error>>>,
}

impl Exchanges {
    /// What is left of a batch with these key pairs, one for each exchange.
    pub(in crate::ops) fn new(requests: &[&Request], pairs: Vec<Result<Response, Error>>) -> Self {
        let mut pairs = pairs.into_iter();
        let (mut agreements, mut shares) = (Vec::with_capacity(requests.len()), Vec::new());
        for request in requests {
            let Request::Exchange(peer) = request else {
                agreements.push((*request).clone());
                shares.push(None);
                continue;
            };
            match pairs.next() {
                Some(Ok(Response::KeyPair(KeyPair { private, public }))) => {
                    agreements.push(Request::Agree(AgreeRequest { key: private, peer: peer.clone() }));
                    shares.push(Some(Ok(public)));
                }
                Some(Err(e)) => shares.push(Some(Err(e))),
                other => unreachable!("a key pair was to be made, and {other:?} came"),
            }
        }
        Self { agreements, shares }
    }

    /// The results of the whole batch, of those of its agreements.
    pub(in crate::ops) fn results(
        self,
        secrets: Vec<Result<Response, Error>>,
    ) -> impl Iterator<Item = Result<Response, Error>> {
        let mut secrets = secrets.into_iter();
        self.shares.into_iter().map(move |share| {
            let public = share.transpose()?;
            match (public, secrets.next().expect("a result for each agreement")?) {
                (Some(public), Response::SharedSecret(secret)) => {
                    Ok(Response::Exchanged(Exchanged { public, secret }))
                }
                (_, agreed) => Ok(agreed),
            }
        })
    }
}
