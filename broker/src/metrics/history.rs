//! What is counted of channels with history.

use super::{Builder, Counters, label};

label! {
    /// How a client that came back for what it had missed was answered.
    Recovery {
        /// It was given all of it.
        Recovered = "recovered",
        /// Not all of it is kept any more, or the stream is another one.
        Lost = "lost",
    }
}

label! {
    /// What became of a hole in what an instance had heard of a channel with history.
    Gap {
        /// It was read from the stream, and subscribers miss nothing.
        Filled = "filled",
        /// It could not be: subscribers were told to subscribe again.
        Unfilled = "unfilled",
    }
}

/// The metrics of channels with history.
#[derive(Clone, Debug)]
pub struct HistoryMetrics {
    /// Clients that came back for what they had missed.
    pub recoveries: Counters<Recovery>,
    /// Holes in what was heard of channels.
    pub gaps: Counters<Gap>,
}

impl HistoryMetrics {
    pub(super) fn new(new: &Builder) -> Self {
        Self {
            recoveries: new.by(
                "recoveries_total",
                "Clients that came back for what they had missed, by what became of that.",
                "outcome",
            ),
            gaps: new.by(
                "gaps_total",
                "Holes in what this instance had heard of a channel with history.",
                "outcome",
            ),
        }
    }
}
