//! The method that has clients answer.

use serde_json::json;

use super::{CLIENT, Described, closed, count, list, nullable, object, schema, text};
use crate::endpoint::http::ask::{CLIENTS, TIMEOUT};

pub(super) fn ask() -> Described {
    let answer = json!({
        "client": text("Whose it is; absent if it is on an instance of an earlier version."),
        "data": {"description": "The first argument of the answer."},
    });
    Described {
        summary: "Have clients of Socket.IO answer an event",
        description: "Those in a channel, or these, on all instances. Give one of channel and clients. The answer comes when \
            all have answered, or their time is over.",
        request: closed(
            &["data"],
            json!({
                "channel": nullable("All in this channel; who speaks another protocol is not asked."),
                "clients": list(schema("ClientId"), &format!("The ids of clients, at most {CLIENTS}.")),
                "except": schema("Except"),
                "data": {"type": "array", "minItems": 1, "items": {}, "description": "The event's name, and its arguments."},
                "timeout": {
                    "type": ["integer", "null"], "minimum": 1,
                    "description": format!("How long clients have, in milliseconds, at most {TIMEOUT}; otherwise \
                        endpoints.socketio.ack_timeout."),
                },
            }),
        ),
        asked: json!({"channel": "lobby", "data": ["ready?", {"round": 2}], "timeout": 1000}),
        result: object(
            &["answers", "missing"],
            json!({
                "answers": list(object(&["data"], answer), "What clients answered."),
                "missing": count("Clients that have not answered in time, or are not there."),
                "cut": count("Clients whose answers are not kept: all together are larger than limits.outbox_size. Absent when \
                    there are none."),
                "silent": list(json!({"type": "string"}), "Instances that did not say what their clients answered."),
            }),
        ),
        answered: json!({"answers": [{"client": CLIENT, "data": "yes"}], "missing": 0}),
    }
}
