//! Stacks that can be parked in the middle of a call and resumed with an answer.
//!
//! A *fiber* runs a closure on a stack of its own. Anywhere below that closure, however deep and whatever
//! code lies between, [`park`] hands a request `Q` out to whoever started or resumed the fiber, and returns
//! when that one resumes it with an answer `A`. Nothing here knows what the requests are.
//!
//! * **A fiber stays on its thread**: none of the types is `Send`.
//! * **Suspended fibers are never unwound from outside and never leaked.** Dropping a [`Parked`] resumes it
//!   with the news that it was cancelled, again and again until its closure has returned.
//! * **A panic on a fiber ends that fiber**: it is caught at the fiber's root and becomes [`Step::Panicked`].
//! * **Stacks are pooled**, and wiped at one point: [`Fibers`]' `put_back`, when a fiber has ended. A
//!   signature's intermediate values may lie on them. Which part was used, and how that is found out:
//!   [`FiberStack::wipe`]. Only a poll that has asked for nothing and is pending ([`Fibers::poll`]) leaves
//!   its stack as it is: it has done what any thread's stack keeps.
//! * **Nothing runs on a fiber once its thread's thread-locals are being destroyed** ([`thread_end`]): a
//!   fiber that is still suspended then stays so for ever, with its stack.

mod panics;
mod pool;
mod thread_end;
mod unlocked;

pub(crate) use panics::{Panic, contained};
pub(crate) use pool::{Counts, Fibers};
pub(crate) use unlocked::{is_unlocked, unlocked};

use crate::arch::{FiberStack, loan};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::task::Poll;
use std::{fmt, io};

/// What a fiber is resumed with.
enum Signal<A> {
    Start,
    Answer(A),
    Cancelled,
}

type Yields<Q, A> = Yielder<Signal<A>, Q>;
type Routine<Q, A, R> = Coroutine<Signal<A>, Q, Result<R, Panic>, FiberStack>;

/// What came of running a fiber until it parked or ended.
pub(crate) enum Step<Q: 'static, A: 'static, R: 'static> {
    /// It waits for the answer to this request.
    Parked(Parked<Q, A, R>, Q),
    /// Its closure returned this.
    Done(R),
    /// Its closure panicked.
    Panicked(Panic),
}

/// Why [`park`] gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotParked<Q> {
    /// The caller does not run on a fiber with these types of request and answer; here is the request.
    NotOnFiber(Q),
    /// Nobody is interested in this fiber any more: it is to return as soon as it can.
    Cancelled,
}

/// Whether [`park`] with these types would park the caller.
pub(crate) fn on_fiber<Q: 'static, A: 'static>() -> bool {
    // Unwinding must not be suspended: its count of panics belongs to the thread, not to the fiber.
    !std::thread::panicking() && loan::is_lent::<Yields<Q, A>>()
}

/// Suspends the fiber that the caller runs on, handing out `request`, until it is resumed with an answer.
///
/// # Errors
/// [`NotParked::NotOnFiber`] at once, when there is nothing to suspend; [`NotParked::Cancelled`] when the
/// fiber is resumed by being dropped.
pub(crate) fn park<Q: 'static, A: 'static>(request: Q) -> Result<A, NotParked<Q>> {
    if std::thread::panicking() {
        return Err(NotParked::NotOnFiber(request));
    }
    // The loan is set aside across the suspension: what runs on this thread meanwhile is not on this fiber.
    loan::with_aside(|yielder: Option<&Yields<Q, A>>| match yielder {
        None => Err(NotParked::NotOnFiber(request)),
        Some(yielder) => {
            thread_end::watch();
            match unlocked::set_aside(|| yielder.suspend(request)) {
                Signal::Answer(answer) => Ok(answer),
                Signal::Start | Signal::Cancelled => Err(NotParked::Cancelled),
            }
        }
    })
}

/// A suspended fiber.
///
/// Dropping it cancels it: its [`park`] returns [`NotParked::Cancelled`], and so does every later one,
/// until its closure has returned; all of that happens within the drop.
pub(crate) struct Parked<Q: 'static, A: 'static, R: 'static> {
    routine: Option<Routine<Q, A, R>>,
    fibers: Fibers<Q, A>,
}

impl<Q, A, R> Parked<Q, A, R> {
    /// Runs the fiber on, [`park`] returning `answer`.
    pub(crate) fn resume(mut self, answer: A) -> Step<Q, A, R> {
        let routine = self.routine.take().expect("only resume and drop take it, and both end self");
        self.fibers.clone().run(routine, Signal::Answer(answer), |_| false)
    }
}

impl<Q, A, R> Drop for Parked<Q, A, R> {
    fn drop(&mut self) {
        let mut rest = self.routine.take();
        while let Some(routine) = rest {
            rest = match self.fibers.run(routine, Signal::Cancelled, |_| false) {
                Step::Parked(mut again, _) => again.routine.take(),
                Step::Done(_) | Step::Panicked(_) => None,
            };
        }
    }
}

impl<Q: 'static, A: 'static> Fibers<Q, A> {
    /// Runs `body` on a fiber until it parks or ends.
    ///
    /// # Errors
    /// The operating system's, when there is no pooled stack and it grants no new one.
    pub(crate) fn start<R, F>(&self, body: F) -> io::Result<Step<Q, A, R>>
    where
        R: 'static,
        F: FnOnce() -> R + 'static,
    {
        self.begin(body, |_| false)
    }

    /// Runs `poll` of a future on a fiber until it parks or ends; it gives the future back with what came
    /// of it.
    ///
    /// # Errors
    /// The operating system's, when there is no pooled stack and it grants no new one.
    pub(crate) fn poll<T, O, F>(&self, poll: F) -> io::Result<Step<Q, A, (T, Poll<O>)>>
    where
        T: 'static,
        O: 'static,
        F: FnOnce() -> (T, Poll<O>) + 'static,
    {
        self.begin(poll, |(_, poll)| poll.is_pending())
    }

    /// A stack on which nothing has parked, whose result `is_harmless`, and which was not used deeply is not
    /// wiped.
    fn begin<R, F>(&self, body: F, is_harmless: fn(&R) -> bool) -> io::Result<Step<Q, A, R>>
    where
        R: 'static,
        F: FnOnce() -> R + 'static,
    {
        const { assert!(size_of::<F>() <= 1024, "corosensei moves no more onto a stack: box the captures") };
        let stack = self.take()?;
        let routine = Coroutine::with_stack(stack, move |yielder: &Yields<Q, A>, _start| {
            contained(|| loan::lend(yielder, body))
        });
        Ok(self.run(routine, Signal::Start, is_harmless))
    }

    fn run<R>(
        &self,
        mut routine: Routine<Q, A, R>,
        signal: Signal<A>,
        is_harmless: fn(&R) -> bool,
    ) -> Step<Q, A, R> {
        if thread_end::has_come() {
            std::mem::forget(routine);
            return Step::Panicked(Panic::of("the fiber's thread has ended"));
        }
        // A fiber may itself run fibers: while the inner one runs, what the outer one has set is out of the
        // way.
        let resume = |_: Option<&Yields<Q, A>>| unlocked::set_aside(|| routine.resume(signal));
        match loan::with_aside(resume) {
            CoroutineResult::Yield(request) => {
                Step::Parked(Parked { routine: Some(routine), fibers: self.clone() }, request)
            }
            CoroutineResult::Return(result) => {
                self.put_back(routine.into_stack(), result.as_ref().is_ok_and(is_harmless));
                result.map_or_else(Step::Panicked, Step::Done)
            }
        }
    }
}

impl<Q, A, R> fmt::Debug for Parked<Q, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parked(..)")
    }
}

impl<Q, A, R> fmt::Debug for Step<Q, A, R> {
    /// Names the step only: requests and results may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parked(..) => f.write_str("Parked(..)"),
            Self::Done(_) => f.write_str("Done(..)"),
            Self::Panicked(panic) => panic.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
