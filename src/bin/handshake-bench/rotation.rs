//! Identities that rotate while handshakes are made: the embedded authority issues, both sides follow it in
//! memory.

use crate::cli::{KeyKind, RotateArgs};
use crate::placement::Placement;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls_multibuffer::handshake::LocalEngine;
use rustls_multibuffer::spiffe::authority::{self, Authority, AuthorityConfig};
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Connector, Identity, MemoryHandle, SpiffeId, TlsOptions, TrustDomain, memory_source,
};
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// SVIDs live at least this long. Old CAs stay in the bundles until then.
const LIFETIME: Duration = Duration::from_secs(20);

/// A new CA is in the bundles for at least this long before it issues: longer than a handshake takes, because
/// a handshake that began before keeps the bundle that it began with.
const ANNOUNCEMENT: Duration = Duration::from_millis(500);

/// The rotations so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rotated {
    /// Of both sides' SVIDs.
    pub(crate) svids: usize,
    /// Of the authority's CA, among them.
    pub(crate) cas: usize,
}

impl Rotated {
    /// Those since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { svids: self.svids - earlier.svids, cas: self.cas - earlier.cas }
    }
}

#[derive(Default)]
struct Counts {
    svids: AtomicUsize,
    cas: AtomicUsize,
}

/// Who both sides are.
#[derive(Clone)]
struct Identities {
    server: Identity,
    client: Identity,
    /// A client of another authority for the same trust domain.
    untrusted: Identity,
}

/// A thread that rotates; stops when dropped.
pub(crate) struct Rotation {
    identities: Identities,
    options: TlsOptions,
    counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Rotation {
    /// Starts to rotate identities with keys of this kind, used with this provider and version.
    pub(crate) fn start(
        key: KeyKind,
        args: RotateArgs,
        provider: CryptoProvider,
        versions: &'static [&'static SupportedProtocolVersion],
    ) -> std::result::Result<Self, String> {
        let key = key_kind(key)?;
        let counts = Arc::new(Counts::default());
        let (stop, stopped) = oneshot::channel();
        let (sender, receiver) = mpsc::channel();
        let theirs = counts.clone();
        let thread = std::thread::Builder::new().name("rotation".to_owned()).spawn(move || {
            Placement::new(1, false).enter_client(0);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let world = World::new(key, args).await?;
                sender.send(world.identities.clone())?;
                tokio::select! {
                    _ = stopped => Ok(()),
                    end = world.rotate(args, &theirs) => end,
                }
            })
        });
        let thread = thread.map_err(|e| e.to_string())?;
        let options = TlsOptions::default().provider(Arc::new(provider)).versions(versions);
        match receiver.recv() {
            Ok(identities) => {
                Ok(Self { identities, options, counts, stop: Some(stop), thread: Some(thread) })
            }
            Err(_) => Err(format!("cannot issue identities: {:?}", thread.join())),
        }
    }

    /// The server's side.
    pub(crate) fn acceptor(&self, engine: LocalEngine) -> Acceptor<LocalEngine> {
        Acceptor::with_tls(engine, &self.identities.server, exactly("client"), self.options.clone())
    }

    /// The client's side, which the server trusts or not.
    pub(crate) fn connector(&self, engine: LocalEngine, is_trusted: bool) -> Connector<LocalEngine> {
        let Identities { client, untrusted, .. } = &self.identities;
        let identity = if is_trusted { client } else { untrusted };
        Connector::with_tls(engine, identity, exactly("server"), self.options.clone())
    }

    /// What was rotated so far.
    ///
    /// # Errors
    /// Why it has ended.
    pub(crate) fn rotated(&self) -> std::result::Result<Rotated, String> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err("the rotation has ended: an update was refused".to_owned());
        }
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Ok(Rotated { svids: count(&self.counts.svids), cas: count(&self.counts.cas) })
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(why))) => eprintln!("handshake-bench: rotation: {why}"),
            Some(Err(_)) => eprintln!("handshake-bench: the rotating thread has panicked"),
            _ => {}
        }
    }
}

/// The authority's kind of key, if it has that one.
pub(crate) fn key_kind(key: KeyKind) -> std::result::Result<authority::KeyKind, String> {
    match key {
        KeyKind::Rsa2048 => Ok(authority::KeyKind::Rsa2048),
        KeyKind::P256 => Ok(authority::KeyKind::P256),
        KeyKind::P384 => Ok(authority::KeyKind::P384),
        KeyKind::Ed25519 => Ok(authority::KeyKind::Ed25519),
        KeyKind::Rsa3072 | KeyKind::Rsa4096 => {
            Err("--rotate is for keys that SPIFFE authorities issue: rsa2048, p256, p384, ed25519".to_owned())
        }
    }
}

fn domain() -> TrustDomain {
    TrustDomain::new("bench.example").expect("the name is constant")
}

fn id(name: &str) -> SpiffeId {
    SpiffeId::new(format!("spiffe://bench.example/ns/bench/sa/{name}")).expect("the name is constant")
}

fn exactly(name: &str) -> Authorizer {
    Authorizer::exactly(id(name))
}

/// What the rotating thread works on.
struct World {
    authority: Authority,
    identities: Identities,
    handles: [(SpiffeId, MemoryHandle); 2],
    /// Who issues to the client that is not trusted.
    other: Authority,
    untrusted: MemoryHandle,
}

impl World {
    async fn new(key: authority::KeyKind, args: RotateArgs) -> Result<Self> {
        let lifetime = LIFETIME.max(40 * args.interval());
        let config = AuthorityConfig::new(domain()).key_kind(key).ca_key_kind(key).svid_lifetime(lifetime);
        let (authority, other) = (Authority::start(config.clone())?, Authority::start(config)?);
        authority.allow(&id("server"))?;
        authority.allow(&id("client"))?;
        other.allow(&id("client"))?;
        let (sources, handles) = (0..3).map(|_| memory_source()).unzip::<_, _, Vec<_>, Vec<_>>();
        let [server, client, untrusted] =
            <[Identity; 3]>::try_from(sources.into_iter().map(Identity::start).collect::<Vec<_>>())
                .expect("there are three");
        let [server_handle, client_handle, untrusted_handle] =
            <[MemoryHandle; 3]>::try_from(handles).expect("there are three");
        let handles = [(id("server"), server_handle), (id("client"), client_handle)];
        let identities = Identities { server, client, untrusted };
        let world = Self { authority, other, identities, handles, untrusted: untrusted_handle };
        world.deliver().await?;
        Ok(world)
    }

    async fn rotate(&self, args: RotateArgs, counts: &Counts) -> Result<()> {
        let mut ticks = tokio::time::interval(args.interval());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut announced: Option<Instant> = None;
        for round in 1_u64.. {
            ticks.tick().await;
            if announced.is_some_and(|since| since.elapsed() >= ANNOUNCEMENT) {
                self.authority.use_announced_ca()?;
                announced = None;
                counts.cas.fetch_add(1, Ordering::Relaxed);
            } else {
                for (id, _) in &self.handles {
                    self.authority.rotate_svid(id)?;
                }
            }
            if announced.is_none() && args.rotate_ca.is_some_and(|every| round.is_multiple_of(every)) {
                self.authority.rotate_ca()?;
                announced = Some(Instant::now());
            }
            self.deliver().await?;
            counts.svids.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Tells everybody what the authority says.
    async fn deliver(&self) -> Result<()> {
        // This one trusts the server, so that it is the server that refuses.
        let mut material = self.other.material(&id("client")).ok_or("it is entitled")?;
        material.bundles.entry(domain()).or_default().roots.extend(self.authority.bundle());
        self.untrusted.offer(material).await?;
        for (id, handle) in &self.handles {
            handle.offer(self.authority.material(id).ok_or("it is entitled")?).await?;
        }
        Ok(())
    }
}
