//! `/demo/board`: a board with live cursors, on the client of `examples/board`.

use serde_json::json;

use super::{File, Kind, demo};
use crate::config::Presence;

/// The file of the page at this path, with the text of a file of the sources.
macro_rules! file {
    ($path:literal, $kind:ident, $source:literal) => {
        File::embedded($path, Kind::$kind, include_str!(concat!("../../", $source)))
    };
}

/// The page, for an endpoint with these settings.
pub(super) fn files(endpoint: &Presence) -> Vec<File> {
    vec![
        file!("/demo/board", Html, "assets/board/index.html"),
        file!("/pages/board/style.css", Css, "assets/board/style.css"),
        file!("/pages/board/page.js", Script, "assets/board/page.js"),
        file!("/pages/board/field.js", Script, "assets/board/field.js"),
        file!("/pages/board/people.js", Script, "assets/board/people.js"),
        file!("/pages/board/board.js", Script, "../examples/board/board.js"),
        demo::settings("/pages/board/settings.js", &json!({"path": endpoint.path})),
    ]
}
