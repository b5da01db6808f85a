//! Stacks that can be parked in the middle of a call and resumed with an answer.
//!
//! A *fiber* runs a closure on a stack of its own. Anywhere below that closure, however deep and whatever code
//! lies between, [`park`] hands a request `Q` out to whoever started or resumed the fiber, and returns when that
//! one resumes it with an answer `A`. Nothing here knows what the requests are.
//!
//! * **A fiber stays on its thread**: none of the types is `Send`.
//! * **Suspended fibers are never unwound from outside and never leaked.** Dropping a [`Parked`] resumes it with
//!   the news that it was cancelled, again and again until its closure has returned.
//! * **A panic on a fiber ends that fiber**: it is caught at the fiber's root and becomes [`Step::Panicked`].
//! * **Stacks are pooled**, and wiped at one point: [`Fibers`]' `put_back`, when a fiber has ended. A signature's
//!   intermediate values may lie on them. Which part was used, and how that is found out: [`FiberStack::wipe`].
//!
//! ```
//! use rustls_multibuffer::fiber::{Fibers, Step, park};
//!
//! let fibers = Fibers::<u32, u32>::new(64 * 1024);
//! let ask = || park::<u32, u32>(20).unwrap() + park::<u32, u32>(1).unwrap();
//! let Step::Parked(fiber, 20) = fibers.start(ask)? else { panic!("asks for 20 first") };
//! let Step::Parked(fiber, 1) = fiber.resume(40) else { panic!("then for 1") };
//! let Step::Done(sum) = fiber.resume(2) else { panic!("then it is done") };
//! assert_eq!(sum, 42);
//! # Ok::<(), std::io::Error>(())
//! ```

mod pool;

pub use pool::{Counts, Fibers};

use crate::arch::{FiberStack, current};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a fiber is resumed with.
enum Signal<A> {
    Start,
    Answer(A),
    Cancelled,
}

type Yields<Q, A> = Yielder<Signal<A>, Q>;
type Routine<Q, A, R> = Coroutine<Signal<A>, Q, std::thread::Result<R>, FiberStack>;

/// What came of running a fiber until it parked or ended.
pub enum Step<Q: 'static, A: 'static, R: 'static> {
    /// It waits for the answer to this request.
    Parked(Parked<Q, A, R>, Q),
    /// Its closure returned this.
    Done(R),
    /// Its closure panicked.
    Panicked(Panic),
}

/// Why [`park`] gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotParked<Q> {
    /// The caller does not run on a fiber with these types of request and answer; here is the request.
    NotOnFiber(Q),
    /// Nobody is interested in this fiber any more: it is to return as soon as it can.
    Cancelled,
}

/// Whether [`park`] with these types would park the caller.
pub fn on_fiber<Q: 'static, A: 'static>() -> bool {
    // Unwinding must not be suspended: its count of panics belongs to the thread, not to the fiber.
    !std::thread::panicking() && current::is_lent::<Yields<Q, A>>()
}

/// Suspends the fiber that the caller runs on, handing out `request`, until it is resumed with an answer.
///
/// # Errors
/// [`NotParked::NotOnFiber`] at once, when there is nothing to suspend; [`NotParked::Cancelled`] when the fiber is
/// resumed by being dropped.
pub fn park<Q: 'static, A: 'static>(request: Q) -> Result<A, NotParked<Q>> {
    if std::thread::panicking() {
        return Err(NotParked::NotOnFiber(request));
    }
    // The loan is set aside across the suspension: what runs on this thread meanwhile is not on this fiber.
    current::with_aside(|yielder: Option<&Yields<Q, A>>| match yielder {
        None => Err(NotParked::NotOnFiber(request)),
        Some(yielder) => match yielder.suspend(request) {
            Signal::Answer(answer) => Ok(answer),
            Signal::Start | Signal::Cancelled => Err(NotParked::Cancelled),
        },
    })
}

/// A suspended fiber.
///
/// Dropping it cancels it: its [`park`] returns [`NotParked::Cancelled`], and so does every later one, until its
/// closure has returned; all of that happens within the drop.
pub struct Parked<Q: 'static, A: 'static, R: 'static> {
    routine: Option<Routine<Q, A, R>>,
    fibers: Fibers<Q, A>,
}

impl<Q, A, R> Parked<Q, A, R> {
    /// Runs the fiber on, [`park`] returning `answer`.
    pub fn resume(mut self, answer: A) -> Step<Q, A, R> {
        let routine = self.routine.take().expect("only resume and drop take it, and both end self");
        self.fibers.clone().run(routine, Signal::Answer(answer))
    }
}

impl<Q, A, R> Drop for Parked<Q, A, R> {
    fn drop(&mut self) {
        let mut rest = self.routine.take();
        while let Some(routine) = rest {
            rest = match self.fibers.run(routine, Signal::Cancelled) {
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
    pub fn start<R, F>(&self, body: F) -> std::io::Result<Step<Q, A, R>>
    where
        R: 'static,
        F: FnOnce() -> R + 'static,
    {
        const { assert!(size_of::<F>() <= 1024, "corosensei moves no more onto a stack: box what it captures") };
        let stack = self.take()?;
        let routine = Coroutine::with_stack(stack, move |yielder: &Yields<Q, A>, _start| {
            catch_unwind(AssertUnwindSafe(|| current::lend(yielder, body)))
        });
        Ok(self.run(routine, Signal::Start))
    }

    fn run<R>(&self, mut routine: Routine<Q, A, R>, signal: Signal<A>) -> Step<Q, A, R> {
        // A fiber may itself run fibers: while the inner one runs, the outer one's loan is out of the way.
        match current::with_aside(|_: Option<&Yields<Q, A>>| routine.resume(signal)) {
            CoroutineResult::Yield(request) => {
                Step::Parked(Parked { routine: Some(routine), fibers: self.clone() }, request)
            }
            CoroutineResult::Return(result) => {
                self.put_back(routine.into_stack());
                result.map_or_else(|payload| Step::Panicked(Panic(payload)), Step::Done)
            }
        }
    }
}

/// A panic that ended a fiber.
pub struct Panic(Box<dyn Any + Send>);

impl Panic {
    /// What the panic was called with, for [`std::panic::resume_unwind`].
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.0
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.0.downcast_ref::<&str>().copied();
        let message = message.or_else(|| self.0.downcast_ref::<String>().map(String::as_str));
        f.write_str(message.unwrap_or("a panic without a message"))
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic({self})")
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
