//! `spec.pages`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pages for people, in a browser.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pages {
    /// `/admin`: what goes on in all instances, for whoever has one of the API keys.
    pub admin: bool,

    /// Demonstrations: `/demo/chat` with `endpoints.socketio`, `/demo/board` with `endpoints.presence`. They are for whoever
    /// may connect, in the same channels as your own clients.
    pub demo: bool,
}

impl Pages {
    /// Whether there is one.
    pub fn any(&self) -> bool {
        self.admin || self.demo
    }
}
