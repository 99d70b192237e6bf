//! What an event of a client does.

use serde::{Deserialize, Serialize};

use crate::codec::socketio::is_reserved;

/// The room of the profile `chat` that everybody is in.
pub const ONLINE: &str = "online";

/// What others are told of somebody who types.
pub(super) const USER_TYPING: &str = "userTyping";

/// What one event of a client does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// The event's name.
    pub event: String,
    /// Only in this namespace; without one in each.
    #[serde(default)]
    pub namespace: Option<String>,
    /// What it does.
    #[serde(rename = "do")]
    pub act: Act,
    /// Where among the arguments the room stands: a JSON pointer (RFC 6901). Empty: nowhere, it is what `prefix` says.
    #[serde(default = "first_argument")]
    pub room: String,
    /// What the room's name begins with, in front of what the client says.
    #[serde(default)]
    pub prefix: String,
    /// The name under which an event is published; without one its own.
    #[serde(default)]
    pub emit: Option<String>,
    /// Whether the client that published it gets it too.
    #[serde(default)]
    pub to_sender: bool,
    /// Whether the broker adds who published it, when, and an identity, to the first argument.
    #[serde(default)]
    pub stamp: bool,
    /// The logic module that is called.
    #[serde(default)]
    pub logic: Option<String>,
}

fn first_argument() -> String {
    "/0".into()
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// The client joins the room.
    Join,
    /// The client leaves the room.
    Leave,
    /// The event goes to the room, with all its arguments.
    Publish,
    /// What stands behind the room among the arguments, a name and arguments, goes to the room as an event.
    Forward,
    /// As `forward`, to clients that are to answer; the client gets their answers.
    Ask,
    /// The client gets to know who is in the room.
    Presence,
    /// The event goes to a logic module, whose answer the client gets.
    Call,
    /// The client gets to know when users were last in the room. Only the profile `chat` has it, which notes that.
    #[serde(skip)]
    LastSeen,
}

impl EventRule {
    /// A rule that says nothing but this.
    pub fn new(event: &str, act: Act) -> Self {
        Self {
            event: event.into(),
            namespace: None,
            act,
            room: first_argument(),
            prefix: String::new(),
            emit: None,
            to_sender: false,
            stamp: false,
            logic: None,
        }
    }

    /// What events do where the configuration says nothing.
    pub fn built_in() -> Vec<Self> {
        let rules = [
            ("join", Act::Join),
            ("leave", Act::Leave),
            ("publish", Act::Forward),
            ("ask", Act::Ask),
            ("presence", Act::Presence),
        ];
        rules.into_iter().map(|(event, act)| Self::new(event, act)).collect()
    }

    /// The profile `chat`.
    pub fn chat() -> Vec<Self> {
        let of_conversation =
            |event: &str, act| Self { room: "/0/conversationId".into(), ..Self::new(event, act) };
        let publish = |event: &str, emit: &str| Self {
            emit: Some(emit.into()),
            stamp: true,
            ..of_conversation(event, Act::Publish)
        };
        let of_everybody =
            |event: &str, act| Self { room: String::new(), prefix: ONLINE.into(), ..Self::new(event, act) };
        vec![
            of_conversation("joinConversation", Act::Join),
            of_conversation("leaveConversation", Act::Leave),
            Self { to_sender: true, ..publish("sendMessage", "newMessage") },
            publish("typing", USER_TYPING),
            of_conversation("getMembers", Act::Presence),
            of_everybody("getOnlineUsers", Act::Presence),
            of_everybody("getLastSeen", Act::LastSeen),
        ]
    }

    /// What is wrong with it: the key, and what to write instead.
    pub(super) fn problem(&self, namespaces: &[String]) -> Option<(&'static str, String)> {
        if is_reserved(&self.event) || self.event.is_empty() {
            let text = format!(
                "{:?} is no name for an event: clients' libraries keep it for themselves",
                self.event
            );
            return Some(("event", text));
        }
        if let Some(namespace) = self.namespace.as_ref().filter(|name| !namespaces.contains(name)) {
            let text = format!("{namespace:?} is not among endpoints.socketio.namespaces; add it there");
            return Some(("namespace", text));
        }
        if !self.room.starts_with('/') && (!self.room.is_empty() || self.prefix.is_empty()) {
            let text = format!(
                "{:?} is no JSON pointer; write /0 for the first argument, /0/room for its field",
                self.room
            );
            return Some(("room", text));
        }
        if let Some(name) = self.emit.as_ref().filter(|name| is_reserved(name)) {
            return Some(("emit", format!("{name:?} is a name that clients' libraries keep for themselves")));
        }
        match (self.act, &self.logic) {
            (Act::Call, None) => Some(("logic", "is missing: name the logic module that is called".into())),
            (Act::Call, Some(_)) | (_, None) => None,
            (_, Some(_)) => Some(("logic", "means nothing but with do: call; leave it out".into())),
        }
    }
}
