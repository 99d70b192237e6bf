//! All settings by name, with their defaults: for suggestions, and to hold the reference page to the code.

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

use super::redis::Redis;
use super::{Client, Config, Instance, Tls, TlsVersion};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its key, such as `auth.jwt.audience`.
    pub path: String,
    /// Its default as it would be written in the file.
    pub default: String,
}

static LEAVES: LazyLock<Vec<Leaf>> = LazyLock::new(|| {
    let (cert_file, key_file, min_version) = (PathBuf::new(), PathBuf::new(), TlsVersion::default());
    let client = Client { tls: Some(Tls { cert_file, key_file, min_version }), ..Client::default() };
    let instance = Instance { id: String::new() };
    let everything = Config { instance, client, redis: Some(Redis::at("")), ..Config::default() };
    let mut leaves = Vec::new();
    let value = serde_json::to_value(everything).expect("settings are plain data");
    collect("", &value, &mut leaves);
    leaves
});

static SECTIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut sections: Vec<String> =
        LEAVES.iter().filter_map(|leaf| leaf.path.split('.').next()).map(str::to_owned).collect();
    sections.dedup();
    sections
});

/// Every setting, sorted by name.
pub fn leaves() -> &'static [Leaf] {
    &LEAVES
}

/// The names at the top of the file.
pub(super) fn sections() -> &'static [String] {
    &SECTIONS
}

fn collect(path: &str, value: &Value, leaves: &mut Vec<Leaf>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(&path, value, leaves);
            }
        }
        Value::String(text) => leaves.push(Leaf { path: path.into(), default: text.clone() }),
        other => leaves.push(Leaf { path: path.into(), default: other.to_string() }),
    }
}
