//! One thread of an [`Engine`](super::Engine): polls futures on fibers, and runs batches.

use super::batches;
use super::job::{Job, Link, Task, Tell, unpanicking};
use super::messages::{Board, Message, Shown};
use super::{EngineConfig, HandshakeError};
use crate::batch::{Load, Queue};
use crate::error::Error;
use crate::fiber::{Fibers, Parked, Step, contained};
use crate::ops::{Request, Runner};
use crate::provider::answer::{Answer, Ask, Reply};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
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
type Fiber = Parked<Ask, Reply, Polled>;
/// A future of the application's, and what its panic says.
type Awaited = Pin<Box<dyn Future<Output = Result<(), HandshakeError>> + Send>>;

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
    InBatch(Fiber),
    /// A poll waits for a future.
    Awaits(Fiber, Awaited),
    /// A fiber runs, or a panic outside of any fiber has lost it.
    Running,
}

impl State {
    fn is_parked(&self) -> bool {
        matches!(self, Self::InBatch(_) | Self::Awaits(..))
    }
}

pub(super) struct Worker {
    inbox: Receiver<Message>,
    board: Arc<Board>,
    fibers: Fibers<Ask, Reply>,
    max_parked: usize,
    runner: Runner,
    /// Requests by the number of their job.
    queue: Queue<u64, Request>,
    jobs: HashMap<u64, Slot>,
    /// How many of them are parked.
    parked: usize,
    /// Jobs to be polled that no fiber was free for, in order.
    backlog: VecDeque<u64>,
    draining: bool,
    /// Something panicked that does not run on a fiber, such as a waker or a logger.
    is_disturbed: bool,
}

impl Worker {
    pub(super) fn new(
        config: &EngineConfig,
        runner: Runner,
        inbox: Receiver<Message>,
        board: Arc<Board>,
    ) -> Self {
        let fibers = Fibers::new(config.stack_size);
        board.counts.get_or_init(|| fibers.counts());
        Self {
            queue: batches::queue(config, &runner),
            inbox,
            board,
            fibers,
            max_parked: config.max_parked.max(1),
            runner,
            jobs: HashMap::new(),
            parked: 0,
            backlog: VecDeque::new(),
            draining: false,
            is_disturbed: false,
        }
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
        self.show();
        loop {
            if self.take_arrived().is_break() {
                return;
            }
            let next_timer = self.board.expire(Instant::now());
            // Nothing has arrived and every fiber is parked: the thread is idle.
            if self.run_batch(if self.draining { Load::Draining } else { Load::Idle }) {
                continue;
            }
            let wake_up = [next_timer, self.queue.next_deadline()].into_iter().flatten().min();
            let message = match wake_up {
                Some(at) => self.inbox.recv_deadline(at),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
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
                self.board.expire(Instant::now());
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
            State::Pending(task) if self.parked >= self.max_parked => {
                slot.state = State::Pending(task);
                if !std::mem::replace(&mut slot.is_due, true) {
                    self.backlog.push_back(number);
                }
            }
            State::Pending(mut task) => {
                slot.is_due = false;
                let waker = Waker::from(slot.link.clone());
                let poll = move || {
                    let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
                    (task, poll)
                };
                let step = self.run(number, |fibers| fibers.poll(poll));
                self.advance(number, step);
            }
            State::Awaits(fiber, future) => {
                // It may have been the poll's own business, too.
                slot.is_due = true;
                self.parked -= 1;
                if let Some(step) = self.await_for(number, fiber, future) {
                    self.advance(number, Ok(step));
                }
                self.start_backlog();
            }
            state => {
                slot.state = state;
                slot.is_due = true;
            }
        }
    }

    /// Runs a fiber until it parks or ends, in its caller's runtime.
    fn run<T>(&self, number: u64, run: impl FnOnce(&Fibers<Ask, Reply>) -> T) -> T {
        let runtime = self.jobs.get(&number).and_then(|slot| slot.runtime.as_ref());
        let _in_runtime = runtime.map(Handle::enter);
        self.board.calls.watch(|| run(&self.fibers))
    }

    /// Sees to what a fiber asks for, or to what came of one that ended.
    fn advance(&mut self, number: u64, mut step: io::Result<Step<Ask, Reply, Polled>>) {
        loop {
            if let (Ok(Step::Parked(_, ask)), Some(slot)) = (&step, self.jobs.get(&number)) {
                slot.link.asked.note(ask);
            }
            let (fiber, answer) = match step {
                Ok(Step::Done((task, Poll::Pending))) => {
                    let Some(slot) = self.jobs.get_mut(&number) else { return };
                    slot.state = State::Pending(task);
                    if std::mem::take(&mut slot.is_due) {
                        // After whatever else has arrived.
                        slot.link.wake_by_ref();
                    }
                    return;
                }
                Ok(Step::Done((task, Poll::Ready(tell)))) => {
                    self.run(number, |_| drop(task));
                    self.jobs.remove(&number);
                    return tell();
                }
                Ok(Step::Panicked(panic)) => return self.fail(number, panic.into()),
                Err(e) => return self.fail(number, HandshakeError::NoStack(e.kind())),
                Ok(Step::Parked(fiber, Ask::AtOnce(request))) => {
                    self.board.calls.at_once.fetch_add(1, Relaxed);
                    (fiber, batches::run_alone(&mut self.runner, &request))
                }
                Ok(Step::Parked(fiber, Ask::InBatch(request))) => {
                    if self.queue.push(Instant::now(), request.op(), number, request).is_ok() {
                        return self.park(number, State::InBatch(fiber));
                    }
                    (fiber, Err(Error::QueueFull))
                }
                Ok(Step::Parked(fiber, Ask::Await(future))) => {
                    let Some(next) = self.await_for(number, fiber, Box::pin(unpanicking(future))) else {
                        return;
                    };
                    step = Ok(next);
                    continue;
                }
            };
            self.show();
            step = Ok(self.run(number, |_| fiber.resume(Reply::Answer(answer))));
        }
    }

    fn park(&mut self, number: u64, state: State) {
        if let Some(slot) = self.jobs.get_mut(&number) {
            slot.state = state;
            self.parked += 1;
        }
    }

    /// Resumes `fiber` if what it waits for is ready.
    fn await_for(
        &mut self,
        number: u64,
        fiber: Fiber,
        mut future: Awaited,
    ) -> Option<Step<Ask, Reply, Polled>> {
        let slot = self.jobs.get(&number)?;
        let waker = Waker::from(slot.link.clone());
        match self.run(number, |_| future.as_mut().poll(&mut Context::from_waker(&waker))) {
            Poll::Pending => self.park(number, State::Awaits(fiber, future)),
            Poll::Ready(Ok(())) => return Some(self.run(number, |_| fiber.resume(Reply::Awaited))),
            Poll::Ready(Err(why)) => {
                self.set_failure(number, why);
                self.run(number, |_| drop(fiber));
                self.jobs.remove(&number);
            }
        }
        None
    }

    fn set_failure(&self, number: u64, why: HandshakeError) {
        if let Some(slot) = self.jobs.get(&number) {
            // The first failure is the one that counts.
            let _other = slot.link.failure.set(why);
        }
    }

    /// Ends a job whose future is gone.
    fn fail(&mut self, number: u64, why: HandshakeError) {
        self.set_failure(number, why);
        self.jobs.remove(&number);
    }

    /// Ends a job whatever its state is.
    fn end(&mut self, number: u64) {
        let Some(slot) = self.jobs.get_mut(&number) else { return };
        let state = std::mem::replace(&mut slot.state, State::Running);
        // A future that ends because of this is not to be believed.
        self.set_failure(number, HandshakeError::ShutDown);
        if state.is_parked() {
            self.parked -= 1;
            self.queue.cancel(|ticket| *ticket == number);
            self.show();
        }
        // Dropping a fiber runs it to its end.
        self.run(number, |_| match state {
            State::Awaits(fiber, future) => drop((future, fiber)),
            state => drop(state),
        });
        self.jobs.remove(&number);
    }

    /// Has whoever waits for a batch go on without it, which may be lost, and polls all others: their
    /// wake-ups may be.
    fn recover(&mut self) {
        self.is_disturbed = false;
        self.parked = self.jobs.values().filter(|slot| slot.state.is_parked()).count();
        let numbers: Vec<_> = self.jobs.keys().copied().collect();
        for number in numbers {
            match self.jobs.get(&number).map(|slot| &slot.state) {
                Some(State::InBatch(_)) => {
                    self.queue.cancel(|ticket| *ticket == number);
                    self.resume(number, Err(Error::Cancelled));
                }
                Some(State::Running) => self.end(number),
                Some(_) => self.poll(number),
                None => {}
            }
        }
        self.start_backlog();
    }

    /// Runs the batch that is due, if one is, and resumes its fibers.
    fn run_batch(&mut self, load: Load) -> bool {
        let Some(batch) = self.queue.next(Instant::now(), load) else { return false };
        let answers = batches::run(&mut self.runner, batch);
        // Shown before anybody can know that the batch has run.
        self.show();
        for (number, answer) in answers {
            self.resume(number, answer);
        }
        self.start_backlog();
        true
    }

    fn resume(&mut self, number: u64, answer: Answer) {
        let Some(slot) = self.jobs.get_mut(&number) else { return };
        match std::mem::replace(&mut slot.state, State::Running) {
            State::InBatch(fiber) => {
                self.parked -= 1;
                let step = self.run(number, |_| fiber.resume(Reply::Answer(answer)));
                self.advance(number, Ok(step));
            }
            state => slot.state = state,
        }
    }

    fn start_backlog(&mut self) {
        while self.parked < self.max_parked {
            let Some(number) = self.backlog.pop_front() else { return };
            self.poll(number);
        }
    }

    fn show(&self) {
        let shown = Shown { batches: self.queue.stats().clone(), runner: self.runner.counters() };
        *self.board.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Tier;
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
        let (config, woken) = (EngineConfig::default(), Arc::new(Woken::default()));
        let (inbox, messages) = crossbeam_channel::unbounded();
        let board = Arc::new(Board::default());
        let (timer, _) = board.timers.start(Duration::from_millis(20)).unwrap();
        let waker = Waker::from(woken.clone());
        assert!(pin!(&timer).poll(&mut Context::from_waker(&waker)).is_pending());
        std::thread::sleep(Duration::from_millis(30));
        for _ in 0..2 * MESSAGES_PER_LOOK {
            inbox.send(Message::Timer).unwrap();
        }
        // It ends the thread before there is any time without messages.
        inbox.send(Message::Stop).unwrap();
        Worker::new(&config, Runner::new(Tier::detect()), messages, board).serve();
        assert!(woken.0.load(Relaxed));
    }
}
