//! Rules of `spec.endpoints.presence`.

use super::{IS_DURATION, rule, rule_on_value};
use kube::core::Rule;

/// As the other endpoints', or the root.
pub(in crate::crd) fn path() -> Rule {
    rule_on_value(
        "self == '/' || self.matches('^(/[A-Za-z0-9._~-]+)+$')",
        "is not a path: write / alone, or begin with /, end without it, and use letters, digits, '.', '_', '~' and '-' \
         between, for example /presence",
    )
}

/// Without a namespace the name of a board could choose it. The message does not repeat the prefix, which may be refused for
/// what no terminal should show.
pub(in crate::crd) fn channel_prefix() -> Rule {
    rule(
        "self.matches('^[^\\\\p{Cc}]*:[^\\\\p{Cc}]*$')",
        "channelPrefix names no namespace of channels: write one with a colon behind it, for example 'board:'",
    )
}

/// Silent where the rule of durations speaks.
pub(in crate::crd) fn flush_interval() -> Rule {
    rule_on_value(
        &format!("!({IS_DURATION}) || duration(self) <= duration('1s')"),
        "is more than a second, by which everybody would see everything late: write for example 20ms",
    )
}

const LISTED: &str =
    "has(self.channels) && has(self.channels.namespaces) && self.channels.namespaces.size() > 0";

/// Members learn of each other by the joins and leaves of the channel. Stands at the spec, which has both. Where no
/// namespace is listed there is the one with the empty name.
pub(in crate::crd) fn boards_tell_who_comes() -> Rule {
    let prefix = "self.endpoints.presence.channelPrefix";
    rule(
        &format!(
            "!self.endpoints.presence.enabled || ({LISTED} ? \
             self.channels.namespaces.all(n, n.joinLeave || !{prefix}.startsWith(n.name + ':')) : \
             !{prefix}.startsWith(':'))"
        ),
        "the namespace of boards, which endpoints.presence.channelPrefix begins with, does not say who comes and goes: write \
         joinLeave: true in channels.namespaces, or leave the namespace out of the list",
    )
    .field_path(".channels")
}

/// With joins and leaves everybody would be told of everybody. Stands at the spec, which has both.
pub(in crate::crd) fn announcements_are_for_all() -> Rule {
    let channel = "self.endpoints.presence.announcements";
    rule(
        &format!(
            "!self.endpoints.presence.enabled || !has({channel}) || ({LISTED} ? \
             self.channels.namespaces.exists(n, n.subscribe == 'any' && !n.joinLeave && \
             ({channel}.startsWith(n.name + ':') || (n.name == '' && !{channel}.contains(':')))) : \
             !{channel}.contains(':') || {channel}.startsWith(':'))"
        ),
        "presence.announcements has to be in a namespace of channels.namespaces with subscribe: any and without joinLeave: \
         write announcements, where the namespace '' is such a one, or list another, for example - name: news",
    )
    .field_path(".endpoints.presence.announcements")
}
