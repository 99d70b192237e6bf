//! The reference page `docs/configuration.md` is held to the code here.

use std::collections::BTreeSet;

use super::{Config, JwtKey, Namespace, leaves, variable_of};

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// The cells of the page's tables.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    PAGE.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[test]
fn every_key_is_there_with_its_default_and_variable() {
    for leaf in leaves() {
        let default = match leaf.path.as_str() {
            "instance.id" => "the host name".into(),
            "redis.url" | "client.tls.cert_file" | "client.tls.key_file" => "required".into(),
            "channels.namespaces" => code("[{name: \"\"}]"),
            _ => code(&leaf.default),
        };
        let expected = [code(&leaf.path), default, code(&variable_of(&leaf.path))];
        let row = rows().find(|row| row[0] == expected[0]);
        let row = row.unwrap_or_else(|| panic!("docs/configuration.md does not tell of {}", leaf.path));
        assert_eq!(row[..3], expected, "docs/configuration.md, the row of {}", leaf.path);
        assert!(row[3].len() > 10, "docs/configuration.md says nothing of {}", leaf.path);
    }
}

#[test]
fn every_key_of_a_namespace_is_there_with_its_default() {
    let default = serde_json::to_value(Namespace::named("")).unwrap();
    for (key, value) in default.as_object().unwrap() {
        let row = rows().find(|row| row[0] == code(key));
        let row = row.unwrap_or_else(|| panic!("docs/configuration.md does not tell of a namespace's {key}"));
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let expected = if key == "name" { "required".into() } else { code(&value) };
        assert_eq!(row[1], expected, "docs/configuration.md, the row of a namespace's {key}");
    }
}

#[test]
fn every_key_of_a_tokens_key_is_there_with_its_default() {
    let default = serde_json::to_value(JwtKey::default()).unwrap();
    for (key, value) in default.as_object().unwrap() {
        let row = rows().find(|row| row[0] == code(key));
        let row =
            row.unwrap_or_else(|| panic!("docs/configuration.md does not tell of {key} of a token's key"));
        assert_eq!(row[1], code(&value.to_string()), "docs/configuration.md, the row of {key}");
    }
}

#[test]
fn no_key_is_there_that_is_gone() {
    let known: BTreeSet<String> = leaves().iter().map(|leaf| code(&leaf.path)).collect();
    for row in rows().filter(|row| row[0].contains('.')) {
        assert!(known.contains(row[0]), "docs/configuration.md tells of {}, which is no key", row[0]);
    }
}

#[test]
fn the_example_is_valid() {
    let start = PAGE.find("```yaml\n").expect("the page has an example") + "```yaml\n".len();
    let example = &PAGE[start..start + PAGE[start..].find("```").expect("the example ends")];
    Config::parse("docs/configuration.md", example, std::iter::empty()).unwrap();
}
