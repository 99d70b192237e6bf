//! What the API server refuses in `spec.pages`, and takes.

use super::{super::fixture::Fixture, with};
use serde_json::{Value, json};

/// Pages beside these endpoints.
fn pages(settings: Value, endpoints: Value) -> Value {
    let mut spec = with("endpoints", endpoints);
    spec["pages"] = settings;
    spec
}

fn admin(endpoints: Value) -> Value {
    pages(json!({"admin": true}), endpoints)
}

fn demo(endpoints: Value) -> Value {
    pages(json!({"demo": true}), endpoints)
}

pub(super) fn wrong_fields() -> Vec<(Value, &'static str)> {
    let taken = "is /admin, /demo or /pages, or inside one of them";
    vec![
        (
            admin(json!({"http": {"enabled": false}})),
            "pages.admin shows what the server API tells, which is disabled",
        ),
        (demo(json!({})), "pages.demo has nothing to show: write enabled: true in endpoints.socketio or"),
        (demo(json!({"sse": {"enabled": true}})), "pages.demo has nothing to show"),
        (admin(json!({"http": {"path": "/admin"}})), taken),
        (admin(json!({"http": {"path": "/pages/api"}})), taken),
        (admin(json!({"websocket": {"path": "/demo/ws"}})), taken),
        (admin(json!({"sse": {"enabled": true, "path": "/admin/events"}})), taken),
        (demo(json!({"socketio": {"enabled": true, "path": "/demo"}})), taken),
        (demo(json!({"presence": {"enabled": true, "path": "/demo/board"}})), taken),
        (pages(json!({"admin": "yes"}), json!({})), ".spec.pages.admin: expected boolean"),
        (pages(json!({"chat": true}), json!({})), "spec.pages.chat: field not declared in schema"),
    ]
}

#[tokio::test]
async fn pages_that_brokers_can_have_are_taken() {
    let fixture = Fixture::new().await;
    for spec in [
        admin(json!({})),
        admin(json!({"http": {"path": "/administration"}, "websocket": {"path": "/live/demo"}})),
        admin(json!({"sse": {"enabled": false, "path": "/admin"}})),
        demo(json!({"socketio": {"enabled": true}})),
        demo(json!({"http": {"enabled": false}, "presence": {"enabled": true, "path": "/"}})),
        pages(json!({}), json!({"http": {"path": "/admin"}})),
    ] {
        let applied = fixture.apply("pages", spec.clone()).await;
        applied.unwrap_or_else(|error| panic!("{spec}: {error}"));
    }
}
