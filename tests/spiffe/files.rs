//! Identities in files, written in every way that is met.

use crate::ca::{Ca, HOUR, Spec, domain, material};
use crate::clock::TestClock;
use crate::support::{CLIENT, HOME, SERVER, connects, engine, run, stock_client, until};
use rustls_multibuffer::spiffe::{
    Acceptor, Authorizer, Clock, FileSource, Identity, Material, PeerError, Refusal, Svid, TrustDomain,
};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A directory that is removed at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("rustls-multibuffer-files-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Replaces the files one by one, as a careful writer does.
    pub(crate) fn write(&self, material: &Material) {
        for (name, text) in NAMES.iter().zip(pem(material)) {
            replace(&self.join(name), &text);
        }
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn source(&self) -> FileSource {
        let [chain, key, bundle] = NAMES.map(|name| self.join(name));
        // Long, so that no test passes because of them, and no writer is too slow.
        FileSource::new(chain, key, bundle).poll(HOUR).patience(HOUR)
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
    let bundle = &material.bundles[&domain(HOME)];
    let roots = bundle.roots.iter().map(|der| section("CERTIFICATE", der));
    let bundle = roots.chain(bundle.crls.iter().map(|der| section("X509 CRL", der))).collect();
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

/// Waits until `material` is in use.
pub(crate) async fn holds(identity: &Identity, material: &Material) {
    until(|| identity.current().is_ok_and(|now| now.chain() == material.svid.chain)).await;
    let roots = &material.bundles[&domain(HOME)].roots;
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
        directory.write(&first);
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
        until(|| identity.health().refused >= 2).await;
        assert_eq!(identity.current().unwrap().generation(), 2);
    });
}

#[test]
fn a_directory_that_does_not_exist_yet_is_waited_for() {
    run(async {
        let (directory, ca) = (Directory::new(), Ca::new(HOME));
        fs::remove_dir(&directory.0).unwrap();
        let identity = Identity::start(directory.source().patience(Duration::from_millis(100)));
        until(|| identity.health().refused == 1).await;
        assert!(!identity.health().connected);
        fs::create_dir(&directory.0).unwrap();
        let now = update(&ca);
        directory.write(&now);
        holds(&identity, &now).await;
        assert!(identity.health().connected);
    });
}

#[test]
fn revocation_lists_come_with_the_roots_or_in_a_file_of_their_own() {
    run(async {
        let (directory, ca) = (Directory::new(), Ca::new(HOME));
        let (first, second) = (ca.svid(CLIENT), ca.svid("spiffe://home.test/second"));
        let list = |revoked: &Svid| ca.crl(&revoked.chain[..1], std::time::SystemTime::now() + HOUR);
        let mut files = update(&ca);
        directory.write(&files);
        replace(&directory.join("crl.pem"), &section("X509 CRL", &list(&first)));
        let identity = Identity::start(directory.source().crl(directory.join("crl.pem")));
        identity.ready().await;
        let acceptor = Acceptor::new(engine(1), &identity, Authorizer::anybody_verified());
        let [first_client, second_client] = [&first, &second].map(|svid| Arc::new(stock_client(svid)).into());
        assert_eq!(connects(&acceptor, &first_client).await, Err(PeerError::Revoked));
        assert_eq!(connects(&acceptor, &second_client).await, Ok(false));
        // A newer list in the same file as the roots.
        files.bundles.get_mut(&domain(HOME)).unwrap().crls = vec![list(&second)];
        directory.write(&files);
        until(|| identity.current().unwrap().generation() == 2).await;
        assert_eq!(connects(&acceptor, &second_client).await, Err(PeerError::Revoked));
        // A list that is renewed counts at once.
        replace(
            &directory.join("crl.pem"),
            &section("X509 CRL", &ca.crl(&[], std::time::SystemTime::now() + HOUR)),
        );
        until(|| identity.current().unwrap().generation() == 3).await;
    });
}

#[test]
fn files_are_followed_by_polling_alone() {
    run(async {
        let (directory, ca) = (Directory::new(), Ca::new(HOME));
        let elsewhere = Directory::new();
        let now = update(&ca);
        elsewhere.write(&now);
        for name in NAMES {
            symlink(elsewhere.join(name), directory.join(name)).unwrap();
        }
        let identity = Identity::start(directory.source().poll(Duration::from_millis(50)));
        holds(&identity, &now).await;
        // A hard link changes in a directory that nobody watches.
        let next = update(&ca);
        for (name, text) in NAMES.iter().zip(pem(&next)) {
            fs::hard_link(elsewhere.join(name), elsewhere.0.with_extension(name)).unwrap();
            fs::write(elsewhere.0.with_extension(name), text).unwrap();
            fs::remove_file(elsewhere.0.with_extension(name)).unwrap();
        }
        holds(&identity, &next).await;
    });
}

#[test]
fn federated_bundles_come_from_files_of_their_own() {
    run(async {
        let (directory, ca, away) = (Directory::new(), Ca::new(HOME), Ca::new("away.test"));
        let federated: TrustDomain = domain("away.test");
        directory.write(&update(&ca));
        replace(&directory.join("away.crt"), &section("CERTIFICATE", &away.root()));
        let source = directory.source().federated(federated.clone(), directory.join("away.crt"));
        let identity = Identity::start(source.patience(Duration::from_millis(200)));
        assert_eq!(identity.ready().await.roots(&federated).next(), Some(&away.root()));
        // An emptied file takes the bundle back.
        replace(&directory.join("away.crt"), "");
        until(|| identity.current().unwrap().roots(&federated).count() == 0).await;
    });
}

#[test]
fn a_federated_bundle_whose_file_is_gone_is_taken_back() {
    run(async {
        let (directory, ca, away) = (Directory::new(), Ca::new(HOME), Ca::new("away.test"));
        let federated: TrustDomain = domain("away.test");
        directory.write(&update(&ca));
        replace(&directory.join("away.crt"), &section("CERTIFICATE", &away.root()));
        let source = directory.source().federated(federated.clone(), directory.join("away.crt"));
        // Writers that remove before they write are given time.
        let patient = Identity::start(source.clone());
        assert_eq!(patient.ready().await.roots(&federated).count(), 1);
        fs::remove_file(directory.join("away.crt")).unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
        replace(&directory.join("away.crt"), &section("CERTIFICATE", &away.root()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_clean(&patient, 1);
        drop(patient);
        let identity = Identity::start(source.patience(Duration::from_millis(400)));
        assert_eq!(identity.ready().await.roots(&federated).count(), 1);
        fs::remove_file(directory.join("away.crt")).unwrap();
        until(|| identity.current().unwrap().roots(&federated).count() == 0).await;
        assert_clean(&identity, 2);
        // Our own rotation goes on without it.
        let next = update(&ca);
        directory.write(&next);
        holds(&identity, &next).await;
        replace(&directory.join("away.crt"), &section("CERTIFICATE", &away.root()));
        until(|| identity.current().unwrap().roots(&federated).count() == 1).await;
        // The same for a directory that is gone.
        let elsewhere = directory.join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::rename(directory.join("away.crt"), elsewhere.join("away.crt")).unwrap();
        symlink("elsewhere/away.crt", directory.join("away.crt")).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        fs::remove_dir_all(&elsewhere).unwrap();
        until(|| identity.current().unwrap().roots(&federated).count() == 0).await;
        let next = update(&ca);
        directory.write(&next);
        holds(&identity, &next).await;
        assert!(identity.health().connected);
        fs::create_dir(&elsewhere).unwrap();
        replace(&elsewhere.join("away.crt"), &section("CERTIFICATE", &away.root()));
        until(|| identity.current().unwrap().roots(&federated).count() == 1).await;
        // What is no bundle takes nothing back, either. The file takes the link's place at once: a name that
        // is gone for a moment takes the bundle back.
        replace(&directory.join("away.crt"), &section("CERTIFICATE", &away.root()));
        until(|| identity.current().unwrap().roots(&federated).count() == 1).await;
        replace(&directory.join("away.crt"), "not found");
        let next = update(&ca);
        directory.write(&next);
        holds(&identity, &next).await;
        assert_eq!(identity.current().unwrap().roots(&federated).count(), 1);
        fs::remove_file(directory.join("away.crt")).unwrap();
        // What is there and cannot be read takes nothing back, and is no concern of ours.
        fs::create_dir(directory.join("away.crt")).unwrap();
        let next = update(&ca);
        directory.write(&next);
        holds(&identity, &next).await;
        assert_eq!(identity.current().unwrap().roots(&federated).count(), 1);
    });
}

#[test]
fn files_that_a_wrong_clock_refused_are_offered_again() {
    run(async {
        let (directory, ca, clock) = (Directory::new(), Ca::new(HOME), TestClock::new());
        let now = update(&ca);
        directory.write(&now);
        let present = clock.now();
        clock.advance(2 * HOUR);
        let source = directory.source().patience(Duration::from_millis(100)).poll(Duration::from_millis(20));
        let identity = Identity::builder().clock(clock.clone()).start(source);
        until(|| identity.health().refused == 1).await;
        assert_eq!(identity.health().last_refusal.unwrap().0.as_label(), "expired");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(identity.health().refused, 1, "the same refusal counts once");
        clock.set(present);
        holds(&identity, &now).await;
        assert!(identity.health().is_good());
        assert_eq!(identity.health().refused, 1);
    });
}

#[test]
fn files_are_judged_by_the_identitys_clock() {
    run(async {
        let (directory, ca, clock) = (Directory::new(), Ca::new(HOME), TestClock::new());
        clock.advance(50 * HOUR);
        let mut spec = Spec::new(SERVER);
        (spec.not_before, spec.not_after) = (clock.now() - HOUR, clock.now() + HOUR);
        let good = material(ca.issue(spec), [(HOME, vec![ca.root()])]);
        directory.write(&good);
        // It is used at once: nothing about it looks half-written.
        let identity = Identity::builder().clock(clock.clone()).start(directory.source());
        holds(&identity, &good).await;
        // To be expired by the system's clock is to be half-written by nobody's.
        clock.set(std::time::SystemTime::now() - 50 * HOUR);
        let mut spec = Spec::new(SERVER);
        (spec.not_before, spec.not_after) = (clock.now() - HOUR, clock.now() + HOUR);
        let old = material(ca.issue(spec), [(HOME, vec![ca.root()])]);
        directory.write(&old);
        until(|| identity.current().is_ok_and(|now| now.chain() == old.svid.chain)).await;
    });
}
