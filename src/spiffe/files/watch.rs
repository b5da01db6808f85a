//! Notices of changes to files, through all the symbolic links that lead to them.

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;

/// The most links that are followed, as by Linux.
const MAX_LINKS: usize = 40;

/// A watch on every directory whose entries decide what some files are.
pub(super) struct Watch {
    changed: Arc<Notify>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Of files that are `optional`, the directories may be missing, too: then what is there of the way to them is watched.
    ///
    /// # Errors
    /// When a directory cannot be watched: it does not exist, or there are too many watches.
    pub(super) fn on<'a>(
        files: impl IntoIterator<Item = &'a PathBuf>,
        optional: impl IntoIterator<Item = &'a PathBuf>,
    ) -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let told = changed.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // After an error there is no knowing what was missed.
            if event.is_ok_and(|event| is_mere_reading(event.kind)) {
                return;
            }
            told.notify_one();
        })?;
        let mut all: BTreeSet<_> = files.into_iter().flat_map(|file| directories(file)).collect();
        all.extend(optional.into_iter().flat_map(|file| directories(file)).filter_map(existing));
        for directory in all {
            watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        }
        Ok(Self { changed, _watcher: watcher })
    }

    /// Ready when something has changed since the last call, or since the watch began. Dropping the future loses nothing.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Our own reading must not look like a change.
fn is_mere_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// The directories of `file`, of what it links to, and of every link on the way.
fn directories(file: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut links = 0;
    let mut done = PathBuf::new();
    // The last is the next.
    let mut to_do: Vec<OsString> = reversed(file);
    while let Some(name) = to_do.pop() {
        let next = done.join(&name);
        match next.read_link() {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                found.insert(or_here(&done));
                to_do.extend(reversed(&target));
            }
            // Where a path is not absolute, joining goes on from the directory of the link.
            _ => done = next,
        }
    }
    found.extend(done.parent().map(or_here));
    found
}

/// The directory, or the nearest above it that exists.
fn existing(directory: PathBuf) -> Option<PathBuf> {
    directory.ancestors().map(or_here).find(|above| above.is_dir())
}

fn reversed(path: &Path) -> Vec<OsString> {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| component.as_os_str().to_owned())
        .rev()
        .collect()
}

/// The directory of a path that names none.
fn or_here(directory: &Path) -> PathBuf {
    if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory.to_owned() }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_directory_on_the_way_is_found() {
        let top = std::env::temp_dir().join(format!("rustls-multibuffer-links-{}", std::process::id()));
        let top = {
            fs::create_dir_all(top.join("mount/..2026_01")).unwrap();
            fs::create_dir_all(top.join("linked")).unwrap();
            top.canonicalize().unwrap()
        };
        let mount = top.join("mount");
        fs::write(mount.join("..2026_01/tls.crt"), "x").unwrap();
        symlink("..2026_01", mount.join("..data")).unwrap();
        symlink("..data/tls.crt", mount.join("tls.crt")).unwrap();
        symlink(mount.join("tls.crt"), top.join("linked/cert")).unwrap();

        let expected = [mount.clone(), mount.join("..2026_01")];
        assert_eq!(directories(&mount.join("tls.crt")), expected.iter().cloned().collect());
        let linked = expected.iter().cloned().chain([top.join("linked")]).collect();
        assert_eq!(directories(&top.join("linked/cert")), linked);
        assert_eq!(directories(&top.join("linked/absent")), BTreeSet::from([top.join("linked")]));
        assert_eq!(directories(Path::new("absent")), BTreeSet::from([PathBuf::from(".")]));
        assert_eq!(existing(mount.clone()), Some(mount.clone()));
        assert_eq!(existing(mount.join("absent/deeper")), Some(mount.clone()));
        assert_eq!(existing(PathBuf::from("absent/deeper")), Some(PathBuf::from(".")));
        // A link in a circle ends, too.
        symlink("circle", mount.join("circle")).unwrap();
        assert!(directories(&mount.join("circle")).contains(&mount));
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn reading_is_no_change() {
        assert!(is_mere_reading(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(is_mere_reading(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!is_mere_reading(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(!is_mere_reading(EventKind::Any));
    }
}
