//! Where a setting was written, and what is wrong with it.

use std::fmt;
use std::sync::Arc;

/// The place a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A position in the configuration file; lines and columns count from 1.
    File {
        /// The file as it was named on the command line.
        file: Arc<str>,
        /// The line.
        line: u64,
        /// The column.
        column: u64,
    },
    /// An environment variable.
    Variable(Arc<str>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Place::Variable(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written; `None` for a configuration that was built in code.
    pub place: Option<Place>,
    /// The setting, such as `auth.jwt.hmac_secret`; empty when it concerns the whole file.
    pub path: String,
    /// What is wrong and what to write instead. Never holds a secret.
    pub message: String,
}

impl Problem {
    /// A problem of one setting, its place not looked up yet.
    pub(crate) fn of(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: None, path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A configuration that cannot be used; displayed as one line for each problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong, in the order of the settings; never empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// `Ok` when nothing was found.
    pub(crate) fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
