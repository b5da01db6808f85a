//! What an acceptor and a connector have in common: an identity whose generations become rustls
//! configurations, and the peers that it is for.

use super::connection::{Connection, Context, count_failure, in_words};
use super::side::Side;
use super::snapshot::Snapshot;
use super::store::{Published, Subscriber, usable};
use super::unavailable::Unavailable;
use super::{Authorizer, Identity, LivePolicy, TlsOptions};
use crate::handshake::HandshakeEngine;
use arc_swap::ArcSwap;
use rustls::CommonState;
use rustls::crypto::WebPkiSupportedAlgorithms;
use std::future::Future;
use std::io;
use std::sync::Arc;

/// One side of connections: its engine, its identity, whom it lets in, and its configurations `C`.
#[derive(Clone)]
pub(super) struct Party<E, C> {
    pub(super) engine: E,
    pub(super) identity: Identity,
    pub(super) authorizer: Authorizer,
    pub(super) live: LivePolicy,
    algorithms: WebPkiSupportedAlgorithms,
    side: Side,
    configs: Arc<Configs<C>>,
}

impl<E: HandshakeEngine, C: Send + Sync + 'static> Party<E, C> {
    /// A party whose configurations `build` makes, one of each generation.
    pub(super) fn new(
        engine: E,
        identity: &Identity,
        authorizer: Authorizer,
        options: TlsOptions,
        side: Side,
        build: Build<C>,
    ) -> Self {
        let algorithms = options.provider.signature_verification_algorithms;
        let state = ArcSwap::from_pointee(State::Unavailable(Unavailable::NotYet));
        let configs = Arc::new(Configs { build, authorizer: authorizer.clone(), options, state });
        identity.store().subscribe(&configs);
        let (identity, live) = (identity.clone(), LivePolicy::keep());
        Self { engine, identity, authorizer, live, algorithms, side, configs }
    }

    /// Awaits the handshake that `begin` begins with the configuration of the generation that is current now.
    /// `tls` shows rustls' state of the stream that comes out of it.
    ///
    /// # Errors
    /// Those of the handshake, with the peer's refusal in words; [`Unavailable`], if there is no identity:
    /// then nothing was sent.
    pub(super) fn handshake<S, F, B>(
        &self,
        begin: B,
        tls: fn(&S) -> &CommonState,
    ) -> impl Future<Output = io::Result<(S, Connection)>> + use<E, C, S, F, B>
    where
        F: Future<Output = io::Result<S>>,
        B: FnOnce(E, Arc<C>) -> F,
    {
        let (store, side) = (self.identity.store().clone(), self.side);
        let begun = self
            .current()
            // In a box: what is captured takes its space twice.
            .map(|Ready { snapshot, config }| {
                (Box::pin(begin(self.engine.clone(), config)), self.context(snapshot))
            });
        async move {
            let result = async {
                let (handshake, context) = begun?;
                let stream = handshake.await.map_err(in_words)?;
                let connection = context.admit(tls(&stream))?;
                Ok((stream, connection))
            }
            .await;
            count_failure(&result, &store, side);
            result
        }
    }

    /// What a new handshake is to use. Takes no lock.
    fn current(&self) -> io::Result<Ready<C>> {
        match &**self.configs.state.load() {
            State::Ready(ready) => {
                usable(&Ok(ready.snapshot.clone()), &**self.identity.store().clock())?;
                Ok(Ready { snapshot: ready.snapshot.clone(), config: ready.config.clone() })
            }
            State::Unavailable(why) => Err(why.clone().into()),
            State::Broken(why) => Err(io::Error::other(why.clone())),
        }
    }

    fn context(&self, snapshot: Arc<Snapshot>) -> Context {
        Context {
            snapshot,
            store: self.identity.store().clone(),
            authorizer: self.authorizer.clone(),
            live: self.live,
            algorithms: self.algorithms,
            side: self.side,
        }
    }
}

/// Makes the configuration of a generation.
type Build<C> = fn(&Arc<Snapshot>, &Authorizer, &TlsOptions) -> Result<C, rustls::Error>;

/// Builds a configuration when a generation is published, and keeps it ready for handshakes.
struct Configs<C> {
    build: Build<C>,
    authorizer: Authorizer,
    options: TlsOptions,
    state: ArcSwap<State<C>>,
}

enum State<C> {
    Ready(Ready<C>),
    Unavailable(Unavailable),
    /// The configuration could not be built.
    Broken(rustls::Error),
}

/// One generation, and the configuration that was built from it.
struct Ready<C> {
    snapshot: Arc<Snapshot>,
    config: Arc<C>,
}

impl<C: Send + Sync> Subscriber for Configs<C> {
    fn update(&self, published: &Published) {
        let state = match published {
            Ok(snapshot) => match (self.build)(snapshot, &self.authorizer, &self.options) {
                Ok(config) => State::Ready(Ready { snapshot: snapshot.clone(), config: Arc::new(config) }),
                Err(why) => {
                    let generation = snapshot.generation();
                    log::error!("no TLS configuration can be made of generation {generation}: {why}");
                    State::Broken(why)
                }
            },
            Err(why) => State::Unavailable(why.clone()),
        };
        self.state.store(Arc::new(state));
    }
}
