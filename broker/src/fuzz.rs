//! What reads bytes from outside, each parser as a target of fuzzing: whatever the bytes are, they are read or refused.
//!
//! The tests run each target on the inputs in `corpus/` and on a fixed number of changed ones; `cargo xtask fuzz` lets
//! libFuzzer run it at length. A target panics where a property does not hold. It stands beside its parser where
//! that is private.

use crate::{
    auth::fuzz as auth, backplane::fuzz as backplane, endpoint::fuzz as endpoints, logic::fuzz_replies,
};

mod codec;
mod config;
#[cfg(test)]
mod mutate;
#[cfg(test)]
mod tests;

/// One parser.
pub struct Target {
    /// The word by which it is chosen, and its folder in `corpus/`.
    pub name: &'static str,
    /// Reads an input, and panics where a property does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "commands", run: codec::commands },
    Target { name: "datagrams", run: codec::datagrams },
    Target { name: "boards", run: codec::boards },
    Target { name: "engineio", run: codec::engineio },
    Target { name: "socketio", run: codec::socketio },
    Target { name: "emitter", run: codec::emitter },
    Target { name: "messages", run: endpoints::messages },
    Target { name: "websocket", run: endpoints::frames },
    Target { name: "lines", run: endpoints::lines },
    Target { name: "proxy", run: endpoints::proxy },
    Target { name: "streams", run: endpoints::streams },
    Target { name: "api", run: endpoints::api },
    Target { name: "packets", run: backplane::packets },
    Target { name: "resp", run: backplane::resp },
    Target { name: "tokens", run: auth::tokens },
    Target { name: "keys", run: auth::keys },
    Target { name: "webhook", run: fuzz_replies },
    Target { name: "config", run: config::config },
];
