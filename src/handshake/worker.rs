//! One thread of an [`Engine`](super::Engine): polls futures on fibers, and runs batches.

use super::job::{Job, Link, Task, Tell};
use super::messages::{Message, Status};
use super::parked::{Awaiting, Parked, Step};
use super::seat::Seat;
use super::{Batcher, EngineConfig, HandshakeError};
use crate::batch::Load;
use crate::fiber::contained;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;
use tokio::runtime::Handle;

/// How many messages a thread takes, at most, before it looks at the timers. After a batch it looks at
/// once: batches take long.
const MESSAGES_PER_LOOK: u32 = 64;

/// What a poll on a fiber gives back.
type Polled = (Task, Poll<Tell>);

/// A job that has not ended.
struct Slot {
    state: State,
    link: Arc<Link>,
    runtime: Option<Handle>,
    /// Whether something happened that the job waits for, while it could not be polled.
    is_due: bool,
}

enum State {
    Pending(Task),
    /// A poll waits for its request's batch.
    Parked(Parked<u64, Polled>),
    /// A poll waits for a future.
    Awaits(Awaiting<u64, Polled>),
    /// A fiber runs, or a panic outside of any fiber has lost it.
    Running,
}

impl Slot {
    /// Runs what is the job's, in its caller's runtime.
    fn run<T>(&self, run: impl FnOnce() -> T) -> T {
        let _in_runtime = self.runtime.as_ref().map(Handle::enter);
        run()
    }

    fn set_failure(&self, why: HandshakeError) {
        // The first failure is the one that counts.
        let _other = self.link.failure.set(why);
    }
}

pub(super) struct Worker {
    inbox: Receiver<Message>,
    status: Arc<Status>,
    /// Tells where handshakes are best placed.
    seat: Seat,
    /// Names jobs by their number.
    batcher: Batcher<u64>,
    jobs: HashMap<u64, Slot>,
    /// Jobs to be polled that no fiber was free for, in order.
    backlog: VecDeque<u64>,
    draining: bool,
    /// Something panicked that does not run on a fiber, such as a waker or a logger.
    is_disturbed: bool,
}

impl Worker {
    pub(super) fn new(
        config: EngineConfig,
        inbox: Receiver<Message>,
        status: Arc<Status>,
        seat: Seat,
    ) -> Self {
        let batcher = Batcher::new(config);
        status.gauges.get_or_init(|| batcher.gauges().clone());
        let (jobs, backlog) = (HashMap::new(), VecDeque::new());
        Self { inbox, status, seat, batcher, jobs, backlog, draining: false, is_disturbed: false }
    }

    /// Serves until told to stop, or until nobody is left who could tell anything. No panic ends the thread
    /// before.
    pub(super) fn serve(mut self) {
        while let Err(panic) = contained(|| self.serve_undisturbed()) {
            self.is_disturbed = true;
            // It may be the logger that panics.
            let _told = contained(|| log::error!("a panic on an engine's thread: {panic}"));
        }
        let numbers: Vec<_> = self.jobs.keys().copied().collect();
        for number in numbers {
            let _ended = contained(|| self.end(number));
        }
        let _ended = contained(|| drop(self));
    }

    fn serve_undisturbed(&mut self) {
        if self.is_disturbed {
            self.recover();
        }
        self.publish();
        loop {
            if self.take_arrived().is_break() {
                return;
            }
            let next_timer = self.status.expire(Instant::now());
            // Nothing has arrived and every fiber is parked: the thread is idle.
            if self.run_batch(if self.draining { Load::Draining } else { Load::Idle }) {
                continue;
            }
            let wake_up = [next_timer, self.batcher.next_deadline()].into_iter().flatten().min();
            self.seat.sleep();
            let message = match wake_up {
                Some(at) => self.inbox.recv_deadline(at),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            self.seat.work(self.batcher.waiting());
            let flow = match message {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
                Err(RecvTimeoutError::Disconnected) => ControlFlow::Break(()),
            };
            if flow.is_break() {
                return;
            }
        }
    }

    /// Takes what has arrived, until there is nothing more. Under load that may never be, and timers expire
    /// nevertheless.
    fn take_arrived(&mut self) -> ControlFlow<()> {
        let mut since_timers = 0;
        while let Ok(message) = self.inbox.try_recv() {
            self.handle(message)?;
            since_timers += 1;
            while self.run_batch(Load::Busy) {
                since_timers = MESSAGES_PER_LOOK;
            }
            if since_timers >= MESSAGES_PER_LOOK {
                since_timers = 0;
                self.seat.work(self.batcher.waiting());
                self.status.expire(Instant::now());
            }
        }
        ControlFlow::Continue(())
    }

    fn handle(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Run(job) if job.link.is_cancelled.load(Relaxed) => {}
            Message::Run(Job { task, link, runtime }) => {
                let number = link.number;
                let slot = Slot { state: State::Pending(task), link, runtime, is_due: false };
                self.jobs.insert(number, slot);
                self.poll(number);
            }
            Message::Poll(number) => {
                if let Some(slot) = self.jobs.get(&number) {
                    slot.link.look();
                    self.poll(number);
                }
            }
            Message::Cancel(number) => {
                self.end(number);
                self.start_backlog();
            }
            Message::Timer => {}
            Message::Drain => self.draining = true,
            Message::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Polls a job, or what it waits for, as soon as that is possible.
    fn poll(&mut self, number: u64) {
        let Some(slot) = self.jobs.get_mut(&number) else { return };
        match std::mem::replace(&mut slot.state, State::Running) {
            State::Pending(task) if !self.batcher.has_room() => {
                slot.state = State::Pending(task);
                if !std::mem::replace(&mut slot.is_due, true) {
                    self.backlog.push_back(number);
                }
            }
            State::Pending(mut task) => {
                slot.is_due = false;
                if slot.link.begin() {
                    self.seat.begin();
                }
                let waker = Waker::from(slot.link.clone());
                let poll = move || {
                    let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
                    (task, poll)
                };
                let step = slot.run(|| self.batcher.poll(number, poll));
                self.advance(number, step);
            }
            State::Awaits(awaiting) => {
                // It may have been the poll's own business, too.
                slot.is_due = true;
                self.advance(number, Step::Awaits(awaiting));
                self.start_backlog();
            }
            state => {
                slot.state = state;
                slot.is_due = true;
            }
        }
    }

    /// Sees to what came of running a job's fiber.
    fn advance(&mut self, number: u64, mut step: Step<u64, Polled>) {
        loop {
            // Before anybody can know of it.
            self.publish();
            let Some(slot) = self.jobs.get_mut(&number) else { return };
            self.batcher.take_asked(&slot.link.asked);
            step = match step {
                Step::Done((task, Poll::Pending)) => {
                    slot.state = State::Pending(task);
                    if std::mem::take(&mut slot.is_due) {
                        // After whatever else has arrived.
                        slot.link.wake_by_ref();
                    }
                    return;
                }
                Step::Done((task, Poll::Ready(tell))) => {
                    slot.run(|| drop(task));
                    self.jobs.remove(&number);
                    return tell();
                }
                Step::Parked(parked) => {
                    slot.state = State::Parked(parked);
                    return;
                }
                Step::Awaits(mut awaiting) => {
                    let waker = Waker::from(slot.link.clone());
                    match slot.run(|| awaiting.poll(&mut Context::from_waker(&waker))) {
                        Poll::Ready(Ok(())) => slot.run(|| awaiting.resume()),
                        Poll::Ready(Err(why)) => return self.give_up(number, why, awaiting),
                        Poll::Pending => {
                            slot.state = State::Awaits(awaiting);
                            return;
                        }
                    }
                }
                Step::Failed(why) => return self.give_up(number, why, ()),
            };
        }
    }

    /// Ends a job, of which there is this `rest`.
    fn give_up<T>(&mut self, number: u64, why: HandshakeError, rest: T) {
        let Some(slot) = self.jobs.get(&number) else { return };
        // Dropping a fiber runs it to its end; a future that ends because of this is not to be believed.
        slot.set_failure(why);
        slot.run(|| drop(rest));
        self.publish();
        self.jobs.remove(&number);
    }

    /// Ends a job whatever its state is.
    fn end(&mut self, number: u64) {
        let Some(slot) = self.jobs.get_mut(&number) else { return };
        let state = std::mem::replace(&mut slot.state, State::Running);
        self.give_up(number, HandshakeError::ShutDown, state);
    }

    /// Resumes whoever is answered and not named any more, and polls all others: their wake-ups may be lost.
    fn recover(&mut self) {
        self.is_disturbed = false;
        let numbers: Vec<_> = self.jobs.keys().copied().collect();
        for number in numbers {
            match self.jobs.get(&number).map(|slot| &slot.state) {
                Some(State::Parked(_)) => self.resume(number),
                Some(State::Running) => self.end(number),
                Some(_) => self.poll(number),
                None => {}
            }
        }
        self.start_backlog();
    }

    /// Runs the batch that is due, if one is, and resumes its fibers.
    fn run_batch(&mut self, load: Load) -> bool {
        let waiting = self.batcher.waiting();
        if waiting == 0 || !self.batcher.is_due(Instant::now(), load) {
            return false;
        }
        self.seat.work(waiting);
        let answered = self.batcher.run_batch(Instant::now(), load);
        self.seat.cost(self.batcher.take_costs());
        // Published before anybody can know that the batch has run.
        self.publish();
        answered.into_iter().for_each(|number| self.resume(number));
        self.start_backlog();
        true
    }

    fn resume(&mut self, number: u64) {
        let Some(slot) = self.jobs.get_mut(&number) else { return };
        match std::mem::replace(&mut slot.state, State::Running) {
            State::Parked(parked) => {
                let step = slot.run(|| parked.resume());
                self.advance(number, step);
            }
            state => slot.state = state,
        }
    }

    fn start_backlog(&mut self) {
        while self.batcher.has_room() {
            let Some(number) = self.backlog.pop_front() else { return };
            self.poll(number);
        }
    }

    fn publish(&self) {
        if let Some(stats) = self.batcher.changed_stats() {
            *self.status.stats.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::seat::Seats;
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn timers_expire_although_messages_never_end() {
        let woken = Arc::new(Woken::default());
        let (inbox, messages) = crossbeam_channel::unbounded();
        let status = Arc::new(Status::default());
        let (timer, _) = status.timers.start(Duration::from_millis(20)).unwrap();
        let waker = Waker::from(woken.clone());
        assert!(pin!(&timer).poll(&mut Context::from_waker(&waker)).is_pending());
        std::thread::sleep(Duration::from_millis(30));
        for _ in 0..2 * MESSAGES_PER_LOOK {
            inbox.send(Message::Timer).unwrap();
        }
        // It ends the thread before there is any time without messages.
        inbox.send(Message::Stop).unwrap();
        Worker::new(EngineConfig::default(), messages, status, Seats::new(1, Duration::ZERO).seat(0)).serve();
        assert!(woken.0.load(Relaxed));
    }
}
