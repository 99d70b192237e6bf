//! Headers of the PROXY protocol, versions 1 and 2: how a proxy that passes on bytes tells for whom it connects
//! (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header of version 1 begins with.
const TEXT: &[u8] = b"PROXY ";

/// The longest header of version 1, its line end included.
const TEXT_SIZE: usize = 107;

/// What a header of version 2 begins with: no text, no HTTP and no TLS does.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The part of a header of version 2 that all have.
const FIXED_SIZE: usize = 16;

/// What may follow it: addresses, and fields of the proxy's choice, of which nothing is read.
const REST_SIZE: usize = 4096;

/// For whom a proxy connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// For a client with this address.
    Client(SocketAddr),
    /// For itself, to see whether somebody answers; or for a client whose address it cannot tell.
    Itself,
}

/// What bytes from the start of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// A whole header, of this many bytes.
    Whole(Header, usize),
    /// The beginning of a header.
    Part,
}

/// No header, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(&'static str);

/// Reads the header that a connection begins with.
pub(super) fn read(bytes: &[u8]) -> Result<Start, Broken> {
    if begins(bytes, SIGNATURE) {
        read_binary(bytes)
    } else if begins(bytes, TEXT) {
        read_text(bytes)
    } else {
        Err(Broken("it does not begin with a header of the PROXY protocol"))
    }
}

/// Whether the bytes, as far as they go, begin like this.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let length = bytes.len().min(with.len());
    bytes[..length] == with[..length]
}

fn read_text(bytes: &[u8]) -> Result<Start, Broken> {
    let within = &bytes[..bytes.len().min(TEXT_SIZE)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return if within.len() < TEXT_SIZE { Ok(Start::Part) } else { Err(Broken("its line does not end")) };
    };
    let line = within[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.ok_or(Broken("its line is broken"))?.split(' ').skip(1);
    let header = match words.next() {
        // Whatever follows is to be passed over.
        Some("UNKNOWN") => Header::Itself,
        Some("TCP4") => Header::Client(addresses::<Ipv4Addr>(words)?),
        Some("TCP6") => Header::Client(addresses::<Ipv6Addr>(words)?),
        _ => return Err(Broken("its protocol is not TCP4, TCP6 or UNKNOWN")),
    };
    Ok(Start::Whole(header, end + 1))
}

/// Source and destination as text, of which the source is wanted.
fn addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, Broken> {
    let mut address =
        || words.next().and_then(|word| word.parse::<A>().ok()).ok_or(Broken("an address is broken"));
    let (source, _) = (address()?, address()?);
    let mut port = || words.next().and_then(port).ok_or(Broken("a port is broken"));
    let (port, _) = (port()?, port()?);
    match words.next() {
        None => Ok(SocketAddr::new(source.into(), port)),
        Some(_) => Err(Broken("something stands behind the ports")),
    }
}

/// A port as it must be written: only digits, and no zero before others.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    plain.then(|| word.parse().ok())?
}

fn read_binary(bytes: &[u8]) -> Result<Start, Broken> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED_SIZE) else { return Ok(Start::Part) };
    let [command, family, high, low] = [fixed[12], fixed[13], fixed[14], fixed[15]];
    if command >> 4 != 2 {
        return Err(Broken("its version is not 2"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > REST_SIZE {
        return Err(Broken("it is too long"));
    }
    let Some(rest) = rest.get(..length) else { return Ok(Start::Part) };
    let header = match (command & 0x0f, family) {
        (0, _) => Header::Itself,
        // Not told, or a socket of the proxy's own machine: no address that could be a client's.
        (1, 0x00 | 0x31 | 0x32) => Header::Itself,
        (1, 0x11) => Header::Client(source::<4, 12>(rest)?),
        (1, 0x21) => Header::Client(source::<16, 36>(rest)?),
        (1, 0x12 | 0x22) => return Err(Broken("it is for datagrams")),
        (1, _) => return Err(Broken("its family of addresses is not known")),
        _ => return Err(Broken("its command is not known")),
    };
    Ok(Start::Whole(header, FIXED_SIZE + length))
}

/// The source in a block of `ALL` bytes: both addresses of `SIZE` bytes, then both ports.
fn source<const SIZE: usize, const ALL: usize>(block: &[u8]) -> Result<SocketAddr, Broken>
where
    [u8; SIZE]: Into<IpAddr>,
{
    let block = block.first_chunk::<ALL>().ok_or(Broken("its addresses are cut off"))?;
    let address = block.first_chunk::<SIZE>().ok_or(Broken("its addresses are cut off"))?;
    let port = u16::from_be_bytes([block[2 * SIZE], block[2 * SIZE + 1]]);
    Ok(SocketAddr::new((*address).into(), port))
}

/// What is read does not depend on what stands behind it, nor on the pieces in which it comes.
#[cfg(any(test, switchboard_fuzz))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let start = read(bytes);
    match start {
        Ok(Start::Whole(_, length)) => {
            assert!((1..=bytes.len().min(FIXED_SIZE + REST_SIZE)).contains(&length));
            assert_eq!(read(&bytes[..length]), start);
            assert!((0..length).all(|cut| read(&bytes[..cut]) == Ok(Start::Part)));
        }
        Ok(Start::Part) => assert!(bytes.len() < FIXED_SIZE + REST_SIZE, "waiting ends"),
        Err(Broken(why)) => {
            assert!(!why.is_empty());
            assert_eq!(read(&[bytes, b"\r\n"].concat()), start, "it gets no better by what follows");
        }
    }
}

#[cfg(test)]
mod tests;
