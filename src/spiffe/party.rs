//! What an acceptor and a connector have in common: an identity whose generations become rustls
//! configurations, and the peers that it is for.

use super::connection::{Connection, Context, count_failure, in_words};
use super::sessions::{ConnectionSessions, Resumable, Sessions};
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
pub(super) struct Party<E, C: Resumable> {
    pub(super) engine: E,
    pub(super) identity: Identity,
    pub(super) authorizer: Authorizer,
    pub(super) live: LivePolicy,
    algorithms: WebPkiSupportedAlgorithms,
    configs: Arc<Configs<C>>,
}

impl<E, C: Resumable> Party<E, C> {
    /// A party whose configurations `build` makes, one of each generation.
    pub(super) fn new(
        engine: E,
        identity: &Identity,
        authorizer: Authorizer,
        options: TlsOptions,
        build: Build<C>,
    ) -> Self {
        let algorithms = options.provider.signature_verification_algorithms;
        let state = ArcSwap::from_pointee(State::Unavailable(Unavailable::NotYet));
        let configs = Arc::new(Configs { build, authorizer: authorizer.clone(), options, state });
        identity.store().subscribe(&configs);
        let (identity, live) = (identity.clone(), LivePolicy::keep());
        Self { engine, identity, authorizer, live, algorithms, configs }
    }

    /// The same with handshakes on another engine; both have one set of sessions.
    pub(super) fn on<F>(&self, engine: F) -> Party<F, C> {
        Party {
            engine,
            identity: self.identity.clone(),
            authorizer: self.authorizer.clone(),
            live: self.live,
            algorithms: self.algorithms,
            configs: self.configs.clone(),
        }
    }
}

impl<E: HandshakeEngine, C: Resumable> Party<E, C> {
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
        let store = self.identity.store().clone();
        let begun = self.current().map(|Ready { snapshot, config, sessions }| {
            let (sessions, config) = match sessions {
                Some(all) => {
                    let (sessions, config) = all.of_connection(&config, &store);
                    (Some(sessions), Arc::new(config))
                }
                None => (None, config),
            };
            // In a box: what is captured takes its space twice.
            (Box::pin(begin(self.engine.clone(), config)), self.context(snapshot, sessions))
        });
        async move {
            let result = async {
                let (handshake, context) = begun?;
                let stream = handshake.await.map_err(in_words)?;
                let connection = context.admit(tls(&stream))?;
                Ok((stream, connection))
            }
            .await;
            count_failure(&result, &store, C::SIDE);
            result
        }
    }

    /// What a new handshake is to use. Takes no lock.
    fn current(&self) -> io::Result<Ready<C>> {
        match &**self.configs.state.load() {
            State::Ready(ready) => {
                usable(&Ok(ready.snapshot.clone()), &**self.identity.store().clock())?;
                Ok(ready.clone())
            }
            State::Unavailable(why) => Err(why.clone().into()),
            State::Broken(why) => Err(io::Error::other(why.clone())),
        }
    }

    fn context(&self, snapshot: Arc<Snapshot>, sessions: Option<Arc<ConnectionSessions<C>>>) -> Context<C> {
        Context {
            snapshot,
            sessions,
            store: self.identity.store().clone(),
            authorizer: self.authorizer.clone(),
            live: self.live,
            algorithms: self.algorithms,
        }
    }
}

/// Makes the configuration of a generation.
type Build<C> = fn(&Arc<Snapshot>, &Authorizer, &TlsOptions) -> Result<C, rustls::Error>;

/// Builds a configuration when a generation is published, and keeps it ready for handshakes.
struct Configs<C: Resumable> {
    build: Build<C>,
    authorizer: Authorizer,
    options: TlsOptions,
    state: ArcSwap<State<C>>,
}

enum State<C: Resumable> {
    Ready(Ready<C>),
    Unavailable(Unavailable),
    /// The configuration could not be built.
    Broken(rustls::Error),
}

/// One generation, the configuration that was built from it, and its sessions, if they are resumed.
#[derive(Clone)]
struct Ready<C: Resumable> {
    snapshot: Arc<Snapshot>,
    config: Arc<C>,
    sessions: Option<Arc<Sessions<C>>>,
}

impl<C: Resumable> Configs<C> {
    fn ready(&self, snapshot: &Arc<Snapshot>) -> Result<Ready<C>, rustls::Error> {
        let config = Arc::new((self.build)(snapshot, &self.authorizer, &self.options)?);
        let sessions = match self.options.resumption {
            true => Sessions::new(snapshot, &self.authorizer),
            false => None,
        };
        Ok(Ready { snapshot: snapshot.clone(), config, sessions })
    }
}

impl<C: Resumable> Subscriber for Configs<C> {
    fn update(&self, published: &Published) {
        let state = match published {
            Ok(snapshot) => match self.ready(snapshot) {
                Ok(ready) => State::Ready(ready),
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
