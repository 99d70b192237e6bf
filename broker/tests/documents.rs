//! What documents say of the tests.

use std::path::Path;

#[test]
fn the_tests_that_the_page_of_bad_input_names_are_where_it_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(docs.join("bad-input.md")).unwrap();
    let links: Vec<_> = page
        .split("[`")
        .skip(1)
        .filter_map(|rest| rest.split_once("`](").map(|(name, rest)| (name, rest.split(')').next().unwrap())))
        .filter(|(_, file)| file.ends_with(".rs"))
        .collect();
    assert!(links.len() > 50, "{} links to tests", links.len());
    for (name, file) in links {
        let source =
            std::fs::read_to_string(docs.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        // A function, or a line of a macro that makes one.
        let is_there = source.contains(&format!("fn {name}(")) || source.contains(&format!(" {name}: "));
        assert!(is_there, "{name} is not in {file}");
    }
}
