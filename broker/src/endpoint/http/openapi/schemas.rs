//! What each method is asked with, and what it answers.

use serde_json::{Map, Value, json};

mod ask;
mod clients;
mod history;
mod instances;
mod subscriptions;

use super::{request_name, result_name};
use crate::{
    endpoint::http::except::{CHANNELS, CLIENTS},
    metrics::{ApiMethod, Label},
};

/// A client's id in the examples.
const CLIENT: &str = "019aa6d0-2f1b-7c3e-8a34-2f6f7d9a1b11";

/// One method: words for people, schemas, and an example of each.
pub(super) struct Described {
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) request: Value,
    pub(super) asked: Value,
    pub(super) result: Value,
    pub(super) answered: Value,
}

/// An object with these fields; others are passed over.
fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

/// An object with these fields and no others.
fn closed(required: &[&str], properties: Value) -> Value {
    let mut schema = object(required, properties);
    schema["additionalProperties"] = false.into();
    schema
}

fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn count(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "default": false, "description": description})
}

fn list(items: Value, description: &str) -> Value {
    json!({"type": "array", "items": items, "description": description})
}

fn map(values: Value, description: &str) -> Value {
    json!({"type": "object", "additionalProperties": values, "description": description})
}

/// The schemas that several methods use.
pub(super) fn shared() -> Map<String, Value> {
    let mut error = object(
        &["code", "message"],
        json!({
            "code": {
                "type": "integer",
                "enum": [100, 102, 103, 104, 106, 107, 108, 111, 112],
                "description": "100: try again; 102: the namespace is not configured; 103: refused; 104: no such client; \
                    106: clients have all the channels that they may have; 107: mend the request; 108: switched off here; 111: too much at once, try again; \
                    112: no such position in the channel's history, or no more.",
            },
            "message": text("What is wrong with this request."),
        }),
    );
    error["description"] = "An error of the protocol.".into();
    let member = json!({
        "user": text("The user; empty for anonymous."),
        "client": text("The client's id."),
        "conn_info": {"description": "What the client's token says of it."},
        "chan_info": {"description": "What the token of the subscription says of it."},
    });
    let client = json!({
        "id": text("The client's id."),
        "user": text("The user; absent for anonymous ones."),
        "instance": text("The instance that it is connected to."),
        "endpoint": text("The endpoint that it came through."),
        "namespace": text("The namespace of Socket.IO that it is in; absent for other protocols."),
        "connected": count("When it connected, in milliseconds since 1970."),
        "last_message": count("When its last message came, in milliseconds since 1970."),
        "metadata": schema("Texts"),
    });
    let counted = object(&["num_clients"], json!({"num_clients": count("Subscribers, on all instances.")}));
    let failed = described(closed(&["error"], json!({"error": schema("Error")})), "It was not done.");
    let schemas = [
        ("Error".to_owned(), error),
        ("Failed".to_owned(), failed),
        ("Texts".to_owned(), map(json!({"type": "string"}), "Texts by name.")),
        ("ClientId".to_owned(), json!({"type": "string", "format": "uuid", "description": "A client's id."})),
        ("Except".to_owned(), except()),
        ("Member".to_owned(), object(&["user", "client"], member)),
        ("Client".to_owned(), object(&["id", "instance", "endpoint", "connected", "last_message"], client)),
        ("Node".to_owned(), instances::node()),
        ("Channel".to_owned(), described(counted, "A channel.")),
    ];
    schemas.into_iter().chain(history::shared()).collect()
}

/// Who does not get what others get.
fn except() -> Value {
    let mut except = closed(
        &[],
        json!({
            "clients": list(schema("ClientId"), &format!("These clients, at most {CLIENTS}.")),
            "channels": list(
                json!({"type": "string"}),
                &format!("Whoever is subscribed to one of these channels, at most {CHANNELS}."),
            ),
        }),
    );
    except["type"] = json!(["object", "null"]);
    described(
        except,
        "Who does not get it of those in the channels, or of everyone. Not for what is kept in a channel with history.",
    )
}

/// What a method does, is asked with and answers; `None` for what counts requests of no method.
pub(super) fn describe(method: ApiMethod) -> Option<Described> {
    let data = json!({"description": "Any JSON value; clients get it byte for byte."});
    let channel = text("The channel.");
    Some(match method {
        ApiMethod::Publish => Described {
            summary: "Publish in a channel",
            description: "Sends a message to everyone who is subscribed to the channel, on all instances.",
            request: object(
                &["channel", "data"],
                json!({
                    "channel": channel,
                    "data": data,
                    "tags": schema("Texts"),
                    "skip_history": history::skip(),
                    "except": schema("Except"),
                }),
            ),
            asked: json!({"channel": "lobby", "data": {"text": "hello"}, "tags": {"from": "backend"}}),
            result: history::published(),
            answered: json!({}),
        },
        ApiMethod::Broadcast => Described {
            summary: "Publish in several channels",
            description: "Each channel has its own answer, in their order.",
            request: object(
                &["channels", "data"],
                json!({
                    "channels": {
                        "type": "array", "items": {"type": "string"}, "minItems": 1, "description": "The channels.",
                    },
                    "data": data,
                    "tags": schema("Texts"),
                    "skip_history": history::skip(),
                    "except": schema("Except"),
                }),
            ),
            asked: json!({"channels": ["lobby", "room"], "data": {"text": "to all"}}),
            result: object(
                &["responses"],
                json!({"responses": list(
                    json!({"oneOf": [
                        closed(&["result"], json!({"result": schema("PublishResult")})),
                        schema("Failed"),
                    ]}),
                    "An answer for each channel.",
                )}),
            ),
            answered: json!({"responses": [{"result": {}}, {"result": {}}]}),
        },
        ApiMethod::Send => Described {
            summary: "Send to clients, logic modules or everyone",
            description: "Whatever the clients are subscribed to. At least one of clients, logic and everyone is needed.",
            request: closed(
                &["data"],
                json!({
                    "clients": list(schema("ClientId"), "The ids of clients."),
                    "logic": list(
                        json!({"oneOf": [
                            {"type": "string"},
                            object(&["name", "instance"], json!({
                                "name": text("The module's name."),
                                "instance": text("The instance that it is to run on."),
                            })),
                        ]}),
                        "Logic modules: a name, or a name with an instance.",
                    ),
                    "everyone": flag("To every client of every instance."),
                    "data": data,
                    "metadata": schema("Texts"),
                    "except": schema("Except"),
                }),
            ),
            asked: json!({"clients": [CLIENT], "data": "hello"}),
            result: object(
                &["clients", "logic"],
                json!({
                    "clients": map(
                        json!({"type": "string", "enum": ["delivered", "gone", "unreachable"]}),
                        "What became of it, by the client's id.",
                    ),
                    "logic": map(
                        object(&[], json!({
                            "data": {"description": "What the module has answered."},
                            "error": text("Why the module has not handled it."),
                        })),
                        "What became of it, by the module's name.",
                    ),
                }),
            ),
            answered: json!({"clients": {CLIENT: "gone"}, "logic": {}}),
        },
        ApiMethod::Ask => ask::ask(),
        ApiMethod::Channels => Described {
            summary: "List the channels",
            description: "Those that have subscribers, on all instances. An instance that does not answer within 750 ms is left out.",
            request: object(
                &[],
                json!({"pattern": {
                    "type": "string", "default": "*",
                    "description": "Which channels: `*` stands for anything, `?` for one character.",
                }}),
            ),
            asked: json!({"pattern": "lob*"}),
            result: object(&["channels"], json!({"channels": map(schema("Channel"), "Channels by name.")})),
            answered: json!({"channels": {"lobby": {"num_clients": 1}}}),
        },
        ApiMethod::Info => instances::info(),
        ApiMethod::Presence => Described {
            summary: "Tell who is in a channel",
            description: "The namespace must keep it: `presence` is not `nobody`, or `join_leave` is on.",
            request: object(&["channel"], json!({"channel": channel})),
            asked: json!({"channel": "lobby"}),
            result: object(
                &["presence"],
                json!({"presence": map(schema("Member"), "Members by the client's id.")}),
            ),
            answered: json!({"presence": {CLIENT: {"user": "ann", "client": CLIENT}}}),
        },
        ApiMethod::PresenceStats => Described {
            summary: "Count who is in a channel",
            description: "All anonymous clients are one user.",
            request: object(&["channel"], json!({"channel": channel})),
            asked: json!({"channel": "lobby"}),
            result: object(
                &["num_clients", "num_users"],
                json!({"num_clients": count("Connections."), "num_users": count("Distinct users of them.")}),
            ),
            answered: json!({"num_clients": 1, "num_users": 1}),
        },
        ApiMethod::History => history::history(),
        ApiMethod::HistoryRemove => history::remove(),
        ApiMethod::Clients => clients::clients(),
        ApiMethod::Subscribe => subscriptions::subscribe(),
        ApiMethod::Unsubscribe => subscriptions::unsubscribe(),
        ApiMethod::Disconnect => clients::disconnect(),
        ApiMethod::Note => clients::note(),
        ApiMethod::Batch => batch(),
        ApiMethod::Unknown => return None,
    })
}

fn nullable(description: &str) -> Value {
    json!({"type": ["string", "null"], "description": description})
}

fn batch() -> Described {
    let other = |method: &&ApiMethod| !matches!(method, ApiMethod::Batch | ApiMethod::Unknown);
    let methods = || ApiMethod::ALL.iter().filter(other);
    let commands: Map<_, _> = methods()
        .map(|method| (method.as_str().to_owned(), schema(&request_name(method.as_str()))))
        .collect();
    let replies: Map<_, _> = methods()
        .map(|method| (method.as_str().to_owned(), schema(&result_name(method.as_str()))))
        .chain([("error".to_owned(), schema("Error"))])
        .collect();
    let one_of = |properties: Map<String, Value>| {
        let mut schema = closed(&[], properties.into());
        (schema["minProperties"], schema["maxProperties"]) = (1.into(), 1.into());
        schema
    };
    Described {
        summary: "Do several commands",
        description: "One after the other, or side by side. The replies come in their order either way.",
        request: closed(
            &["commands"],
            json!({
                "commands": {
                    "type": "array", "items": one_of(commands), "minItems": 1,
                    "description": "A method's name, and what it is asked with.",
                },
                "parallel": flag("Side by side."),
            }),
        ),
        asked: json!({"commands": [{"publish": {"channel": "lobby", "data": 1}}, {"info": {}}], "parallel": true}),
        result: object(
            &["replies"],
            json!({"replies": list(one_of(replies), "The method's name and its result, or an error.")}),
        ),
        answered: json!({"replies": [
            {"publish": {}},
            {"error": {"code": 100, "message": "the backplane is not connected"}},
        ]}),
    }
}
