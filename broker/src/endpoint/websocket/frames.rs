//! The frames of a WebSocket as they come in: messages that may be in pieces, and the protocol's own questions.

use std::borrow::Cow;

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::{
    codec::websocket::{read_frame, write_frame},
    endpoint::{
        Disconnect,
        framing::{Framing, Input, Received},
    },
};

/// The frames of one WebSocket.
#[derive(Default)]
pub struct Frames {
    /// Its messages are binary ones, and not text.
    is_binary: bool,
    /// A message whose end has not come.
    begun: Option<Begun>,
}

struct Begun {
    opcode: OpCode,
    bytes: Vec<u8>,
}

impl Framing for Frames {
    const BARE: bool = false;

    fn read<'a>(
        &mut self,
        bytes: &'a mut [u8],
        start: usize,
        limit: usize,
    ) -> Result<Option<Received<'a>>, Disconnect> {
        let Some(frame) = read_frame(bytes, start, limit)? else { return Ok(None) };
        let payload = &bytes[frame.payload];
        let input = match (frame.opcode, frame.is_final) {
            (OpCode::Control(Control::Ping), _) => Input::Answer(pong(payload)),
            (OpCode::Control(Control::Pong), _) => Input::Nothing,
            (OpCode::Control(_), _) => return Err(Disconnect::Gone),
            (OpCode::Data(Data::Continue), is_final) => self.go_on(payload, is_final, limit)?,
            (_, _) if self.begun.is_some() => return Err(Disconnect::ProtocolError),
            (opcode, true) => {
                self.expect(opcode)?;
                match self.is_binary {
                    true => Input::Binary(Cow::Borrowed(payload)),
                    false => Input::Commands(Cow::Borrowed(
                        std::str::from_utf8(payload).map_err(|_| Disconnect::InvalidData)?,
                    )),
                }
            }
            (opcode, false) => {
                self.begun = Some(Begun { opcode, bytes: payload.to_vec() });
                Input::Nothing
            }
        };
        Ok(Some(Received { input, end: frame.end }))
    }
}

impl Frames {
    /// Those of a WebSocket whose messages are binary.
    pub fn binary() -> Self {
        Self { is_binary: true, ..Self::default() }
    }

    /// The next piece of a message.
    fn go_on(&mut self, payload: &[u8], is_final: bool, limit: usize) -> Result<Input<'static>, Disconnect> {
        let mut begun = self.begun.take().ok_or(Disconnect::ProtocolError)?;
        if begun.bytes.len() + payload.len() > limit {
            return Err(Disconnect::TooBig);
        }
        begun.bytes.extend_from_slice(payload);
        if !is_final {
            self.begun = Some(begun);
            return Ok(Input::Nothing);
        }
        self.expect(begun.opcode)?;
        if self.is_binary {
            return Ok(Input::Binary(Cow::Owned(begun.bytes)));
        }
        let text = String::from_utf8(begun.bytes).map_err(|_| Disconnect::InvalidData)?;
        Ok(Input::Commands(Cow::Owned(text)))
    }

    fn expect(&self, opcode: OpCode) -> Result<(), Disconnect> {
        match (opcode, self.is_binary) {
            (OpCode::Data(Data::Text), false) | (OpCode::Data(Data::Binary), true) => Ok(()),
            _ => Err(Disconnect::InappropriateProtocol),
        }
    }
}

fn pong(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_frame(OpCode::Control(Control::Pong), &mut frame, |out| out.extend_from_slice(payload));
    frame
}
