//! Large messages, packed: a byte, and the message in bare deflate (RFC 1951), which browsers read by themselves.

use std::{borrow::Cow, cell::RefCell};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Malformed;

const PACKED: u8 = 0x8a;

/// How hard is tried.
const LEVEL: u32 = 4;

/// What is unpacked at once.
const STEP: usize = 16 * 1024;

thread_local! {
    /// A compressor takes a few hundred KiB, so that one serves all boards of a thread.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Packs a message in its place, if it has more than `above` bytes and gets smaller.
pub fn pack(message: &mut Vec<u8>, above: usize) {
    if message.len() <= above {
        return;
    }
    // One that gets no smaller has no room.
    let mut packed = Vec::with_capacity(message.len());
    packed.push(PACKED);
    let status = DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        deflate.compress_vec(message, &mut packed, FlushCompress::Finish)
    });
    if matches!(status, Ok(Status::StreamEnd)) {
        *message = packed;
    }
}

/// The message, unpacked where it is packed; of at most `limit` bytes then.
///
/// # Errors
/// It cannot be unpacked.
pub fn unpack(bytes: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, Malformed> {
    let Some(packed) = bytes.strip_prefix(&[PACKED]) else { return Ok(bytes.into()) };
    INFLATE.with_borrow_mut(|inflate| {
        inflate.reset(false);
        let mut message = Vec::new();
        loop {
            message.reserve(STEP.min(limit + 1 - message.len()));
            let (read, written) = (inflate.total_in(), message.len());
            let status = inflate
                .decompress_vec(&packed[read as usize..], &mut message, FlushDecompress::None)
                .map_err(|_| Malformed::Packed)?;
            let stands_still = inflate.total_in() == read && message.len() == written;
            match status {
                _ if message.len() > limit => return Err(Malformed::Packed),
                Status::StreamEnd if inflate.total_in() as usize == packed.len() => return Ok(message.into()),
                Status::StreamEnd => return Err(Malformed::Trailing),
                Status::Ok | Status::BufError if stands_still => return Err(Malformed::Packed),
                Status::Ok | Status::BufError => {}
            }
        }
    })
}
