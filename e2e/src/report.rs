//! What a test sees, said as it happens with the seconds since the test began.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Says what happens. Copies speak of the same beginning.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    began: Instant,
}

impl Report {
    /// A report that begins now.
    pub fn begin(title: &str) -> Self {
        print(&format!("\n── {title}"));
        Self { began: Instant::now() }
    }

    /// One line: who saw it, and what.
    pub fn say(&self, who: &str, what: impl Display) {
        let seconds = self.began.elapsed().as_secs_f64();
        print(&format!("{seconds:>8.2} s  {who:<12} {what}"));
    }
}

#[expect(clippy::print_stdout, reason = "the test harness keeps it with the test's result")]
fn print(line: &str) {
    println!("{line}");
}

/// Seconds or milliseconds, whichever reads better.
pub fn time(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1000.0),
    }
}

/// The median, the 99th percentile and the longest of some times.
pub fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let Some(longest) = times.last().copied() else { return "none".into() };
    let at = |part: f64| time(times[((times.len() - 1) as f64 * part).round() as usize]);
    format!("{} times: p50 {}, p99 {}, longest {}", times.len(), at(0.5), at(0.99), time(longest))
}
