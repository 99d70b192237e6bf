//! What the API server refuses in `spec.endpoints.socketio` and `spec.endpoints.presence`, and takes.

use super::{super::fixture::Fixture, with};
use serde_json::{Value, json};

fn socketio(settings: Value) -> Value {
    with("endpoints", json!({"socketio": settings}))
}

fn event(rule: Value) -> Value {
    socketio(json!({"enabled": true, "events": [rule]}))
}

fn presence(settings: Value) -> Value {
    with("endpoints", json!({"presence": settings}))
}

/// Boards beside these namespaces of channels.
fn boards(mut settings: Value, namespaces: Value) -> Value {
    settings["enabled"] = json!(true);
    let mut spec = presence(settings);
    spec["channels"] = json!({"namespaces": namespaces});
    spec
}

/// An event that calls `game`, which is this.
fn calling(module: Value) -> Value {
    let mut spec = event(json!({"event": "move", "do": "call", "logic": "game"}));
    spec["logic"] = json!({"modules": [module]});
    spec
}

pub(super) fn wrong_fields() -> Vec<(Value, &'static str)> {
    [wrong_paths(), wrong_socketio(), wrong_events(), wrong_boards()].concat()
}

fn wrong_paths() -> Vec<(Value, &'static str)> {
    let both = |socketio: Value, presence: Value| {
        with("endpoints", json!({"socketio": socketio, "presence": presence, "sse": {"enabled": true}}))
    };
    let off = json!({});
    vec![
        (socketio(json!({"path": "/socket.io/"})), "'/socket.io/' is not a path: begin with /"),
        (socketio(json!({"path": "/"})), "'/' is not a path"),
        (socketio(json!({"path": "/openapi.json"})), "/openapi.json is where the server API"),
        (presence(json!({"path": "boards"})), "'boards' is not a path: write / alone"),
        (presence(json!({"path": "/openapi.json"})), "/openapi.json is where the server API"),
        (socketio(json!({"enabled": true, "path": "/api"})), "is http.path or inside it"),
        (presence(json!({"enabled": true, "path": "/api/boards"})), "is http.path or inside it"),
        (
            socketio(json!({"enabled": true, "path": "/connection/websocket"})),
            "socketio.path is the path of websocket or sse too",
        ),
        (
            both(json!({"enabled": true, "path": "/connection/uni_sse"}), off),
            "socketio.path is the path of websocket or sse too",
        ),
        (
            both(json!({"enabled": true}), json!({"enabled": true, "path": "/socket.io"})),
            "presence.path is the path of websocket, sse or socketio too",
        ),
    ]
}

fn wrong_socketio() -> Vec<(Value, &'static str)> {
    vec![
        (socketio(json!({"transports": []})), "transports is empty, so that nobody can connect"),
        (socketio(json!({"transports": ["webtransport"]})), "supported values: \"polling\", \"websocket\""),
        (socketio(json!({"pingInterval": "25"})), "'25' is not a duration"),
        (socketio(json!({"pingTimeout": "0s"})), "'0s' is not a duration"),
        (socketio(json!({"ackTimeout": "0ms"})), "'0ms' is not a duration"),
        (socketio(json!({"offlineAfter": "soon"})), "'soon' is not a duration"),
        (socketio(json!({"maxPayload": "1MB"})), "'1MB' is not a size: write a number of bytes"),
        (socketio(json!({"maxPayload": 0})), "'0' is not a size"),
        (socketio(json!({"cookie": "a b"})), "'a b' cannot be a cookie's name"),
        (socketio(json!({"cookie": ""})), "'' cannot be a cookie's name"),
        (socketio(json!({"namespaces": []})), "namespaces is empty, so that nobody can connect"),
        (socketio(json!({"namespaces": ["/", "staff"]})), "write / or /name, without ',', ':' and '?'"),
        (socketio(json!({"namespaces": ["//staff"]})), "write / or /name"),
        (socketio(json!({"namespaces": ["/a,b"]})), "write / or /name"),
        (socketio(json!({"namespaces": ["/a\n"]})), "write / or /name"),
        (socketio(json!({"namespaces": ["/a", "/a"]})), "namespaces has a name twice"),
        (socketio(json!({"messageEvent": "connect"})), "'connect' is no name for an event"),
        (socketio(json!({"profile": "game"})), "supported values: \"chat\""),
        (
            socketio(json!({"emitter": {"enabled": true}})),
            "emitter is enabled and the endpoint is not, so that nobody would get what is emitted: write enabled: true",
        ),
        (
            socketio(json!({"enabled": true, "emitter": {"key": ""}})),
            "key is empty: write socket.io, or the key",
        ),
        (
            socketio(json!({"emitter": {"keys": "a"}})),
            "spec.endpoints.socketio.emitter.keys: field not declared",
        ),
        (socketio(json!({"adapter": "redis"})), "spec.endpoints.socketio.adapter: field not declared"),
    ]
}

fn wrong_events() -> Vec<(Value, &'static str)> {
    let twice = |first: Value, second: Value| {
        socketio(json!({"namespaces": ["/", "/staff"], "events": [first, second]}))
    };
    let join = |namespace: Option<&str>| match namespace {
        None => json!({"event": "enter", "do": "join"}),
        Some(name) => json!({"event": "enter", "do": "join", "namespace": name}),
    };
    let mut unlisted = event(json!({"event": "move", "do": "call", "logic": "game"}));
    unlisted["logic"] = json!({"modules": [{"name": "other", "broadcaster": {}, "receives": ["rpc"]}]});
    vec![
        (event(json!({"do": "join"})), "event is missing: write it too, for example event: message"),
        (event(json!({"event": "enter"})), "do is missing: write it too, for example do: publish"),
        (event(json!({"event": "", "do": "join"})), "'' is no name for an event"),
        (event(json!({"event": "disconnect", "do": "leave"})), "'disconnect' is no name for an event"),
        (
            event(json!({"event": "enter", "do": "emit"})),
            "supported values: \"join\", \"leave\", \"publish\"",
        ),
        (
            event(json!({"event": "say", "do": "publish", "emit": "newListener"})),
            "'newListener' is no name for an event",
        ),
        (event(json!({"event": "enter", "do": "join", "room": "room"})), "room is no JSON pointer: write /0"),
        (event(json!({"event": "enter", "do": "join", "room": ""})), "room: '' and its name as prefix"),
        (
            event(json!({"event": "enter", "do": "join", "namespace": "/staff"})),
            "a namespace that is not in socketio.namespaces",
        ),
        (twice(join(None), join(None)), "events has two rules for the same event"),
        (twice(join(Some("/staff")), join(Some("/staff"))), "events has two rules for the same event"),
        (event(json!({"event": "move", "do": "call"})), "do: call needs to know whom"),
        (
            event(json!({"event": "say", "do": "publish", "logic": "game"})),
            "logic means nothing but with do: call",
        ),
        (unlisted, "calls a logic module that is not in logic.modules or takes no calls"),
        (
            calling(json!({"name": "game", "broadcaster": {}, "receives": ["send"]})),
            "list it there with receives: [rpc]",
        ),
        (calling(json!({"name": "game", "broadcaster": {}})), "list it there with receives: [rpc]"),
    ]
}

fn wrong_boards() -> Vec<(Value, &'static str)> {
    let announced = |channel: &str| presence(json!({"enabled": true, "announcements": channel}));
    let not_for_all = "with subscribe: any and without joinLeave";
    vec![
        (presence(json!({"channelPrefix": "boards-"})), "channelPrefix names no namespace of channels"),
        (presence(json!({"channelPrefix": "a:\n"})), "names no namespace of channels"),
        (presence(json!({"pingInterval": "1500ms"})), "'1500ms' is no whole number of seconds"),
        (presence(json!({"pingInterval": "0s"})), "'0s' is not a duration"),
        (presence(json!({"pongTimeout": "25s"})), "pongTimeout must be less than pingInterval"),
        (presence(json!({"idleTimeout": "never"})), "'never' is not a duration"),
        (presence(json!({"cursorRate": 0})), "should be greater than or equal to 1"),
        (presence(json!({"cursorRate": 1001})), "should be less than or equal to 1000"),
        (presence(json!({"flushInterval": "0ms"})), "'0ms' is not a duration"),
        (presence(json!({"flushInterval": "2s"})), "'2s' is more than a second"),
        (presence(json!({"compressAbove": "lots"})), "'lots' is not a size"),
        (
            boards(json!({}), json!([{"name": "news"}, {"name": "board"}])),
            "write joinLeave: true in channels.namespaces",
        ),
        (
            presence(json!({"enabled": true, "channelPrefix": ":b"})),
            "write joinLeave: true in channels.namespaces",
        ),
        (announced("board:all"), not_for_all),
        (announced("other:all"), not_for_all),
        (announced(""), "should be at least 1 chars long"),
        (boards(json!({"announcements": "all"}), json!([{"name": "news"}])), not_for_all),
        (boards(json!({"announcements": "all"}), json!([{"name": "", "subscribe": "token"}])), not_for_all),
        (boards(json!({"announcements": "all"}), json!([{"name": "", "joinLeave": true}])), not_for_all),
        (
            with("service", json!({"sessionAffinitySeconds": 60})),
            "write sessionAffinity: ClientIP too, or leave it out",
        ),
        (
            with("service", json!({"sessionAffinity": "ClientIP", "sessionAffinitySeconds": 86401})),
            "should be less than or equal to 86400",
        ),
        (with("service", json!({"sessionAffinity": "Cookie"})), "supported values: \"None\", \"ClientIP\""),
    ]
}

#[tokio::test]
async fn socketio_and_boards_that_brokers_can_have_are_taken() {
    let fixture = Fixture::new().await;
    let folder = super::super::super::golden::folder("tests/golden");
    for case in ["everything", "socketio-and-boards"] {
        let text = std::fs::read_to_string(folder.join(case).join("cluster.yaml")).expect("it can be read");
        let object: Value = serde_yaml::from_str(&text).expect("it is YAML");
        let applied = fixture.apply("pages", object["spec"].clone()).await;
        applied.unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    let staff = json!({"event": "enter", "do": "join", "namespace": "/staff"});
    let all = json!({"event": "enter", "do": "join", "room": "", "prefix": "lobby"});
    let mut own = event(json!({"event": "move", "do": "call", "logic": "own"}));
    own["image"] = json!("example.test/own:1");
    for spec in [
        socketio(json!({"enabled": true, "namespaces": ["/", "/staff"], "events": [staff, all]})),
        own,
        socketio(json!({"enabled": true, "emitter": {"enabled": true, "key": "chat"}})),
        calling(json!({"name": "game", "broadcaster": {}, "receives": ["send", "rpc"]})),
        presence(json!({"enabled": true, "path": "/", "announcements": "announcements"})),
        boards(json!({"announcements": "news:all"}), json!([{"name": "news"}])),
        boards(json!({"announcements": ":all"}), json!([{"name": ""}, {"name": "board", "joinLeave": true}])),
        boards(json!({"channelPrefix": "news:board:"}), json!([{"name": "new"}])),
    ] {
        let applied = fixture.apply("pages", spec.clone()).await;
        applied.unwrap_or_else(|error| panic!("{spec}: {error}"));
    }
}
