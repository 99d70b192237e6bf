//! `channels.namespaces[].history`: what is kept of what is published.

use serde::{Deserialize, Serialize};

use super::{Access, place::Problem, units::Period};
use crate::backplane::Keep;

/// How much of each channel is kept, and for whom. Nothing is, as long as the size is 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// How many messages of each channel are kept.
    pub size: u32,
    /// How long they are kept after the last one.
    pub ttl: Period,
    /// Which clients may read what is kept; the server API always may.
    pub read: Access,
    /// Whether clients that come back are given what they have missed.
    pub recover: bool,
}

impl Default for History {
    fn default() -> Self {
        Self { size: 0, ttl: Period::from_secs(10 * 60), read: Access::default(), recover: true }
    }
}

impl History {
    /// What the backplane is to keep; `None` for nothing.
    pub fn keep(&self) -> Option<Keep> {
        Keep::new(self.size, self.ttl.get())
    }

    pub(super) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        if self.size > Keep::LARGEST {
            problems.push(Problem::of(
                format!("{path}.size"),
                format!("{} messages are more than can be kept; write at most {}", self.size, Keep::LARGEST),
            ));
        }
        if self.size > 0 && (self.ttl.get().is_zero() || self.ttl.get() > Keep::LONGEST) {
            problems.push(Problem::of(
                format!("{path}.ttl"),
                format!(
                    "{} is no time that messages can be kept for; write at least 1ms and at most {}, or size: 0 for no history",
                    self.ttl,
                    Period::from_secs(Keep::LONGEST.as_secs()),
                ),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_said_with_what_to_write() {
        let problems = |size, ttl| {
            let mut problems = Vec::new();
            let history = History { size, ttl, ..History::default() };
            history.check("history", &mut problems);
            let problems: Vec<_> = problems.into_iter().map(|problem| problem.to_string()).collect();
            assert_eq!(problems.is_empty() && size > 0, history.keep().is_some());
            problems.join("\n")
        };
        let minute = Period::from_secs(60);
        assert_eq!(problems(100, minute), "");
        assert_eq!(problems(0, Period::from_secs(0)), "");
        assert!(problems(10_001, minute).contains("history.size: 10001 messages"));
        assert!(problems(1, Period::from_secs(0)).contains("at least 1ms"));
        assert!(problems(1, Period::from_secs(31 * 24 * 60 * 60)).contains("at most 720h"));
    }
}
