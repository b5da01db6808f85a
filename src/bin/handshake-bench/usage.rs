//! What threads have used, as the system counts it.

use rustix::time::{ClockId, clock_gettime};
use std::iter::Sum;
use std::ops::Sub;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// What one or more threads have used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// How often a CPU began to run them; zero where the system does not tell.
    pub(crate) switches: u64,
}

impl Usage {
    /// The calling thread's.
    pub(crate) fn of_this_thread() -> Self {
        let cpu = clock_gettime(ClockId::ThreadCPUTime).try_into().expect("CPU time is not negative");
        let counted = of_task(Path::new("/proc/thread-self")).unwrap_or_default();
        Self { cpu, ..counted }
    }

    /// That of this process' threads whose names begin so.
    pub(crate) fn of_threads(prefix: &str) -> io::Result<Self> {
        let mut all = Vec::new();
        for task in fs::read_dir("/proc/self/task")? {
            let task = task?.path();
            // A thread may end meanwhile.
            if fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with(prefix)) {
                all.extend(of_task(&task));
            }
        }
        Ok(all.into_iter().sum())
    }
}

/// Linux' `schedstat`: nanoseconds on a CPU, nanoseconds of waiting for one, times that one was given.
fn of_task(directory: &Path) -> Option<Usage> {
    let text = fs::read_to_string(directory.join("schedstat")).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    let (cpu, switches) = (numbers.next()?.ok()?, numbers.nth(1)?.ok()?);
    Some(Usage { cpu: Duration::from_nanos(cpu), switches })
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            cpu: sum.cpu + one.cpu,
            switches: sum.switches + one.switches,
        })
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { cpu: self.cpu - before.cpu, switches: self.switches - before.switches }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_thread_that_waits_is_switched_to_and_uses_no_cpu() {
        let (wake, woken) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let wait = move || {
            let before = Usage::of_this_thread();
            woken.iter().for_each(drop);
            tell.send(Usage::of_this_thread() - before).unwrap();
        };
        let thread = thread::Builder::new().name("waits-for-it".into()).spawn(wait).unwrap();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(5));
            wake.send(()).unwrap();
        }
        thread::sleep(Duration::from_millis(5));
        let outside = Usage::of_threads("waits-for-").unwrap();
        drop(wake);
        let inside = told.recv().unwrap();
        thread.join().unwrap();
        assert!((20..200).contains(&inside.switches) && outside.switches >= 20, "{inside:?} {outside:?}");
        assert!(inside.cpu < Duration::from_millis(50) && !outside.cpu.is_zero(), "{inside:?} {outside:?}");
        assert_eq!(Usage::of_threads("nobody-is-called-so").unwrap(), Usage::default());
    }
}
