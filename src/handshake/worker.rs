//! One thread of an [`Engine`](super::Engine): takes work from a channel, runs it on fibers, and runs batches.

use super::batches;
use super::messages::{Board, Caller, Job, Message, News, Shown};
use super::work::Finished;
use super::{EngineConfig, HandshakeError};
use crate::batch::{Load, Queue};
use crate::error::Error;
use crate::fiber::{Fibers, Parked, Step, contained};
use crate::ops::{Request, Runner};
use crate::provider::answer::{Ask, Reply};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;

/// How many messages a thread takes, at most, before it looks at the timers. After a batch it looks at once: batches take long.
const MESSAGES_PER_LOOK: u32 = 64;

/// A job whose fiber is parked: for a batch, or, with nobody to be told, for a future of the application's.
struct Waiting {
    fiber: Parked<Ask, Reply, Finished>,
    caller: Caller,
}

pub(super) struct Worker {
    inbox: Receiver<Message>,
    board: Arc<Board>,
    fibers: Fibers<Ask, Reply>,
    max_parked: usize,
    runner: Runner,
    /// Requests by the number of their job.
    queue: Queue<u64, Request>,
    parked: HashMap<u64, Waiting>,
    /// Jobs that no fiber was free for, in order.
    backlog: VecDeque<Job>,
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
            parked: HashMap::new(),
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

    /// Takes what has arrived, until there is nothing more. Under load that may never be, and timers expire nevertheless.
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
            Message::Run(job) if self.parked.len() < self.max_parked => self.start(job),
            Message::Run(job) => self.backlog.push_back(job),
            Message::Resume(number, told) => {
                if let Some(Waiting { caller, .. }) = self.parked.get_mut(&number) {
                    caller.told = Some(told);
                    self.resume(number, Reply::Awaited);
                    self.start_backlog();
                }
            }
            Message::Cancel(number) => self.cancel(number),
            Message::Wake => {}
            Message::Drain => self.draining = true,
            Message::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn start(&mut self, Job { work, mut caller }: Job) {
        if caller.has_gone() {
            return;
        }
        match self.run(&caller, |fibers| fibers.start(move || work.run())) {
            Ok(step) => self.advance(step, caller),
            Err(e) => caller.tell(News::Ended(Err(HandshakeError::NoStack(e.kind())))),
        }
    }

    /// Runs a fiber until it parks or ends, in its caller's runtime.
    fn run<T>(&self, caller: &Caller, run: impl FnOnce(&Fibers<Ask, Reply>) -> T) -> T {
        let _in_runtime = caller.runtime.as_ref().map(Handle::enter);
        self.board.calls.watch(|| run(&self.fibers))
    }

    /// Sees to what a fiber asks for, or tells what came of one that ended.
    fn advance(&mut self, mut step: Step<Ask, Reply, Finished>, mut caller: Caller) {
        let result = loop {
            let (fiber, answer) = match step {
                Step::Done(finished) => break Ok(finished),
                Step::Panicked(panic) => break Err(panic.into()),
                Step::Parked(fiber, Ask::AtOnce(request)) => {
                    self.board.calls.at_once.fetch_add(1, Relaxed);
                    (fiber, batches::run_alone(&mut self.runner, &request))
                }
                Step::Parked(fiber, Ask::InBatch(request)) => {
                    if self.queue.push(Instant::now(), request.op(), caller.number, request).is_ok() {
                        self.parked.insert(caller.number, Waiting { fiber, caller });
                        return;
                    }
                    (fiber, Err(Error::QueueFull))
                }
                Step::Parked(fiber, Ask::Await(future)) => {
                    let told = caller.told.take();
                    self.parked.insert(caller.number, Waiting { fiber, caller });
                    if let Some(told) = told {
                        // Whoever has gone meanwhile has said, or will say, that the fiber is to end.
                        drop(told.send(News::Await(future)));
                    }
                    return;
                }
            };
            self.show();
            step = self.run(&caller, |_| fiber.resume(Reply::Answer(answer)));
        };
        caller.tell(News::Ended(result));
    }

    fn cancel(&mut self, number: u64) {
        if let Some(Waiting { fiber, caller }) = self.parked.remove(&number) {
            self.queue.cancel(|ticket| *ticket == number);
            self.show();
            // Dropping the fiber runs it to its end.
            self.run(&caller, |_| drop(fiber));
        } else {
            self.backlog.retain(|job| job.caller.number != number);
        }
        self.start_backlog();
    }

    /// Has whoever waits for a batch go on without it: it may be lost.
    fn recover(&mut self) {
        let waits = |(number, waiting): (&u64, &Waiting)| waiting.caller.told.is_some().then_some(*number);
        while let Some(number) = self.parked.iter().find_map(waits) {
            self.queue.cancel(|ticket| *ticket == number);
            self.resume(number, Reply::Answer(Err(Error::Cancelled)));
        }
        self.is_disturbed = false;
        self.start_backlog();
    }

    /// Runs the batch that is due, if one is, and resumes its fibers.
    fn run_batch(&mut self, load: Load) -> bool {
        let Some(batch) = self.queue.next(Instant::now(), load) else { return false };
        let answers = batches::run(&mut self.runner, batch);
        // Shown before anybody can know that the batch has run.
        self.show();
        for (number, answer) in answers {
            self.resume(number, Reply::Answer(answer));
        }
        self.start_backlog();
        true
    }

    fn resume(&mut self, number: u64, reply: Reply) {
        if let Some(Waiting { fiber, caller }) = self.parked.remove(&number) {
            let step = self.run(&caller, |_| fiber.resume(reply));
            self.advance(step, caller);
        }
    }

    fn start_backlog(&mut self) {
        while self.parked.len() < self.max_parked {
            let Some(job) = self.backlog.pop_front() else { return };
            self.start(job);
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
    use std::task::{Context, Wake, Waker};
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
            inbox.send(Message::Wake).unwrap();
        }
        // It ends the thread before there is any time without messages.
        inbox.send(Message::Stop).unwrap();
        Worker::new(&config, Runner::new(Tier::detect()), messages, board).serve();
        assert!(woken.0.load(Relaxed));
    }
}
