//! What the demonstrations share.

use serde_json::Value;

use super::{File, Kind};

pub(super) fn files() -> [File; 2] {
    [
        File::embedded("/pages/demo/style.css", Kind::Css, include_str!("../../assets/demo.css")),
        File::embedded("/pages/demo/demo.js", Kind::Script, include_str!("../../assets/demo.js")),
    ]
}

/// A module that exports these settings. JSON is JavaScript, so that no text in it can be anything else.
pub(super) fn settings(path: &'static str, settings: &Value) -> File {
    File { path, kind: Kind::Script, body: format!("export const settings = {settings};\n").into() }
}
