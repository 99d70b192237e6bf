//! The methods about subscriptions.

use serde_json::{Value, json};

use super::{CLIENT, Described, closed, count, nullable, object, text};

fn request() -> Value {
    closed(
        &["channel"],
        json!({
            "channel": text("The channel."),
            "user": nullable("All clients of this user."),
            "in": nullable("All clients that are in this other channel."),
            "client": {
                "type": ["string", "null"], "format": "uuid",
                "description": "The client of this id only; with user too, if it is that user's.",
            },
        }),
    )
}

pub(super) fn subscribe() -> Described {
    Described {
        summary: "Subscribe clients to a channel",
        description: "All clients of a user or one client, on whichever instances, whatever the namespace's `subscribe` \
            says. Those that were not subscribed are told by a push. Give user, client or both, or in.",
        request: request(),
        asked: json!({"channel": "lobby", "client": CLIENT}),
        result: object(&["subscribed"], json!({"subscribed": count("How many of them are subscribed now.")})),
        answered: json!({"subscribed": 1}),
    }
}

pub(super) fn unsubscribe() -> Described {
    Described {
        summary: "End subscriptions to a channel",
        description: "Of all clients of a user or of one client, on whichever instances. They are told by a push (2000), \
            and stay away. Give user, client or both, or in.",
        request: request(),
        asked: json!({"channel": "lobby", "user": "bob"}),
        result: object(
            &["unsubscribed"],
            json!({"unsubscribed": count("How many of them were subscribed.")}),
        ),
        answered: json!({"unsubscribed": 0}),
    }
}
