//! Rules of `spec.logic`.

use super::{rule, rule_on_value};
use kube::core::Rule;

pub(in crate::crd) fn module_names() -> Rule {
    rule(
        "self.all(n, !has(n.name) || self.exists_one(m, has(m.name) && m.name == n.name))",
        "two logic modules have the same name: give each a name of its own",
    )
}

pub(in crate::crd) fn module_name() -> Rule {
    rule_on_value(
        "self.matches('^[A-Za-z0-9_.:/-]+$')",
        "cannot name a logic module: use letters, digits, '_', '.', ':', '/' and '-'",
    )
}

/// Stands at the module, because a rule of a field is not asked when the field is absent.
pub(in crate::crd) fn one_module() -> Rule {
    rule(
        "[has(self.broadcaster), has(self.inactivity), has(self.webhook)].filter(is, is).size() == 1",
        "a logic module is exactly one thing: write one of broadcaster: {}, inactivity: {after: 15m} and \
         webhook: {url: 'http://127.0.0.1:7000/messages'}",
    )
}

pub(in crate::crd) fn monitor_works_alone() -> Rule {
    rule(
        "!has(self.inactivity) || ((!has(self.receives) || self.receives.size() == 0) && self.placement == 'receiving')",
        "an inactivity monitor works in the background, on each instance for its own clients: leave receives and \
         placement out",
    )
}
