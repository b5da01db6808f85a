//! Sessions that are resumed (RFC 8446 §2.2) without a promise being broken.
//!
//! At a resumption the peer shows no certificate, and rustls calls no verifier. So a session is remembered
//! together with what its full handshake found out, the [`Grant`], and rustls gets it only while all of that
//! holds. What rustls does not get is a full handshake: nothing fails for the want of a session.
//!
//! 1. One generation of an acceptor or a connector has its own [`Sessions`]. They are dropped with the
//!    generation, and their secrets wiped, so that a session never meets other bundles, another SVID of ours,
//!    other settings or another listener.
//! 2. rustls does not tell a store whose session it is about. So each connection has a configuration of its
//!    own, with [`ConnectionSessions`] as the store. Until the peer is admitted, they keep what rustls wants
//!    remembered to themselves.
//! 3. A session is taken out before anybody asks whether it holds: none serves twice.
//!
//! The server's tickets are random names for what is kept here, with nothing in them. There are no ticket
//! keys, which would open every session that was ever sealed with them, and would have to be rotated, shared
//! and wiped. In return a process that was started anew, and another replica, know none of them.
//!
//! Only sessions of TLS 1.3 are remembered, where each resumption exchanges new keys (psk_dhe_ke): in TLS 1.2
//! the session's secret would open everything that was ever said in it.

use super::authorizer::Authorizer;
use super::fields::first_end;
use super::side::Side;
use super::snapshot::Snapshot;
use super::store::Store;
use ::spiffe::SpiffeId;
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls12Resumption, Tls13ClientSessionValue,
};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::StoresServerSessions;
use rustls::{ClientConfig, NamedGroup, ServerConfig};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use zeroize::Zeroizing;

/// How many sessions a generation remembers; the oldest makes room.
const SESSIONS: usize = 4096;

/// How many of them have one key: a server may send a client as many tickets as it likes.
const PER_KEY: usize = 8;

/// How long after its full handshake a session may be resumed, over and over: what rustls tells clients of a
/// ticket's life.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How many tickets a server issues with a handshake. Each connection that is resumed brings the next
/// (RFC 8446 §C.4).
const TICKETS: usize = 1;

/// A configuration whose connections may be resumed.
pub(super) trait Resumable: Clone + Send + Sync + 'static {
    /// Which side it is for.
    const SIDE: Side;

    /// What a session is found by.
    type Key: Clone + Eq + Hash + Send;

    /// What rustls wants remembered.
    type Secret: Send;

    /// Makes this its store.
    fn store_in(&mut self, sessions: Arc<ConnectionSessions<Self>>);
}

impl Resumable for ServerConfig {
    const SIDE: Side = Side::Server;

    type Key = Vec<u8>;

    type Secret = Zeroizing<Vec<u8>>;

    fn store_in(&mut self, sessions: Arc<ConnectionSessions<Self>>) {
        self.session_storage = sessions;
        self.send_tls13_tickets = TICKETS;
    }
}

impl Resumable for ClientConfig {
    const SIDE: Side = Side::Client;

    type Key = ServerName<'static>;

    type Secret = Tls13ClientSessionValue;

    fn store_in(&mut self, sessions: Arc<ConnectionSessions<Self>>) {
        self.resumption = Resumption::store(sessions).tls12_resumption(Tls12Resumption::Disabled);
    }
}

/// What a full handshake found out, and every resumption of its session stands on.
#[derive(Clone)]
struct Grant {
    peer: SpiffeId,
    /// When that was.
    from: UnixTime,
    /// The end of the first certificate that ends, or of a revocation list, or of the longest time.
    until: UnixTime,
}

struct Session<C: Resumable> {
    secret: C::Secret,
    grant: Grant,
}

/// Why a session is not resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotResumed {
    /// It is not remembered: it was resumed before or made room for another, or it is of another generation,
    /// of another listener or of another process.
    Unknown,
    /// The generation that the handshake began with is not the current one any more.
    Superseded,
    /// A certificate of the peer's chain or of ours has ended, or the session is too old.
    Ended,
    /// The authorizer does not let the peer in any more.
    NotAuthorized,
}

impl NotResumed {
    pub(super) const ALL: [Self; 4] = [Self::Unknown, Self::Superseded, Self::Ended, Self::NotAuthorized];

    /// The label of metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Superseded => "superseded",
            Self::Ended => "ended",
            Self::NotAuthorized => "not_authorized",
        }
    }
}

/// The sessions of one generation of an acceptor or a connector.
pub(super) struct Sessions<C: Resumable> {
    snapshot: Arc<Snapshot>,
    authorizer: Authorizer,
    /// The end of the first certificate of our own chain that ends.
    own_end: UnixTime,
    remembered: Mutex<Remembered<C>>,
}

impl<C: Resumable> Sessions<C> {
    /// Those of `snapshot`; none if a certificate of our own chain cannot be read.
    pub(super) fn new(snapshot: &Arc<Snapshot>, authorizer: &Authorizer) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            own_end: first_end(snapshot.chain())?,
            snapshot: snapshot.clone(),
            authorizer: authorizer.clone(),
            remembered: Mutex::new(Remembered::default()),
        }))
    }

    /// A connection's access to them, and its configuration.
    pub(super) fn of_connection(
        self: &Arc<Self>,
        config: &C,
        store: &Arc<Store>,
    ) -> (Arc<ConnectionSessions<C>>, C) {
        let (sessions, store) = (Arc::downgrade(self), store.clone());
        let sessions = Arc::new(ConnectionSessions { sessions, store, stage: Mutex::default() });
        let mut config = config.clone();
        config.store_in(sessions.clone());
        (sessions, config)
    }

    /// Takes a session out, and lets go of it if it does not hold any more.
    fn take(&self, key: &C::Key) -> Result<Session<C>, NotResumed> {
        let session = lock(&self.remembered).take(key).ok_or(NotResumed::Unknown)?;
        let Grant { peer, from, until } = &session.grant;
        let holds = |now| *from <= now && now <= *until.min(&self.own_end);
        if !self.snapshot.time().is_some_and(holds) {
            return Err(NotResumed::Ended);
        }
        if !self.authorizer.permits(peer) {
            return Err(NotResumed::NotAuthorized);
        }
        Ok(session)
    }

    fn insert(&self, key: C::Key, session: Session<C>) {
        if let Some(now) = self.snapshot.time() {
            lock(&self.remembered).insert(key, session, now);
        }
    }
}

/// Sessions by their keys, and by their age.
struct Remembered<C: Resumable> {
    /// By number, in the order in which they came.
    sessions: BTreeMap<u64, (C::Key, Session<C>)>,
    /// The numbers of each key, in the same order.
    numbers: HashMap<C::Key, Vec<u64>>,
    next: u64,
}

impl<C: Resumable> Default for Remembered<C> {
    fn default() -> Self {
        Self { sessions: BTreeMap::new(), numbers: HashMap::new(), next: 0 }
    }
}

impl<C: Resumable> Remembered<C> {
    fn insert(&mut self, key: C::Key, session: Session<C>, now: UnixTime) {
        let numbers = self.numbers.entry(key.clone()).or_default();
        numbers.push(self.next);
        if numbers.len() > PER_KEY {
            self.sessions.remove(&numbers.remove(0));
        }
        self.sessions.insert(self.next, (key, session));
        self.next += 1;
        while self.is_oldest_in_the_way(now) {
            self.forget_oldest();
        }
    }

    /// Nobody will ask for a session that has ended.
    fn is_oldest_in_the_way(&self, now: UnixTime) -> bool {
        let oldest = self.sessions.first_key_value();
        oldest.is_some_and(|(_, (_, session))| session.grant.until < now || self.sessions.len() > SESSIONS)
    }

    fn forget_oldest(&mut self) {
        let Some((number, (key, _))) = self.sessions.pop_first() else { return };
        let Some(numbers) = self.numbers.get_mut(&key) else { return };
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            self.numbers.remove(&key);
        }
    }

    /// Takes the newest session of a key.
    fn take(&mut self, key: &C::Key) -> Option<Session<C>> {
        let numbers = self.numbers.get_mut(key)?;
        let newest = numbers.pop();
        if numbers.is_empty() {
            self.numbers.remove(key);
        }
        self.sessions.remove(&newest?).map(|(_, session)| session)
    }
}

/// One connection's store: it sees to it that what is remembered is this connection's peer's.
pub(super) struct ConnectionSessions<C: Resumable> {
    /// Gone with their generation, however long the connection lives.
    sessions: Weak<Sessions<C>>,
    store: Arc<Store>,
    stage: Mutex<Stage<C>>,
}

/// How far a connection has come.
enum Stage<C: Resumable> {
    /// The handshake is not complete.
    Arriving {
        /// Of the session that rustls got last, which is the one that is resumed if one is.
        taken: Option<Grant>,
        /// What rustls wants remembered already.
        early: Vec<(C::Key, C::Secret)>,
    },
    /// The peer was let in; without a grant nothing is remembered.
    Admitted(Option<Grant>),
}

impl<C: Resumable> Default for Stage<C> {
    fn default() -> Self {
        Self::Arriving { taken: None, early: Vec::new() }
    }
}

impl<C: Resumable> ConnectionSessions<C> {
    /// The peer of a full handshake was let in; `until` its chain is known to verify.
    pub(super) fn admit(&self, peer: &SpiffeId, now: UnixTime, until: Option<UnixTime>) {
        let longest = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + LONGEST);
        self.admit_with(|_| Some(Grant { peer: peer.clone(), from: now, until: until?.min(longest) }));
    }

    /// The peer of a resumed session was let in.
    pub(super) fn admit_again(&self) {
        self.store.metrics().resumed(C::SIDE);
        self.admit_with(|taken| taken);
    }

    fn admit_with(&self, grant: impl FnOnce(Option<Grant>) -> Option<Grant>) {
        let early = {
            let mut stage = lock(&self.stage);
            let Stage::Arriving { taken, early } = &mut *stage else { return };
            let (taken, early) = (taken.take(), std::mem::take(early));
            *stage = Stage::Admitted(grant(taken));
            early
        };
        for (key, secret) in early {
            self.put(key, secret);
        }
    }

    /// Remembers a session of this connection; false: it does not.
    fn put(&self, key: C::Key, secret: C::Secret) -> bool {
        let Some(sessions) = self.sessions.upgrade() else { return false };
        let grant = match &mut *lock(&self.stage) {
            Stage::Arriving { early, .. } => {
                let has_room = early.len() < PER_KEY;
                if has_room {
                    early.push((key, secret));
                }
                return has_room;
            }
            Stage::Admitted(grant) => grant.clone(),
        };
        let Some(grant) = grant else { return false };
        sessions.insert(key, Session { secret, grant });
        true
    }

    fn take(&self, key: &C::Key) -> Result<C::Secret, NotResumed> {
        let sessions = self.sessions.upgrade().ok_or(NotResumed::Superseded)?;
        let session = sessions.take(key)?;
        if let Stage::Arriving { taken, .. } = &mut *lock(&self.stage) {
            *taken = Some(session.grant);
        }
        Ok(session.secret)
    }

    fn count(&self, why: NotResumed) {
        self.store.metrics().not_resumed(C::SIDE, why);
    }
}

impl StoresServerSessions for ConnectionSessions<ServerConfig> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.put(key, Zeroizing::new(value))
    }

    /// For TLS 1.2 alone.
    fn get(&self, _key: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let secret = self.take(&key.to_vec()).inspect_err(|why| self.count(*why));
        secret.ok().map(|mut secret| std::mem::take(&mut *secret))
    }

    /// For TLS 1.2 alone.
    fn can_cache(&self) -> bool {
        false
    }
}

impl ClientSessionStore for ConnectionSessions<ClientConfig> {
    fn set_kx_hint(&self, _name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.put(name, value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        match self.take(name) {
            Ok(value) => Some(value),
            // There is nothing to resume.
            Err(NotResumed::Unknown) => None,
            Err(why) => {
                self.count(why);
                None
            }
        }
    }
}

impl<C: Resumable> fmt::Debug for ConnectionSessions<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionSessions").finish_non_exhaustive()
    }
}

/// No change is left half done by a panic: nothing in it panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `keys` are found after sessions with these keys and ends were remembered, one after the
    /// other, at the time 100.
    fn left(sessions: impl IntoIterator<Item = (u32, u64)>, keys: std::ops::Range<u32>) -> Vec<u32> {
        let mut remembered = Remembered::<ServerConfig>::default();
        for (key, until) in sessions {
            remembered.insert(bytes(key), session(key, until), time(100));
        }
        let found: Vec<_> = keys.filter(|key| remembered.take(&bytes(*key)).is_some()).collect();
        assert!(found.iter().all(|key| remembered.take(&bytes(*key)).is_none()), "found twice");
        found
    }

    fn bytes(key: u32) -> Vec<u8> {
        key.to_be_bytes().to_vec()
    }

    fn time(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn session(secret: u32, until: u64) -> Session<ServerConfig> {
        let peer = SpiffeId::new("spiffe://home.test/client").unwrap();
        let grant = Grant { peer, from: time(0), until: time(until) };
        Session { secret: Zeroizing::new(bytes(secret)), grant }
    }

    #[test]
    fn the_oldest_makes_room() {
        let all = SESSIONS as u32 + 3;
        assert_eq!(left((0..all).map(|key| (key, 100)), 0..all), (3..all).collect::<Vec<_>>());
    }

    #[test]
    fn the_oldest_that_have_ended_are_forgotten() {
        assert_eq!(left([(0, 99), (1, 99), (2, 100), (3, 99)], 0..4), [2, 3]);
    }

    #[test]
    fn a_key_has_few_sessions_and_gives_the_newest_first() {
        let mut remembered = Remembered::<ServerConfig>::default();
        let many = PER_KEY as u32 + 5;
        for secret in 0..many {
            remembered.insert(bytes(7), session(secret, 100), time(100));
        }
        let taken: Vec<_> = std::iter::from_fn(|| remembered.take(&bytes(7))).collect();
        let secrets: Vec<_> = taken.iter().map(|session| session.secret.to_vec()).collect();
        assert_eq!(secrets, (5..many).rev().map(bytes).collect::<Vec<_>>());
        assert!(remembered.sessions.is_empty() && remembered.numbers.is_empty());
    }

    #[test]
    fn nothing_is_left_of_what_is_forgotten_or_taken() {
        let mut remembered = Remembered::<ServerConfig>::default();
        for key in 0..3 {
            remembered.insert(bytes(key), session(key, 100), time(100));
        }
        remembered.forget_oldest();
        assert!(remembered.take(&bytes(0)).is_none() && remembered.take(&bytes(1)).is_some());
        assert_eq!((remembered.sessions.len(), remembered.numbers.len()), (1, 1));
    }
}
