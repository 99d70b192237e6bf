//! What only clients of Socket.IO can be had to do.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    backplane::Unavailable,
    endpoint::Disconnect,
    message::{Channel, ClientId, Except, Rejection},
};

/// The endpoint of Socket.IO, whose clients may share a connection, and answer events.
pub trait Sockets: Send + Sync {
    /// Ends a client of this instance alone, for a reason that keeps it away, and tells it; whether it was there. Others
    /// on its connection go on.
    fn expel(&self, client: ClientId, reason: Disconnect) -> bool;

    /// Has clients answer an event, on whatever instances they are. What it gives back ends when all have answered, or
    /// their time is over.
    fn ask(&self, event: Asking) -> BoxFuture<'_, Result<Answered, AskError>>;
}

/// Who is to answer an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All that are in a channel, but perhaps for some.
    Channel(Channel, Option<Box<Except>>),
    /// These.
    Clients(Vec<ClientId>),
}

/// An event that is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// By whom.
    pub whom: Asked,
    /// A JSON array of the event's name and its arguments.
    pub event: Bytes,
    /// How long each client has; without it `endpoints.socketio.ack_timeout`.
    pub within: Option<Duration>,
}

/// What came back.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Answered {
    /// The answers.
    pub answers: Vec<ClientAnswer>,
    /// How many have not answered in time, or are not there.
    pub missing: usize,
    /// How many have answered what is not kept: all answers together were too large.
    #[serde(skip_serializing_if = "is_none")]
    pub cut: usize,
    /// Instances that did not say what their clients answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<String>,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// One client's answer.
#[derive(Debug, Clone, Serialize)]
pub struct ClientAnswer {
    /// Whose; instances of an earlier version do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// The first argument of the answer.
    pub data: Box<RawValue>,
}

/// Why nobody was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The endpoint of Socket.IO is off.
    #[error("only clients of Socket.IO answer, and endpoints.socketio is off")]
    Off,
    /// It is no event.
    #[error("{0}: write the event as [\"name\", argument, …]")]
    NoEvent(&'static str),
    /// Too much is being asked.
    #[error("too many questions are under way")]
    Busy,
    /// A middleware has stopped it.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// The other instances cannot be found now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
