//! The metrics of the Socket.IO endpoint that no other endpoint has.

use prometheus::{Histogram, IntCounterVec};

use super::{Builder, Counters, Label, label};

label! {
    /// What became of a request that arrived on another instance than its connection's.
    Forwarded {
        /// It was answered.
        Ok = "ok",
        /// The other instance refused it.
        Refused = "refused",
        /// The other instance did not answer in time, or could not be asked.
        Lost = "lost",
        /// Too many were under way.
        Busy = "busy",
    }
}

/// The metrics of the endpoint.
#[derive(Clone, Debug)]
pub struct SocketIoMetrics {
    /// Requests brought to other instances.
    pub forwarded: Counters<Forwarded>,
    /// How long those with something from the client took.
    pub seconds: Histogram,
}

#[derive(Debug)]
pub(super) struct SocketIo {
    forwarded: IntCounterVec,
    seconds: Histogram,
}

impl SocketIo {
    pub(super) fn new(new: &Builder) -> Self {
        Self {
            forwarded: new.counters(
                "socketio_forwarded_total",
                "Requests brought to the instance that holds their connection, and questions to its clients.",
                &["outcome"],
            ),
            seconds: new.histogram(
                "socketio_forward_seconds",
                "How long bringing a client's packets to another instance took, there and back.",
            ),
        }
    }

    pub(super) fn metrics(&self) -> SocketIoMetrics {
        let forwarded = Counters::of(&self.forwarded, |outcome: Forwarded| [outcome.as_str()]);
        SocketIoMetrics { forwarded, seconds: self.seconds.clone() }
    }
}
