//! The operator writes the file that the broker reads: every configuration in its golden files is loaded here,
//! so that the two cannot drift apart.

use std::path::{Path, PathBuf};

use super::Config;

fn golden_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/tests/golden");
    let cases = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = cases
        .map(|case| case.expect("the folder can be listed").path().join("expected.yaml"))
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    files
}

/// The `broker.yaml` of each ConfigMap in a file of many objects.
fn configurations(text: &str) -> Vec<String> {
    let objects: Vec<serde_json::Value> = serde_yaml::from_multiple(text).expect("golden files are YAML");
    objects
        .iter()
        .filter(|object| object["kind"] == "ConfigMap")
        .filter_map(|object| object["data"]["broker.yaml"].as_str())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_configuration_that_the_operator_writes_can_be_loaded() {
    let files = golden_files();
    let mut loaded = 0;
    for file in &files {
        let text = std::fs::read_to_string(file).expect("golden files can be read");
        for yaml in configurations(&text) {
            let name = format!("{} broker.yaml", file.display());
            if let Err(error) = Config::parse(&name, &yaml, std::iter::empty()) {
                panic!("the broker would refuse what the operator writes:\n{error}\n---\n{yaml}");
            }
            loaded += 1;
        }
    }
    assert!(loaded > 0, "no ConfigMap with a broker.yaml is in the operator's golden files: {files:?}");
}

#[test]
fn finds_configurations_among_other_objects() {
    let text = "kind: Service\n---\nkind: ConfigMap\ndata:\n  broker.yaml: |\n    auth: {}\n---\nkind: ConfigMap\ndata: {}\n";
    assert_eq!(configurations(text), ["auth: {}\n"]);
}
