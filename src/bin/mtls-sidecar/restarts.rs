//! When a process that ended is started again: no more often than its budget allows, later every time.
//!
//! No clock and no process in here: the supervisor says how long a run was, and is told how long to wait.

use std::time::Duration;

/// How often, and how fast, a process may be started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Restarts until it is given up.
    pub(crate) tries: u32,
    /// The wait before the first restart; each further one is twice as long.
    pub(crate) first_delay: Duration,
    /// A run at least as long as this renews the budget.
    pub(crate) stable_run: Duration,
}

impl Default for Policy {
    /// Ten restarts, after 200 ms · 2^(n − 1): the last after 102.4 s. Twice as long is a stable run.
    fn default() -> Self {
        Self {
            tries: 10,
            first_delay: Duration::from_millis(200),
            stable_run: Duration::from_millis(204_800),
        }
    }
}

/// What is left of the budget of one process.
#[derive(Clone, Debug)]
pub(crate) struct Restarts {
    policy: Policy,
    used: u32,
}

impl Restarts {
    /// The whole budget.
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, used: 0 }
    }

    /// The process has ended after a run of this length: how long to wait before it is started again. `None`:
    /// not at all, the budget is spent.
    pub(crate) fn after(&mut self, run: Duration) -> Option<Duration> {
        if run >= self.policy.stable_run {
            self.used = 0;
        }
        if self.used >= self.policy.tries {
            return None;
        }
        let factor = 2u32.saturating_pow(self.used);
        self.used += 1;
        Some(self.policy.first_delay.saturating_mul(factor))
    }

    /// Restarts that were granted since the budget was whole.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }
}
