//! The names of everything in Redis, in one place.
//!
//! What belongs to one channel, or to one instance, shares a hash tag (the part in braces), so that a Redis
//! Cluster keeps it together. A tag never begins with a brace, whatever a channel is called, and the suffix
//! alone tells the kind, so no two names can meet.

use crate::message::{Address, Channel, ClientId, Epoch, InstanceId};

/// The names that begin with one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    /// What stands before a channel's name in its pub/sub name.
    channel: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), channel: format!("{prefix}:{{channel:") }
    }

    /// Appends the pub/sub name of a channel.
    pub(super) fn write_channel(&self, channel: &Channel, out: &mut Vec<u8>) {
        out.extend_from_slice(self.channel.as_bytes());
        out.extend_from_slice(channel.as_str().as_bytes());
        out.push(b'}');
    }

    /// The channel's name in a pub/sub name; `None` for any other name.
    pub(super) fn read_channel<'a>(&self, name: &'a [u8]) -> Option<&'a str> {
        let name = name.strip_prefix(self.channel.as_bytes())?.strip_suffix(b"}")?;
        std::str::from_utf8(name).ok()
    }

    /// A hash of the channel's members on all instances; its fields are written by [`member`].
    pub(super) fn presence(&self, channel: &Channel) -> String {
        format!("{}{channel}}}:presence", self.channel)
    }

    /// A sorted set of users by when others are to be told that they have gone from the channel; infinite while they are
    /// there.
    pub(super) fn departures(&self, channel: &Channel) -> String {
        format!("{}{channel}}}:departures", self.channel)
    }

    /// A sorted set of the users who have gone from the channel, by when they were last seen.
    pub(super) fn last_seen(&self, channel: &Channel) -> String {
        format!("{}{channel}}}:last_seen", self.channel)
    }

    /// Where the channel's stream ends: a hash of its epoch and the number of its last message.
    pub(super) fn write_position(&self, channel: &Channel, out: &mut Vec<u8>) {
        self.write_channel(channel, out);
        out.extend_from_slice(b":position");
    }

    /// The channel's stream.
    pub(super) fn write_stream(&self, channel: &Channel, out: &mut Vec<u8>) {
        self.write_channel(channel, out);
        out.extend_from_slice(b":stream");
    }

    /// The pub/sub name that every instance listens to.
    pub(super) fn everyone(&self) -> String {
        format!("{}:everyone", self.prefix)
    }

    /// A sorted set of the addresses of all instances that have not been cleaned up, by their last renewal.
    pub(super) fn instances(&self) -> String {
        format!("{}:instances", self.prefix)
    }

    /// Who looks for dead instances at present.
    pub(super) fn sweep(&self) -> String {
        format!("{}:sweep", self.prefix)
    }

    /// The pub/sub name that one start of one instance listens to.
    pub(super) fn instance(&self, address: &str) -> String {
        format!("{}:instance:{{{address}}}", self.prefix)
    }

    /// The pub/sub name that instances say hello on.
    pub(super) fn hello(&self) -> String {
        format!("{}:hello", self.prefix)
    }

    /// The pub/sub name that a hello of the instance is answered on.
    pub(super) fn answer(&self, address: &str) -> String {
        format!("{}:hello", self.instance(address))
    }

    /// A pub/sub name that nobody listens to: a reply to what is published there comes after all replies before.
    pub(super) fn nobody(&self) -> String {
        format!("{}:nobody", self.prefix)
    }

    /// The pub/sub name that an instance probes itself on.
    pub(super) fn probe(&self, address: &str) -> String {
        format!("{}:probe", self.instance(address))
    }

    /// Holds the boot epoch of the latest start of the instance, as its addresses write it.
    pub(super) fn latest(&self, instance: &str) -> String {
        format!("{}:latest:{instance}", self.prefix)
    }

    /// Holds the address of the instance that has the role.
    pub(super) fn role(&self, role: &str) -> String {
        format!("{}:role:{role}", self.prefix)
    }

    /// Exists while the instance lives; holds what it says of itself.
    pub(super) fn lease(&self, address: &str) -> String {
        format!("{}:lease", self.instance(address))
    }

    /// A hash of the instance's clients: the directory.
    pub(super) fn clients(&self, address: &str) -> String {
        format!("{}:clients", self.instance(address))
    }

    /// A hash of the channels that clients of the instance are present in.
    pub(super) fn channels(&self, address: &str) -> String {
        format!("{}:channels", self.instance(address))
    }

    /// Held by whoever cleans up after the instance.
    pub(super) fn reaping(&self, address: &str) -> String {
        format!("{}:reaping", self.instance(address))
    }

    /// Exists after others were told that the members of the instance left, until it comes back and announces them
    /// again. It is not one of the instance's own keys: whoever cleans those up writes it.
    pub(super) fn reaped(&self, address: &str) -> String {
        format!("{}:reaped:{address}", self.prefix)
    }
}

/// Reads an address back from its text.
pub(super) fn address(text: &str) -> Option<Address> {
    let (instance, epoch) = text.rsplit_once('/')?;
    let epoch = u64::from_str_radix(epoch, 16).ok()?;
    Some(Address { instance: InstanceId::new(instance), epoch: Epoch(epoch) })
}

/// The field of a client in a channel's presence: it says which start of which instance holds the client.
pub(super) fn member(address: &str, client: ClientId) -> String {
    format!("{address}/{client}")
}

/// Reads a presence field: the instance's address and the client.
pub(super) fn read_member(field: &[u8]) -> Option<(&str, ClientId)> {
    let (address, client) = std::str::from_utf8(field).ok()?.rsplit_once('/')?;
    Some((address, ClientId::parse(client)?))
}

/// The glob pattern of one instance's presence fields.
pub(super) fn members_of(address: &str) -> String {
    let mut pattern = String::with_capacity(address.len() + 2);
    for c in address.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "/*"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_and_members_read_back() {
        let address_of = Address { instance: InstanceId::new("chat-0"), epoch: Epoch(0xbeef) };
        let text = address_of.to_string();
        assert_eq!(address(&text), Some(address_of));
        assert_eq!(address("chat-0"), None);
        let client = ClientId::generate();
        assert_eq!(read_member(member(&text, client).as_bytes()), Some((text.as_str(), client)));
        assert_eq!(read_member(b"chat-0/beef/nobody"), None);
        assert_eq!(members_of("a*b/1"), "a\\*b/1/*");
    }

    proptest! {
        #[test]
        fn a_channel_reads_back_and_its_keys_share_a_slot(name in "[^\\x00-\\x1f]{1,20}") {
            let (keys, channel) = (Keys::new("app"), Channel::trusted(&name));
            let mut written = Vec::new();
            keys.write_channel(&channel, &mut written);
            prop_assert_eq!(keys.read_channel(&written), Some(name.as_str()));
            let tag = |key: &str| {
                let (_, rest) = key.split_once('{').unwrap();
                rest.split_once('}').unwrap().0.to_owned()
            };
            let pubsub = String::from_utf8(written).unwrap();
            prop_assert!(!tag(&pubsub).is_empty());
            prop_assert_eq!(tag(&pubsub), tag(&keys.presence(&channel)));
            for write in [Keys::write_position, Keys::write_stream] {
                let mut key = Vec::new();
                write(&keys, &channel, &mut key);
                prop_assert_eq!(tag(&pubsub), tag(std::str::from_utf8(&key).unwrap()));
            }
        }
    }
}
