//! Notices of changes to files, through all the symbolic links that lead to them.

use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;

/// The most links that are followed, as by Linux.
const MAX_LINKS: usize = 40;

/// A watch on every directory whose entries decide what some files are. Where the system gives none, it is
/// silent: the files are polled as well.
#[derive(Default)]
pub(super) struct Watch {
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    /// What is watched: one that was replaced by another of its name has to be watched anew.
    watched: BTreeMap<PathBuf, Option<FileId>>,
    /// Whether it was said that there is no watch.
    told: bool,
}

/// Device and inode.
type FileId = (u64, u64);

impl Watch {
    /// Watches the directories of these files as they are now: links may lead elsewhere than last time. Of
    /// those that do not exist, what is there of the way to them is watched.
    pub(super) fn observe<'a>(&mut self, files: impl IntoIterator<Item = &'a PathBuf>) {
        let all: BTreeSet<_> =
            files.into_iter().flat_map(|file| directories(file)).filter_map(existing).collect();
        match self.watch(all) {
            Ok(()) => self.told = false,
            Err(e) if !std::mem::replace(&mut self.told, true) => {
                log::warn!("the files are polled, because changes to them cannot be watched: {}", reason(&e));
            }
            Err(_) => {}
        }
    }

    fn watch(&mut self, all: BTreeSet<PathBuf>) -> notify::Result<()> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => {
                self.watched.clear();
                none.insert(new_watcher(self.changed.clone())?)
            }
        };
        let is_there = |path: &Path, id: &Option<FileId>| all.contains(path) && *id == file_id(path);
        self.watched.retain(|path, id| {
            let stays = is_there(path, id);
            if !stays {
                // It may be gone, and the watch with it.
                let _gone = watcher.unwatch(path);
            }
            stays
        });
        for directory in all {
            if let Entry::Vacant(new) = self.watched.entry(directory) {
                let id = file_id(new.key());
                watcher.watch(new.key(), RecursiveMode::NonRecursive)?;
                new.insert(id);
            }
        }
        Ok(())
    }

    /// Ready when something has changed since the last call, or since the watch began. Dropping the future
    /// loses nothing.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn new_watcher(told: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<Event>| {
        // After an error there is no knowing what was missed.
        if event.is_ok_and(|event| is_mere_reading(event.kind)) {
            return;
        }
        told.notify_one();
    })
}

/// What the system's words mean: "too many open files" are not always files.
fn reason(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::Io(e) if e.raw_os_error() == Some(EMFILE) => {
            format!("fs.inotify.max_user_instances, or this process's limit of open files, is used up ({e})")
        }
        ErrorKind::MaxFilesWatch => "fs.inotify.max_user_watches is used up".to_owned(),
        _ => error.to_string(),
    }
}

/// As on every Unix.
const EMFILE: i32 = 24;

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|data| (data.dev(), data.ino()))
}

#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<FileId> {
    None
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

    #[tokio::test]
    async fn a_directory_that_is_replaced_is_watched_anew() {
        let top = std::env::temp_dir().join(format!("rustls-multibuffer-watch-{}", std::process::id()));
        let inside = top.join("inside");
        fs::create_dir_all(&inside).unwrap();
        let file = inside.join("file");
        let mut watch = Watch::default();
        watch.observe([&file]);
        for round in 0..3 {
            fs::write(&file, round.to_string()).unwrap();
            tokio::time::timeout(std::time::Duration::from_secs(60), watch.changed())
                .await
                .expect("a notice");
            fs::rename(&inside, top.join(round.to_string())).unwrap();
            fs::create_dir(&inside).unwrap();
            watch.observe([&file]);
            // Notices of what happened before.
            while tokio::time::timeout(std::time::Duration::from_millis(50), watch.changed()).await.is_ok() {}
        }
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn limits_are_named() {
        let used_up = notify::Error::io(std::io::Error::from_raw_os_error(EMFILE));
        assert!(reason(&used_up).contains("fs.inotify.max_user_instances"));
        assert!(reason(&notify::Error::new(ErrorKind::MaxFilesWatch)).contains("max_user_watches"));
    }

    #[test]
    fn reading_is_no_change() {
        assert!(is_mere_reading(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(is_mere_reading(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!is_mere_reading(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(!is_mere_reading(EventKind::Any));
    }
}
