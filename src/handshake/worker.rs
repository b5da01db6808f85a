//! One thread of an [`Engine`](super::Engine): takes work from a channel, runs it on fibers, and runs batches.

use super::batches;
use super::timers::Timers;
use super::work::{Finished, Work};
use super::{EngineConfig, HandshakeError};
use crate::batch::{Load, Queue, Stats};
use crate::error::Error;
use crate::fiber::{Counts, Fibers, Parked, Step};
use crate::ops::{Counters, Request, Runner};
use crate::provider::Answer;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// How many messages a thread takes, at most, before it looks at the timers. After a batch it looks at once: batches take long.
const MESSAGES_PER_LOOK: u32 = 64;

/// Who asked, and how to tell.
pub(super) struct Job {
    /// Unique in the engine.
    pub(super) number: u64,
    pub(super) work: Work,
    pub(super) reply: Reply,
}

pub(super) type Reply = oneshot::Sender<Result<Finished, HandshakeError>>;

/// What a thread is told.
pub(super) enum Message {
    Run(Job),
    /// The job's future was dropped.
    Cancel(u64),
    /// Look at the timers.
    Wake,
    /// Flush what is queued, from now on at once.
    Drain,
    /// End everything, and the thread.
    Stop,
}

/// What a thread shows to others.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) batches: Stats,
    pub(super) runner: Counters,
}

/// What a thread and its engine share.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) shown: Mutex<Option<Shown>>,
    pub(super) counts: OnceLock<Arc<Counts>>,
    pub(super) timers: Timers,
}

/// A job whose fiber is parked.
struct Waiting {
    fiber: Parked<Request, Answer, Finished>,
    reply: Reply,
}

pub(super) struct Worker {
    inbox: Receiver<Message>,
    board: Arc<Board>,
    fibers: Fibers<Request, Answer>,
    max_parked: usize,
    runner: Runner,
    /// Requests by the number of their job.
    queue: Queue<u64, Request>,
    parked: HashMap<u64, Waiting>,
    /// Jobs that no fiber was free for, in order.
    backlog: VecDeque<Job>,
    draining: bool,
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
            queue: Queue::new(batches::policy(config, &runner)),
            inbox,
            board,
            fibers,
            max_parked: config.max_parked.max(1),
            runner,
            parked: HashMap::new(),
            backlog: VecDeque::new(),
            draining: false,
        }
    }

    /// Serves until told to stop, or until nobody is left who could tell anything.
    pub(super) fn serve(mut self) {
        self.show();
        loop {
            if self.take_arrived().is_break() {
                return;
            }
            let next_timer = self.board.timers.expire(Instant::now());
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
                self.board.timers.expire(Instant::now());
            }
        }
        ControlFlow::Continue(())
    }

    fn handle(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Run(job) if self.parked.len() < self.max_parked => self.start(job),
            Message::Run(job) => self.backlog.push_back(job),
            Message::Cancel(number) => self.cancel(number),
            Message::Wake => {}
            Message::Drain => self.draining = true,
            Message::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn start(&mut self, job: Job) {
        let Job { number, work, reply } = job;
        if reply.is_closed() {
            return;
        }
        match self.fibers.start(move || work.run()) {
            Ok(step) => self.advance(number, step, reply),
            Err(e) => drop(reply.send(Err(HandshakeError::NoStack(e.kind())))),
        }
    }

    /// Queues the request of a fiber that parked, or tells what came of one that ended.
    fn advance(&mut self, number: u64, mut step: Step<Request, Answer, Finished>, reply: Reply) {
        let result = loop {
            step = match step {
                Step::Done(finished) => break Ok(finished),
                Step::Panicked(panic) => break Err(panic.into()),
                Step::Parked(fiber, request) => {
                    if self.queue.push(Instant::now(), request.op(), number, request).is_ok() {
                        self.parked.insert(number, Waiting { fiber, reply });
                        return;
                    }
                    self.show();
                    fiber.resume(Err(Error::QueueFull))
                }
            };
        };
        // Whoever has gone meanwhile needs no answer.
        drop(reply.send(result));
    }

    fn cancel(&mut self, number: u64) {
        if let Some(waiting) = self.parked.remove(&number) {
            self.queue.cancel(|ticket| *ticket == number);
            self.show();
            // Dropping the fiber runs it to its end.
            drop(waiting);
        } else {
            self.backlog.retain(|job| job.number != number);
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
            if let Some(Waiting { fiber, reply }) = self.parked.remove(&number) {
                let step = fiber.resume(answer);
                self.advance(number, step, reply);
            }
        }
        self.start_backlog();
        true
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
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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
