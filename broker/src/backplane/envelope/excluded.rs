//! Who does not get what others get, and its bytes.

use bytes::BufMut;

use super::{PacketError, take, take_u32};
use crate::{
    message::{Channel, ClientId, Except},
    registry::Client,
};

/// Who does not get what others get: clients, in the order of their bytes, and whoever is in one of some channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excluded<'a>(&'a [u8]);

impl<'a> Excluded<'a> {
    /// Those of a message, as they are appended to `out`.
    pub fn write(except: &Except, out: &'a mut Vec<u8>) -> Self {
        let mut clients = except.clients.clone();
        clients.sort_unstable();
        out.put_u32_le(clients.len() as u32);
        clients.iter().for_each(|client| out.put_slice(client.as_bytes()));
        for channel in &except.channels {
            out.put_u16_le(channel.as_str().len() as u16);
            out.put_slice(channel.as_str().as_bytes());
        }
        Self(out)
    }

    /// Reads what [`Excluded::write`] wrote.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn read(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (_, mut names) = Self::parts(bytes)?;
        while !names.is_empty() {
            std::str::from_utf8(take_name(&mut names)?).map_err(|_| PacketError::Name)?;
        }
        Ok(Self(bytes))
    }

    fn parts(mut bytes: &'a [u8]) -> Result<(&'a [[u8; 16]], &'a [u8]), PacketError> {
        let count = take_u32(&mut bytes)? as usize;
        let length = count.checked_mul(16).ok_or(PacketError::Truncated)?;
        let (clients, _) = take(&mut bytes, length)?.as_chunks();
        Ok((clients, bytes))
    }

    /// Its bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// As they stand in a message.
    pub fn except(self) -> Except {
        let Ok((clients, mut names)) = Self::parts(self.0) else { return Except::default() };
        let names = std::iter::from_fn(|| take_name(&mut names).ok());
        let channels = names.filter_map(|name| std::str::from_utf8(name).ok()).map(Channel::trusted);
        Except {
            clients: clients.iter().map(|id| ClientId::from_bytes(*id)).collect(),
            channels: channels.collect(),
        }
    }

    /// Whether a client is among them.
    pub fn has(self, client: &Client) -> bool {
        let Ok((clients, mut names)) = Self::parts(self.0) else { return false };
        if clients.binary_search(client.id.as_bytes()).is_ok() {
            return true;
        }
        std::iter::from_fn(|| take_name(&mut names).ok())
            .any(|name| std::str::from_utf8(name).is_ok_and(|name| client.is_in(name)))
    }
}

fn take_name<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], PacketError> {
    let (length, rest) = bytes.split_first_chunk::<2>().ok_or(PacketError::Truncated)?;
    *bytes = rest;
    take(bytes, u16::from_le_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_excluded_is_read_back_in_order() {
        let [one, other] = [9, 2].map(|byte| ClientId::from_bytes([byte; 16]));
        let channels = vec![Channel::trusted("a"), Channel::trusted("b:c")];
        let mut bytes = Vec::new();
        let excluded =
            Excluded::write(&Except { clients: vec![one, other], channels: channels.clone() }, &mut bytes);
        let read = Excluded::read(excluded.bytes()).unwrap().except();
        assert_eq!(read, Except { clients: vec![other, one], channels }, "so that they are found");
    }

    #[test]
    fn who_is_excluded_is_read_or_refused() {
        for (bytes, error) in [
            (&b""[..], PacketError::Truncated),
            (b"\x01\0\0\0", PacketError::Truncated),
            (b"\0\0\0\0\x02\0a", PacketError::Truncated),
            (b"\0\0\0\0\x01", PacketError::Truncated),
            (b"\0\0\0\0\x01\0\xff", PacketError::Name),
            (b"\xff\xff\xff\xff", PacketError::Truncated),
        ] {
            assert_eq!(Excluded::read(bytes), Err(error), "{bytes:?}");
        }
        assert_eq!(Excluded::read(b"\0\0\0\0").unwrap().bytes(), b"\0\0\0\0");
    }
}
