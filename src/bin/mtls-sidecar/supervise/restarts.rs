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

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: Duration = Duration::from_millis(5);

    #[test]
    fn ten_restarts_each_twice_as_late() {
        let mut restarts = Restarts::new(Policy::default());
        for n in 1..=10u32 {
            assert_eq!(restarts.after(CRASH), Some(Duration::from_millis(200 * 2u64.pow(n - 1))));
            assert_eq!(restarts.used(), n);
        }
        assert_eq!(restarts.after(CRASH), None);
        assert_eq!(restarts.after(CRASH), None);
    }

    #[test]
    fn a_stable_run_renews_the_budget() {
        let policy = Policy::default();
        let mut restarts = Restarts::new(policy);
        while restarts.after(CRASH).is_some() {}
        assert_eq!(restarts.after(policy.stable_run - Duration::from_nanos(1)), None);
        assert_eq!(restarts.after(policy.stable_run), Some(Duration::from_millis(200)));
        assert_eq!(restarts.after(CRASH), Some(Duration::from_millis(400)));
    }

    #[test]
    fn nothing_overflows() {
        let policy = Policy { tries: 1000, first_delay: Duration::MAX, stable_run: Duration::MAX };
        let mut restarts = Restarts::new(policy);
        for _ in 0..1000 {
            assert!(restarts.after(Duration::ZERO).is_some());
        }
        assert_eq!(restarts.after(Duration::ZERO), None);
    }
}
