//! What documents say of the tests.

use std::path::Path;

#[test]
fn the_tests_that_pages_name_are_where_they_say() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (name, at_least) in [
        ("bad-input.md", 50),
        ("gobroke.md", 30),
        ("moving-presence-service.md", 50),
        ("moving-socketio-chat.md", 50),
    ] {
        let page = std::fs::read_to_string(docs.join(name)).unwrap();
        let links: Vec<_> = page
            .split("[`")
            .skip(1)
            .filter_map(|rest| {
                rest.split_once("`](").map(|(name, rest)| (name, rest.split(')').next().unwrap()))
            })
            .filter(|(name, file)| file.ends_with(".rs") && is_a_function(name))
            .collect();
        assert!(links.len() > at_least, "{name}: {} links to tests", links.len());
        for (test, file) in links {
            let source =
                std::fs::read_to_string(docs.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            // A function, or a line of a macro that makes one.
            let is_there = source.contains(&format!("fn {test}(")) || source.contains(&format!(" {test}: "));
            assert!(is_there, "{name}: {test} is not in {file}");
        }
    }
}

/// A test, and no type or trait that a page names too.
fn is_a_function(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
