use super::*;
use crate::config::Size;

fn problems(change: impl FnOnce(&mut Endpoints)) -> Vec<String> {
    let mut endpoints = Endpoints::default();
    change(&mut endpoints);
    let mut problems = Vec::new();
    endpoints.check(&Client::default(), &Admin::default(), &mut problems);
    problems.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn the_defaults_are_valid() {
    assert_eq!(problems(|_| {}), Vec::<String>::new());
}

#[test]
fn pongs_come_before_the_next_ping() {
    let path = vec!["endpoints.websocket.pong_timeout".to_owned()];
    assert_eq!(problems(|e| e.websocket.pong_timeout = Period::from_secs(25)), path);
    assert_eq!(problems(|e| e.websocket.pong_timeout = Period::from_secs(0)), path);
    assert_eq!(problems(|e| e.websocket.pong_timeout = Period::from_millis(24_999)), Vec::<String>::new());
}

#[test]
fn pings_are_whole_seconds() {
    let path = vec!["endpoints.websocket.ping_interval".to_owned()];
    assert_eq!(problems(|e| e.websocket.ping_interval = Period::from_millis(9500)), path);
    let path = ["endpoints.sse.ping_interval"];
    assert_eq!(problems(|e| e.sse.ping_interval = Period::from_secs(0)), path);
}

#[test]
fn paths() {
    for bad in ["", "/", "api", "/api/", "/a b", "/a?b", "/{id}", "//a", "/:id", "/a/:b", "/openapi.json"] {
        assert_eq!(problems(|e| e.http.path = bad.into()), ["endpoints.http.path"], "{bad:?}");
        assert_eq!(problems(|e| e.websocket.path = bad.into())[0], "endpoints.websocket.path", "{bad:?}");
    }
    assert_eq!(problems(|e| e.websocket.path = "/a:b".into()), Vec::<String>::new());
    assert_eq!(problems(|e| e.http.path = "/connection".into()), ["endpoints.websocket.path"]);
    assert_eq!(problems(|e| e.http.path = "/conn".into()), Vec::<String>::new());
    assert_eq!(
        problems(|e| {
            e.sse.enabled = true;
            e.sse.path = e.websocket.path.clone();
        }),
        ["endpoints.sse.path"]
    );
    assert_eq!(
        problems(|e| {
            e.sse.enabled = true;
            e.sse.path = "/api/events".into();
        }),
        ["endpoints.sse.path"]
    );
    assert_eq!(
        problems(|e| {
            e.http.path = "/connection".into();
            e.http.enabled = false;
        }),
        Vec::<String>::new()
    );
}

#[test]
fn tcp_may_do_without_pings() {
    assert_eq!(problems(|e| e.tcp.ping_interval = Period::from_secs(0)), Vec::<String>::new());
    let path = ["endpoints.tcp.ping_interval".to_owned()];
    assert_eq!(problems(|e| e.tcp.ping_interval = Period::from_millis(9500)), path);
    let path = ["endpoints.tcp.pong_timeout".to_owned()];
    assert_eq!(problems(|e| e.tcp.pong_timeout = Period::from_secs(25)), path);
}

#[test]
fn tcp_has_a_port_of_its_own() {
    let with_port = |port| {
        problems(|e| {
            e.tcp.enabled = true;
            e.tcp.address.set_port(port);
            // Another protocol has other ports.
            e.udp.enabled = true;
            e.udp.address.set_port(port);
        })
    };
    let path = ["endpoints.tcp.address".to_owned()];
    assert_eq!(with_port(8000), path);
    assert_eq!(with_port(9000), path);
    assert_eq!(with_port(8001), Vec::<String>::new());
    assert_eq!(with_port(0), Vec::<String>::new());
    assert_eq!(problems(|e| e.tcp.address.set_port(8000)), Vec::<String>::new(), "it is not there");
}

#[test]
fn udp_needs_time_room_and_datagrams_of_a_usual_size() {
    let path = |key: &str| [format!("endpoints.udp.{key}")];
    assert_eq!(problems(|e| e.udp.session_timeout = Period::from_secs(0)), path("session_timeout"));
    assert_eq!(problems(|e| e.udp.sessions = 0), path("sessions"));
    for (size, valid) in [(0, false), (507, false), (508, true), (65_507, true), (65_508, false)] {
        let found = problems(|e| e.udp.datagram_size = Size::from_bytes(size));
        assert_eq!(found, path("datagram_size")[..usize::from(!valid)], "{size}");
    }
}

#[test]
fn rules_of_socket_io_make_sense() {
    let with = |rule: EventRule| problems(|e| e.socketio.events = vec![rule]);
    let rule = |act| EventRule::new("e", act);
    assert_eq!(with(rule(Act::Join)), Vec::<String>::new());
    for (rule, key) in [
        (EventRule::new("connect", Act::Join), "event"),
        (EventRule::new("", Act::Join), "event"),
        (EventRule { namespace: Some("/staff".into()), ..rule(Act::Join) }, "namespace"),
        (EventRule { room: "room".into(), ..rule(Act::Join) }, "room"),
        (EventRule { emit: Some("disconnect".into()), ..rule(Act::Publish) }, "emit"),
        (rule(Act::Call), "logic"),
        (EventRule { logic: Some("echo".into()), ..rule(Act::Join) }, "logic"),
    ] {
        assert_eq!(with(rule), [format!("endpoints.socketio.events[0].{key}")]);
    }
    let twice = problems(|e| e.socketio.events = vec![rule(Act::Join), rule(Act::Leave)]);
    assert_eq!(twice, ["endpoints.socketio.events[1].event"]);
}

#[test]
fn what_else_is_said_of_socket_io_makes_sense() {
    let key = |change: fn(&mut Socketio)| problems(|e| change(&mut e.socketio));
    for (change, expected) in [
        ((|s| s.transports.clear()) as fn(&mut Socketio), "transports"),
        (|s| s.ping_interval = Period::from_secs(0), "ping_interval"),
        (|s| s.ping_timeout = Period::from_secs(0), "ping_timeout"),
        (|s| s.max_payload = Size::from_bytes(0), "max_payload"),
        (|s| s.cookie = Some("a=b".into()), "cookie"),
        (|s| s.message_event = "connect".into(), "message_event"),
        (|s| s.namespaces.push("staff".into()), "namespaces[1]"),
        (|s| s.namespaces.push("/a,b".into()), "namespaces[1]"),
        (|s| s.namespaces.push("/".into()), "namespaces[1]"),
        (|s| s.path = "/socket.io/".into(), "path"),
    ] {
        assert_eq!(key(change), [format!("endpoints.socketio.{expected}")]);
    }
    let path = |e: &mut Endpoints| {
        e.socketio.enabled = true;
        e.socketio.path = e.websocket.path.clone();
    };
    assert_eq!(problems(path), ["endpoints.socketio.path"]);
}
