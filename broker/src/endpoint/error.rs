//! The errors that a reply can carry (<https://centrifugal.dev/docs/server/codes>).

use std::fmt;

use crate::{channel::SubscribeError, hooks, logic::LogicError, message::Rejection, metrics};

/// An error of the protocol. The temporary ones invite the client to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The broker, or what it stands on, failed for now.
    Internal,
    /// The namespace of the channel is not configured.
    UnknownChannel,
    /// The channel's name is empty, too long, or has control characters.
    BadChannel,
    /// The client may not do this.
    PermissionDenied,
    /// No such client.
    NotFound,
    /// No such command.
    MethodNotFound,
    /// The client is subscribed to the channel.
    AlreadySubscribed,
    /// The client has as many of these as it may have.
    LimitExceeded,
    /// The answer is larger than all that may wait for the client.
    AnswerTooLarge,
    /// The command's parts are not what they must be.
    BadRequest,
    /// A middleware has stopped the message, and counted that.
    Stopped,
    /// This is switched off here.
    NotAvailable,
    /// The token has expired: get a new one.
    TokenExpired,
    /// The position is not in the channel's stream, or not any more.
    UnrecoverablePosition,
    /// More at once than the broker takes.
    TooManyRequests,
    /// A middleware has stopped the message for now, and counted that.
    Postponed,
    /// A logic module, or a middleware before it, refused the message.
    Refused,
}

/// Why something was not carried out, as whoever asked is told: an error of the protocol, in its own words or in those
/// of the middleware that stopped the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: ErrorCode,
    sentence: Option<Box<str>>,
}

impl Refusal {
    /// The error.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The words; they may have any characters.
    pub fn message(&self) -> &str {
        self.sentence.as_deref().unwrap_or(self.code.message())
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, sentence: None }
    }
}

impl From<hooks::Refusal> for Refusal {
    /// In the hook's words; it was counted.
    fn from(refusal: hooks::Refusal) -> Self {
        let code = if refusal.temporary { ErrorCode::Postponed } else { ErrorCode::Stopped };
        Self { code, sentence: Some(refusal.message.into()) }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let code = ErrorCode::from(&rejection);
        let sentence = Some(rejection.message).filter(|sentence| !sentence.is_empty());
        Self { code, sentence: sentence.map(Into::into) }
    }
}

impl From<LogicError> for Refusal {
    /// What a module refuses, in its words.
    fn from(error: LogicError) -> Self {
        match error {
            LogicError::Refused(why) if !why.is_empty() => {
                Self { code: ErrorCode::Refused, sentence: Some(why.into()) }
            }
            error => ErrorCode::from(error).into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Refusal {}

impl From<&Rejection> for ErrorCode {
    fn from(rejection: &Rejection) -> Self {
        if rejection.is_temporary { Self::Postponed } else { Self::Stopped }
    }
}

impl From<SubscribeError> for ErrorCode {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::AlreadySubscribed => Self::AlreadySubscribed,
            SubscribeError::LimitExceeded => Self::LimitExceeded,
            SubscribeError::Unavailable(_) => Self::Internal,
        }
    }
}

impl From<LogicError> for ErrorCode {
    fn from(error: LogicError) -> Self {
        match error {
            LogicError::Unknown | LogicError::Passive => Self::MethodNotFound,
            LogicError::QueueFull | LogicError::Dropped => Self::TooManyRequests,
            LogicError::Refused(_) => Self::Refused,
            LogicError::TimedOut
            | LogicError::Panicked
            | LogicError::Stopping
            | LogicError::Unreachable
            | LogicError::Failed(_) => Self::Internal,
        }
    }
}

impl ErrorCode {
    /// The number.
    pub fn code(self) -> u32 {
        match self {
            Self::Internal => 100,
            Self::UnknownChannel => 102,
            Self::PermissionDenied | Self::Refused => 103,
            Self::NotFound | Self::MethodNotFound => 104,
            Self::AlreadySubscribed => 105,
            Self::LimitExceeded | Self::AnswerTooLarge => 106,
            Self::BadRequest | Self::BadChannel | Self::Stopped => 107,
            Self::NotAvailable => 108,
            Self::TokenExpired => 109,
            Self::TooManyRequests | Self::Postponed => 111,
            Self::UnrecoverablePosition => 112,
        }
    }

    /// The words.
    pub fn message(self) -> &'static str {
        match self {
            Self::Internal => "internal server error",
            Self::UnknownChannel => "unknown channel",
            Self::PermissionDenied | Self::Refused => "permission denied",
            Self::NotFound => "not found",
            Self::MethodNotFound => "method not found",
            Self::AlreadySubscribed => "already subscribed",
            Self::LimitExceeded | Self::AnswerTooLarge => "limit exceeded",
            Self::BadRequest | Self::BadChannel | Self::Stopped => "bad request",
            Self::NotAvailable => "not available",
            Self::TokenExpired => "token expired",
            Self::TooManyRequests | Self::Postponed => "too many requests",
            Self::UnrecoverablePosition => "unrecoverable position",
        }
    }

    /// Whether the client should try again.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Internal | Self::TooManyRequests | Self::Postponed)
    }

    /// How the refusal is counted, unless it was counted before.
    pub fn rejection(self) -> Option<metrics::Rejection> {
        use metrics::Rejection;
        Some(match self {
            Self::Stopped | Self::Postponed => return None,
            Self::Internal => Rejection::Unavailable,
            Self::UnknownChannel => Rejection::UnknownChannel,
            Self::BadChannel => Rejection::BadChannel,
            Self::PermissionDenied => Rejection::PermissionDenied,
            Self::Refused => Rejection::Logic,
            Self::NotFound => Rejection::UnknownClient,
            Self::MethodNotFound => Rejection::UnknownCommand,
            Self::AlreadySubscribed => Rejection::AlreadySubscribed,
            Self::LimitExceeded => Rejection::ChannelLimit,
            Self::AnswerTooLarge => Rejection::TooLarge,
            Self::BadRequest => Rejection::Malformed,
            Self::NotAvailable => Rejection::NotAvailable,
            Self::TokenExpired => Rejection::ExpiredToken,
            Self::TooManyRequests => Rejection::TooManyRequests,
            Self::UnrecoverablePosition => Rejection::UnrecoverablePosition,
        })
    }
}
