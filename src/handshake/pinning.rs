//! Which CPUs the pinned engine threads of this process have.

use core_affinity::CoreId;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The CPU of each pinned thread.
static TAKEN: Mutex<Vec<CoreId>> = Mutex::new(Vec::new());

fn taken() -> MutexGuard<'static, Vec<CoreId>> {
    // It is whole between any two statements.
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread's claim to a CPU, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim(CoreId);

impl Claim {
    /// The CPU that the fewest pinned threads of this process have, of those that this thread may use.
    pub(super) fn new() -> Option<Self> {
        let cpus = core_affinity::get_core_ids()?;
        let mut taken = taken();
        let cpu = cpus.into_iter().min_by_key(|cpu| taken.iter().filter(|other| *other == cpu).count())?;
        taken.push(cpu);
        Some(Self(cpu))
    }

    /// Binds the calling thread to the CPU.
    pub(super) fn bind(&self) {
        if !core_affinity::set_for_current(self.0) {
            log::warn!("an engine thread could not be bound to its CPU");
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut taken = taken();
        if let Some(at) = taken.iter().position(|cpu| *cpu == self.0) {
            taken.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_cpu_is_taken_twice_while_another_is_free() {
        let cpus = core_affinity::get_core_ids().unwrap();
        for _ in 0..2 {
            let claims: Vec<_> = cpus.iter().filter_map(|_| Claim::new()).collect();
            assert_eq!(claims.iter().map(|claim| claim.0).collect::<HashSet<_>>().len(), cpus.len());
            assert!(Claim::new().is_some(), "then they are shared");
        }
    }
}
