//! Servers that go away, say nothing, or say nonsense: the last good identity stays, and the source comes
//! back.

use crate::run;
use crate::support::{Folder, IMPATIENCE, Kind, Server, World, authority, eventually, follow, id};
use rustls_multibuffer::spiffe::Unavailable;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

#[test]
fn a_restart_of_the_server_goes_unnoticed_by_handshakes() {
    run(async {
        for kind in Kind::ALL {
            let World { authority, server, identity, path, folder: _folder, .. } = World::new(kind).await;
            server.stop().await;
            eventually("the loss is noticed", || !identity.health().connected).await;
            assert!(identity.health().source_error.is_some());
            assert_eq!(identity.current().unwrap().generation(), 1);
            // Meanwhile the world turns.
            authority.rotate_svid(&id("web")).unwrap();
            let _server = Server::start(kind, &authority, &path, &[id("web")]);
            eventually("news from the new server", || {
                identity.current().expect("the last good one stays").generation() == 2
            })
            .await;
            assert!(identity.health().connected && identity.health().is_good());
        }
    });
}

#[test]
fn a_server_that_ends_leaves_its_successor_alone() {
    run(async {
        for kind in Kind::ALL {
            let (folder, authority) = (Folder::new(), authority(&["web"]));
            let path = folder.join("socket");
            let old = Server::start(kind, &authority, &path, &[id("web")]);
            let new = Server::start(kind, &authority, &path, &[id("web")]);
            drop(old);
            follow(kind, &path).ready().await;
            drop(new);
            assert!(!path.exists());
        }
    });
}

#[test]
fn a_source_waits_for_a_server_that_is_not_there_yet() {
    run(async {
        for kind in Kind::ALL {
            let (folder, authority) = (Folder::new(), authority(&["web"]));
            let path = folder.join("socket");
            let identity = follow(kind, &path);
            eventually("the loss", || identity.health().source_error.is_some()).await;
            assert_eq!(identity.current().unwrap_err(), Unavailable::NotYet);
            let _server = Server::start(kind, &authority, &path, &[id("web")]);
            identity.ready().await;
        }
    });
}

/// What a bad server does with each of its connections.
#[derive(Clone, Copy)]
enum Manners {
    /// It takes everything and answers nothing.
    Silent,
    /// It sends what is not HTTP/2.
    Garbage,
    /// It begins like HTTP/2: an empty SETTINGS frame, then a frame that cannot be.
    BrokenFrames,
}

/// Serves at `path` until dropped, and counts connections.
fn bad_server(path: &Path, manners: Manners) -> (JoinHandle<()>, tokio::sync::watch::Receiver<u32>) {
    drop(std::fs::remove_file(path));
    let listener = UnixListener::bind(path).unwrap();
    let (count, counted) = tokio::sync::watch::channel(0);
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.send_modify(|count| *count += 1);
            tokio::spawn(async move {
                let text: &[u8] = match manners {
                    Manners::Silent => b"",
                    Manners::Garbage => b"\x16\x03\x01 this is not HTTP/2 at all \xff\xfe\x00\n\n",
                    Manners::BrokenFrames => b"\0\0\0\x04\0\0\0\0\0\xff\xff\xff\0\0\0\0\0\x01garbage",
                };
                stream.write_all(text).await.unwrap();
                // Ends when the client does.
                let mut heard = Vec::new();
                drop(stream.read_to_end(&mut heard).await);
            });
        }
    });
    (task, counted)
}

#[test]
fn silent_servers_and_nonsense_cost_nothing_but_time() {
    run(async {
        for kind in Kind::ALL {
            for manners in [Manners::Silent, Manners::Garbage, Manners::BrokenFrames] {
                let World { authority, server, identity, path, folder: _folder, .. } = World::new(kind).await;
                server.stop().await;
                let (bad, mut connections) = bad_server(&path, manners);
                // It is not kept waiting for ever, and it does not give up.
                connections.wait_for(|count| *count >= 3).await.unwrap();
                assert_eq!(identity.current().expect("the last good one stays").generation(), 1);
                assert!(!identity.health().connected);
                bad.abort();
                authority.rotate_svid(&id("web")).unwrap();
                let _server = Server::start(kind, &authority, &path, &[id("web")]);
                eventually("news from the good server", || {
                    identity.current().expect("the last good one stays").generation() == 2
                })
                .await;
            }
        }
    });
}

#[test]
fn later_silence_is_no_fault() {
    run(async {
        for kind in Kind::ALL {
            let world = World::new(kind).await;
            tokio::time::sleep(IMPATIENCE + Duration::from_millis(500)).await;
            let health = world.identity.health();
            assert!(health.connected && health.source_error.is_none(), "{:?}", world.kind);
        }
    });
}
