//! The values of every label.

use super::label::{Label, label};

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
        /// The answer to a ping.
        Pong = "pong",
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
        /// Anything else.
        Unknown = "unknown",
    }
}

label! {
    /// Why a client's connection ended.
    Disconnect {
        /// The client left, or its network did.
        ConnectionClosed = "connection_closed",
        /// This instance is draining.
        Shutdown = "shutdown",
        /// Something failed on our side.
        ServerError = "server_error",
        /// The connection's token ran out and was not renewed.
        Expired = "expired",
        /// A subscription's token ran out and was not renewed.
        SubscriptionExpired = "subscription_expired",
        /// Its outbox was full.
        Slow = "slow",
        /// Writing to it failed.
        WriteError = "write_error",
        /// Its place in a channel's history was lost.
        InsufficientState = "insufficient_state",
        /// Told to connect again.
        ForceReconnect = "force_reconnect",
        /// It did not answer a ping.
        NoPong = "no_pong",
        /// Its token is not valid.
        InvalidToken = "invalid_token",
        /// It does not keep to the protocol.
        BadRequest = "bad_request",
        /// It opened a connection and did not send `connect` in time.
        Stale = "stale",
        /// Told to go.
        ForceDisconnect = "force_disconnect",
        /// Too many connections.
        ConnectionLimit = "connection_limit",
        /// Too many channels.
        ChannelLimit = "channel_limit",
        /// A frame above the size limit.
        MessageTooLarge = "message_too_large",
        /// A code of an application.
        Other = "other",
    }
}

impl Disconnect {
    /// The reason that a close code of the client protocol stands for.
    pub fn from_code(code: u32) -> Self {
        match code {
            1009 => Self::MessageTooLarge,
            3000 => Self::ConnectionClosed,
            3001 => Self::Shutdown,
            3004 => Self::ServerError,
            3005 => Self::Expired,
            3006 => Self::SubscriptionExpired,
            3008 => Self::Slow,
            3009 => Self::WriteError,
            3010 => Self::InsufficientState,
            3011 => Self::ForceReconnect,
            3012 => Self::NoPong,
            3500 => Self::InvalidToken,
            3501 => Self::BadRequest,
            3502 => Self::Stale,
            3503 => Self::ForceDisconnect,
            3504 => Self::ConnectionLimit,
            3505 => Self::ChannelLimit,
            _ => Self::Other,
        }
    }
}

label! {
    /// Why something a client or caller sent was not carried out.
    Rejection {
        /// A frame or body above the size limit.
        TooLarge = "too_large",
        /// A binary frame where text is spoken.
        Binary = "binary",
        /// A page of an origin that is not allowed.
        Origin = "origin",
        /// Too many connections.
        ConnectionLimit = "connection_limit",
        /// This instance is draining.
        Draining = "draining",
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
        /// No such namespace.
        UnknownChannel = "unknown_channel",
        /// The name of a channel is empty or too long.
        BadChannel = "bad_channel",
        /// Subscribed to the channel already.
        AlreadySubscribed = "already_subscribed",
        /// Not subscribed to the channel.
        NotSubscribed = "not_subscribed",
        /// Too many channels.
        ChannelLimit = "channel_limit",
        /// Known, but not offered here.
        NotAvailable = "not_available",
        /// A middleware refused it.
        Middleware = "middleware",
        /// A logic module refused it.
        Logic = "logic",
    }
}

impl Rejection {
    /// How far it came: each reason belongs to one stage of a message's way.
    pub fn stage(self) -> &'static str {
        match self {
            Self::TooLarge | Self::Binary | Self::Origin | Self::ConnectionLimit | Self::Draining => {
                "endpoint"
            }
            Self::Malformed | Self::UnknownCommand | Self::NotConnected | Self::AlreadyConnected => "codec",
            Self::NoToken
            | Self::InvalidToken
            | Self::ExpiredToken
            | Self::ApiKey
            | Self::PermissionDenied => "auth",
            Self::UnknownChannel
            | Self::BadChannel
            | Self::AlreadySubscribed
            | Self::NotSubscribed
            | Self::ChannelLimit
            | Self::NotAvailable => "router",
            Self::Middleware => "middleware",
            Self::Logic => "logic",
        }
    }
}

label! {
    /// Why a publish failed after it was accepted.
    PublishFailure {
        /// Redis is not connected.
        Unavailable = "unavailable",
        /// Redis did not answer in time.
        Timeout = "timeout",
        /// Redis answered with an error.
        Error = "error",
        /// The queue to Redis is full.
        QueueFull = "queue_full",
    }
}

label! {
    /// Why a message did not reach a client's outbox.
    DeliveryFailure {
        /// The outbox is full; the client is disconnected as slow.
        Slow = "slow",
        /// The client was on its way out.
        Closed = "closed",
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        check::<ApiMethod>();
        check::<Disconnect>();
        check::<Rejection>();
        check::<PublishFailure>();
        check::<DeliveryFailure>();
        check::<EnvelopeDrop>();
        check::<RedisCommand>();
    }

    #[test]
    fn close_codes_have_reasons() {
        assert_eq!(Disconnect::from_code(3001), Disconnect::Shutdown);
        assert_eq!(Disconnect::from_code(3505), Disconnect::ChannelLimit);
        assert_eq!(Disconnect::from_code(4242), Disconnect::Other);
    }
}
