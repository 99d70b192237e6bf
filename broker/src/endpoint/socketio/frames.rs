//! The messages of a WebSocket that carries texts and bytes, which may be in pieces, and its own questions.

use std::borrow::Cow;

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::{
    codec::websocket::{read_frame, write_frame},
    endpoint::Disconnect,
};

/// The frames of one WebSocket.
#[derive(Default)]
pub(super) struct Frames {
    /// A message whose end has not come.
    begun: Option<(Data, Vec<u8>)>,
}

/// Something that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
    /// A question of the WebSocket itself, with the frame that answers it.
    Answer(Vec<u8>),
    /// Nothing to be done yet, or at all.
    Nothing,
}

impl Frames {
    /// Reads the frame that begins at `start`, of a message of at most `limit` bytes, and where the next begins; `None`
    /// when it is not all there yet.
    ///
    /// # Errors
    /// Why the connection has to end.
    pub(super) fn read<'a>(
        &mut self,
        bytes: &'a mut [u8],
        start: usize,
        limit: usize,
    ) -> Result<Option<(Input<'a>, usize)>, Disconnect> {
        let Some(frame) = read_frame(bytes, start, limit)? else { return Ok(None) };
        let payload = &bytes[frame.payload];
        let input = match (frame.opcode, frame.is_final) {
            (OpCode::Control(Control::Ping), _) => Input::Answer(pong(payload)),
            (OpCode::Control(Control::Pong), _) => Input::Nothing,
            (OpCode::Control(_), _) => return Err(Disconnect::Gone),
            (OpCode::Data(Data::Continue), is_final) => {
                let (kind, mut begun) = self.begun.take().ok_or(Disconnect::ProtocolError)?;
                if begun.len() + payload.len() > limit {
                    return Err(Disconnect::TooBig);
                }
                begun.extend_from_slice(payload);
                if is_final {
                    message(kind, Cow::Owned(begun))?
                } else {
                    self.begun = Some((kind, begun));
                    Input::Nothing
                }
            }
            (_, _) if self.begun.is_some() => return Err(Disconnect::ProtocolError),
            (OpCode::Data(kind), true) => message(kind, Cow::Borrowed(payload))?,
            (OpCode::Data(kind), false) => {
                self.begun = Some((kind, payload.to_vec()));
                Input::Nothing
            }
        };
        Ok(Some((input, frame.end)))
    }
}

fn message(kind: Data, bytes: Cow<'_, [u8]>) -> Result<Input<'_>, Disconnect> {
    match (kind, bytes) {
        (Data::Text, Cow::Borrowed(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Disconnect::InvalidData)?;
            Ok(Input::Text(text.into()))
        }
        (Data::Text, Cow::Owned(bytes)) => {
            Ok(Input::Text(String::from_utf8(bytes).map_err(|_| Disconnect::InvalidData)?.into()))
        }
        (Data::Binary, bytes) => Ok(Input::Binary(bytes)),
        _ => Err(Disconnect::ProtocolError),
    }
}

fn pong(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_frame(OpCode::Control(Control::Pong), &mut frame, |out| out.extend_from_slice(payload));
    frame
}

/// The input as frames; pieces make no difference. The first two bytes say where they are cut.
#[cfg(any(test, switchboard_fuzz))]
pub(crate) fn fuzz(bytes: &[u8]) {
    const LIMIT: usize = 1000;
    let read = |pieces: &[&[u8]]| {
        let (mut frames, mut unread, mut read) = (Frames::default(), Vec::new(), Vec::new());
        for piece in pieces {
            unread.extend_from_slice(piece);
            let mut at = 0;
            loop {
                match frames.read(&mut unread, at, LIMIT) {
                    Ok(Some((input, end))) => {
                        assert!(end > at, "it goes on");
                        at = end;
                        let bytes = match input {
                            Input::Text(text) => text.as_bytes().to_vec(),
                            Input::Binary(bytes) => bytes.into_owned(),
                            Input::Answer(answer) => answer,
                            Input::Nothing => continue,
                        };
                        assert!(bytes.len() <= LIMIT);
                        read.push(bytes);
                    }
                    Ok(None) => break,
                    Err(reason) => return (read, Some(reason)),
                }
            }
            unread.drain(..at);
        }
        (read, None)
    };
    let Some((cut, stream)) = bytes.split_first_chunk::<2>() else { return };
    let (head, tail) = stream.split_at(usize::from(u16::from_be_bytes(*cut)).min(stream.len()));
    assert_eq!(read(&[head, tail]), read(&[stream]));
}
