//! Rules of `spec.endpoints.socketio`.

use super::{rule, rule_on_value};
use kube::core::Rule;

pub(in crate::crd) fn some_transport() -> Rule {
    rule("self.size() > 0", "transports is empty, so that nobody can connect: write [polling, websocket]")
}

pub(in crate::crd) fn cookie() -> Rule {
    rule_on_value(
        "self.matches('^[A-Za-z0-9._-]+$')",
        "cannot be a cookie's name: use letters, digits, '-', '_' and '.', for example io",
    )
}

pub(in crate::crd) fn some_namespace() -> Rule {
    rule("self.size() > 0", "namespaces is empty, so that nobody can connect: write [/], or leave it out")
}

pub(in crate::crd) fn namespace_names() -> Rule {
    rule(
        "self.all(n, n.matches('^/([^/,:?\\\\p{Cc}][^,:?\\\\p{Cc}]*)?$'))",
        "an entry of namespaces cannot be a namespace of Socket.IO: write / or /name, without ',', ':' and '?', for example \
         /staff",
    )
}

pub(in crate::crd) fn namespaces_once() -> Rule {
    rule("self.all(n, self.exists_one(m, m == n))", "namespaces has a name twice: keep one of them")
}

/// The names that clients' libraries keep for themselves.
pub(in crate::crd) fn event_name() -> Rule {
    rule_on_value(
        "self != '' && !(self in ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', \
         'removeListener'])",
        "is no name for an event, for clients' libraries keep it for themselves: write another, for example message",
    )
}

/// `namespace` is a word of CEL, so that Kubernetes calls the field otherwise.
pub(in crate::crd) fn events_once() -> Rule {
    rule(
        "self.all(e, !has(e.event) || self.exists_one(f, has(f.event) && f.event == e.event && \
         (has(e.__namespace__) ? has(f.__namespace__) && f.__namespace__ == e.__namespace__ : !has(f.__namespace__))))",
        "events has two rules for the same event: keep one of them, for an event does one thing, or give each a namespace \
         of its own",
    )
}

pub(in crate::crd) fn namespaces_of_events() -> Rule {
    rule(
        "!has(self.events) || self.events.all(e, !has(e.__namespace__) || e.__namespace__ in self.namespaces)",
        "a rule of events has a namespace that is not in socketio.namespaces: write one that is listed there, or list this \
         one too",
    )
}

pub(in crate::crd) fn call_has_logic() -> Rule {
    rule(
        "!has(self.do) || self.do != 'call' || has(self.logic)",
        "do: call needs to know whom: name the logic module, for example logic: game",
    )
}

pub(in crate::crd) fn logic_is_called() -> Rule {
    rule(
        "!has(self.do) || self.do == 'call' || !has(self.logic)",
        "logic means nothing but with do: call: write do: call, or leave logic out",
    )
}

pub(in crate::crd) fn room_of_an_event() -> Rule {
    rule(
        "self.room.startsWith('/') || (self.room == '' && has(self.prefix) && self.prefix != '')",
        "room is no JSON pointer: write /0 for the first argument, /0/room for its field room, or, for one room alone, \
         room: '' and its name as prefix",
    )
}

/// Nobody else is reached by what is emitted.
pub(in crate::crd) fn emitter_has_clients() -> Rule {
    rule(
        "self.enabled || !self.emitter.enabled",
        "emitter is enabled and the endpoint is not, so that nobody would get what is emitted: write enabled: true in \
         endpoints.socketio, or leave emitter out",
    )
    .field_path(".emitter")
}

pub(in crate::crd) fn emitter_key() -> Rule {
    rule("self != ''", "key is empty: write socket.io, or the key that the emitter is given, or leave it out")
}

/// Stands at the spec, which has both, and knows whether the image may be a program with modules of its own.
pub(in crate::crd) fn calls_known_modules() -> Rule {
    rule(
        "has(self.image) || !self.endpoints.socketio.enabled || !has(self.endpoints.socketio.events) || \
         self.endpoints.socketio.events.all(e, !has(e.logic) || (has(self.logic) && has(self.logic.modules) && \
         self.logic.modules.exists(m, has(m.name) && m.name == e.logic && has(m.receives) && 'rpc' in m.receives)))",
        "a rule of endpoints.socketio.events calls a logic module that is not in logic.modules or takes no calls: list it \
         there with receives: [rpc]; a module of your own is in an image of your own, which spec.image names",
    )
    .field_path(".endpoints.socketio.events")
}
