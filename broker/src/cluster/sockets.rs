//! What only clients of Socket.IO can be had to do.

use crate::{endpoint::Disconnect, message::ClientId};

/// The endpoint of Socket.IO, whose clients may share a connection.
pub trait Sockets: Send + Sync {
    /// Ends a client of this instance alone, for a reason that keeps it away, and tells it; whether it was there. Others
    /// on its connection go on.
    fn expel(&self, client: ClientId, reason: Disconnect) -> bool;
}
