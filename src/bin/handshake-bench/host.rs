//! What the results depend on: the CPU, its tiers, the versions, the command line.

use rustls_multibuffer::{Detection, Tier, TierKind};
use std::fmt::Write;
use time::OffsetDateTime;

/// The versions that the program was built with.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// The CPU's own name for itself.
pub(crate) fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("model name"));
    line.and_then(|l| l.split_once(':')).map_or_else(|| "unknown".into(), |(_, name)| name.trim().to_owned())
}

/// CPU, cores, memory, operating system.
pub(crate) fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let gib = kib.and_then(|kib| kib.parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0 / 1024.0);
    let system = read("/proc/sys/kernel/osrelease");
    format!(
        "{}, {} cores usable, {gib:.1} GiB memory, {} {}",
        cpu_model(),
        cores(),
        std::env::consts::OS,
        system.trim()
    )
}

/// The date and time of day, such as `2026-11-21 15:04 UTC`.
pub(crate) fn utc_now() -> String {
    let now = OffsetDateTime::now_utc();
    let (date, hour, minute) = (now.date(), now.hour(), now.minute());
    format!("{date} {hour:02}:{minute:02} UTC")
}

/// The number of cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The version of a crate as locked at build time.
pub(crate) fn version_of(name: &str) -> &'static str {
    let mut entries = LOCK.split("[[package]]");
    let wanted = format!("\nname = \"{name}\"\n");
    let entry = entries.find(|entry| entry.starts_with(&wanted));
    let version = entry.and_then(|e| e.split("version = \"").nth(1)).and_then(|v| v.split('"').next());
    version.unwrap_or("unknown")
}

/// The versions of everything that is measured.
pub(crate) fn versions() -> String {
    let mut line = format!("rustls-multibuffer {}", env!("CARGO_PKG_VERSION"));
    for name in ["rustls", "tokio-rustls", "aws-lc-rs", "aws-lc-sys", "ring"] {
        let _ = write!(line, ", {name} {}", version_of(name));
    }
    let _ = write!(line, ", {}", env!("RUSTC_VERSION"));
    if let Some(commit) = option_env!("GIT_COMMIT") {
        let _ = write!(line, ", commit {commit}");
    }
    if cfg!(debug_assertions) {
        line.push_str(" (built WITHOUT optimisation: the figures mean nothing)");
    }
    line
}

/// The chosen tier, and why every better one was not.
pub(crate) fn tier_line(max: Option<TierKind>) -> String {
    let Detection { tier, passed_over, .. } = Tier::detect_up_to(max.unwrap_or(TierKind::Avx512Ifma));
    let reasons = passed_over.iter().map(|(kind, why)| format!("{kind}: {why}"));
    match reasons.collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => tier.kind().to_string(),
        reasons => format!("{} ({reasons})", tier.kind()),
    }
}

/// The name of the chosen tier.
pub(crate) fn tier_name(max: Option<TierKind>) -> String {
    Tier::detect_up_to(max.unwrap_or(TierKind::Avx512Ifma)).tier.kind().to_string()
}

/// The command line, in a form that can be pasted into a shell.
pub(crate) fn command_line() -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:".contains(c);
    let quote = |word: String| match word.chars().all(plain) && !word.is_empty() {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    std::env::args_os().map(|w| quote(w.to_string_lossy().into_owned())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert_eq!(version_of("rustls-multibuffer"), env!("CARGO_PKG_VERSION"));
        assert!(version_of("rustls").starts_with("0.23."));
        assert_eq!(version_of("no-such-crate"), "unknown");
    }

    #[test]
    fn the_time_is_written_as_in_records() {
        let now = utc_now();
        let shape: String = now.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00 00:00 UTC");
    }

    #[test]
    fn a_limited_tier_is_explained() {
        assert!(tier_line(Some(TierKind::Scalar)).starts_with("scalar (avx512-ifma: above"));
    }
}
