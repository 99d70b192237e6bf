//! `/demo/chat`: a conversation on the client of Socket.IO as the npm registry has it.

use serde_json::json;

use super::{File, Kind, demo};
use crate::config::Socketio;

/// `dist/socket.io.min.js` of the package socket.io-client, version 4.8.4, unmodified; its licence is beside it.
const CLIENT: &str = include_str!("../../assets/vendor/socket.io.min.js");

/// The file of the page at this path, with the text of a file of the sources.
macro_rules! file {
    ($path:literal, $kind:ident, $source:literal) => {
        File::embedded($path, Kind::$kind, include_str!(concat!("../../assets/chat/", $source)))
    };
}

/// The page, for an endpoint with these settings.
pub(super) fn files(endpoint: &Socketio) -> Vec<File> {
    let client = json!({
        "path": endpoint.path,
        "transports": endpoint.transports,
        "upgrade": endpoint.upgrades,
    });
    // What its events are called.
    let settings = json!({"client": client, "profile": endpoint.profile});
    vec![
        file!("/demo/chat", Html, "index.html"),
        file!("/pages/chat/style.css", Css, "style.css"),
        file!("/pages/chat/page.js", Script, "page.js"),
        file!("/pages/chat/people.js", Script, "people.js"),
        file!("/pages/chat/talk.js", Script, "talk.js"),
        File::embedded("/pages/vendor/socket.io.min.js", Kind::Script, CLIENT),
        demo::settings("/pages/chat/settings.js", &settings),
    ]
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_client_is_the_one_of_the_registry() {
        assert!(CLIENT.contains("Socket.IO v4.8.4\n"));
        let digest = format!("{:x}", Sha256::digest(CLIENT));
        assert_eq!(digest, "d5d79a35039e860b32bdef4795528b05c2f788d4b2d9dacc913120e2878f7b3f");
    }
}
