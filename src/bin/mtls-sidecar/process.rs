//! The metrics that every process has in Prometheus, read from Linux' `/proc`. Each process has its own, also
//! after a hot restart. They do not go through the facade, whose counters are whole numbers: seconds of CPU
//! time are none.

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fmt::{Display, Write};
use std::fs;

/// Writes those that can be read.
pub(crate) fn write(text: &mut String) {
    let mut metric = |name: &str, kind: &str, help: &str, value: Option<&dyn Display>| {
        if let Some(value) = value {
            // A string takes everything.
            let _ = write!(
                text,
                "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}\n\n"
            );
        }
    };
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = format!("{}.{:09}", cpu.tv_sec, cpu.tv_nsec);
    metric("cpu_seconds_total", "counter", "Seconds of CPU time, of the user and the system.", Some(&cpu));
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let stat = stat.as_deref().and_then(Stat::read);
    let stat = stat.as_ref();
    let resident = stat.map(|stat| stat.resident_pages * page_size() as u64);
    metric("resident_memory_bytes", "gauge", "Memory in use.", show(&resident));
    let size = stat.map(|stat| stat.virtual_bytes);
    metric("virtual_memory_bytes", "gauge", "Address space in use.", show(&size));
    let threads = stat.map(|stat| stat.threads);
    metric("threads", "gauge", "Threads.", show(&threads));
    let start = stat.and_then(|stat| Some(booted()? + stat.start_ticks / clock_ticks_per_second()));
    metric("start_time_seconds", "gauge", "When the process started, in seconds since 1970.", show(&start));
    // Counting opens one.
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as u64);
    metric("open_fds", "gauge", "Open file descriptors.", show(&open));
    metric(
        "max_fds",
        "gauge",
        "The most file descriptors that may be open.",
        show(&getrlimit(Resource::Nofile).current),
    );
}

fn show(value: &Option<u64>) -> Option<&dyn Display> {
    value.as_ref().map(|value| value as &dyn Display)
}

/// What is used of `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// The fields are numbered as in proc_pid_stat(5); the second one, the name, may hold anything.
    fn read(text: &str) -> Option<Self> {
        let fields: Vec<_> = text.rsplit_once(") ")?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the machine was started, in seconds since 1970.
fn booted() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_kind_is_passed_over() {
        let text =
            "7 (a) R (b) S 1 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 4 0 1234 9000000 321 18446744073709551615";
        let stat = Stat { threads: 4, start_ticks: 1234, virtual_bytes: 9_000_000, resident_pages: 321 };
        assert_eq!(Stat::read(text), Some(stat));
        assert_eq!(Stat::read("7 (a) S"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_described() {
        let mut text = String::new();
        write(&mut text);
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
            line.parse().unwrap()
        };
        assert!(value("process_cpu_seconds_total") > 0.0);
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!((3.0..1e6).contains(&value("process_open_fds")));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((0.0..1e6).contains(&(now - value("process_start_time_seconds"))), "{text}");
    }
}
