//! What build.rs refuses to join.

#[path = "../../../build.rs"]
#[expect(dead_code, reason = "what only the build does")]
mod build;

use build::{assemblies, sources};

#[test]
fn forgotten_files_and_names_given_twice_fail_the_build() {
    let sources = sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("asm"));
    let joined = |change: &dyn Fn(&mut std::collections::BTreeMap<String, String>)| {
        let mut sources = sources.clone();
        change(&mut sources);
        assemblies(&sources, "target_elf.inc").map(|files| files.len())
    };
    assert_eq!(joined(&|_| ()), Ok(5));
    let refused = |change, why: &str| assert_eq!(joined(change), Err(why.to_owned()));
    refused(&|files| _ = files.insert("new.S".into(), String::new()), "no assembly takes asm/new.S");
    refused(&|files| _ = files.remove("ifma_mul.inc"), "there is no asm/ifma_mul.inc");
    let twice = "\nFUNCTION avx2fma_mont_mul\n";
    refused(
        &|files| files.get_mut("avxifma_select.S").expect("a file").push_str(twice),
        "two functions are named avx2fma_mont_mul",
    );
}
