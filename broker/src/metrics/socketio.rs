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

label! {
    /// What became of something that another program published for clients of Socket.IO.
    Emitted {
        /// It was carried out here.
        Ok = "ok",
        /// It was none of what emitters publish.
        Malformed = "malformed",
        /// It was larger than allowed.
        TooLarge = "too_large",
        /// It was something that the broker does not do, or that other servers say to each other.
        Ignored = "ignored",
        /// Too much was under way.
        Busy = "busy",
        /// A client could not be put into a room.
        Refused = "refused",
    }
}

/// The metrics of the endpoint.
#[derive(Clone, Debug)]
pub struct SocketIoMetrics {
    /// Requests brought to other instances.
    pub forwarded: Counters<Forwarded>,
    /// How long those with something from the client took.
    pub seconds: Histogram,
    /// What other programs published for its clients.
    pub emitted: Counters<Emitted>,
}

#[derive(Debug)]
pub(super) struct SocketIo {
    forwarded: IntCounterVec,
    seconds: Histogram,
    emitted: IntCounterVec,
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
            emitted: new.counters(
                "socketio_emitted_total",
                "What other programs published through Redis for clients of Socket.IO, as this instance heard it.",
                &["outcome"],
            ),
        }
    }

    pub(super) fn metrics(&self) -> SocketIoMetrics {
        let forwarded = Counters::of(&self.forwarded, |outcome: Forwarded| [outcome.as_str()]);
        let emitted = Counters::of(&self.emitted, |outcome: Emitted| [outcome.as_str()]);
        SocketIoMetrics { forwarded, seconds: self.seconds.clone(), emitted }
    }
}
