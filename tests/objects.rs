//! No instruction whose time or addresses depend on operands is in the code that touches secrets: in the
//! built program, `objdump` finds every division, square root, gather and scatter, and `addr2line` names the
//! source lines that each came from, through all inlining. Those of ours that may stay are listed, with what
//! they divide.
//!
//! Needs binutils and line tables, which the release profile has.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Where secrets are computed with.
const LAYERS: [&str; 3] = ["src/arch/", "src/arith/", "src/ops/"];

/// Symbols of the files in `asm/`, which have no line tables.
const ASSEMBLY: &str = "rustls_multibuffer_";

/// What divides by, or divides, nothing but numbers that are public: file, what the line contains, why.
const PUBLIC: &[(&str, &str, &str)] = &[
    ("src/arch/fma/lookup.rs", "is_multiple_of", "a table's length by an entry's"),
    ("src/arch/fma/lookup.rs", "as_chunks_mut", "a length by a constant"),
    ("src/arch/fma/lookup.rs", "for (i, block) in blocks", "the chunks of a table's length, inlined"),
    ("src/arch/fma/lookup.rs", "for (i, digit) in rest", "the chunks of a table's length, inlined"),
    ("src/arch/fma/lookup.rs", "chunks_exact", "a table's length by an entry's"),
    ("src/arch/fma/lookup.rs", "zip(columns)", "a table's length by a column's"),
    ("src/arch/ifma/lookup.rs", "is_multiple_of", "a table's length by an entry's"),
    ("src/arch/ifma/lookup.rs", "as_chunks_mut", "a length by a constant"),
    ("src/arch/ifma/lookup.rs", "for (i, block) in blocks", "the chunks of a table's length, inlined"),
    ("src/arch/ifma/lookup.rs", "for (i, digit) in rest", "the chunks of a table's length, inlined"),
    ("src/arch/ifma/lookup.rs", "chunks_exact", "a table's length by an entry's"),
    ("src/arch/ifma/lookup.rs", "zip(columns)", "a table's length by a column's"),
    ("src/arch/fma/montgomery.rs", "is_multiple_of", "a table's length by an entry's"),
    ("src/arch/fma/montgomery.rs", "as_chunks_mut", "a length by a constant"),
    ("src/arch/fma/montgomery.rs", "for (i, block) in blocks", "the chunks of a table's length, inlined"),
    ("src/arch/fma/montgomery.rs", "for (i, digit) in rest", "the chunks of a table's length, inlined"),
    ("src/arch/fma/montgomery.rs", "chunks_exact", "a table's length by an entry's"),
    ("src/arch/ifma/montgomery.rs", "table.len() / out.len()", "a table's length by an entry's"),
    ("src/arch/ifma/montgomery.rs", "is_multiple_of", "a table's length by an entry's"),
    ("src/arch/lanes/lookup.rs", "chunks_exact", "a table's length by an entry's"),
    ("src/arch/portable/lookup.rs", "chunks_exact", "a table's length by an entry's"),
    ("src/arch/portable/lookup.rs", "zip(table.columns(start))", "a table's length by a column's"),
    ("src/arch/portable/montgomery.rs", "chunks", "a table's length by an entry's"),
    ("src/arith/weierstrass/recode.rs", "div_ceil(window)", "a scalar's length by the window's"),
    ("src/ops/timings.rs", "/ fill as u64", "what a batch took by the number of its requests"),
    ("src/ops/timings.rs", "/ capacity as u64", "what a batch took by the number of its requests"),
    ("src/ops/timings.rs", "let micros = ", "what a batch took, to be written down"),
];

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether an instruction's time, or what it reads, depends on its operands. Of a masked memory operand only
/// what the mask switches on need be read.
fn is_variable(mnemonic: &str, operands: &str) -> bool {
    if operands.contains("{%k") && operands.contains('(') {
        return true;
    }
    let prefixes =
        ["div", "idiv", "vdiv", "vsqrt", "sqrt", "vpgather", "vgather", "vpscatter", "vscatter", "fdiv"];
    prefixes.iter().any(|prefix| mnemonic.starts_with(prefix))
}

/// Such an instruction.
struct Found {
    address: String,
    mnemonic: String,
    symbol: String,
}

fn disassembled(program: &Path) -> Vec<Found> {
    let text = output("objdump", &["-d", "--no-show-raw-insn", program.to_str().expect("UTF-8")]);
    let (mut symbol, mut instructions, mut found) = ("", 0, Vec::new());
    for line in text.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            symbol = name;
        } else if let Some((address, instruction)) = line.split_once(":\t") {
            instructions += 1;
            let (mnemonic, operands) =
                instruction.split_once(char::is_whitespace).unwrap_or((instruction, ""));
            if is_variable(mnemonic, operands) {
                let [address, mnemonic, symbol] = [address.trim(), mnemonic, symbol].map(str::to_owned);
                found.push(Found { address, mnemonic, symbol });
            }
        }
    }
    assert!(instructions > 0, "objdump gave no instructions");
    found
}

/// For each address the innermost source line that lies below the directories, as `path` and its text.
fn source_lines(program: &Path, found: &[Found], directories: &[&str]) -> Vec<Option<(String, String)>> {
    let mut arguments = vec!["-a", "-i", "-e", program.to_str().expect("UTF-8")];
    arguments.extend(found.iter().map(|found| found.address.as_str()));
    let text = output("addr2line", &arguments);
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let own = |line: &str| -> Option<(String, String)> {
        // Paths are absolute or relative to the package.
        let (path, number) = line.strip_prefix(root).unwrap_or(line).split_once(':')?;
        let path = path.strip_prefix("./").unwrap_or(path);
        directories.iter().any(|directory| path.starts_with(directory)).then_some(())?;
        let number: usize = number.split_whitespace().next()?.parse().ok()?;
        let source = std::fs::read_to_string(Path::new(root).join(path)).expect("the source");
        Some((path.to_owned(), source.lines().nth(number.checked_sub(1)?)?.trim().to_owned()))
    };
    let mut lines: Vec<Option<(String, String)>> = Vec::new();
    for line in text.lines() {
        match (line.starts_with("0x"), lines.last_mut()) {
            (true, _) => lines.push(None),
            (false, Some(last)) => *last = last.take().or_else(|| own(line)),
            (false, None) => panic!("addr2line begins with an address"),
        }
    }
    assert_eq!(lines.len(), found.len());
    lines
}

/// What must not be there: one line for each, and how many lines of the list of exceptions applied.
fn violations(program: &Path, directories: &[&str]) -> (BTreeSet<String>, usize) {
    let found = disassembled(program);
    let lines = source_lines(program, &found, directories);
    let (mut violations, mut excused) = (BTreeSet::new(), BTreeSet::new());
    for (Found { mnemonic, symbol, .. }, line) in found.iter().zip(lines) {
        if symbol.starts_with(ASSEMBLY) {
            violations.insert(format!("{mnemonic} in {symbol}"));
        } else if let Some((path, text)) = line {
            match PUBLIC.iter().find(|(file, part, _)| *file == path && text.contains(part)) {
                Some(exception) => _ = excused.insert(exception),
                None => _ = violations.insert(format!("{mnemonic} in {path}: {text}")),
            }
        }
    }
    (violations, excused.len())
}

#[test]
#[cfg_attr(debug_assertions, ignore = "looks at what the optimizer made")]
fn no_division_or_gather_is_in_code_with_secrets() {
    let program = Path::new(env!("CARGO_BIN_EXE_handshake-bench"));
    let (violations, excused) = violations(program, &LAYERS);
    assert_eq!(violations, BTreeSet::new());
    // Were the lines not attributed, there would be none of these either.
    assert!(excused > 3, "{excused} exceptions were met");
}

/// Divides. Not inlined, so that the divisor is no constant.
#[inline(never)]
fn planted_division(dividend: u64, divisor: u64) -> u64 {
    dividend / divisor
}

#[test]
fn a_planted_division_is_found_by_its_source_line() {
    let quotient = planted_division(std::process::id().into(), std::hint::black_box(3));
    assert_eq!(quotient, u64::from(std::process::id() / 3));
    let (violations, _) = violations(&std::env::current_exe().expect("this program"), &["tests/objects.rs"]);
    assert!(violations.contains("div in tests/objects.rs: dividend / divisor"), "{violations:?}");
}

#[test]
fn planted_assembly_is_found_by_its_symbol() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, object) = (directory.join("planted.s"), directory.join("planted.so"));
    let text = "rustls_multibuffer_planted:\n vpgatherqq %ymm2, (%rax,%ymm1,8), %ymm0\n div %rcx\n vdivpd \
        %ymm0, %ymm1, %ymm2\n vmovdqa64 (%rax), %zmm0{%k1}\n ret\n";
    std::fs::write(&source, text).expect("the target directory");
    let [source, to] = [&source, &object].map(|path| path.to_str().expect("UTF-8"));
    output("cc", &["-shared", "-nostdlib", "-o", to, source]);
    let (violations, _) = violations(&object, &LAYERS);
    let expected =
        ["div", "vdivpd", "vmovdqa64", "vpgatherqq"].map(|m| format!("{m} in rustls_multibuffer_planted"));
    assert_eq!(violations.into_iter().collect::<Vec<_>>(), expected);
}
