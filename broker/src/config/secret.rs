//! Text that is never shown.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};

/// What is shown in the place of a secret.
const HIDDEN: &str = "***";

/// A password or key: `Debug` and serialisation show `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads a secret's file: its text without the line end that editors and `echo` add.
    ///
    /// # Errors
    /// Says why the file cannot be used; the caller adds which file it is.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err("the file is empty".into());
        }
        Ok(Self(text.to_owned()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {secret:#?}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_file_loses_one_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for (text, secret) in [("k", "k"), ("k\n", "k"), ("k\r\n", "k"), (" k \n\n", " k \n")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Secret::read(&path).unwrap().expose(), secret);
        }
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(Secret::read(&path).unwrap_err(), "the file is empty");
        assert!(Secret::read(&dir.path().join("none")).unwrap_err().contains("No such file"));
    }
}
