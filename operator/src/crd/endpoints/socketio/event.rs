//! `spec.endpoints.socketio.events`.

use crate::crd::rules::socketio as rules;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one event of a client does.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::call_has_logic(),
    validation = rules::logic_is_called(),
    validation = rules::room_of_an_event()
)]
pub struct EventRule {
    /// The event's name.
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::event_name())]
    pub event: String,

    /// Only in this one of `namespaces`, such as `/staff`. Absent: in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub namespace: Option<String>,

    /// What it does: the client is to `join` or `leave` the room; `publish`: the event goes to the room; `forward`: what
    /// stands behind the room among the arguments goes there as an event; `ask`: the same, and the client gets the others'
    /// answers; `presence`: the client gets to know who is in the room; `call`: the event goes to a logic module.
    #[serde(rename = "do")]
    pub act: Act,

    /// Where among the arguments the room stands, as a JSON pointer: `/0` is the first argument, `/0/room` its field `room`.
    /// Empty: nowhere, and the room is what `prefix` says.
    #[serde(default = "first_argument")]
    #[schemars(length(max = 256))]
    pub room: String,

    /// What the room's name begins with, in front of what the client says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub prefix: String,

    /// Of `publish`: the name under which the event arrives. Absent: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::event_name())]
    pub emit: Option<String>,

    /// Of `publish` and `forward`: whether the sender gets the event too.
    #[serde(default)]
    pub to_sender: bool,

    /// Of `publish`: whether the broker puts an `id`, a `timestamp` and the `user` of the token into the first argument.
    #[serde(default)]
    pub stamp: bool,

    /// Of `call`: the name of the logic module, one of `logic.modules` that receives `rpc`, or one of your `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub logic: Option<String>,
}

/// What an event does.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// The client joins the room.
    Join,
    /// The client leaves the room.
    Leave,
    /// The event goes to the room, with all its arguments.
    Publish,
    /// What stands behind the room among the arguments goes to the room as an event.
    Forward,
    /// As `forward`, to clients that are to answer; the client gets their answers.
    Ask,
    /// The client gets to know who is in the room.
    Presence,
    /// The event goes to a logic module, whose answer the client gets.
    Call,
}

fn first_argument() -> String {
    "/0".into()
}
