//! What `docs/integrate.md` shows is what the examples do.

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The parts of an example between `// begin: NAME` and `// end: NAME`.
fn parts(example: &str) -> Vec<String> {
    let text = read(example);
    let mut parts = Vec::new();
    let mut part: Option<String> = None;
    for line in text.lines() {
        if line.trim_start().starts_with("// begin: ") {
            part = Some(String::new());
        } else if line.trim_start().starts_with("// end: ") {
            parts.extend(part.take());
        } else if let Some(part) = &mut part {
            *part += &format!("{line}\n");
        }
    }
    parts
}

#[test]
fn the_guide_shows_what_compiles() {
    let guide = read("docs/integrate.md");
    let shown: Vec<_> =
        guide.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    let mut compiled = parts("examples/hyper_server.rs");
    compiled.extend(parts("examples/tonic_client.rs"));
    compiled.extend(parts("examples/mio.rs"));
    assert_eq!(shown.len(), 4);
    assert_eq!(shown, compiled);
}
