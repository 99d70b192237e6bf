//! `runtime`: what the process takes from its machine.

use std::num::NonZero;

use serde::{Deserialize, Serialize};

use super::place::Problem;

/// More threads than any machine has processors; a slip of the keyboard otherwise.
const MOST: usize = 1024;

/// What the process takes from its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runtime {
    /// Threads that serve clients; 0: the broker chooses, see [`Runtime::workers`].
    pub threads: usize,
}

impl Runtime {
    /// How many threads serve clients. Left to the broker, these are as many as its processor quota gives; without a
    /// quota, one less than the machine has processors, and one at least.
    pub fn workers(&self) -> usize {
        match self.threads {
            0 => {
                let all = rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count() as usize);
                choose(std::thread::available_parallelism().map_or(all, NonZero::get), all)
            }
            threads => threads,
        }
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.threads > MOST {
            problems.push(Problem::of(
                "runtime.threads",
                format!("{} are too many; write at most {MOST}, or 0 to let the broker choose", self.threads),
            ));
        }
    }
}

/// How many threads make use of `allowed` processors, of the `all` that there are.
fn choose(allowed: usize, all: usize) -> usize {
    match allowed < all {
        true => allowed,
        // The kernel's side of the traffic runs beside the broker, and often Redis does. On two processors a second
        // thread brings no more messages, costs a tenth more processor time for each, and a tenth more latency.
        false => allowed.saturating_sub(1).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_used_whole_and_of_a_whole_machine_one_processor_is_left() {
        assert_eq!([choose(1, 8), choose(2, 8), choose(7, 8)], [1, 2, 7]);
        assert_eq!([choose(1, 1), choose(2, 2), choose(8, 8)], [1, 1, 7]);
    }

    #[test]
    fn what_is_written_is_what_is_used() {
        assert_eq!(Runtime { threads: 3 }.workers(), 3);
        assert!(Runtime { threads: 0 }.workers() >= 1);
    }
}
