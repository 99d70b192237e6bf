//! The one place that prints.
#![expect(clippy::print_stdout, reason = "what the user reads goes to standard output")]

use std::io::{IsTerminal, Write, stdout};
use std::sync::LazyLock;
use std::time::Duration;

static LIVE: LazyLock<bool> = LazyLock::new(|| stdout().is_terminal());
static COLOUR: LazyLock<bool> = LazyLock::new(|| *LIVE && std::env::var_os("NO_COLOR").is_none());

/// Whether a line can be drawn over again.
pub(crate) fn live() -> bool {
    *LIVE
}

/// Prints one line; standard output that went away is nobody's fault.
pub(crate) fn say(line: impl AsRef<str>) {
    let _ = writeln!(stdout(), "{}", line.as_ref());
}

/// Draws the last line again, without ending it.
pub(crate) fn redraw(line: &str) {
    print!("\r\x1b[2K{line}");
    let _ = stdout().flush();
}

fn paint(code: &str, text: &str) -> String {
    if *COLOUR { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

pub(crate) fn green(text: &str) -> String {
    paint("32", text)
}

pub(crate) fn red(text: &str) -> String {
    paint("31", text)
}

pub(crate) fn cyan(text: &str) -> String {
    paint("36", text)
}

pub(crate) fn bold(text: &str) -> String {
    paint("1", text)
}

pub(crate) fn dim(text: &str) -> String {
    paint("2", text)
}

/// `0.4s`, `12s`, `3m 05s`.
pub(crate) fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=9 => format!("{:.1}s", time.as_secs_f64()),
        10..=59 => format!("{seconds}s"),
        _ => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_is_short() {
        assert_eq!(elapsed(Duration::from_millis(420)), "0.4s");
        assert_eq!(elapsed(Duration::from_secs(12)), "12s");
        assert_eq!(elapsed(Duration::from_secs(185)), "3m 05s");
    }
}
