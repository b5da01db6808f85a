//! The pool of stacks that a thread's fibers share.

use crate::arch::FiberStack;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Starts one thread's fibers, on pooled stacks. Cloning shares the pool.
pub(crate) struct Fibers<Q, A> {
    pool: Rc<Pool>,
    types: PhantomData<fn(A) -> Q>,
}

struct Pool {
    size: usize,
    free: RefCell<Vec<FiberStack>>,
    counts: Arc<Counts>,
}

/// How many fibers and stacks there are; may be read from any thread.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    live: AtomicUsize,
    stacks: AtomicUsize,
    pooled: AtomicUsize,
    deepest: AtomicUsize,
}

impl Counts {
    /// Fibers that have started and not ended: each holds a stack.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Relaxed)
    }

    /// Stacks that exist, in use or pooled.
    pub(crate) fn stacks(&self) -> usize {
        self.stacks.load(Relaxed)
    }

    /// Stacks that are in use: 0 once all fibers have ended.
    pub(crate) fn stacks_in_use(&self) -> usize {
        self.stacks().saturating_sub(self.pooled.load(Relaxed))
    }

    /// The deepest byte of a stack that a fiber has left: a lower bound of what was used, because C code that
    /// cleanses its frames leaves none.
    pub(crate) fn deepest(&self) -> usize {
        self.deepest.load(Relaxed)
    }
}

impl<Q, A> Fibers<Q, A> {
    /// A pool of stacks with at least `stack_size` usable bytes each (rounded up to 64 KiB), empty at first.
    pub(crate) fn new(stack_size: usize) -> Self {
        let pool = Pool { size: stack_size, free: RefCell::default(), counts: Arc::default() };
        Self { pool: Rc::new(pool), types: PhantomData }
    }

    /// The counters, for whoever watches from another thread.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        self.pool.counts.clone()
    }

    /// A stack from the pool, or a new one.
    pub(super) fn take(&self) -> io::Result<FiberStack> {
        let counts = &self.pool.counts;
        let pooled = self.pool.free.borrow_mut().pop();
        let stack = match pooled {
            Some(stack) => {
                add(&counts.pooled, -1);
                stack
            }
            None => {
                let stack = FiberStack::new(self.pool.size)?;
                add(&counts.stacks, 1);
                stack
            }
        };
        add(&counts.live, 1);
        Ok(stack)
    }

    /// Ends a fiber: the one place where stacks are wiped. What `is_harmless` is wiped only if it went as
    /// deep as cryptography does.
    pub(super) fn put_back(&self, mut stack: FiberStack, is_harmless: bool) {
        let counts = &self.pool.counts;
        if !(is_harmless && stack.is_shallow()) {
            counts.deepest.fetch_max(stack.wipe(), Relaxed);
        }
        self.pool.free.borrow_mut().push(stack);
        add(&counts.pooled, 1);
        add(&counts.live, -1);
    }
}

/// Changes a counter. Only its own thread does, so that nothing has to be atomic but what the others read.
fn add(counter: &AtomicUsize, change: isize) {
    counter.store(counter.load(Relaxed).wrapping_add_signed(change), Relaxed);
}

impl<Q, A> Clone for Fibers<Q, A> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), types: PhantomData }
    }
}

impl<Q, A> fmt::Debug for Fibers<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fibers")
            .field("stack_size", &self.pool.size)
            .field("counts", &self.pool.counts)
            .finish()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Whoever still holds the counts sees the stacks gone.
        let free = self.free.get_mut().len().cast_signed();
        add(&self.counts.stacks, -free);
        add(&self.counts.pooled, -free);
    }
}
