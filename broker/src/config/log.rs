//! `log`: what the broker says on standard error.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::place::Problem;

/// What is logged, and how it looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or a list such as `info,switchboard=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

impl Log {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        problems.extend(self.filter().err().map(|why| Problem::of("log.level", why)));
    }

    /// The filter that `level` describes.
    ///
    /// # Errors
    /// What to write instead. A bare word that is no level would be taken as a module's name and silence all
    /// others, so it is an error too.
    pub fn filter(&self) -> Result<EnvFilter, String> {
        let known = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
        let example = format!("write one of {}, or a list such as info,switchboard=debug", LEVELS.join(", "));
        let parts: Vec<&str> = self.level.split(',').map(str::trim).collect();
        for part in &parts {
            let level = part.rsplit_once('=').map_or(*part, |(_, level)| level);
            if !known(level) {
                return Err(format!("{level:?} is not a level; {example}"));
            }
        }
        let filter = EnvFilter::builder().parse(parts.join(","));
        filter.map_err(|_| format!("{:?} cannot be read; {example}", self.level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_level(level: &str) -> Result<(), String> {
        Log { level: level.into(), ..Log::default() }.filter().map(|_| ())
    }

    #[test]
    fn levels() {
        for good in ["info", "INFO", "off", "warn,switchboard=debug", "info, redis=trace"] {
            assert_eq!(check_level(good), Ok(()), "{good}");
        }
        for bad in ["", "warning", "inof", "info,", "switchboard", "switchboard=loud", "=info=info"] {
            assert!(check_level(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = check_level(&text);
        }
    }
}
