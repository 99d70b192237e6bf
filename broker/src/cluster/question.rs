//! What one instance can ask another, and its bytes.
//!
//! ```text
//! question = 1  order:JSON
//!          | 2  count:u32le  client:bytes(16)*count  publication
//!          | 3  head_length:u32le  head:JSON  payload:bytes
//!          | 8  bytes
//! ```

use bytes::{Buf, BufMut};
use serde::{Deserialize, Serialize};

use crate::{
    backplane::{
        Publication,
        envelope::{PacketError, take, take_u32},
    },
    message::{ClientId, LogicName},
    registry::{Metadata, Query},
};

/// Something that one instance asks of another.
#[derive(Debug, Clone, PartialEq)]
pub enum Question<'a> {
    /// What is asked seldom. The answer is JSON.
    Order(Order),
    /// For these clients, in order with what was sent to them before. The answer is the ids, sixteen bytes each, of
    /// those that are not here.
    Deliver(Recipients<'a>, Publication<'a>),
    /// For a logic module. The answer is an [outcome](crate::logic::Outcome)'s bytes.
    Call(Call, &'a [u8]),
    /// For the Socket.IO endpoint, which alone knows what it means, as it does of the answer.
    Endpoint(&'a [u8]),
}

/// What is asked seldom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Which channels with local subscribers match the glob pattern? An object of names and numbers of subscribers.
    Channels(String),
    /// Which clients are there? A list of [records](crate::registry::ClientRecord).
    Clients(Query),
    /// End these clients. The number of them.
    Disconnect {
        /// Which.
        who: Who,
        /// The label of the [reason](crate::endpoint::Disconnect).
        reason: String,
        /// What ends with them. Instances of an earlier version end the connection, and mean that when they ask.
        #[serde(default)]
        extent: Extent,
    },
    /// Change the subscriptions of these clients to a channel. What has [become of them](Changed).
    Change {
        /// Whose.
        who: Who,
        /// The channel.
        channel: String,
        /// What is to be done.
        change: Change,
    },
    /// Note this of a client. Whether it is here.
    Note(ClientId, Metadata),
}

/// Which clients are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// One connection.
    Client(ClientId),
    /// One connection, if it is this user's.
    ClientOf(ClientId, String),
    /// All connections of a user.
    User(String),
    /// All that are in a channel. Instances of an earlier version leave such a question unanswered.
    Channel(String),
}

/// What ends with a client that shares its connection with others, as those in namespaces of Socket.IO do. For all others
/// it is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// That client alone; unless the reason tells it to come back, for which its library needs another connection.
    Client,
    /// The connection, with all clients that share it.
    #[default]
    Connection,
}

/// What is done to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It begins.
    Subscribe,
    /// It ends.
    Unsubscribe,
}

/// What became of clients whose subscriptions were to be changed; each number is one of clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// That were there.
    pub found: usize,
    /// That are subscribed now, or were before the end.
    pub done: usize,
    /// That have as many subscriptions as they may have.
    pub full: usize,
    /// That could not be subscribed for now.
    pub failed: usize,
}

impl std::ops::Add for Changed {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            found: self.found + other.found,
            done: self.done + other.done,
            full: self.full + other.full,
            failed: self.failed + other.failed,
        }
    }
}

/// What a logic module gets to know beside the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Which module.
    pub logic: String,
    /// The client that sent it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// What others may know of that client, as JSON.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub info: String,
    /// The logic module that sent it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What travels with it.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Whether somebody waits for the answer.
    #[serde(default)]
    pub wants_answer: bool,
}

impl Call {
    /// The module's name.
    pub fn name(&self) -> LogicName {
        LogicName::new(&self.logic)
    }
}

/// The ids of clients as they stand in a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipients<'a>(&'a [[u8; 16]]);

impl<'a> Recipients<'a> {
    /// The clients.
    pub fn iter(&self) -> impl Iterator<Item = ClientId> + use<'a> {
        self.0.iter().map(|id| ClientId::from_bytes(*id))
    }
}

impl<'a> From<&'a [[u8; 16]]> for Recipients<'a> {
    fn from(ids: &'a [[u8; 16]]) -> Self {
        Self(ids)
    }
}

/// Why a question cannot be answered: its bytes are not one.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// The bytes end too early.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The JSON in it is not what it should be; a newer instance may ask more than this one knows.
    #[error("cannot read the question: {0}")]
    Json(#[from] serde_json::Error),
    /// A kind of question that this broker does not know.
    #[error("a question of the unknown kind {0}")]
    Kind(u8),
}

impl<'a> Question<'a> {
    /// Appends the question.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Order(order) => {
                out.put_u8(1);
                // Writing into memory cannot fail, and an order has no map whose keys are not texts.
                let _ = serde_json::to_writer(out, order);
            }
            Self::Deliver(recipients, publication) => {
                out.put_u8(2);
                out.put_u32_le(recipients.0.len() as u32);
                out.put_slice(recipients.0.as_flattened());
                publication.write(out);
            }
            Self::Call(call, payload) => {
                out.put_u8(3);
                let length_at = out.len();
                out.put_u32_le(0);
                let _ = serde_json::to_writer(&mut *out, call);
                let length = (out.len() - length_at - 4) as u32;
                out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
                out.put_slice(payload);
            }
            Self::Endpoint(question) => {
                out.put_u8(8);
                out.put_slice(question);
            }
        }
    }

    /// Reads what [`Question::write`] wrote.
    pub fn read(mut bytes: &'a [u8]) -> Result<Self, QuestionError> {
        if !bytes.has_remaining() {
            return Err(PacketError::Truncated.into());
        }
        match bytes.get_u8() {
            1 => Ok(Self::Order(serde_json::from_slice(bytes)?)),
            2 => {
                let count = take_u32(&mut bytes)? as usize;
                let length = count.checked_mul(16).ok_or(PacketError::Truncated)?;
                let (ids, _) = take(&mut bytes, length)?.as_chunks();
                Ok(Self::Deliver(Recipients(ids), Publication::read(bytes)?))
            }
            3 => {
                let length = take_u32(&mut bytes)? as usize;
                let call = serde_json::from_slice(take(&mut bytes, length)?)?;
                Ok(Self::Call(call, bytes))
            }
            8 => Ok(Self::Endpoint(bytes)),
            unknown => Err(QuestionError::Kind(unknown)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn examples() -> Vec<Question<'static>> {
        let client = ClientId::from_bytes([7; 16]);
        let metadata = Metadata::from([("a".to_owned(), "\"1\"".to_owned())]);
        let order = [
            Order::Channels("*".into()),
            Order::Clients(Query { user: Some("ann".into()), after: Some(client), ..Query::default() }),
            Order::Disconnect {
                who: Who::User("ann".into()),
                reason: "forced".into(),
                extent: Extent::Client,
            },
            Order::Change {
                who: Who::ClientOf(client, "ann".into()),
                channel: "a".into(),
                change: Change::Subscribe,
            },
            Order::Note(client, metadata.clone()),
            Order::Disconnect {
                who: Who::Channel("a".into()),
                reason: "forced".into(),
                extent: Extent::Connection,
            },
        ];
        let call = Call {
            logic: "echo".into(),
            client: Some(client),
            info: "{}".into(),
            from: None,
            metadata,
            wants_answer: true,
        };
        let publication = Publication { info: b"{}", tags: b"", data: b"1" };
        let mut examples: Vec<_> = order.into_iter().map(Question::Order).collect();
        examples.push(Question::Deliver(Recipients(&[[1; 16], [2; 16]]), publication));
        examples.push(Question::Deliver(Recipients(&[]), publication));
        examples.push(Question::Call(call, b"[1]"));
        examples
    }

    #[test]
    fn every_question_reads_back() {
        for question in examples() {
            let mut bytes = Vec::new();
            question.write(&mut bytes);
            assert_eq!(Question::read(&bytes).unwrap(), question);
        }
    }

    #[test]
    fn an_older_instance_that_ends_a_client_means_the_connection() {
        let who = Who::User("ann".into());
        let order = b"\x01{\"disconnect\":{\"who\":{\"user\":\"ann\"},\"reason\":\"forced\"}}";
        let expected = Order::Disconnect { who, reason: "forced".into(), extent: Extent::Connection };
        assert_eq!(Question::read(order).unwrap(), Question::Order(expected));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Question::read(&bytes);
        }

        #[test]
        fn a_cut_question_is_no_other_question(which in 0usize..9, cut in 1usize..20) {
            let question = &examples()[which];
            let mut bytes = Vec::new();
            question.write(&mut bytes);
            bytes.truncate(bytes.len().saturating_sub(cut));
            // What is cut from the end of a payload cannot be seen: the packet's own length is there for that.
            if let Ok(read) = Question::read(&bytes) {
                let (Question::Deliver(one, _), Question::Deliver(other, _)) = (&read, question) else {
                    let (Question::Call(one, _), Question::Call(other, _)) = (&read, question) else {
                        return Err(TestCaseError::fail(format!("{read:?}")));
                    };
                    prop_assert_eq!(one, other);
                    return Ok(());
                };
                prop_assert_eq!(one, other);
            }
        }
    }
}
