//! Layers go in one direction: a module uses only modules of lower levels, and only the outside crates that
//! are allowed to it. The table here is the one of the crate's documentation.
//!
//! The sources are read as tokens, so that a path is found however it is written: in a `use`, in a group, in
//! the middle of an expression, through `super`, or through a re-export of the crate's root.

#[path = "layering/source.rs"]
mod source;

use source::{Path as UsePath, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module's level. What is not listed may not exist.
const LEVELS: [(&str, u32); 12] = [
    ("arch", 0),
    ("error", 0),
    ("arith", 1),
    ("ops", 2),
    ("batch", 3),
    ("fiber", 3),
    ("provider", 4),
    ("validation", 4),
    ("handshake", 5),
    ("offload", 6),
    // Identities come with an acceptor and a connector, which are made of the handshake's.
    ("spiffe", 6),
    ("config", 7),
];

/// Who may name which outside crate: a module, or a single file of it. Tests may use any.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("arch", &["zeroize", "subtle"]),
    // The trait of stacks is `unsafe` to implement.
    ("arch/stack.rs", &["corosensei", "libc"]),
    // Tests, in a module below one of tests.
    ("arch/tests/kernel_checks", &["libc"]),
    ("arith", &["zeroize", "subtle"]),
    ("ops", &["zeroize", "subtle"]),
    ("ops/scalar.rs", &["aws_lc_rs"]),
    ("ops/ed25519/import.rs", &["pkcs8"]),
    ("ops/envelope.rs", &["pkcs8"]),
    ("ops/pem.rs", &["pkcs8"]),
    ("ops/rsa/import.rs", &["pkcs1", "pkcs8"]),
    ("ops/ecdsa/encode.rs", &["pkcs8"]),
    ("ops/ecdsa/key.rs", &["pkcs8", "sec1"]),
    ("ops/rsa/public_keys.rs", &["pkcs1"]),
    ("fiber", &["corosensei"]),
    ("provider", &["rustls", "zeroize"]),
    ("provider/unaccelerated.rs", &["log"]),
    ("handshake", &["rustls", "log"]),
    // What stands on the batcher: without the feature `tokio` it is not there.
    ("handshake/acceptor.rs", &["tokio", "tokio_rustls"]),
    ("handshake/alarm.rs", &["rustix", "tokio"]),
    ("handshake/alert.rs", &["tokio"]),
    ("handshake/connector.rs", &["tokio", "tokio_rustls"]),
    ("handshake/engine.rs", &["tokio", "crossbeam_channel"]),
    ("handshake/gate.rs", &["tokio"]),
    ("handshake/job.rs", &["tokio", "crossbeam_channel"]),
    ("handshake/local.rs", &["tokio"]),
    ("handshake/mod.rs", &["tokio_rustls"]),
    ("handshake/pinning.rs", &["core_affinity"]),
    ("handshake/worker.rs", &["tokio", "crossbeam_channel"]),
    ("handshake/tower.rs", &["tower_layer", "tower_service"]),
    ("offload", &["rustls", "tokio", "log"]),
    ("offload/public_key.rs", &["pkcs8"]),
    ("validation", &["rustls", "zeroize", "regex"]),
    ("spiffe/proto", &["prost"]),
    ("spiffe/channel.rs", &["tonic"]),
    ("spiffe/sds", &["prost", "tonic", "tonic_prost"]),
    ("spiffe/workload_api", &["tonic", "tonic_prost"]),
    ("spiffe/authority", &["rcgen", "pkcs8", "prost", "tonic", "tonic_prost"]),
    (
        "spiffe",
        &[
            "rustls",
            "tokio",
            "tokio_rustls",
            "spiffe",
            "webpki",
            "x509_parser",
            "zeroize",
            "notify",
            "arc_swap",
            "fastrand",
            "metrics",
            "log",
        ],
    ),
    ("config", &["rustls", "zeroize", "serde", "serde_json", "granit_parser", "base64", "regex"]),
    ("config/istio/messages.rs", &["strsim"]),
];

fn level(module: &str) -> Option<u32> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|(_, level)| *level)
}

/// What the checks need to know of the crate as a whole.
struct Crate {
    /// Where the names that the root re-exports come from.
    root_exports: BTreeMap<String, String>,
    /// The dependencies, as they are named in code.
    dependencies: BTreeSet<String>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let names = section.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim());
        let dependencies = names.map(|name| name.replace('-', "_")).collect();
        let lib = Source::parse(&fs::read_to_string(root.join("src/lib.rs")).unwrap());
        // What starts with `crate` is in a module below the root.
        let exports = lib
            .paths
            .iter()
            .filter(|path| path.is_use && path.segments.len() > 1 && path.segments[0] != "crate");
        let root_exports =
            exports.map(|path| (path.segments.last().unwrap().clone(), path.segments[0].clone()));
        Self { root_exports: root_exports.collect(), dependencies }
    }

    /// What is wrong with the file `name` (its path below `src`), whose text is `text`.
    fn check(&self, name: &str, text: &str, is_test: bool) -> Vec<String> {
        let module = name.split('/').next().unwrap().trim_end_matches(".rs");
        let Some(own_level) = level(module) else {
            return vec![format!("{name}: module {module} has no level")];
        };
        let source = Source::parse(text);
        let mut wrong = Vec::new();
        for path in &source.paths {
            if let Some(target) = self.target(path, depth(name)) {
                match level(&target) {
                    _ if target == module => {}
                    Some(other) if other < own_level => {}
                    Some(other) => {
                        wrong.push(format!("{name} (level {own_level}) uses {target} (level {other})"))
                    }
                    None => wrong.push(format!("{name} uses {target}, which is no module with a level")),
                }
            }
            if !is_test && !path.in_test && !self.may_name(name, path, &source) {
                wrong.push(format!("{name} names the outside crate {}", path.segments[0]));
            }
        }
        wrong
    }

    /// The module of this crate that a path leads to, if it starts at the root or climbs to it.
    fn target(&self, path: &UsePath, depth: usize) -> Option<String> {
        let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
        let first = match path.segments[0].as_str() {
            "crate" => path.segments.get(1)?,
            "super" if supers >= depth => path.segments.get(supers).filter(|name| level(name).is_some())?,
            _ => return None,
        };
        Some(self.root_exports.get(first).unwrap_or(first).clone())
    }

    fn may_name(&self, file: &str, path: &UsePath, source: &Source) -> bool {
        let first = &path.segments[0];
        // A name that a `use` brought in from elsewhere is not the crate of that name.
        let is_imported = !path.is_use && source.imports.contains(first);
        if !self.dependencies.contains(first) || is_imported {
            return true;
        }
        let covers = |place: &str| {
            file == place || file == format!("{place}.rs") || file.starts_with(&format!("{place}/"))
        };
        OUTSIDE.iter().any(|(place, crates)| covers(place) && crates.contains(&first.as_str()))
    }
}

/// How many `super` lead from a file's module to the crate's root.
fn depth(name: &str) -> usize {
    name.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count()
}

/// Every source file of the library, by its path below `src`.
fn library() -> BTreeMap<String, String> {
    fn visit(dir: &Path, src: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, src, files);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let src = root().join("src");
    let mut files = BTreeMap::new();
    visit(&src, &src, &mut files);
    // The root knows everybody; programs stand above the layers.
    files.retain(|name, _| name != "lib.rs" && !name.starts_with("bin/"));
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files that are compiled for tests only: `#[cfg(test)] mod name;` stands in their parent.
fn test_files(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for (name, text) in files {
        let parent = name.trim_end_matches(".rs").trim_end_matches("/mod");
        for module in Source::parse(text).test_modules {
            tests.extend([format!("{parent}/{module}.rs"), format!("{parent}/{module}/mod.rs")]);
        }
    }
    tests
}

#[test]
fn the_library_keeps_its_layers() {
    let (it, files) = (Crate::read(&root()), library());
    let tests = test_files(&files);
    let wrong: Vec<_> =
        files.iter().flat_map(|(name, text)| it.check(name, text, tests.contains(name))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The scanner does see things: the engine names all of its lower layers.
    let engine: BTreeSet<_> = files
        .iter()
        .filter(|(name, _)| name.starts_with("handshake/"))
        .flat_map(|(name, text)| {
            Source::parse(text).paths.into_iter().filter_map(|p| it.target(&p, depth(name)))
        })
        .collect();
    for module in ["arch", "batch", "error", "fiber", "ops", "provider"] {
        assert!(engine.contains(module), "{engine:?}");
    }
}

#[test]
fn the_table_is_the_documented_one() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for (module, level) in LEVELS {
        let is_there =
            ["/mod.rs", ".rs"].iter().any(|end| root().join(format!("src/{module}{end}")).exists());
        let names_it = |line: &&str| {
            line.starts_with(&format!("//! | {level} |")) && line.contains(&format!("`{module}`"))
        };
        assert_eq!(lib.lines().any(|line| names_it(&line)), is_there, "{module}");
    }
}

/// A file with `text` planted as `name` must be found wrong, or not, as `expected` says.
#[track_caller]
fn assert_planted(name: &str, text: &str, expected: &[&str]) {
    let wrong = Crate::read(&root()).check(name, text, false);
    assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
    for (wrong, expected) in wrong.iter().zip(expected) {
        assert!(wrong.contains(expected), "{wrong}");
    }
}

#[test]
fn planted_upward_uses_are_found() {
    let up = "uses handshake (level 5)";
    assert_planted("ops/planted.rs", "use crate::handshake::Engine;", &[up]);
    assert_planted("ops/planted.rs", "use crate::{arch::Tier, handshake::{self, Engine}};", &[up, up]);
    assert_planted("ops/planted.rs", "fn f() { crate::handshake::LocalEngine::new() }", &[up]);
    assert_planted("ops/planted.rs", "use super::super::handshake;", &[up]);
    assert_planted("ops/rsa/planted.rs", "fn f() { super::super::super::handshake::f() }", &[up]);
    assert_planted("ops/mod.rs", "pub(in crate::ops) use super::handshake as lower;", &[up]);
    assert_planted("ops/mod.rs", "macro_rules! m { () => { $crate::handshake::f() } }", &[up]);
    assert_planted("arith/limbs.rs", "use crate::ops;", &["uses ops (level 2)"]);
    assert_planted("ops/mod.rs", "#[cfg(test)] mod tests { use crate::batch::Queue; }", &["uses batch"]);
}

#[test]
fn planted_siblings_and_strangers_are_found() {
    assert_planted("batch/planted.rs", "use crate::fiber::park;", &["uses fiber (level 3)"]);
    assert_planted("error.rs", "use crate::Tier;", &["uses arch (level 0)"]);
    assert_planted("ops/mod.rs", "use crate::helpers;", &["uses helpers, which is no module"]);
    assert_planted("helpers/mod.rs", "", &["module helpers has no level"]);
}

#[test]
fn planted_outside_crates_are_found() {
    assert_planted("batch/planted.rs", "use tokio::time::sleep;", &["outside crate tokio"]);
    assert_planted("ops/rsa/key.rs", "fn f() -> rustls::Error { todo!() }", &["outside crate rustls"]);
    assert_planted(
        "ops/rsa/key.rs",
        "use aws_lc_rs::{rand, signature};",
        &["crate aws_lc_rs", "crate aws_lc_rs"],
    );
    assert_planted("arch/tier.rs", "use corosensei::Yielder;", &["outside crate corosensei"]);
    assert_planted("handshake/batcher.rs", "use tokio::sync::Notify;", &["outside crate tokio"]);
    assert_planted("fiber/mod.rs", "use ::tokio::task;", &["outside crate tokio"]);
}

#[test]
fn what_is_allowed_passes() {
    assert_planted("ops/scalar.rs", "use aws_lc_rs::rand; use crate::error::Error;", &[]);
    assert_planted("arch/stack.rs", "use corosensei::stack::Stack; use super::tier;", &[]);
    assert_planted(
        "provider/mod.rs",
        "use rustls::crypto::aws_lc_rs; fn f() { aws_lc_rs::default_provider(); }",
        &[],
    );
    assert_planted(
        "ops/mod.rs",
        "// use crate::handshake;\n/* crate::handshake */ const A: &str = \"crate::handshake\";",
        &[],
    );
    assert_planted("ops/mod.rs", "/// [`crate::handshake`]\nfn f<'a>(x: &'a u8) -> char { 'a' }", &[]);
    assert_planted("ops/mod.rs", "#[cfg(test)]\nmod tests { use rcgen::KeyPair; use rustls::Error; }", &[]);
    assert_planted(
        "handshake/mod.rs",
        "use crate::Error; use super::provider; fn f() { log::info!(\"\") }",
        &[],
    );
    assert_planted("ops/rsa/key.rs", "use crate::ops::{self, Op}; use super::super::Op;", &[]);
}
