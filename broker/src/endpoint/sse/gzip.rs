//! A compressed stream (gzip, RFC 1952) that costs a connection only a few KiB while it is idle.
//!
//! What a compressor works with, a few hundred KiB, belongs to the thread and not to the connection. Each write is
//! compressed by itself and flushed; the end of what was sent before is given to the compressor as a dictionary, so that
//! an event can refer to those before it.

use std::cell::RefCell;

use axum::http::{HeaderMap, header};
use flate2::{Compress, Compression, Crc, FlushCompress};

/// What is kept of the stream for each connection, in bytes.
const HISTORY: usize = 4 * 1024;

/// The header of a stream: deflate, no name, no time, no system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A last block with nothing in it.
const LAST_BLOCK: [u8; 2] = [3, 0];

thread_local! {
    /// Bare deflate: header and checksum are those of the stream.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
}

/// How hard is tried.
const LEVEL: u32 = 4;

/// One compressed stream.
#[derive(Default)]
pub(super) struct Gzip {
    history: Vec<u8>,
    checksum: Crc,
}

impl Gzip {
    /// Compresses a part of the stream, which must not be empty and can be read as soon as it has arrived.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER.len() + 64 + bytes.len() / 2);
        if self.history.is_empty() {
            out.extend_from_slice(&HEADER);
        }
        self.checksum.update(bytes);
        DEFLATE.with_borrow_mut(|deflate| {
            deflate.reset();
            if !self.history.is_empty() {
                deflate.set_dictionary(&self.history).expect("a dictionary can always be given at the start");
            }
            flush(deflate, bytes, &mut out);
        });
        self.remember(bytes);
        out
    }

    /// Appends the end of the stream.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&LAST_BLOCK);
        out.extend_from_slice(&self.checksum.sum().to_le_bytes());
        out.extend_from_slice(&self.checksum.amount().to_le_bytes());
    }

    fn remember(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(HISTORY)..];
        let kept = HISTORY - new.len();
        self.history.drain(..self.history.len().saturating_sub(kept));
        self.history.reserve_exact(new.len());
        self.history.extend_from_slice(new);
    }
}

/// Compresses all of `bytes`, up to the last bit of it.
fn flush(deflate: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) {
    let mut read = 0;
    loop {
        out.reserve(64 + (bytes.len() - read) / 2);
        let before = deflate.total_in();
        deflate
            .compress_vec(&bytes[read..], out, FlushCompress::Sync)
            .expect("writing into memory cannot fail");
        read += (deflate.total_in() - before) as usize;
        // Room that is left says that there was no more to write.
        if read == bytes.len() && out.len() < out.capacity() {
            return;
        }
    }
}

/// Whether a client understands it (RFC 9110 §12.5.3).
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        let wanted = weight.is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn decompressed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn events_refer_to_those_before_them() {
        let event = |number: u32| {
            format!(
                "data: {{\"channel\":\"prices:eu\",\"pub\":{{\"data\":{{\"bid\":{number},\"ask\":1}}}}}}\n\n"
            )
        };
        let mut gzip = Gzip::default();
        let first = gzip.write(event(1).as_bytes()).len();
        for number in 2..100 {
            let length = gzip.write(event(number).as_bytes()).len();
            assert!(length < first / 2, "event {number}: {length} bytes after {first}");
        }
    }

    #[test]
    fn an_idle_stream_keeps_no_more_than_its_history() {
        let mut gzip = Gzip::default();
        for _ in 0..100 {
            gzip.write(&[b'x'; 3_000]);
            assert!(gzip.history.capacity() <= HISTORY, "{}", gzip.history.capacity());
        }
    }

    #[test]
    fn clients_say_what_they_understand() {
        let accepted = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
            }
            is_accepted(&headers)
        };
        for (values, expected) in [
            (&["gzip, deflate, br"][..], true),
            (&["br", "GZIP"], true),
            (&["deflate;q=1, gzip;q=0.5"], true),
            (&["*"], true),
            (&["gzip;q=0, *"], false),
            (&["gzip; q=0.000"], false),
            (&["identity"], false),
            (&["gzipped"], false),
            (&["gzip;q=much"], false),
            (&[""], false),
            (&[], false),
        ] {
            assert_eq!(accepted(values), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_comes(
            // Few different bytes, so that there is much to refer to.
            parts in proptest::collection::vec(proptest::collection::vec(0u8..4, 1..9_000), 1..8),
        ) {
            let (mut gzip, mut sent, mut written) = (Gzip::default(), Vec::new(), Vec::new());
            for part in &parts {
                sent.extend(gzip.write(part));
                written.extend_from_slice(part);
                // All of it can be read, although the stream goes on.
                let mut there = vec![0; written.len()];
                GzDecoder::new(&sent[..]).read_exact(&mut there).unwrap();
                prop_assert_eq!(&there, &written);
            }
            gzip.finish(&mut sent);
            prop_assert_eq!(decompressed(&sent), written);
        }

        #[test]
        fn any_bytes_come_back(parts in proptest::collection::vec(any::<Vec<u8>>(), 1..20)) {
            let (mut gzip, mut sent) = (Gzip::default(), Vec::new());
            for part in parts.iter().filter(|part| !part.is_empty()) {
                sent.extend(gzip.write(part));
            }
            if !sent.is_empty() {
                gzip.finish(&mut sent);
                prop_assert_eq!(decompressed(&sent), parts.concat());
            }
        }
    }
}
