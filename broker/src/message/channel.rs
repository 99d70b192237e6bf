//! Names of channels.

use std::{borrow::Borrow, fmt, sync::Arc};

/// The name of a channel. Cheap to clone: the name is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(Arc<str>);

/// Why a text cannot be the name of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelNameError {
    /// The name is empty.
    #[error("the channel's name is empty")]
    Empty,
    /// The name is longer than the configuration allows.
    #[error("the channel's name has {length} bytes; at most {limit} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The name has a control character.
    #[error("the channel's name has a control character")]
    ControlCharacter,
}

impl Channel {
    /// Checks a name that came from outside and takes it.
    pub fn parse(name: &str, limit: usize) -> Result<Self, ChannelNameError> {
        if name.is_empty() {
            return Err(ChannelNameError::Empty);
        }
        if name.len() > limit {
            return Err(ChannelNameError::TooLong { length: name.len(), limit });
        }
        if name.chars().any(char::is_control) {
            return Err(ChannelNameError::ControlCharacter);
        }
        Ok(Self(name.into()))
    }

    /// Takes a name that another instance has checked before.
    pub fn trusted(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names_are_checked() {
        assert_eq!(Channel::parse("", 10), Err(ChannelNameError::Empty));
        assert_eq!(Channel::parse("abc", 2), Err(ChannelNameError::TooLong { length: 3, limit: 2 }));
        assert_eq!(Channel::parse("a\nb", 10), Err(ChannelNameError::ControlCharacter));
        assert_eq!(Channel::parse("chat:один", 255).unwrap().as_str(), "chat:один");
    }
}
