//! What the operating system allows the process.

use rustix::process::{Resource, getrlimit, setrlimit};

/// File descriptors that are not connections: listeners, runtimes, standard streams.
const OTHER: u64 = 64;

/// Raises the limit of open files so far that `concurrency` connections fit, both ends of each being in this
/// process, with as many again in closing.
pub(crate) fn allow_connections(concurrency: usize) -> Result<(), String> {
    let needed = 4 * concurrency as u64 + OTHER;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        return Err(format!(
            "--concurrency {concurrency} needs {needed} open files, the limit is {}",
            limit.maximum.unwrap_or(u64::MAX)
        ));
    }
    limit.current = Some(needed);
    setrlimit(Resource::Nofile, limit).map_err(|e| format!("cannot raise the limit of open files: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_numbers_are_refused() {
        assert_eq!(allow_connections(8), Ok(()));
        if getrlimit(Resource::Nofile).maximum.is_some() {
            assert!(allow_connections(usize::MAX / 8).is_err());
        }
    }
}
