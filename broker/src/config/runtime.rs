//! `runtime`: what the process takes from its machine.

use serde::{Deserialize, Serialize};

use super::place::Problem;

/// More threads than any machine has processors; a slip of the keyboard otherwise.
const MOST: usize = 1024;

/// What the process takes from its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runtime {
    /// Threads that serve clients; 0: as many as the processor quota gives.
    pub threads: usize,
}

impl Runtime {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.threads > MOST {
            problems.push(Problem::of(
                "runtime.threads",
                format!("{} are too many; write at most {MOST}, or 0 to let the broker choose", self.threads),
            ));
        }
    }
}
