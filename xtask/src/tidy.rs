//! Rules of the house that no compiler knows.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::Paths;
use crate::steps::Step;

/// More lines than this want a split.
const MOST_LINES: usize = 400;
/// Larger files do not belong in the history.
const MOST_BYTES: u64 = 1 << 20;

/// A name that only some modules may use: what, where it is looked for, who may, and why.
struct Only {
    word: &'static str,
    within: &'static str,
    allowed: &'static [&'static str],
    why: &'static str,
}

const ONLY: &[Only] = &[
    Only {
        word: "redis::",
        within: "broker/src/",
        allowed: &["broker/src/backplane/redis"],
        why: "only the Redis backplane knows the redis crate",
    },
    Only {
        word: "kube::Client",
        within: "operator/src/",
        allowed: &[
            "operator/src/controller/observe",
            "operator/src/controller/apply",
            "operator/src/controller/status",
            "operator/src/runtime",
            "operator/src/webhook",
        ],
        why: "validate and build take values and return values",
    },
];

/// Places that take values and return values, and so need nothing to be tested: no I/O, no clock, no client, no lock.
const PURE: &[&str] = &[
    "broker/src/auth",
    "broker/src/codec",
    "broker/src/router",
    "operator/src/controller/build",
    "operator/src/controller/scale",
    "operator/src/controller/validate",
];
/// What shows that something is not pure.
const EFFECTS: &[&str] = &[
    "async",
    "await",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Mutex",
    "RwLock",
    "tokio",
    "fs",
];

/// Modules that only `app` puts together: the folder they are in, and their names.
const PARTS: &[(&str, &[&str])] =
    &[("endpoint", &["http", "sse", "tcp", "udp", "websocket"]), ("backplane", &["memory", "redis"])];

/// Checks every tracked file.
pub(crate) fn check(step: &Step, paths: &Paths) -> Result<()> {
    let complaints = complaints(&paths.root)?;
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    step.note("all rules kept");
    Ok(())
}

fn complaints(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git").current_dir(root).args(["ls-files", "-z"]).output();
    let output = output.context("cannot run git to list the files")?;
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found = Vec::new();
    for file in listing.split_terminator('\0') {
        let path = root.join(file);
        // A file that was deleted but not yet committed is still listed.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.len() > MOST_BYTES {
            found.push(format!("{file}: {} KiB; nothing past 1 MiB is tracked", metadata.len() / 1024));
        }
        if let Ok(text) = fs::read_to_string(&path) {
            found.extend(of_text(root, file, &text));
        }
    }
    Ok(found)
}

fn of_text(root: &Path, file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if file.ends_with(".rs") || file.ends_with(".go") {
        found.extend(of_source(file, text));
    }
    if file.ends_with(".md") {
        found.extend(broken_links(root, file, text));
    }
    found
}

fn of_source(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if file.ends_with("/mod.rs") {
        found.push(format!("{file}: name it after its folder, foo.rs beside foo/"));
    }
    let lines = text.lines().count();
    let test = ["/tests/", "/tests.rs", "/benches/"].iter().any(|part| file.contains(part));
    if lines > MOST_LINES && !test {
        found.push(format!("{file}: {lines} lines; past {MOST_LINES} it wants a split"));
    }
    for (number, line) in text.lines().enumerate() {
        let at = || format!("{file}:{}", number + 1);
        // Spelled in two halves, as this file is read too.
        for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ig", "nore")] {
            if line.contains(word) {
                found.push(format!("{}: {word}; do it or leave it out", at()));
            }
        }
        if PURE.iter().any(|place| file.starts_with(place))
            && let Some(effect) = EFFECTS.iter().find(|effect| names(line, effect))
        {
            found.push(format!("{}: {effect}; this place takes values and returns values", at()));
        }
        found.extend(
            part_named(file, line).map(|part| {
                format!("{}: names {part}; only app names the parts that it puts together", at())
            }),
        );
        for rule in ONLY.iter().filter(|rule| file.starts_with(rule.within)) {
            let allowed = rule.allowed.iter().any(|place| file.starts_with(place));
            // A module of that name stands before the crate.
            let own = text.contains(&format!("mod {};", rule.word.trim_end_matches(':')));
            if !allowed && !own && uses(line, rule.word) {
                found.push(format!("{}: names {}; {}", at(), rule.word.trim_end_matches(':'), rule.why));
            }
        }
    }
    found
}

/// The part that a line names where only `app` may.
fn part_named(file: &str, line: &str) -> Option<&'static str> {
    let inside = file.strip_prefix("broker/src/").filter(|inside| !inside.starts_with("app"))?;
    PARTS.iter().filter(|(folder, _)| !inside.starts_with(folder)).find_map(|(folder, parts)| {
        let (_, path) = line.split_once(&format!("{folder}::"))?;
        parts.iter().find(|part| names(path, part)).copied()
    })
}

/// Whether a line of code, not of comment, has the word.
fn names(line: &str, word: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let after = code[at + word.len()..].chars().next();
        !code[..at].chars().next_back().is_some_and(part_of_a_name) && !after.is_some_and(part_of_a_name)
    })
}

/// Whether a line of code, not of comment, names something from the start of a path.
fn uses(line: &str, word: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// Links of a document to files that are not there.
fn broken_links(root: &Path, file: &str, text: &str) -> Vec<String> {
    let folder = root.join(file).parent().map(Path::to_owned).unwrap_or_default();
    let mut found = Vec::new();
    for (_, rest) in text.match_indices("](").map(|(at, mark)| text.split_at(at + mark.len())) {
        let Some(target) = rest.split([')', '\n', ' ']).next() else { continue };
        let path = target.split('#').next().unwrap_or_default();
        if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
            continue;
        }
        if !folder.join(path).exists() {
            found.push(format!("{file}: the link to {path} leads nowhere"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let found = complaints(&Paths::find().unwrap().root).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn a_crate_is_named_only_at_the_start_of_a_path() {
        assert!(uses("use redis::Client;", "redis::"));
        assert!(uses("let c: redis::Client = x();", "redis::"));
        assert!(!uses("use crate::backplane::redis::Bus;", "redis::"));
        assert!(!uses("// as redis::Client does", "redis::"));
    }

    #[test]
    fn a_file_that_breaks_rules_is_named() {
        let long = "x\n".repeat(MOST_LINES + 1);
        assert!(of_source("a/src/b.rs", &long)[0].contains("401 lines"));
        assert!(of_source("a/tests/b.rs", &long).is_empty());
        assert!(of_source("a/src/c/mod.rs", "")[0].contains("foo.rs"));
        assert_eq!(of_source("operator/src/crd.rs", "use kube::Client;\n").len(), 1);
    }

    #[test]
    fn effects_are_kept_out_of_pure_places() {
        assert_eq!(of_source("broker/src/router.rs", "let now = Instant::now();\n").len(), 1);
        assert!(of_source("broker/src/router.rs", "// no async here\nlet fsync = 1;\n").is_empty());
        assert!(of_source("broker/src/hub.rs", "state: Mutex<State>,\n").is_empty());
    }

    #[test]
    fn only_app_names_the_parts() {
        let line = "use crate::{endpoint::{Gateway, websocket}};\n";
        assert_eq!(of_source("broker/src/drain.rs", line).len(), 1);
        assert!(of_source("broker/src/app.rs", line).is_empty());
        assert!(of_source("broker/src/endpoint/http.rs", line).is_empty());
        assert!(of_source("broker/src/drain.rs", "use crate::endpoint::Gateway;\n").is_empty());
    }

    #[test]
    fn links_are_followed() {
        let root = Paths::find().unwrap().root;
        assert!(broken_links(&root, "README.md", "[a](Cargo.toml) [b](#x) [c](https://x.y)").is_empty());
        assert_eq!(broken_links(&root, "README.md", "[a](no-such-file.md#part)").len(), 1);
    }
}
