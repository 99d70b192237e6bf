//! How what is delivered looks to clients on boards.

use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::{
    codec::{
        Encoder, Push,
        presence::{Described, ToClient},
        websocket::write_frame,
    },
    message::Channel,
};

/// Messages of the protocol of boards in binary frames of a WebSocket.
pub struct BoardsOverWebSocket {
    prefix: String,
}

impl BoardsOverWebSocket {
    /// For boards whose channels' names begin so.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn is_board(&self, channel: &Channel) -> bool {
        channel.as_str().starts_with(&self.prefix)
    }
}

/// Appends bytes as one message.
pub(super) fn write_binary(message: &[u8], out: &mut Vec<u8>) {
    write_frame(OpCode::Data(Data::Binary), out, |out| out.extend_from_slice(message));
}

/// Appends a message.
pub(super) fn write(message: &ToClient<'_>, out: &mut Vec<u8>) {
    write_frame(OpCode::Data(Data::Binary), out, |out| message.write(out));
}

impl Encoder for BoardsOverWebSocket {
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>) {
        let announce = |channel: &str, data: &[u8], out: &mut Vec<u8>| {
            if let Ok(data) = std::str::from_utf8(data) {
                write(&ToClient::Announcement { channel, data }, out);
            }
        };
        match push {
            Push::Board(message) => write_binary(message, out),
            Push::Publication(channel, publication, _) => announce(channel.as_str(), publication.data, out),
            Push::Message(message) => announce("", message.data, out),
            // Whoever watches the channel by another protocol is on no board.
            Push::Join(_, _, info) => {
                if let Some(described) = Described::read(info) {
                    write(&ToClient::Joined(described.origin, described.member()), out);
                }
            }
            Push::Leave(_, _, info) => {
                if let Some(described) = Described::read(info) {
                    write(&ToClient::Gone(described.origin, described.number), out);
                }
            }
            Push::Unsubscribe(channel, why) if self.is_board(channel) => {
                write(&ToClient::Left(why.code().into(), why.reason()), out);
            }
            Push::Subscribe(..) | Push::Unsubscribe(..) => {}
        }
    }

    fn shows_boards(&self) -> bool {
        true
    }
}
