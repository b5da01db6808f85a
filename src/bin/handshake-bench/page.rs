//! The page of `--report`: plots and tables in one file that needs no other, and the JSON beside it.

mod handshakes;
mod operations;
mod plot;

pub(crate) use handshakes::sections as of_handshakes;
pub(crate) use operations::sections as of_operations;

use crate::host;
use rustls_multibuffer::TierKind;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const STYLE: &str = include_str!("page/style.css");

/// A part of the page: some plots and a table.
pub(crate) struct Section {
    pub(crate) heading: String,
    /// How to read it.
    pub(crate) note: &'static str,
    pub(crate) plots: Vec<plot::Plot>,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Where the page goes; made before the run, so that a bad path is known at once.
pub(crate) struct Directory(Option<PathBuf>);

impl Directory {
    pub(crate) fn create(path: Option<&Path>) -> Result<Self, String> {
        if let Some(path) = path {
            std::fs::create_dir_all(path).map_err(|e| format!("--report {}: {e}", path.display()))?;
            write(&path.join("index.html"), "<!DOCTYPE html><title>not finished</title>")?;
        }
        Ok(Self(path.map(Path::to_owned)))
    }

    /// Writes `index.html` and `results.jsonl`. `max` is the tier asked for, `placement` where the threads
    /// were.
    pub(crate) fn write(
        &self,
        title: &str,
        max: Option<TierKind>,
        placement: &str,
        sections: &[Section],
        json: &str,
    ) -> Result<(), String> {
        let Some(path) = &self.0 else { return Ok(()) };
        write(&path.join("index.html"), &page(title, &conditions(max, placement), sections)?)?;
        write(&path.join("results.jsonl"), json)
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn conditions(max: Option<TierKind>, placement: &str) -> Vec<(&'static str, String)> {
    vec![
        ("Command", host::command_line()),
        ("Date", host::utc_now()),
        ("Machine", host::machine()),
        ("Tier", host::tier_line(max)),
        ("Versions", host::versions()),
        ("Placement", placement.to_owned()),
    ]
}

fn page(title: &str, conditions: &[(&str, String)], sections: &[Section]) -> Result<String, String> {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n<dl>",
        title = escape(title)
    );
    for (name, value) in conditions {
        let _ = write!(html, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    html.push_str("</dl>\n");
    for section in sections {
        section_html(&mut html, section)?;
    }
    html.push_str("<p>The same figures, for programs: <a href=\"results.jsonl\">results.jsonl</a></p>");
    html.push_str("</main></body></html>\n");
    Ok(html)
}

fn section_html(html: &mut String, section: &Section) -> Result<(), String> {
    let _ = writeln!(html, "<section><h2>{}</h2>", escape(&section.heading));
    if !section.note.is_empty() {
        let _ = writeln!(html, "<p>{}</p>", escape(section.note));
    }
    html.push_str("<div class=\"plots\">\n");
    for plot in &section.plots {
        let caption = escape(&plot.title);
        let svg = plot.svg()?.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{caption}\" "), 1);
        let _ = writeln!(html, "<figure><figcaption>{caption}</figcaption>{svg}</figure>");
    }
    html.push_str("</div>\n");
    if !section.rows.is_empty() {
        table_html(html, section);
    }
    html.push_str("</section>\n");
    Ok(())
}

fn table_html(html: &mut String, section: &Section) {
    let row = |cell: &str, cells: &[String]| {
        let cells = cells.iter().map(|text| format!("<{cell}>{}</{cell}>", escape(text)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let _ = write!(
        html,
        "<div class=\"wide\" tabindex=\"0\"><table><thead>{}</thead><tbody>",
        row("th", &section.head)
    );
    section.rows.iter().for_each(|cells| html.push_str(&row("td", cells)));
    html.push_str("</tbody></table></div>\n");
}

/// Text as it stands between tags or in an attribute's quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_on_the_page_is_taken_for_a_tag() {
        assert_eq!(escape("<b a='1' c=\"2\">&amp;"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;");
        let section = Section {
            heading: "<script>".into(),
            note: "",
            plots: Vec::new(),
            head: vec!["<i>".into()],
            rows: vec![vec!["<u>&".into()]],
        };
        let html = page("<t>", &[("Command", "a <file".into())], &[section]).unwrap();
        for raw in ["<script>", "<i>", "<u>", "<t>", "<file"] {
            assert!(!html.contains(raw), "{raw}");
        }
        assert!(html.contains("<td>&lt;u&gt;&amp;</td>"));
    }
}
