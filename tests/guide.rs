//! What `docs/integrate.md` shows is what compiles and runs: the examples, the programs of `tests/adoption`,
//! the tests of its table.

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The parts of a source between `// begin: NAME` and `// end: NAME`, without their common indentation.
fn parts(source: &str) -> Vec<String> {
    let text = read(source);
    let mut parts = Vec::new();
    let mut part: Option<Vec<&str>> = None;
    for line in text.lines() {
        if line.trim_start().starts_with("// begin: ") {
            part = Some(Vec::new());
        } else if line.trim_start().starts_with("// end: ") {
            parts.extend(part.take().map(|lines| flush_left(&lines)));
        } else if let Some(part) = &mut part {
            part.push(line);
        }
    }
    parts
}

fn flush_left(lines: &[&str]) -> String {
    let indented = lines.iter().filter(|line| !line.is_empty());
    let indent = indented.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect()
}

/// The code blocks of the guide in one language.
fn blocks(language: &str) -> Vec<String> {
    let (guide, opening) = (read("docs/integrate.md"), format!("```{language}\n"));
    guide.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_guide_shows_what_compiles() {
    let sources = [
        "tests/adoption/reqwest.rs",
        "tests/adoption/tonic.rs",
        "tests/adoption/axum_server.rs",
        "tests/adoption/tls_listener.rs",
        "tests/adoption/actix.rs",
        "examples/mio.rs",
        "examples/hyper_server.rs",
        "examples/tonic_client.rs",
    ];
    let compiled: Vec<_> = sources.into_iter().flat_map(parts).collect();
    let shown = blocks("rust");
    assert_eq!(shown.len(), 10);
    assert_eq!(shown, compiled);
}

/// `text` with a unified diff applied, whose context must be there; and how many lines it adds that are not
/// empty.
fn patched(text: &str, diff: &str) -> (String, usize) {
    let (mut patched, mut rest, mut added) = (String::new(), text, 0);
    for hunk in diff.split("@@\n").skip(1) {
        let (mut old, mut new) = (String::new(), String::new());
        for line in hunk.lines() {
            let (sign, content) = line.split_at(line.len().min(1));
            if sign != "+" {
                old += &format!("{content}\n");
            }
            if sign != "-" {
                new += &format!("{content}\n");
            }
            added += usize::from(sign == "+" && !content.is_empty());
        }
        let (before, after) = rest.split_once(&old).unwrap_or_else(|| panic!("not in the program:\n{old}"));
        patched += &format!("{before}{new}");
        rest = after;
    }
    (patched + rest, added)
}

#[test]
fn the_guides_diffs_lead_from_one_program_to_the_other() {
    let programs = ["vhosts.rs", "client.rs"];
    let diffs = blocks("diff");
    assert_eq!(diffs.len(), programs.len());
    for (program, diff) in programs.into_iter().zip(diffs) {
        let (patched, added) = patched(&read(&format!("tests/adoption/stock/{program}")), &diff);
        assert_eq!(patched, read(&format!("tests/adoption/switched/{program}")));
        assert!((1..=5).contains(&added), "{program}: {added} lines");
    }
}

#[test]
fn the_guides_table_names_tests() {
    let guide = read("docs/integrate.md");
    let (_, table) = guide.split_once("## Compared with tokio-rustls\n").unwrap();
    let mut named = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let shown_by = row.split(" | ").last().unwrap();
        for test in shown_by.split('`').skip(1).step_by(2).filter(|word| word.contains("::")) {
            let (module, name) = test.split_once("::").unwrap();
            let source = match module {
                "provider" => "src/provider/tests.rs".to_owned(),
                "programs" | "reqwest" => format!("tests/adoption/{module}.rs"),
                _ => format!("tests/handshake/{module}.rs"),
            };
            let source = read(&source);
            let is_there = ["<", "("].iter().any(|next| source.contains(&format!("fn {name}{next}")));
            assert!(is_there, "there is no {test}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}
