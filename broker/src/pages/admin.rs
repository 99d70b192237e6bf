//! `/admin`: what goes on in all instances. It asks whoever opens it for an API key, and the server API for the rest.

use serde_json::json;

use super::{File, Kind};

/// The file of the page at this path, with the text of a file of the sources.
macro_rules! file {
    ($path:literal, $kind:ident, $source:literal) => {
        File::embedded($path, Kind::$kind, include_str!(concat!("../../assets/admin/", $source)))
    };
}

/// The page, where the server API is at this path.
pub(super) fn files(api: &str) -> Vec<File> {
    // JSON is JavaScript, so that no character of the path can be anything but a text.
    let settings = format!("export const api = {};\n", json!(api));
    vec![
        file!("/admin", Html, "index.html"),
        file!("/pages/admin/style.css", Css, "style.css"),
        file!("/pages/admin/page.js", Script, "page.js"),
        file!("/pages/admin/api.js", Script, "api.js"),
        file!("/pages/admin/rates.js", Script, "rates.js"),
        file!("/pages/admin/show.js", Script, "show.js"),
        file!("/pages/admin/chart.js", Script, "chart.js"),
        file!("/pages/admin/instances.js", Script, "instances.js"),
        file!("/pages/admin/channels.js", Script, "channels.js"),
        file!("/pages/admin/clients.js", Script, "clients.js"),
        File { path: "/pages/admin/settings.js", kind: Kind::Script, body: settings.into() },
    ]
}
