//! RESP2, only as much as PUBLISH, SUBSCRIBE and PING need.

use memchr::memchr;

use super::{Garbled, Said};
use crate::message::{Stamp, number};

const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n";
const SUBSCRIBED: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n";

/// One command.
pub(crate) fn command(parts: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
    }
    bytes
}

/// Reads all complete replies and pushes.
///
/// # Errors
/// On a kind of reply that none of the commands has.
pub(crate) fn read(input: &[u8], mut heard: impl FnMut(Said<'_>)) -> Result<usize, Garbled> {
    let mut at = 0;
    while let Some(length) = read_one(&input[at..], &mut heard)? {
        at += length;
    }
    Ok(at)
}

fn read_one(input: &[u8], heard: &mut impl FnMut(Said<'_>)) -> Result<Option<usize>, Garbled> {
    let Some(&kind) = input.first() else { return Ok(None) };
    match kind {
        b'*' if input.len() < SUBSCRIBED.len() => Ok(None),
        b'*' if input.starts_with(MESSAGE) => {
            let Some((_channel, payload)) = bulk(input, MESSAGE.len())? else { return Ok(None) };
            let Some((payload, end)) = bulk(input, payload)? else { return Ok(None) };
            heard(Stamp::find(payload).map_or(Said::Unexpected(payload), Said::Message));
            Ok(Some(end))
        }
        b'*' if input.starts_with(SUBSCRIBED) => {
            let Some((_channel, count)) = bulk(input, SUBSCRIBED.len())? else { return Ok(None) };
            let Some((_count, end)) = line(input, count) else { return Ok(None) };
            heard(Said::Subscribed);
            Ok(Some(end))
        }
        b':' | b'+' | b'-' => {
            let Some((text, end)) = line(input, 1) else { return Ok(None) };
            heard(match (kind, text) {
                (b':', _) => Said::Published,
                (b'+', b"PONG") => Said::Ready,
                _ => Said::Unexpected(text),
            });
            Ok(Some(end))
        }
        _ => Err(Garbled::new("redis sent an unknown kind of reply", input)),
    }
}

/// The line at `start` without its end, and where the next begins.
fn line(input: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let rest = input.get(start..)?;
    let end = memchr(b'\n', rest)?;
    Some((&rest[..end.saturating_sub(1)], start + end + 1))
}

/// The bulk string at `start`, and where the next value begins.
fn bulk(input: &[u8], start: usize) -> Result<Option<(&[u8], usize)>, Garbled> {
    let Some((head, body)) = line(input, start) else { return Ok(None) };
    let length = match head.split_first() {
        Some((b'$', digits)) => number(digits),
        _ => None,
    };
    let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else {
        return Err(Garbled::new("redis sent something else than a bulk string", head));
    };
    let end = body + length;
    Ok(if input.len() < end + 2 { None } else { Some((&input[body..end], end + 2)) })
}
