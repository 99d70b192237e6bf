//! What others may know of a client.

use bytes::Bytes;

use crate::{auth::Identity, codec::centrifuge::write_string, message::ClientId};

/// What others may know of a client, as JSON.
pub(super) fn describe(id: ClientId, identity: &Identity) -> Bytes {
    let mut info = Vec::with_capacity(80);
    info.extend_from_slice(br#"{"user":"#);
    write_string(&identity.user, &mut info);
    info.extend_from_slice(br#","client":""#);
    info.extend_from_slice(id.to_string().as_bytes());
    info.push(b'"');
    if let Some(conn_info) = &identity.info {
        info.extend_from_slice(br#","conn_info":"#);
        info.extend_from_slice(conn_info);
    }
    info.push(b'}');
    info.into()
}

/// The description of a client with what its subscription's token says of it in the channel.
pub(super) fn with_chan_info(info: &[u8], chan_info: &[u8]) -> Bytes {
    let open = info.strip_suffix(b"}").unwrap_or(info);
    [open, br#","chan_info":"#, chan_info, b"}"].concat().into()
}
