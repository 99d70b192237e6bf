//! Rules of `spec.middleware`.

use super::rule;
use kube::core::Rule;

/// Whether one of the fields of a rule names something.
fn one_of(fields: &[&str]) -> String {
    let lists = fields.iter().flat_map(|field| ["metadata", "tags"].map(|of| (*field, of)));
    let each = lists.map(|(field, of)| {
        format!("(has(self.{field}) && has(self.{field}.{of}) && self.{field}.{of}.size() > 0)")
    });
    each.collect::<Vec<_>>().join(" || ")
}

pub(in crate::crd) fn does_something() -> Rule {
    rule(
        &one_of(&["require", "forbid", "strip", "set"]),
        "a rule of middleware does nothing: write one of require, forbid, strip and set, for example \
         require: {metadata: [trace]} or set: {metadata: {via: outside}}",
    )
}

pub(in crate::crd) fn message_of_a_refusal() -> Rule {
    rule(
        &format!("!has(self.message) || {}", one_of(&["require", "forbid"])),
        "message is never told, for the rule refuses nothing: write require or forbid too, or leave message out",
    )
}

pub(in crate::crd) fn not_its_opposite(of: &str) -> Rule {
    let there = |field: &str| format!("has(self.{field}) && has(self.{field}.{of})");
    rule(
        &format!(
            "!({} && {}) || !self.require.{of}.exists(k, k in self.forbid.{of})",
            there("require"),
            there("forbid")
        ),
        &format!(
            "a key is in require.{of} and in forbid.{of}, so that no message passes: take it out of one of the two"
        ),
    )
}

pub(in crate::crd) fn named() -> Rule {
    rule(
        "self.all(k, k != '')",
        "a text in set has no key: write the key that is meant, for example via: outside",
    )
}

/// Stands at the spec, which knows whether the image may be a program with endpoints of its own.
pub(in crate::crd) fn of_known_endpoints() -> Rule {
    let each = |chain: &str| {
        format!(
            "(!has(self.middleware.{chain}) || self.middleware.{chain}.all(r, !has(r.endpoints) || \
             r.endpoints.all(e, e in ['websocket', 'socketio', 'sse', 'presence', 'tcp', 'udp', 'http'])))"
        )
    };
    rule(
        &format!("has(self.image) || !has(self.middleware) || ({} && {})", each("receive"), each("send")),
        "a rule of middleware names an endpoint that the broker does not have: write websocket, socketio, sse, presence, tcp, \
         udp or http (the server API); an endpoint of your own is in an image of your own, which spec.image names",
    )
    .field_path(".middleware")
}
