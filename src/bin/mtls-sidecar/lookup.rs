//! Looks names up, so that one that is slow holds no other up.
//!
//! The system's resolver is asked (`getaddrinfo`), which alone knows everything that the system is told:
//! `/etc/hosts`, search domains and `ndots` in `/etc/resolv.conf`, `nsswitch.conf`, and their changes. It
//! blocks; so each name has a thread, one at a time, however many connections wait for it, and its answer is
//! kept for a while, because the system tells no lifetime.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long an answer is taken as it is; Envoy asks as often.
const FRESH: Duration = Duration::from_secs(5);

/// How long no answer is asked for again.
const RETRY: Duration = Duration::from_secs(1);

/// How long an older answer waits for a fresh one.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an answer serves while there is no other.
const STALE: Duration = Duration::from_secs(3600);

type Addresses = Arc<[SocketAddr]>;
type Resolve = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// A name and what is known of it.
pub(crate) struct Name {
    host: String,
    /// The address that the host already is.
    literal: Option<Addresses>,
    resolve: Arc<Resolve>,
    known: watch::Sender<Known>,
}

#[derive(Default)]
struct Known {
    good: Option<(Addresses, Instant)>,
    failure: Option<(String, Instant)>,
    is_asked: bool,
}

impl Known {
    /// What need not be asked for.
    fn current(&self) -> Option<Result<Addresses, String>> {
        if let Some((addresses, at)) = &self.good
            && at.elapsed() < FRESH
        {
            return Some(Ok(addresses.clone()));
        }
        self.failure.as_ref().filter(|(_, at)| at.elapsed() < RETRY)?;
        Some(self.last())
    }

    fn stale(&self) -> Option<Addresses> {
        let (addresses, _) = self.good.as_ref().filter(|(_, at)| at.elapsed() < STALE)?;
        Some(addresses.clone())
    }

    /// What there is when nobody is asked any more.
    fn last(&self) -> Result<Addresses, String> {
        let why = || self.failure.as_ref().map_or_else(String::new, |(why, _)| why.clone());
        self.stale().ok_or_else(why)
    }
}

impl Name {
    /// A name that the system looks up.
    pub(crate) fn new(host: &str) -> Arc<Self> {
        Self::resolved_by(host, |host| Ok((host, 0).to_socket_addrs()?.collect()))
    }

    fn resolved_by(
        host: &str,
        resolve: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let literal = host.parse().ok().map(|address| [SocketAddr::new(address, 0)].into());
        Arc::new(Self {
            host: host.to_owned(),
            literal,
            resolve: Arc::new(resolve),
            known: watch::Sender::default(),
        })
    }

    /// Its addresses, with port 0, in the system's order.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) async fn addresses(self: &Arc<Self>) -> Result<Addresses, String> {
        if let Some(literal) = &self.literal {
            return Ok(literal.clone());
        }
        let mut changes = self.known.subscribe();
        if let Some(current) = changes.borrow().current() {
            return current;
        }
        let stale = changes.borrow().stale();
        self.ask();
        let answered = async {
            let known = changes.wait_for(|known| !known.is_asked).await;
            known.map_or_else(|e| Err(e.to_string()), |known| known.last())
        };
        match stale {
            Some(stale) => timeout(PATIENCE, answered).await.unwrap_or(Ok(stale)),
            None => answered.await,
        }
    }

    /// Asks the system, unless it is being asked.
    fn ask(self: &Arc<Self>) {
        let is_first = self.known.send_if_modified(|known| !std::mem::replace(&mut known.is_asked, true));
        if !is_first {
            return;
        }
        let name = self.clone();
        let thread = std::thread::Builder::new().name("lookup".into());
        if let Err(e) = thread.spawn(move || name.tell((name.resolve)(&name.host))) {
            self.tell(Err(e));
        }
    }

    fn tell(&self, answer: io::Result<Vec<SocketAddr>>) {
        let answer = answer.map_err(|e| e.to_string()).and_then(|addresses| match addresses.is_empty() {
            true => Err("it has no address".to_owned()),
            false => Ok(addresses.into()),
        });
        self.known.send_modify(|known| {
            known.is_asked = false;
            match answer {
                Ok(addresses) => (known.good, known.failure) = (Some((addresses, Instant::now())), None),
                Err(why) => known.failure = Some((why, Instant::now())),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A name whose answers the test gives, and how often it was asked for.
    fn scripted() -> (Arc<Name>, Sender<io::Result<u16>>, Arc<AtomicUsize>) {
        let (answers, script): (_, Receiver<io::Result<u16>>) = channel();
        let (script, asked) = (Mutex::new(script), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        let name = Name::resolved_by("scripted.test", move |_| {
            count.fetch_add(1, Relaxed);
            let port = script.lock().unwrap().recv().unwrap()?;
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        });
        (name, answers, asked)
    }

    fn failure() -> io::Result<u16> {
        Err(io::Error::other("no server answers"))
    }

    #[tokio::test]
    async fn many_wait_for_one_answer_and_another_name_for_none_of_them() {
        let (slow, answers, asked) = scripted();
        let waiting: Vec<_> = (0..900)
            .map(|_| {
                let slow = slow.clone();
                tokio::spawn(async move { slow.addresses().await })
            })
            .collect();
        for quick in ["127.0.0.1", "localhost"] {
            assert!(Name::new(quick).addresses().await.unwrap()[0].ip().is_loopback());
        }
        answers.send(Ok(7)).unwrap();
        for task in waiting {
            assert_eq!(task.await.unwrap().unwrap()[0].port(), 7);
        }
        assert_eq!(asked.load(Relaxed), 1);
    }

    /// Makes everything that is known older.
    fn age(name: &Name, by: Duration) {
        name.known.send_modify(|known| {
            for at in
                known.good.iter_mut().map(|(_, at)| at).chain(known.failure.iter_mut().map(|(_, at)| at))
            {
                *at = at.checked_sub(by).expect("the machine runs for longer than the test's steps");
            }
        });
    }

    #[tokio::test]
    async fn an_answer_serves_while_there_is_no_other() {
        let (name, answers, asked) = scripted();
        let port = async || name.addresses().await.map(|addresses| addresses[0].port());
        answers.send(failure()).unwrap();
        assert_eq!(port().await, Err("no server answers".into()));
        assert_eq!(port().await, Err("no server answers".into()), "not asked for again at once");
        assert_eq!(asked.load(Relaxed), 1);
        age(&name, RETRY);
        answers.send(Ok(1)).unwrap();
        assert_eq!((port().await, port().await), (Ok(1), Ok(1)));
        assert_eq!(asked.load(Relaxed), 2);
        age(&name, FRESH);
        answers.send(failure()).unwrap();
        assert_eq!(port().await, Ok(1), "the server fails");
        age(&name, RETRY);
        assert_eq!(port().await, Ok(1), "the server does not answer for a while");
        answers.send(Ok(2)).unwrap();
        name.known.subscribe().wait_for(|known| !known.is_asked).await.unwrap();
        assert_eq!(port().await, Ok(2));
    }
}
