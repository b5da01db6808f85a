//! Which file to start for another process of this program.

use std::ffi::OsStr;
use std::fs::metadata;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf, absolute};

/// What a process that replaces a program's file leaves in the name of the file that runs.
const DELETED: &[u8] = b" (deleted)";

/// The path by which this program was started, with every link in it: whoever upgrades exchanges a link or a
/// file, and wants what is there then.
///
/// # Errors
/// There is no such path, nor another one of the file that runs.
pub(crate) fn path() -> Result<PathBuf, String> {
    let running = std::env::current_exe().map_err(|e| format!("this program cannot be found: {e}"))?;
    let named = std::env::args_os().next().unwrap_or_default();
    let search = std::env::var_os("PATH").unwrap_or_default();
    Ok(named_path(&named, &search, &running).unwrap_or_else(|| undeleted(running)))
}

/// Where a shell finds `named`, if that is the file that runs: a program may be given any name.
fn named_path(named: &OsStr, search: &OsStr, running: &Path) -> Option<PathBuf> {
    let is_running = |path: &PathBuf| is_same(path, Path::new("/proc/self/exe")) || is_same(path, running);
    if named.as_bytes().contains(&b'/') {
        return absolute(named).ok().filter(is_running);
    }
    // An empty directory is the current one.
    let candidates =
        std::env::split_paths(search).map(|directory| Path::new(".").join(directory).join(named));
    candidates.filter_map(|path| absolute(path).ok()).find(is_running)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let of = |path| metadata(path).map(|file| (file.dev(), file.ino())).ok();
    of(one).is_some_and(|one| of(other) == Some(one))
}

/// The path at which another file may have taken the place of the one that runs.
fn undeleted(running: PathBuf) -> PathBuf {
    let bytes = running.into_os_string().into_vec();
    let is_there = metadata(OsStr::from_bytes(&bytes)).is_ok();
    let kept = if is_there { None } else { bytes.strip_suffix(DELETED) };
    std::ffi::OsString::from_vec(kept.unwrap_or(&bytes).to_vec()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_program_is_found_as_the_shell_finds_it_with_its_links() {
        let root = std::env::temp_dir().join(format!("program-{}", std::process::id()));
        for name in ["v1", "v2", "elsewhere"] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("sidecar"), name).unwrap();
        }
        symlink("v1", root.join("current")).unwrap();
        let running = root.join("v1/sidecar");
        let linked = root.join("current/sidecar");
        let search = std::env::join_paths([root.join("elsewhere"), root.join("current")]).unwrap();
        let find = |named: &Path| named_path(named.as_os_str(), &search, &running);
        assert_eq!(find(&linked), Some(linked.clone()));
        assert_eq!(
            find(Path::new("sidecar")),
            Some(linked),
            "in the search path, not the first of that name"
        );
        assert_eq!(find(Path::new("-sidecar")), None);
        assert_eq!(find(&root.join("v2/sidecar")), None, "another file");
        let deleted = root.join("v1/sidecar (deleted)");
        assert_eq!(undeleted(deleted.clone()), running);
        fs::write(&deleted, "is its name").unwrap();
        assert_eq!(undeleted(deleted.clone()), deleted);
        fs::remove_dir_all(root).unwrap();
    }
}
