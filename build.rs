//! Says by `cfg(lanes)` where there are lane kernels, and joins the files of `asm/` to one assembly a tier.
//!
//! Nothing here depends on the CPU that builds: which tier runs is decided where the program runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What opens and closes functions, by the target's object format. One of these comes first in every
/// assembly.
const ELF: &str = "target_elf.inc";
const MACH_O: &str = "target_macho.inc";

/// The assemblies, and the files that each is made of, in this order.
const ASSEMBLIES: [(&str, &[&str]); 4] = [
    (
        "avx2fma",
        &[
            "avx2fma_columns.S",
            "avx2fma_mont_reduce.S",
            "avx2fma_mont_mul.S",
            "avx2fma_mont_sqr.S",
            "avx2fma_field25519.S",
            "avx2fma_field25519_mul.S",
            "avx2fma_field25519_sqr.S",
            "avx2fma_prime.S",
            "avx2fma_p256.S",
            "avx2fma_p256_mul.S",
            "avx2fma_p256_sqr.S",
            "avx2fma_p384.S",
            "avx2fma_p384_mul.S",
            "avx2fma_p384_sqr.S",
        ],
    ),
    (
        "avx512ifma",
        &[
            "avx512ifma.inc",
            "ifma_columns.inc",
            "ifma_mul.inc",
            "ifma_sqr.inc",
            "avx512ifma_products.inc",
            "avx512ifma_blocks.S",
            "avx512ifma_select.S",
            "avx512ifma_reduce20.inc",
            "avx512ifma_mul20.S",
            "avx512ifma_sqr20.S",
        ],
    ),
    (
        "avxifma",
        &[
            "avxifma.inc",
            "ifma_columns.inc",
            "ifma_mul.inc",
            "ifma_sqr.inc",
            "avxifma_products.inc",
            "avxifma_blocks.S",
            "avxifma_select.S",
        ],
    ),
    (TESTS, &["abi_check.S"]),
];

/// The assembly of tests, which has no kernels.
const TESTS: &str = "abi_check";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(lanes)");
    // Kernels are written for x86-64 and the System V calling convention.
    if target("ARCH") == "x86_64" && target("FAMILY").split(',').any(|family| family == "unix") {
        println!("cargo::rustc-cfg=lanes");
        println!("cargo::rerun-if-changed=asm");
        let format = if target("VENDOR") == "apple" { MACH_O } else { ELF };
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        let files = assemblies(&sources(Path::new("asm")), format).unwrap_or_else(|e| panic!("{e}"));
        for (name, text) in files {
            fs::write(out.join(name), text).expect("the directory is cargo's for us");
        }
    }
    if env::var_os("CARGO_FEATURE_BENCH").is_some() {
        versions();
    }
}

fn target(what: &str) -> String {
    env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default()
}

/// The files of a directory, by their names.
pub(crate) fn sources(directory: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(directory).expect("asm/ is part of the package");
    let file = |file: std::io::Result<fs::DirEntry>| {
        let path = file.expect("asm/ is readable").path();
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text)
    };
    files.map(file).collect()
}

/// Each assembly as `NAME.S`, and `kernels.rs`: a Rust array of the names of all kernels.
///
/// # Errors
/// If no assembly takes one of the files, one that is wanted is not there, or two functions have one name.
pub(crate) fn assemblies(
    sources: &BTreeMap<String, String>,
    format: &str,
) -> Result<Vec<(String, String)>, String> {
    let parts = ASSEMBLIES.iter().flat_map(|(_, parts)| *parts).copied();
    let taken: BTreeSet<&str> = parts.chain([ELF, MACH_O]).collect();
    if let Some(name) = sources.keys().find(|name| !taken.contains(name.as_str())) {
        return Err(format!("no assembly takes asm/{name}"));
    }
    let (mut files, mut functions, mut kernels) = (Vec::new(), BTreeSet::new(), Vec::new());
    for (name, parts) in ASSEMBLIES {
        let mut assembly = Assembly::default();
        for part in [format].iter().chain(parts) {
            assembly.add(part, sources.get(*part).ok_or_else(|| format!("there is no asm/{part}"))?);
        }
        if let Some(twice) = assembly.functions.iter().find(|function| !functions.insert((*function).clone()))
        {
            return Err(format!("two functions are named {twice}"));
        }
        if name != TESTS {
            kernels.extend_from_slice(&assembly.functions);
        }
        files.push((format!("{name}.S"), assembly.finished()));
    }
    files.push(("kernels.rs".to_owned(), format!("{kernels:?}")));
    Ok(files)
}

/// Files of `asm/`, joined.
#[derive(Default)]
struct Assembly {
    text: String,
    macros: Vec<String>,
    functions: Vec<String>,
}

impl Assembly {
    fn add(&mut self, part: &str, text: &str) {
        // rustc's messages give lines of the joined text. `llvm-mc -x86-asm-syntax=intel -filetype=null`
        // obeys the markers in it, and gives file and line.
        writeln!(self.text, "# 1 \"asm/{part}\"\n{text}").expect("memory suffices");
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some(".macro"), Some(name)) => self.macros.push(name.to_owned()),
                (Some("FUNCTION"), Some(name)) => self.functions.push(name.to_owned()),
                _ => {}
            }
        }
    }

    /// The text, which forgets its macros: the compiler may assemble all of them in one go.
    fn finished(mut self) -> String {
        for name in self.macros {
            writeln!(self.text, ".purgem {name}").expect("memory suffices");
        }
        self.text + ".noaltmacro\n"
    }
}

/// For the records of the benchmarks: `RUSTC_VERSION`, and `GIT_COMMIT` unless this is a published package.
fn versions() {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok().filter(|o| o.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let rustc = env::var("RUSTC").expect("cargo sets it");
    println!("cargo::rustc-env=RUSTC_VERSION={}", output(&rustc, &["--version"]).unwrap_or_default());
    // Nobody records what is built without optimisation; it need not be built anew for every commit.
    if env::var("PROFILE").as_deref() == Ok("release") && Path::new(".git").exists() {
        let Some(commit) = output("git", &["rev-parse", "--short=12", "HEAD"]) else { return };
        println!("cargo::rustc-env=GIT_COMMIT={commit}");
        if let Some(log) = output("git", &["rev-parse", "--git-path", "logs/HEAD"]) {
            println!("cargo::rerun-if-changed={log}");
        }
    }
}
