//! Rules of `spec.hooks`. They stand at the section, which knows which hook is which.

use super::rule;
use kube::core::Rule;

/// What holds of each of these hooks that is there.
fn of_each(names: &[&str], holds: &str) -> String {
    let each = names
        .iter()
        .map(|name| format!("(!has(self.{name}) || {})", holds.replace("HOOK", &format!("self.{name}"))));
    each.collect::<Vec<_>>().join(" && ")
}

pub(in crate::crd) fn one_answer_for_each() -> Rule {
    rule(
        &of_each(&["connect", "subscribe", "publish"], "!has(HOOK.webhook) || HOOK.webhook.batch == 1"),
        "webhook.batch is for hooks.disconnect only, for each client waits for an answer of its own: leave batch out of the \
         other hooks",
    )
}

pub(in crate::crd) fn token_of_connect() -> Rule {
    rule(
        &of_each(&["subscribe", "publish", "disconnect"], "!HOOK.insteadOfToken"),
        "insteadOfToken is for hooks.connect only: leave it out of the other hooks",
    )
}

pub(in crate::crd) fn token_without_an_answer() -> Rule {
    rule(
        &of_each(&["connect"], "!HOOK.insteadOfToken || HOOK.onFailure == 'refuse'"),
        "with insteadOfToken nobody knows who a client is when there is no answer: write onFailure: refuse in \
         hooks.connect, or leave it out",
    )
}

pub(in crate::crd) fn gone_without_asking() -> Rule {
    rule(
        &of_each(&["disconnect"], "HOOK.onFailure == 'refuse'"),
        "nothing is asked when a client has gone: leave onFailure out of hooks.disconnect",
    )
}

pub(in crate::crd) fn namespaces_of_channels() -> Rule {
    rule(
        &of_each(&["connect", "disconnect"], "!has(HOOK.namespaces)"),
        "namespaces is for hooks.subscribe and hooks.publish only: leave it out of the other hooks",
    )
}

pub(in crate::crd) fn some_namespaces() -> Rule {
    rule(
        "self.size() > 0",
        "namespaces is empty, so that nothing is ever asked: leave it out to be asked about all channels, or name some, for \
         example namespaces: [room]",
    )
}

/// Stands at the spec, which has both. Where no namespace is listed there is the one with the empty name.
pub(in crate::crd) fn of_known_namespaces(hook: &str) -> Rule {
    let namespaces = format!("self.hooks.{hook}.namespaces");
    rule(
        &format!(
            "!has(self.hooks) || !has(self.hooks.{hook}) || !has({namespaces}) || \
             {namespaces}.all(n, has(self.channels) && has(self.channels.namespaces) && \
             self.channels.namespaces.size() > 0 ? self.channels.namespaces.exists(c, c.name == n) : n == '')"
        ),
        &format!(
            "hooks.{hook}.namespaces has a name that is not in channels.namespaces: write names that are listed there, or \
             list this one too"
        ),
    )
    .field_path(format!(".hooks.{hook}.namespaces"))
}
