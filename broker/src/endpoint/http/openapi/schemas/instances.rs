//! The method about instances: `info`.

use serde_json::{Value, json};

use super::{Described, count, described, list, object, schema, text};

/// What an instance says of itself.
pub(super) fn node() -> Value {
    object(
        &[
            "uid",
            "name",
            "version",
            "num_clients",
            "num_users",
            "num_channels",
            "num_subs",
            "uptime",
            "uptime_ms",
            "num_published",
            "num_delivered",
            "num_failed",
        ],
        json!({
            "uid": text("The instance's ID and boot epoch."),
            "name": text("The instance's ID."),
            "version": text("The broker's version."),
            "num_clients": count("Connections."),
            "num_users": count("Distinct users of them."),
            "num_channels": count("Channels that have a subscriber there."),
            "num_subs": count("Subscriptions."),
            "uptime": count("Seconds since its start."),
            "uptime_ms": count("The same in milliseconds; 0 of an instance of a version that does not tell."),
            "num_published": count("Messages accepted for publishing since its start."),
            "num_delivered": count("Messages handed to a client since its start; one for each receiver."),
            "num_failed": count("Messages since its start that could not be published, or did not reach a client."),
            "redis": described(
                object(
                    &["connected"],
                    json!({
                        "connected": {"type": "boolean", "description": "Whether the connection stands."},
                        "round_trip_us": count("The last round trip of its probe, in microseconds; absent before the first."),
                    }),
                ),
                "Its connection to Redis; absent where there is to be none, and of a version that does not tell.",
            ),
        }),
    )
}

pub(super) fn info() -> Described {
    Described {
        summary: "List the instances",
        description: "What an instance says of the others is up to three seconds old.",
        request: object(&[], json!({})),
        asked: json!({}),
        result: object(&["nodes"], json!({"nodes": list(schema("Node"), "The instances.")})),
        answered: json!({"nodes": [{
            "uid": "chat-0/660c25ea8e327", "name": "chat-0", "version": "0.1.0", "num_clients": 1, "num_users": 1,
            "num_channels": 1, "num_subs": 1, "uptime": 3, "uptime_ms": 3456,
            "num_published": 12, "num_delivered": 34, "num_failed": 0,
            "redis": {"connected": true, "round_trip_us": 212},
        }]}),
    }
}
