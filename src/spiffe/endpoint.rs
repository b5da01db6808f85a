//! A configuration that follows the generations of an identity.

use super::identity::Identity;
use super::snapshot::Snapshot;
use super::store::{Follower, Published, usable};
use super::unavailable::Unavailable;
use arc_swap::ArcSwap;
use std::io;
use std::sync::Arc;

type Build<C> = dyn Fn(&Arc<Snapshot>) -> Result<C, rustls::Error> + Send + Sync;

/// One generation, and the configuration that was built from it.
pub(super) struct Ready<C> {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) config: Arc<C>,
}

impl<C> Clone for Ready<C> {
    fn clone(&self) -> Self {
        Self { snapshot: self.snapshot.clone(), config: self.config.clone() }
    }
}

enum State<C> {
    Ready(Ready<C>),
    Unavailable(Unavailable),
    /// The configuration could not be built.
    Broken(rustls::Error),
}

/// Builds a configuration when a generation is published, and keeps it ready for handshakes.
pub(super) struct Endpoint<C> {
    identity: Identity,
    following: Arc<Following<C>>,
}

impl<C> Clone for Endpoint<C> {
    fn clone(&self) -> Self {
        Self { identity: self.identity.clone(), following: self.following.clone() }
    }
}

struct Following<C> {
    build: Box<Build<C>>,
    state: ArcSwap<State<C>>,
}

impl<C: Send + Sync + 'static> Endpoint<C> {
    pub(super) fn new(
        identity: &Identity,
        build: impl Fn(&Arc<Snapshot>) -> Result<C, rustls::Error> + Send + Sync + 'static,
    ) -> Self {
        let state = ArcSwap::from_pointee(State::Unavailable(Unavailable::NotYet));
        let following = Arc::new(Following { build: Box::new(build), state });
        identity.store().follow(&following);
        Self { identity: identity.clone(), following }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What a new handshake is to use. Takes no lock.
    pub(super) fn current(&self) -> io::Result<Ready<C>> {
        match &**self.following.state.load() {
            State::Ready(ready) => {
                usable_still(&ready.snapshot, &self.identity)?;
                Ok(ready.clone())
            }
            State::Unavailable(why) => Err(why.clone().into()),
            State::Broken(why) => Err(io::Error::other(why.clone())),
        }
    }
}

fn usable_still(snapshot: &Arc<Snapshot>, identity: &Identity) -> Result<(), Unavailable> {
    usable(&Ok(snapshot.clone()), &**identity.store().clock()).map(drop)
}

impl<C: Send + Sync> Follower for Following<C> {
    fn follow(&self, published: &Published) {
        let state = match published {
            Ok(snapshot) => match (self.build)(snapshot) {
                Ok(config) => State::Ready(Ready { snapshot: snapshot.clone(), config: Arc::new(config) }),
                Err(why) => {
                    log::error!(
                        "no TLS configuration can be made of generation {}: {why}",
                        snapshot.generation()
                    );
                    State::Broken(why)
                }
            },
            Err(why) => State::Unavailable(why.clone()),
        };
        self.state.store(Arc::new(state));
    }
}
