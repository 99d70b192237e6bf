//! What whoever runs the broker writes.

use crate::config::Config;

/// A configuration file, and variables behind a line of `---env`, each as `NAME=value`.
pub(super) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (file, environment) = text.split_once("\n---env\n").unwrap_or((text, ""));
    let variables = || {
        let pairs = environment.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let read = || Config::parse("broker.yaml", file, variables());
    match (read(), read()) {
        (Ok(config), Ok(again)) => {
            assert_eq!(config, again);
            assert!(config.validate().is_ok(), "what was checked is right");
        }
        (Err(error), Err(again)) => {
            let words = error.to_string();
            assert!(!words.is_empty());
            assert_eq!(words, again.to_string());
        }
        _ => panic!("read once so and once so"),
    }
}
