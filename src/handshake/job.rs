//! One future on an engine's thread: how it is polled, woken and told of.

use super::HandshakeError;
use super::asked::Asked;
use super::messages::Message;
use crossbeam_channel::Sender;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, OnceLock};
use std::task::Wake;
use tokio::runtime::Handle;

/// Tells whoever waits for a job what came of it.
pub(super) type Tell = Box<dyn FnOnce() + Send>;

/// A future, and how to tell its output: to be done when its fiber has ended.
pub(super) type Task = Pin<Box<dyn Future<Output = Tell> + Send>>;

/// A future for a thread.
pub(super) struct Job {
    pub(super) task: Task,
    pub(super) link: Arc<Link>,
    /// The runtime of the caller, in which every poll is made: it may want sockets, timers and tasks.
    pub(super) runtime: Option<Handle>,
}

/// What a job's caller, its wakers and its thread share.
#[derive(Debug)]
pub(super) struct Link {
    /// Unique in the engine.
    pub(super) number: u64,
    inbox: Sender<Message>,
    /// Whether the thread has taken the job up, or nobody will ask it to.
    has_begun: AtomicBool,
    /// Whether the thread has been told, and has not looked yet.
    is_woken: AtomicBool,
    pub(super) asked: Asked,
    /// Whether nobody waits for the job any more.
    pub(super) is_cancelled: AtomicBool,
    /// Why the job has ended without an output.
    pub(super) failure: OnceLock<HandshakeError>,
}

impl Link {
    pub(super) fn new(number: u64, inbox: Sender<Message>) -> Arc<Self> {
        Arc::new(Self {
            number,
            inbox,
            has_begun: AtomicBool::new(false),
            is_woken: AtomicBool::new(false),
            asked: Asked::default(),
            is_cancelled: AtomicBool::new(false),
            failure: OnceLock::new(),
        })
    }

    /// Whether this is the first call: the job begins, or never will.
    pub(super) fn begin(&self) -> bool {
        !self.has_begun.swap(true, AcqRel)
    }

    /// To be called before the job is polled: what wakes it from now on is told anew.
    pub(super) fn look(&self) {
        self.is_woken.swap(false, AcqRel);
    }
}

impl Wake for Link {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, AcqRel) {
            // A thread that has ended has nothing to poll.
            drop(self.inbox.send(Message::Poll(self.number)));
        }
    }
}
