//! The values of every label.

use super::label::label;
use crate::{
    backplane::Unavailable,
    logic::{LogicError, Outcome},
};

label! {
    /// Where a message of a publisher came from.
    Source {
        /// A client.
        Client = "client",
        /// The server API.
        Api = "api",
        /// A logic module.
        Logic = "logic",
    }
}

label! {
    /// Where a delivered message entered the cluster.
    Origin {
        /// At this instance.
        Local = "local",
        /// At another instance.
        Remote = "remote",
    }
}

label! {
    /// Which way an envelope crossed the backplane.
    Direction {
        /// To other instances.
        Sent = "sent",
        /// From other instances.
        Received = "received",
    }
}

label! {
    /// A command of a client.
    ClientCommand {
        /// The first command.
        Connect = "connect",
        /// Join a channel.
        Subscribe = "subscribe",
        /// Leave a channel.
        Unsubscribe = "unsubscribe",
        /// A message to a channel.
        Publish = "publish",
        /// Who is in a channel.
        Presence = "presence",
        /// How many are in a channel.
        PresenceStats = "presence_stats",
        /// Past messages of a channel.
        History = "history",
        /// A message without an answer.
        Send = "send",
        /// A call of a logic module.
        Rpc = "rpc",
        /// A new connection token.
        Refresh = "refresh",
        /// A new subscription token.
        SubRefresh = "sub_refresh",
        /// A ping of the client.
        Ping = "ping",
        /// The answer to a ping.
        Pong = "pong",
        /// A movement on a board.
        Cursor = "cursor",
        /// A selection on a board.
        Selection = "selection",
        /// Anything else.
        Unknown = "unknown",
    }
}

label! {
    /// A method of the server API.
    ApiMethod {
        /// A message to a channel.
        Publish = "publish",
        /// A message to several channels.
        Broadcast = "broadcast",
        /// About the instances.
        Info = "info",
        /// The channels that have subscribers.
        Channels = "channels",
        /// The clients.
        Clients = "clients",
        /// A message to clients, logic modules or everyone.
        Send = "send",
        /// An event that clients answer.
        Ask = "ask",
        /// Subscriptions that the server begins.
        Subscribe = "subscribe",
        /// Subscriptions that the server ends.
        Unsubscribe = "unsubscribe",
        /// The end of connections.
        Disconnect = "disconnect",
        /// Who is in a channel.
        Presence = "presence",
        /// How many are in a channel.
        PresenceStats = "presence_stats",
        /// What was published in a channel.
        History = "history",
        /// The end of what is kept of a channel.
        HistoryRemove = "history_remove",
        /// A note about a client.
        Note = "note",
        /// Several of these.
        Batch = "batch",
        /// Anything else.
        Unknown = "unknown",
    }
}

label! {
    /// Why something a client or caller sent was not carried out.
    Rejection {
        /// A frame or body above the size limit, or a command whose answer would be.
        TooLarge = "too_large",
        /// A binary frame where text is spoken.
        Binary = "binary",
        /// Frames that break the transport's own protocol.
        BrokenFrame = "broken_frame",
        /// A page of an origin that is not allowed.
        Origin = "origin",
        /// Too many clients.
        ConnectionLimit = "connection_limit",
        /// Too many clients, or connections that are not that far, from one address.
        AddressLimit = "address_limit",
        /// Too many connections that have not sent the head of a request.
        HandshakeLimit = "handshake_limit",
        /// A connection that took too long for that.
        HandshakeTimeout = "handshake_timeout",
        /// A peer that TLS cannot be spoken with.
        Tls = "tls",
        /// A trusted proxy that does not say for whom it connects.
        ProxyHeader = "proxy_header",
        /// This instance is draining.
        Draining = "draining",
        /// A datagram that wants to connect from an address that has not shown its cookie.
        NoCookie = "no_cookie",
        /// Not valid JSON, or not of the protocol's shape.
        Malformed = "malformed",
        /// A command or method that is not known.
        UnknownCommand = "unknown_command",
        /// A command before `connect`.
        NotConnected = "not_connected",
        /// A second `connect`.
        AlreadyConnected = "already_connected",
        /// No token, and anonymous clients are not allowed.
        NoToken = "no_token",
        /// A token that is not valid.
        InvalidToken = "invalid_token",
        /// A token outside its time.
        ExpiredToken = "expired_token",
        /// No API key, or a wrong one.
        ApiKey = "api_key",
        /// The namespace's rules do not allow it.
        PermissionDenied = "permission_denied",
        /// No such client is connected.
        UnknownClient = "unknown_client",
        /// No such namespace.
        UnknownChannel = "unknown_channel",
        /// The name of a channel is empty, too long, or has control characters.
        BadChannel = "bad_channel",
        /// Subscribed to the channel already.
        AlreadySubscribed = "already_subscribed",
        /// Not subscribed to the channel.
        NotSubscribed = "not_subscribed",
        /// Too many channels.
        ChannelLimit = "channel_limit",
        /// Known, but not offered here.
        NotAvailable = "not_available",
        /// A position that the channel's stream does not have, or no more.
        UnrecoverablePosition = "unrecoverable_position",
        /// More questions at once than the broker takes.
        TooManyRequests = "too_many_requests",
        /// The backplane could not do its part.
        Unavailable = "unavailable",
        /// A middleware refused it.
        Middleware = "middleware",
        /// A middleware refused it for now: the client sends too much.
        RateLimit = "rate_limit",
        /// A logic module refused it.
        Logic = "logic",
        /// A hook refused it.
        Hook = "hook",
    }
}

impl Rejection {
    /// How far it came: each reason belongs to one stage of a message's way.
    pub fn stage(self) -> &'static str {
        match self {
            Self::TooLarge
            | Self::Binary
            | Self::BrokenFrame
            | Self::Origin
            | Self::ConnectionLimit
            | Self::AddressLimit
            | Self::HandshakeLimit
            | Self::HandshakeTimeout
            | Self::Tls
            | Self::ProxyHeader
            | Self::Draining
            | Self::NoCookie => "endpoint",
            Self::Malformed | Self::UnknownCommand | Self::NotConnected | Self::AlreadyConnected => "codec",
            Self::NoToken
            | Self::InvalidToken
            | Self::ExpiredToken
            | Self::ApiKey
            | Self::PermissionDenied => "auth",
            Self::UnknownClient
            | Self::UnknownChannel
            | Self::BadChannel
            | Self::AlreadySubscribed
            | Self::NotSubscribed
            | Self::ChannelLimit
            | Self::NotAvailable
            | Self::UnrecoverablePosition
            | Self::TooManyRequests
            | Self::Unavailable => "router",
            Self::Middleware | Self::RateLimit => "middleware",
            Self::Logic => "logic",
            Self::Hook => "hook",
        }
    }
}

label! {
    /// Why a publish failed after it was accepted.
    PublishFailure {
        /// Redis is not connected.
        Disconnected = "disconnected",
        /// Redis did not answer in time.
        Timeout = "timeout",
        /// Redis answered with an error.
        Refused = "refused",
        /// The queue to Redis is full.
        QueueFull = "queue_full",
        /// The instance is shutting down.
        Closed = "closed",
        /// The connection was lost while the message was under way to a stream: it may be there.
        Uncertain = "uncertain",
    }
}

impl From<Unavailable> for PublishFailure {
    fn from(why: Unavailable) -> Self {
        match why {
            Unavailable::Disconnected => Self::Disconnected,
            Unavailable::Timeout => Self::Timeout,
            Unavailable::Refused => Self::Refused,
            Unavailable::QueueFull => Self::QueueFull,
            Unavailable::Closed => Self::Closed,
            Unavailable::Uncertain => Self::Uncertain,
        }
    }
}

label! {
    /// Why a message did not reach a client's outbox.
    DeliveryFailure {
        /// The outbox is full; the client is disconnected as slow.
        Slow = "slow",
        /// The client was on its way out.
        Closed = "closed",
        /// No living instance has the client, or its instance did not answer.
        NotFound = "not_found",
        /// Too many messages for clients or logic of other instances were under way.
        Busy = "busy",
        /// No datagram holds it.
        TooLarge = "too_large",
        /// The system did not send its datagram.
        SendFailed = "send_failed",
        /// It was volatile, and the client had not read what was there before.
        Volatile = "volatile",
    }
}

label! {
    /// What became of a message for a logic module.
    LogicRun {
        /// The module handled it.
        Ok = "ok",
        /// The module refused it.
        Refused = "refused",
        /// The module failed.
        Failed = "failed",
        /// The module panicked.
        Panicked = "panicked",
        /// The module took too long.
        TimedOut = "timed_out",
        /// The module's queue was full.
        QueueFull = "queue_full",
        /// A newer message took its place in the queue.
        Dropped = "dropped",
        /// The module takes no messages, or no more.
        NotTaken = "not_taken",
    }
}

impl LogicRun {
    /// The label of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Ok(_) => Self::Ok,
            Err(LogicError::Refused(_)) => Self::Refused,
            Err(LogicError::Failed(_)) => Self::Failed,
            Err(LogicError::Panicked) => Self::Panicked,
            Err(LogicError::TimedOut) => Self::TimedOut,
            Err(LogicError::QueueFull) => Self::QueueFull,
            Err(LogicError::Dropped) => Self::Dropped,
            Err(
                LogicError::Unknown | LogicError::Passive | LogicError::Stopping | LogicError::Unreachable,
            ) => Self::NotTaken,
        }
    }
}

label! {
    /// Why an envelope was dropped.
    EnvelopeDrop {
        /// It cannot be read.
        Malformed = "malformed",
        /// It is of a version that this broker does not know.
        Version = "version",
        /// It is our own, come back.
        Own = "own",
        /// It was for an earlier life of this instance.
        StaleEpoch = "stale_epoch",
        /// Its client or channel is not here any more.
        NoTarget = "no_target",
        /// A queue was full.
        QueueFull = "queue_full",
        /// The backplane was not connected.
        Unavailable = "unavailable",
    }
}

label! {
    /// What is asked of Redis.
    RedisCommand {
        /// A message to other instances.
        Publish = "publish",
        /// Listen to a channel.
        Subscribe = "subscribe",
        /// Stop listening to a channel.
        Unsubscribe = "unsubscribe",
        /// The lease of this instance.
        Lease = "lease",
        /// Which instance holds which client.
        Directory = "directory",
        /// Who is in a channel.
        Presence = "presence",
        /// What was published in a channel.
        History = "history",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Label;
    use std::collections::HashSet;

    fn check<L: Label + PartialEq + std::fmt::Debug>() {
        let mut seen = HashSet::new();
        for (i, value) in L::ALL.iter().enumerate() {
            assert_eq!(value.index(), i, "{value:?}");
            let text = value.as_str();
            assert!(seen.insert(text), "{text} twice");
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{text}");
        }
    }

    #[test]
    fn labels_are_indexed_in_order_and_distinct() {
        check::<Source>();
        check::<Origin>();
        check::<Direction>();
        check::<ClientCommand>();
        check::<crate::metrics::Movement>();
        check::<ApiMethod>();
        check::<Rejection>();
        check::<PublishFailure>();
        check::<DeliveryFailure>();
        check::<LogicRun>();
        check::<EnvelopeDrop>();
        check::<RedisCommand>();
    }
}
