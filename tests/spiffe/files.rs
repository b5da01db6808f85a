//! Identities in files, written in every way that is met.

use crate::ca::{Ca, domain, material};
use crate::support::{HOME, SERVER, run, until};
use rustls_multibuffer::spiffe::{FileSource, Identity, Material, Refusal, TrustDomain};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("rustls-multibuffer-files-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn source(&self) -> FileSource {
        let [chain, key, bundle] = NAMES.map(|name| self.join(name));
        // Long, so that no test passes because of it.
        FileSource::new(chain, key, bundle).poll(Duration::from_secs(3600))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const NAMES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// The files of `material`: chain, key, bundle.
fn pem(material: &Material) -> [String; 3] {
    let chain = material.svid.chain.iter().map(|der| section("CERTIFICATE", der)).collect();
    let bundle = material.bundles[&domain(HOME)].iter().map(|der| section("CERTIFICATE", der)).collect();
    [chain, section("PRIVATE KEY", material.svid.key.expose().secret_der()), bundle]
}

fn section(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        writeln!(text, "{}", str::from_utf8(line).unwrap()).unwrap();
    }
    writeln!(text, "-----END {label}-----").unwrap();
    text
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).map(|chunk| {
        let word = chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = |i: usize| char::from(DIGITS[(word >> (18 - 6 * i)) as usize & 63]);
        (0..4).map(|i| if i <= chunk.len() { digit(i) } else { '=' }).collect::<String>()
    });
    groups.collect()
}

fn update(ca: &Ca) -> Material {
    material(ca.svid(SERVER), [(HOME, vec![ca.root()])])
}

/// As a careful writer replaces a file.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

async fn holds(identity: &Identity, material: &Material) {
    until(|| identity.current().is_ok_and(|now| now.chain() == material.svid.chain)).await;
    let roots = &material.bundles[&domain(HOME)];
    until(|| identity.current().unwrap().roots(&domain(HOME)).count() == roots.len()).await;
}

/// No update was refused, and no generation was made of a mixture.
fn assert_clean(identity: &Identity, generation: u64) {
    let health = identity.health();
    assert!(health.is_good() && health.connected, "{health:?}");
    assert_eq!((health.refused, health.generation), (0, generation), "{health:?}");
}

#[test]
fn kubernetes_swaps_a_link_to_a_directory() {
    run(async {
        let (directory, ca) = (Directory::new(), Ca::new(HOME));
        let mount = |version: u64, material: &Material| {
            let data = format!("..version_{version}");
            fs::create_dir(directory.join(&data)).unwrap();
            for (name, text) in NAMES.iter().zip(pem(material)) {
                fs::write(directory.join(&data).join(name), text).unwrap();
            }
            symlink(&data, directory.join("..data_tmp")).unwrap();
            fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
            if version > 1 {
                fs::remove_dir_all(directory.join(&format!("..version_{}", version - 1))).unwrap();
            }
        };
        let mut now = update(&ca);
        mount(1, &now);
        for name in NAMES {
            symlink(Path::new("..data").join(name), directory.join(name)).unwrap();
        }
        let identity = Identity::start(directory.source());
        for version in 2..6 {
            holds(&identity, &now).await;
            assert_clean(&identity, version - 1);
            now = update(&ca);
            mount(version, &now);
        }
        holds(&identity, &now).await;
        assert_clean(&identity, 5);
    });
}

#[test]
fn files_are_renamed_one_by_one() {
    run(async {
        let (directory, ca) = (Directory::new(), Ca::new(HOME));
        let identity = Identity::start(directory.source());
        for generation in 1..5 {
            let now = update(&ca);
            for (name, text) in NAMES.iter().zip(pem(&now)) {
                replace(&directory.join(name), &text);
                // Longer than the source waits for quiet.
                tokio::time::sleep(Duration::from_millis(120)).await;
            }
            holds(&identity, &now).await;
            assert_clean(&identity, generation);
        }
    });
}

#[test]
fn files_are_written_in_place_and_slowly() {
    run(async {
        use std::io::Write as _;
        let (directory, ca) = (Directory::new(), Ca::new(HOME));
        let identity = Identity::start(directory.source());
        for generation in 1..4 {
            let now = update(&ca);
            for (name, text) in NAMES.iter().zip(pem(&now)) {
                let mut file = fs::File::create(directory.join(name)).unwrap();
                for half in [&text[..text.len() / 2], &text[text.len() / 2..]] {
                    file.write_all(half.as_bytes()).unwrap();
                    tokio::time::sleep(Duration::from_millis(80)).await;
                }
            }
            holds(&identity, &now).await;
            assert_clean(&identity, generation);
        }
    });
}

#[test]
fn a_pair_that_never_fits_is_refused_once_and_recovers() {
    run(async {
        let (directory, ca) = (Directory::new(), Ca::new(HOME));
        let (first, second) = (update(&ca), update(&ca));
        let write = |name: &str, text: &str| replace(&directory.join(name), text);
        for (name, text) in NAMES.iter().zip(pem(&first)) {
            write(name, &text);
        }
        let identity = Identity::start(directory.source().patience(Duration::from_millis(200)));
        holds(&identity, &first).await;
        // The new chain with the old key.
        write("tls.crt", &pem(&second)[0]);
        until(|| identity.health().refused == 1).await;
        assert_eq!(identity.health().last_refusal.unwrap().0, Refusal::KeyMismatch);
        assert_eq!(identity.current().unwrap().chain(), first.svid.chain);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(identity.health().refused, 1, "it is not refused again and again");
        write("tls.key", &pem(&second)[1]);
        holds(&identity, &second).await;
        assert_eq!(identity.current().unwrap().generation(), 2);
        // Files that are gone take nothing with them.
        for name in NAMES {
            fs::remove_file(directory.join(name)).unwrap();
        }
        until(|| identity.health().refused == 2).await;
        assert_eq!(identity.current().unwrap().generation(), 2);
    });
}

#[test]
fn a_directory_that_does_not_exist_yet_is_waited_for() {
    run(async {
        let (directory, ca) = (Directory::new(), Ca::new(HOME));
        fs::remove_dir(&directory.0).unwrap();
        let identity = Identity::builder()
            .backoff(Duration::from_millis(20), Duration::from_millis(40))
            .start(directory.source());
        until(|| identity.health().source_error.is_some()).await;
        assert!(!identity.health().connected);
        fs::create_dir(&directory.0).unwrap();
        let now = update(&ca);
        for (name, text) in NAMES.iter().zip(pem(&now)) {
            replace(&directory.join(name), &text);
        }
        holds(&identity, &now).await;
        assert!(identity.health().connected);
    });
}

#[test]
fn federated_bundles_come_from_files_of_their_own() {
    run(async {
        let (directory, ca, away) = (Directory::new(), Ca::new(HOME), Ca::new("away.test"));
        let federated: TrustDomain = domain("away.test");
        for (name, text) in NAMES.iter().zip(pem(&update(&ca))) {
            replace(&directory.join(name), &text);
        }
        replace(&directory.join("away.crt"), &section("CERTIFICATE", &away.root()));
        let source = directory.source().federated(federated.clone(), directory.join("away.crt"));
        let identity = Identity::start(source.patience(Duration::from_millis(200)));
        assert_eq!(identity.ready().await.roots(&federated).next(), Some(&away.root()));
        // An emptied file takes the bundle back.
        replace(&directory.join("away.crt"), "");
        until(|| identity.current().unwrap().roots(&federated).count() == 0).await;
    });
}
