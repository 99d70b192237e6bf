//! The methods about what is kept of channels.

use serde_json::{Value, json};

use super::{Described, count, flag, list, object, schema, text};

/// An epoch in the examples.
const EPOCH: &str = "0f3c8a51";

/// The schemas that belong to them.
pub(super) fn shared() -> [(String, Value); 2] {
    let position = json!({
        "offset": count("The number of a message in the channel's stream; the first one has 1."),
        "epoch": text("Which life of the stream: one that was forgotten and begins anew has another epoch."),
    });
    let kept = json!({
        "offset": count("Its number in the channel's stream."),
        "data": {"description": "What was published."},
        "info": {"description": "Who published it, if a client did."},
        "tags": schema("Texts"),
    });
    [
        ("Position".to_owned(), object(&["offset"], position)),
        ("Kept".to_owned(), object(&["offset", "data"], kept)),
    ]
}

/// What a publication is answered with.
pub(super) fn published() -> Value {
    object(
        &[],
        json!({
            "offset": count("Its number in the channel's stream, if the channel has history."),
            "epoch": text("Which life of the stream."),
        }),
    )
}

/// The field of methods that publish.
pub(super) fn skip() -> Value {
    flag("Do not keep it, in a channel with history.")
}

pub(super) fn history() -> Described {
    Described {
        summary: "Read what was published in a channel",
        description: "The namespace must keep it: see its `history`. Without `limit` only the position is answered.",
        request: object(
            &["channel"],
            json!({
                "channel": text("The channel."),
                "limit": {
                    "type": "integer", "default": 0,
                    "description": "How many messages at most; 0: none; negative: all.",
                },
                "since": schema("Position"),
                "reverse": flag("The latest first, and with since what came before it."),
            }),
        ),
        asked: json!({"channel": "kept:lobby", "limit": 10}),
        result: object(
            &["publications", "offset", "epoch"],
            json!({
                "publications": list(schema("Kept"), "What was published, in order."),
                "offset": count("The number of the channel's last message."),
                "epoch": text("Which life of the stream."),
            }),
        ),
        answered: json!({"publications": [{"offset": 1, "data": {"text": "hello"}}], "offset": 1, "epoch": EPOCH}),
    }
}

pub(super) fn remove() -> Described {
    Described {
        summary: "Forget what was published in a channel",
        description: "The position stays: who comes back and has missed something is told that it is lost.",
        request: object(&["channel"], json!({"channel": text("The channel.")})),
        asked: json!({"channel": "kept:lobby"}),
        result: object(&[], json!({})),
        answered: json!({}),
    }
}
