//! The methods about clients.

use serde_json::json;

use super::{CLIENT, Described, closed, count, flag, list, nullable, object, schema, text};
use crate::registry::Query;

pub(super) fn clients() -> Described {
    Described {
        summary: "List the clients",
        description: "A page at a time, in the order in which they connected, on all instances.",
        request: closed(
            &[],
            json!({
                "limit": {
                    "type": "integer", "minimum": 0, "default": Query::PAGE,
                    "description": format!("How many make a page, at most {}; 0 is the default.", Query::LIMIT),
                },
                "after": {
                    "type": ["string", "null"], "format": "uuid",
                    "description": "The `next` of the page before.",
                },
                "user": nullable("Only those of this user; empty: anonymous ones."),
                "instance": nullable("Only those of this instance."),
                "endpoint": nullable("Only those of this endpoint, such as websocket."),
                "channel": nullable("Only those that are subscribed to this channel, such as a room."),
                "metadata": schema("Texts"),
                "silent_since": {
                    "type": ["integer", "null"], "minimum": 0,
                    "description": "Only those whose last message came before this time, in milliseconds since 1970.",
                },
            }),
        ),
        asked: json!({"limit": 1}),
        result: object(
            &["clients"],
            json!({
                "clients": list(schema("Client"), "The page."),
                "next": text("What `after` is for the next page; absent on the last one."),
                "silent": list(json!({"type": "string"}), "Instances that did not answer: their clients are missing."),
            }),
        ),
        answered: json!({"clients": [{
                "id": CLIENT, "instance": "chat-0", "endpoint": "websocket", "connected": 1_795_266_842_123_u64,
                "last_message": 1_795_266_845_002_u64,
            }], "next": CLIENT}),
    }
}

pub(super) fn disconnect() -> Described {
    Described {
        summary: "End clients",
        description: "One, or all of a user or in a channel. Give one of client, user and in. A client in a namespace of Socket.IO goes out of \
            that one; whoever shares its connection goes on.",
        request: closed(
            &[],
            json!({
                "client": {
                    "type": ["string", "null"], "format": "uuid", "description": "The client of this id.",
                },
                "user": nullable("All clients of this user."),
                "in": nullable("All clients that are in this channel."),
                "reconnect": flag("Tell them to come back (3011), and not to stay away (3503). This ends their connections."),
                "connection": flag("End their connections, with all namespaces of Socket.IO that share one."),
            }),
        ),
        asked: json!({"user": "bob"}),
        result: object(&["disconnected"], json!({"disconnected": count("How many there were.")})),
        answered: json!({"disconnected": 0}),
    }
}

pub(super) fn note() -> Described {
    Described {
        summary: "Note texts of a client",
        description: "`clients` shows them and filters by them, and logic modules see them. An empty text removes one.",
        request: closed(
            &["client", "metadata"],
            json!({"client": schema("ClientId"), "metadata": schema("Texts")}),
        ),
        asked: json!({"client": CLIENT, "metadata": {"room": "7", "draft": ""}}),
        result: object(&[], json!({})),
        answered: json!({}),
    }
}
