//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Milliseconds since 1970 at the kernel's last tick, up to ten ago: for what is asked with each message, since no
/// clock of the machine is read for it. What it gives is not to be compared with [`now_ms`].
pub fn tick_ms() -> u64 {
    let tick = clock_gettime(ClockId::RealtimeCoarse);
    tick.tv_sec.unsigned_abs() * 1000 + tick.tv_nsec.unsigned_abs() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_the_time_but_for_a_moment() {
        let before = now_ms();
        let tick = tick_ms();
        assert!(tick <= now_ms(), "never ahead");
        assert!(before - tick.min(before) < 1000, "{before} {tick}");
    }
}
