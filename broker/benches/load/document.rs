//! The tables in docs/benchmarks.md. Each stands between two comments, of which the first names it.

use std::fmt::Write as _;

/// The text with another table of this name; nothing where there is none of the name.
pub(crate) fn replace(text: &str, name: &str, table: &str) -> Option<String> {
    let begin = format!("<!-- measured: {name} -->\n");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once("<!-- end -->")?;
    Some(format!("{before}{begin}\n{table}\n<!-- end -->{after}"))
}

/// A table in Markdown, whose columns are numbers from the third on.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut text = String::new();
    let line = |cells: [&str; N]| format!("| {} |", cells.join(" | "));
    let below: [&str; N] = std::array::from_fn(|column| if column < 2 { "---" } else { "---:" });
    let rows = rows.iter().map(|row| row.each_ref().map(String::as_str));
    for cells in [head, below].into_iter().chain(rows) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line(cells));
    }
    text
}
