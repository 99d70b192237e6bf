//! What went wrong: a fast run that lost messages is not a fast run.

use std::fmt;

/// Counts of everything that should not happen, and the first words of the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Deliveries that never came.
    pub(crate) lost: u64,
    /// Deliveries that came twice or out of order.
    pub(crate) misordered: u64,
    /// Publish commands without a reply.
    pub(crate) unanswered: u64,
    /// Error replies, and pushes that nobody asked for.
    pub(crate) errors: u64,
    /// Connections that the server closed.
    pub(crate) closed: u64,
    /// What the server said first.
    pub(crate) first: Option<String>,
}

impl Faults {
    /// Counts an error reply.
    pub(crate) fn error(&mut self, text: &str) {
        self.errors += 1;
        self.first.get_or_insert_with(|| text.to_owned());
    }

    /// Counts a closed connection.
    pub(crate) fn closed(&mut self, why: &str) {
        self.closed += 1;
        self.first.get_or_insert_with(|| why.to_owned());
    }

    /// Adds the faults of another round.
    pub(crate) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.misordered += other.misordered;
        self.unanswered += other.unanswered;
        self.errors += other.errors;
        self.closed += other.closed;
        if self.first.is_none() {
            self.first.clone_from(&other.first);
        }
    }

    /// Every count with its name.
    pub(crate) fn counts(&self) -> [(u64, &'static str); 5] {
        [
            (self.lost, "lost"),
            (self.misordered, "out of order"),
            (self.unanswered, "publishes unanswered"),
            (self.errors, "errors"),
            (self.closed, "connections closed"),
        ]
    }

    /// True when nothing went wrong.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts().into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        formatter.write_str(if counts.is_empty() { "no faults" } else { "" })?;
        formatter.write_str(&counts.join(", "))?;
        match &self.first {
            Some(first) => write!(formatter, " (first: {first})"),
            None => Ok(()),
        }
    }
}
