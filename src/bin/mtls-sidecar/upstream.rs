//! Connecting to a target, whichever of its addresses answers (RFC 8305).
//!
//! Attempts begin one after the other, a quarter of a second apart, with families in turn; the first that
//! succeeds is taken. Addresses that had failed, or not answered before a later one did, are tried last for a
//! while. Within a family the connections begin with one address after the other, as Envoy's do.

use crate::config::Target;
use crate::lookup::Name;
use crate::metric::Ended;
use crate::stream::Plain;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// How long an attempt is alone before the next begins (RFC 8305, section 8).
const STAGGER: Duration = Duration::from_millis(250);

/// How long an address that did not answer is tried last.
const SHUNNED: Duration = Duration::from_secs(30);

/// A listener's target.
pub(crate) struct Upstream {
    target: Target,
    name: Option<Arc<Name>>,
    connections: AtomicUsize,
    shunned: Mutex<HashMap<SocketAddr, Instant>>,
}

/// Why there is no connection: a metric label, and what there is to say beside.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Ended, pub(crate) String);

impl Upstream {
    /// `names` are those of other listeners, so that each is looked up once.
    pub(crate) fn new(target: &Target, names: &mut HashMap<String, Arc<Name>>) -> Self {
        let name = match target {
            Target::Tcp { host, .. } => {
                Some(names.entry(host.clone()).or_insert_with(|| Name::new(host)).clone())
            }
            Target::Unix(_) => None,
        };
        Self { target: target.clone(), name, connections: AtomicUsize::new(0), shunned: Mutex::default() }
    }

    /// A connection to the target, within `limit`.
    ///
    /// # Errors
    /// Why there is none, with the addresses that were tried.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<Plain, Failure> {
        let deadline = Instant::now() + limit;
        match (&self.target, &self.name) {
            (Target::Tcp { host, port }, Some(name)) => {
                let stream = self.connect_tcp(name, host, *port, limit, deadline).await?;
                stream.set_nodelay(true).map_err(|e| Failure(Ended::CONNECT_FAILED, e.to_string()))?;
                Ok(Plain::Tcp(stream))
            }
            (target, _) => {
                let Target::Unix(path) = target else { unreachable!("every host has a name") };
                let connected = timeout_at(deadline, UnixStream::connect(path)).await;
                let late =
                    |_| Failure(Ended::CONNECT_TIMED_OUT, format!("{target}: no answer within {limit:?}"));
                connected.map_err(late)?.map(Plain::Unix).map_err(|e| {
                    let is_refused = e.kind() == io::ErrorKind::ConnectionRefused;
                    Failure(
                        if is_refused { Ended::CONNECT_REFUSED } else { Ended::CONNECT_FAILED },
                        format!("{target}: {e}"),
                    )
                })
            }
        }
    }

    async fn connect_tcp(
        &self,
        name: &Arc<Name>,
        host: &str,
        port: u16,
        limit: Duration,
        deadline: Instant,
    ) -> Result<TcpStream, Failure> {
        let found = timeout_at(deadline, name.addresses()).await;
        let late = |_| {
            Failure(Ended::LOOKUP_TIMED_OUT, format!("{host}: no answer from the resolver within {limit:?}"))
        };
        let found =
            found.map_err(late)?.map_err(|why| Failure(Ended::LOOKUP_FAILED, format!("{host}: {why}")))?;
        let addresses =
            self.in_order(found.iter().map(|address| SocketAddr::new(address.ip(), port)).collect());
        // One of several has only a part of the time: what hangs does not hang on for all of it.
        let each = if addresses.len() > 1 { limit / 2 } else { limit };
        let mut race =
            Race { upstream: self, each, running: JoinSet::new(), begun: Vec::new(), failures: Vec::new() };
        match timeout_at(deadline, race.run(addresses)).await {
            Ok(Some(stream)) => Ok(stream),
            Ok(None) | Err(_) => Err(race.failure(limit)),
        }
    }

    /// The order in which addresses are tried.
    fn in_order(&self, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let turn = self.connections.fetch_add(1, Relaxed);
        let is_first_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
        let (mut first, mut second): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|address| address.is_ipv4() == is_first_v4);
        for family in [&mut first, &mut second] {
            let n = family.len().max(1);
            family.rotate_left(turn % n);
        }
        let mut in_turn = Vec::with_capacity(first.len() + second.len());
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        loop {
            let pair = [first.next(), second.next()];
            if pair == [None; 2] {
                break;
            }
            in_turn.extend(pair.into_iter().flatten());
        }
        let shunned = self.shunned();
        let (last, mut all): (Vec<_>, Vec<_>) = in_turn
            .into_iter()
            .partition(|address| shunned.get(address).is_some_and(|since| since.elapsed() < SHUNNED));
        all.extend(last);
        all
    }

    fn shunned(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        self.shunned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shun(&self, address: SocketAddr) {
        let mut shunned = self.shunned();
        shunned.retain(|_, since| since.elapsed() < SHUNNED);
        shunned.insert(address, Instant::now());
    }
}

/// The attempts of one connection. Dropped, they end.
struct Race<'a> {
    upstream: &'a Upstream,
    each: Duration,
    running: JoinSet<(SocketAddr, io::Result<TcpStream>)>,
    /// Those without an answer, the oldest first.
    begun: Vec<SocketAddr>,
    failures: Vec<(SocketAddr, io::Error)>,
}

impl Race<'_> {
    async fn run(&mut self, addresses: Vec<SocketAddr>) -> Option<TcpStream> {
        let mut addresses = addresses.into_iter();
        let mut next = Instant::now();
        while addresses.len() > 0 || !self.begun.is_empty() {
            tokio::select! {
                biased;
                Some(Ok((address, result))) = self.running.join_next() => match result {
                    Ok(stream) => return Some(self.won(address, stream)),
                    Err(e) => {
                        self.begun.retain(|begun| *begun != address);
                        self.upstream.shun(address);
                        self.failures.push((address, e));
                        next = Instant::now();
                    }
                },
                () = sleep_until(next), if addresses.len() > 0 => {
                    next = Instant::now() + STAGGER;
                    addresses.next().into_iter().for_each(|address| self.begin(address));
                }
                else => break,
            }
        }
        None
    }

    fn begin(&mut self, address: SocketAddr) {
        let each = self.each;
        self.begun.push(address);
        self.running.spawn(async move {
            let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {each:?}"));
            let result = timeout(each, TcpStream::connect(address)).await;
            (address, result.unwrap_or_else(|_| Err(late())))
        });
    }

    /// Notes who was slower, though it began before.
    fn won(&self, address: SocketAddr, stream: TcpStream) -> TcpStream {
        self.upstream.shunned().remove(&address);
        for slower in self.begun.iter().take_while(|begun| **begun != address) {
            self.upstream.shun(*slower);
        }
        stream
    }

    fn failure(self, limit: Duration) -> Failure {
        let is_late = !self.begun.is_empty();
        let is_all = |kind| !is_late && self.failures.iter().all(|(_, e)| e.kind() == kind);
        let ended = match () {
            () if is_all(io::ErrorKind::ConnectionRefused) => Ended::CONNECT_REFUSED,
            () if is_late || is_all(io::ErrorKind::TimedOut) => Ended::CONNECT_TIMED_OUT,
            () => Ended::CONNECT_FAILED,
        };
        self.begun.iter().for_each(|address| self.upstream.shun(*address));
        let failed = self.failures.iter().map(|(address, e)| format!("{address}: {e}"));
        let late = self.begun.iter().map(|address| format!("{address}: no answer within {limit:?}"));
        Failure(ended, failed.chain(late).collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::TcpListener;

    fn upstream(target: &str) -> Upstream {
        Upstream::new(&target.parse().unwrap(), &mut HashMap::new())
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_shunned_are_last() {
        let upstream = upstream("several.test:1");
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"]);
        let order = || upstream.in_order(found.clone());
        assert_eq!(order(), addresses(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"]));
        assert_eq!(order(), addresses(&["[::2]:1", "127.0.0.1:1", "[::3]:1", "[::1]:1"]));
        upstream.shun(found[2]);
        upstream.shun(found[3]);
        assert_eq!(order(), addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"]));
        upstream.shunned().clear();
        assert_eq!(order(), addresses(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"]));
    }

    /// An address that answers nothing, because its queue is full, as long as these sockets are open.
    fn silent() -> (SocketAddr, Vec<Socket>) {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listening = socket();
        listening.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listening.listen(0).unwrap();
        let address = listening.local_addr().unwrap();
        let mut open = vec![listening];
        for _ in 0..8 {
            let filling = socket();
            filling.set_nonblocking(true).unwrap();
            // It is under way, or waits for ever.
            let _ = filling.connect(&address);
            open.push(filling);
        }
        (address.as_socket().unwrap(), open)
    }

    fn race(upstream: &Upstream) -> Race<'_> {
        let each = Duration::from_secs(60);
        Race { upstream, each, running: JoinSet::new(), begun: Vec::new(), failures: Vec::new() }
    }

    #[tokio::test]
    async fn a_dead_address_holds_nobody_up_and_is_tried_last_from_then_on() {
        let (dead, _open) = silent();
        let alive = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = alive.local_addr().unwrap();
        let upstream = upstream("several.test:1");
        let stream = race(&upstream).run(vec![dead, address]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert_eq!(upstream.in_order(vec![dead, address]), [address, dead]);
    }

    #[tokio::test]
    async fn failures_name_every_address() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (dead, _open) = silent();
        let upstream = upstream("several.test:1");
        let mut refused = race(&upstream);
        assert!(refused.run(vec![gone]).await.is_none());
        let Failure(ended, detail) = refused.failure(Duration::from_secs(1));
        assert!(ended == Ended::CONNECT_REFUSED && detail.starts_with(&gone.to_string()), "{detail}");
        let mut late = race(&upstream);
        assert!(timeout(Duration::from_secs(1), late.run(vec![dead, gone])).await.is_err());
        let Failure(ended, detail) = late.failure(Duration::from_secs(1));
        assert!(
            ended == Ended::CONNECT_TIMED_OUT && detail.contains(&format!("{dead}: no answer")),
            "{detail}"
        );
        assert!(detail.contains(&gone.to_string()), "{detail}");
    }

    #[tokio::test]
    async fn what_cannot_be_looked_up_is_named() {
        let failure = upstream("nowhere.invalid:1").connect(Duration::from_secs(60)).await.unwrap_err();
        assert!(
            failure.0 == Ended::LOOKUP_FAILED && failure.1.starts_with("nowhere.invalid: "),
            "{failure:?}"
        );
    }
}
