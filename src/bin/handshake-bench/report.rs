//! What people and programs read: header, progress bar, tables.

use crate::host;
use indicatif::{ProgressBar, ProgressStyle};
use rustls_multibuffer::TierKind;

/// The conditions of a run, to stand above its results. `max` is the tier asked for.
pub(crate) fn header(max: Option<TierKind>) -> String {
    format!(
        "command   {}\nCPU       {}, {} cores usable\ntier      {}\nversions  {}\n",
        host::command_line(),
        host::cpu_model(),
        host::cores(),
        host::tier_line(max),
        host::versions()
    )
}

/// A progress bar on standard error; invisible when that is not a terminal.
pub(crate) fn progress(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}/{duration} {msg}");
    ProgressBar::new(steps as u64).with_style(style.expect("the template is constant"))
}

/// A table with aligned columns: the first column to the left, the others to the right.
pub(crate) fn table(head: &[impl ToString], rows: impl Iterator<Item = impl AsRef<[String]>>) -> String {
    let head = head.iter().map(ToString::to_string).collect();
    let rows = rows.map(|row| row.as_ref().to_vec());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(&if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["a", "1"], ["long", "µs 22"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&["x", "y"], rows.into_iter()), "x         y\na         1\nlong  µs 22\n");
    }
}
