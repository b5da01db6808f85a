//! Handshake timeouts of an engine thread.
//!
//! All handshakes of an engine have the same time, so they expire in the order in which they began: a plain
//! queue, under the thread's own clock, independent of the caller's runtime.

use crate::fiber::contained;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The timers of one thread, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers(Mutex<VecDeque<Arc<Entry>>>);

#[derive(Debug)]
struct Entry {
    at: Instant,
    over: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes protect is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Timers {
    /// A timer that expires after `limit`, and whether it is the only one: then the thread may be asleep
    /// without a deadline. A `limit` that the clock cannot express gives no timer.
    pub(super) fn start(&self, limit: Duration) -> Option<(Timer, bool)> {
        let mut queue = lock(&self.0);
        Self::drop_finished(&mut queue);
        // Taken under the lock: the queue is in order.
        let at = Instant::now().checked_add(limit)?;
        let entry = Arc::new(Entry { at, over: AtomicBool::new(false), waker: Mutex::new(None) });
        queue.push_back(entry.clone());
        Some((Timer(entry), queue.len() == 1))
    }

    /// Wakes the handshakes whose time is up at `now`; says when to call again.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut expired = Vec::new();
        let next = {
            let mut queue = lock(&self.0);
            while queue.front().is_some_and(|entry| entry.at <= now) {
                expired.extend(queue.pop_front());
            }
            Self::drop_finished(&mut queue);
            queue.front().map(|entry| entry.at)
        };
        for waker in expired.iter().filter_map(|entry| lock(&entry.waker).take()) {
            // One that panics keeps no other from being woken.
            let _woken = contained(|| waker.wake());
        }
        next
    }

    fn drop_finished(queue: &mut VecDeque<Arc<Entry>>) {
        while queue.front().is_some_and(|entry| entry.over.load(Relaxed)) {
            queue.pop_front();
        }
    }
}

/// Ready when its time is up.
#[derive(Debug)]
pub(super) struct Timer(Arc<Entry>);

impl Future for &Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waker = lock(&self.0.waker);
        if self.0.at <= Instant::now() {
            return Poll::Ready(());
        }
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.over.store(true, Relaxed);
        lock(&self.0.waker).take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn wakes_in_order_and_forgets_what_is_over() {
        let (timers, count) = (Timers::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let (first, alone) = timers.start(Duration::from_secs(5)).unwrap();
        let (second, second_alone) = timers.start(Duration::from_secs(6)).unwrap();
        assert!(alone && !second_alone);
        for timer in [&first, &second] {
            assert!(pin!(timer).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let (at, later) = (first.0.at, second.0.at);
        assert_eq!(timers.expire(at - Duration::from_millis(1)), Some(at));
        assert_eq!(count.0.load(Relaxed), 0);
        assert_eq!(timers.expire(at), Some(later));
        assert_eq!(count.0.load(Relaxed), 1);
        drop(second);
        assert_eq!(timers.expire(at), None, "what is over is no deadline");
        let (_, alone) = timers.start(Duration::from_secs(7)).unwrap();
        assert!(alone);
    }

    #[test]
    fn is_ready_when_its_time_is_up() {
        let timers = Timers::default();
        let (timer, _) = timers.start(Duration::ZERO).unwrap();
        assert!(pin!(&timer).poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(timers.start(Duration::MAX).is_none(), "beyond the clock: no limit");
    }
}
