//! How commands speak: lines on standard output, columns, colours for terminals, times in words.

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    time::{SystemTime, UNIX_EPOCH},
};

/// Whoever reads the output has gone: an end like any other.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
struct ClosedPipe;

/// Whether it ended because nobody reads any more.
pub(super) fn nobody_reads(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<ClosedPipe>())
}

/// Standard output, line by line.
pub(super) struct Out {
    colours: bool,
}

impl Out {
    /// Colours are for terminals, unless `NO_COLOR` is set (no-color.org).
    pub(super) fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: io::stdout().is_terminal() && !unwanted }
    }

    /// Writes a line, which can be read at once.
    pub(super) fn line(&self, line: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        let written = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
        written.and_then(|()| out.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => ClosedPipe.into(),
            _ => anyhow::Error::from(error).context("writing the output failed"),
        })
    }

    /// Text that is less important than what stands beside it.
    pub(super) fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Text that is looked for.
    pub(super) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Writes rows below a heading, in columns; the last one is as wide as it is.
    pub(super) fn table<const N: usize>(
        &self,
        heading: [&str; N],
        rows: &[[String; N]],
    ) -> anyhow::Result<()> {
        let mut widths = heading.map(|text| text.chars().count());
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let aligned = |cells: &[&str]| {
            let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.line(&self.bold(&aligned(&heading)))?;
        rows.iter().try_for_each(|row| self.line(&aligned(&row.each_ref().map(String::as_str))))
    }
}

/// Text of others, with nothing in it that a terminal would obey.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// Now, in milliseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago a time was, both in milliseconds since 1970; clocks that differ a little do not show.
pub(super) fn ago(now: u64, then: u64) -> String {
    let seconds = now.saturating_sub(then) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 => "just now".into(),
        1..60 => format!("{seconds}s ago"),
        60..3600 => format!("{minutes}m ago"),
        3600..86_400 => format!("{hours}h {}m ago", minutes % 60),
        _ => format!("{days}d {}h ago", hours % 24),
    }
}

/// The time of day (UTC) of milliseconds since 1970.
pub(super) fn clock(time: u64) -> String {
    let seconds = time / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        let ago = |seconds: u64| ago(1_000_000_000, 1_000_000_000 - seconds * 1000);
        assert_eq!([ago(0), ago(59), ago(60), ago(3599)], ["just now", "59s ago", "1m ago", "59m ago"]);
        assert_eq!([ago(3600), ago(86_399), ago(90_000)], ["1h 0m ago", "23h 59m ago", "1d 1h ago"]);
        assert_eq!(super::ago(1, 2), "just now");
        assert_eq!(clock(1_795_266_842_123), "13:14:02");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(harmless("a\u{1b}[31mé\n\u{9b}"), "a\\u{1b}[31mé\\n\\u{9b}");
    }
}
