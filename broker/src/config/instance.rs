//! `instance`: who this broker is among the others.

use serde::{Deserialize, Serialize};

use super::place::Problem;

/// The longest instance ID.
const LONGEST: usize = 128;

/// Who this broker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instance {
    /// The instance ID, unique among the brokers of one Redis; the host name unless given.
    pub id: String,
}

impl Default for Instance {
    fn default() -> Self {
        Self { id: from_host(&gethostname::gethostname().to_string_lossy()) }
    }
}

impl Instance {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let id = &self.id;
        if id.is_empty() || id.len() > LONGEST || !id.chars().all(allowed) {
            problems.push(Problem::of(
                "instance.id",
                format!(
                    "{id:?} cannot be an instance ID; write 1 to {LONGEST} letters, digits, '-', '_' or '.'"
                ),
            ));
        }
    }
}

/// The ID is a part of Redis keys and channel names, so it holds none of their separators.
fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// A host may be named anything; the ID that is made of it is always valid.
fn from_host(name: &str) -> String {
    let id: String = name.chars().take(LONGEST).map(|c| if allowed(c) { c } else { '-' }).collect();
    if id.is_empty() { "broker".into() } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checks_the_id() {
        for (id, valid) in
            [("chat-0", true), ("a.b_c", true), ("", false), ("a b", false), ("a:b", false), ("ä", false)]
        {
            let mut problems = Vec::new();
            Instance { id: id.into() }.check(&mut problems);
            assert_eq!(problems.is_empty(), valid, "{id:?}");
        }
    }

    proptest! {
        #[test]
        fn any_host_name_gives_a_valid_id(name: String) {
            let mut problems = Vec::new();
            Instance { id: from_host(&name) }.check(&mut problems);
            prop_assert_eq!(problems, vec![]);
        }
    }
}
