//! What documents say of the tests.

use std::path::Path;

#[test]
fn the_tests_that_pages_name_are_where_they_say() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for name in ["bad-input.md", "moving-presence-service.md", "moving-socketio-chat.md"] {
        let page = std::fs::read_to_string(docs.join(name)).unwrap();
        let links: Vec<_> = page
            .split("[`")
            .skip(1)
            .filter_map(|rest| {
                rest.split_once("`](").map(|(name, rest)| (name, rest.split(')').next().unwrap()))
            })
            .filter(|(_, file)| file.ends_with(".rs"))
            .collect();
        assert!(links.len() > 50, "{name}: {} links to tests", links.len());
        for (test, file) in links {
            let source =
                std::fs::read_to_string(docs.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            // A function, or a line of a macro that makes one.
            let is_there = source.contains(&format!("fn {test}(")) || source.contains(&format!(" {test}: "));
            assert!(is_there, "{name}: {test} is not in {file}");
        }
    }
}
