//! A bare connection: bytes out, frames in.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    connect::Failure,
    resp::{self, Frame, Step},
};
use crate::backplane::ANSWER_WITHIN;

/// Room for what one read may bring.
const READ_ROOM: usize = 64 * 1024;

/// A read buffer that has grown past this is given back.
const READ_KEPT: usize = 1024 * 1024;

/// What a connection runs over: a socket, with TLS or without.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A bare connection.
pub(super) struct Wire {
    stream: Box<dyn Io>,
    input: BytesMut,
    /// There is no whole frame before the input is this long.
    needs: usize,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Io>) -> Self {
        Self { stream, input: BytesMut::new(), needs: 0 }
    }

    /// Writes all of it; an error when the server does not take it in time.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = timeout(ANSWER_WITHIN, async {
            self.stream.write_all(bytes).await?;
            // TLS holds back what a write left unfinished.
            self.stream.flush().await
        });
        match written.await {
            Ok(outcome) => outcome.map_err(|error| lost(&error)),
            Err(_) => Err(Failure::new("Redis does not read what is sent to it")),
        }
    }

    /// Writes on from `written`, and reads only while the server does not take it: `true` when all is written, and
    /// `false` when something was read before that. Dropping the future loses nothing.
    pub(super) async fn write_or_read(&mut self, bytes: &[u8], written: &mut usize) -> Result<bool, Failure> {
        poll_fn(|context| {
            let all = poll_write_all(&mut self.stream, context, bytes, written);
            if all.map_err(|error| lost(&error))?.is_ready() {
                return Poll::Ready(Ok(true));
            }
            self.make_room();
            let mut read = pin!(self.stream.read_buf(&mut self.input));
            read.as_mut().poll(context).map(|read| was_read(read).map(|()| false))
        })
        .await
    }

    /// Waits for bytes. Dropping the future loses nothing.
    pub(super) async fn read(&mut self) -> Result<(), Failure> {
        self.make_room();
        was_read(self.stream.read_buf(&mut self.input).await)
    }

    fn make_room(&mut self) {
        if self.input.is_empty() && self.input.capacity() > READ_KEPT {
            self.input = BytesMut::new();
        }
        let room = READ_ROOM.max(self.needs.saturating_sub(self.input.len()));
        self.input.reserve(room);
    }

    /// Hands over every whole frame that has been read.
    pub(super) fn drain(
        &mut self,
        mut each: impl FnMut(Frame<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.input.len() < self.needs {
            return Ok(());
        }
        let mut used = 0;
        loop {
            match resp::read(&self.input[used..])? {
                Step::Frame(frame, length) => {
                    each(frame)?;
                    used += length;
                }
                Step::Needs(total) => {
                    self.needs = total;
                    break;
                }
            }
        }
        self.input.advance(used);
        Ok(())
    }
}

/// Writes on from `written`, and flushes when all is written: TLS holds back what a write left unfinished.
fn poll_write_all(
    stream: &mut Box<dyn Io>,
    context: &mut Context<'_>,
    bytes: &[u8],
    written: &mut usize,
) -> Poll<std::io::Result<()>> {
    while *written < bytes.len() {
        match ready!(Pin::new(&mut *stream).poll_write(context, &bytes[*written..]))? {
            0 => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
            taken => *written += taken,
        }
    }
    Pin::new(stream).poll_flush(context)
}

fn was_read(read: std::io::Result<usize>) -> Result<(), Failure> {
    match read {
        Ok(0) => Err(Failure::new("Redis closed the connection")),
        Ok(_) => Ok(()),
        Err(error) => Err(lost(&error)),
    }
}

fn lost(error: &std::io::Error) -> Failure {
    Failure(format!("the connection broke: {error}"))
}
