//! Listening on a Unix socket's path, whatever an earlier process left there.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Listens at `path`. A socket that nobody listens on makes room; anything else that is there stays.
///
/// # Errors
/// [`ErrorKind::AddrInUse`] if a live socket, a file, a link or a directory is there, and the operating
/// system's.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    // A socket that is bound and does not listen yet looks stale: processes that do this take turns.
    let directory = File::open(parent(path))?;
    directory.lock()?;
    if fs::symlink_metadata(path).is_ok() {
        remove_stale(path)?;
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a stale socket. It is looked at once more under a name that nobody else uses, so that what is
/// removed is never something that has just come to `path`.
fn remove_stale(path: &Path) -> io::Result<()> {
    check_stale(path)?;
    let aside = free_name(path);
    fs::rename(path, &aside)?;
    if let Err(e) = check_stale(&aside) {
        put_back(&aside, path)?;
        return Err(e);
    }
    fs::remove_file(&aside)
}

/// A name beside `path` that nothing has.
fn free_name(path: &Path) -> PathBuf {
    let named = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}-{n}", std::process::id()));
        PathBuf::from(name)
    };
    let mut n = 0;
    while fs::symlink_metadata(named(n)).is_ok() {
        n += 1;
    }
    named(n)
}

/// Moves something to a path that nothing may have taken meanwhile.
fn put_back(aside: &Path, path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(aside)?.is_dir() {
        // Which replaces no file.
        return fs::rename(aside, path);
    }
    fs::hard_link(aside, path)?;
    fs::remove_file(aside)
}

/// # Errors
/// It is anything but a socket that nobody listens on.
fn check_stale(path: &Path) -> io::Result<()> {
    let taken = |what: &str| io::Error::new(ErrorKind::AddrInUse, format!("{what} is there"));
    let kind = fs::symlink_metadata(path)?.file_type();
    if !kind.is_socket() {
        let what = match () {
            () if kind.is_symlink() => "a symbolic link",
            () if kind.is_dir() => "a directory",
            () => "a file",
        };
        return Err(taken(what));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A queue that is full holds nobody up.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(taken("the socket of another process")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::{UnixDatagram, UnixStream};
    use std::process::Command;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("unix-socket-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// Nothing but that is there, and its bytes are what they were.
        fn has_only(&self, names: &[&str]) -> bool {
            let mut found: Vec<_> = fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name()).collect();
            found.sort();
            found == names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_stale_socket_makes_room_and_a_live_one_does_not() {
        let directory = Directory::new("stale");
        let path = directory.0.join("s");
        drop(bind(&path).unwrap());
        let live = bind(&path).expect("nobody listens on it");
        assert_eq!(bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        live.accept().expect("it is still the first one's");
        assert!(directory.has_only(&["s"]));
    }

    #[test]
    fn a_live_socket_stays_when_its_queue_is_full_or_it_is_of_another_type() {
        let directory = Directory::new("full");
        let full = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        full.bind(&SockAddr::unix(directory.0.join("full")).unwrap()).unwrap();
        full.listen(0).unwrap();
        let _waits = UnixStream::connect(directory.0.join("full")).unwrap();
        let _datagrams = UnixDatagram::bind(directory.0.join("other")).unwrap();
        for name in ["full", "other"] {
            assert_eq!(bind(&directory.0.join(name)).unwrap_err().kind(), ErrorKind::AddrInUse, "{name}");
        }
        assert!(directory.has_only(&["full", "other"]));
    }

    #[test]
    fn what_is_no_socket_stays() {
        let directory = Directory::new("files");
        let at = |name: &str| directory.0.join(name);
        fs::write(at("file"), "precious").unwrap();
        fs::create_dir(at("folder")).unwrap();
        drop(bind(&at("stale")).unwrap());
        symlink(at("file"), at("link")).unwrap();
        symlink(at("stale"), at("link-to-stale")).unwrap();
        symlink(at("nowhere"), at("link-to-nothing")).unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let all = ["file", "folder", "link", "link-to-nothing", "link-to-stale", "pipe"];
        for name in all {
            let error = bind(&at(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse, "{name}");
            assert!(error.to_string().ends_with(" is there"), "{error}");
        }
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "precious");
        assert!(directory.has_only(&[&all[..], &["stale"]].concat()));
    }

    #[test]
    fn what_is_put_back_replaces_nothing() {
        let directory = Directory::new("back");
        let at = |name: &str| directory.0.join(name);
        fs::write(at("aside"), "moved").unwrap();
        put_back(&at("aside"), &at("free")).unwrap();
        fs::write(at("taken"), "precious").unwrap();
        put_back(&at("free"), &at("taken")).unwrap_err();
        assert_eq!(fs::read_to_string(at("taken")).unwrap(), "precious");
        assert!(directory.has_only(&["free", "taken"]), "nothing is lost");
    }

    #[test]
    fn of_many_that_bind_at_the_same_time_one_listens() {
        let directory = Directory::new("race");
        for round in 0..50 {
            let path = directory.0.join(format!("s{round}"));
            drop(bind(&path).unwrap());
            let listeners = std::thread::scope(|scope| {
                let binding: Vec<_> = (0..4).map(|_| scope.spawn(|| bind(&path))).collect();
                binding.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect::<Vec<_>>()
            });
            assert_eq!(listeners.len(), 1);
            UnixStream::connect(&path).unwrap();
            listeners[0].accept().unwrap();
        }
    }
}
