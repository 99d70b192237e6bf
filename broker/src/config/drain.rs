//! `drain`: leaving in an orderly way.

use serde::{Deserialize, Serialize};

use super::place::Problem;
use super::units::Period;

/// How a broker leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// The whole drain ends within it.
    pub grace: Period,
    /// Connections closed a second at most; more when the grace period asks for it.
    pub pace: u32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace: Period::from_secs(25), pace: 500 }
    }
}

impl Drain {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.pace == 0 {
            problems.push(Problem::of(
                "drain.pace",
                "is 0, so that no connection would be closed; write 1 or more",
            ));
        }
    }
}
