//! How a member of a board is described to everybody in its channel: in JSON, as `chan_info` of its join and leave.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Colour, Member, Origin};
use crate::codec::centrifuge::write_string;

/// What the channel is told of a member of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described<'a> {
    /// Its instance.
    pub origin: Origin,
    /// Its number there.
    pub number: u32,
    /// The user; empty when nobody has said it.
    pub user: Cow<'a, str>,
    /// What it is called.
    pub name: Cow<'a, str>,
    /// The colour of its cursor.
    pub colour: Colour,
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    chan_info: ChanInfo<'a>,
}

#[derive(Deserialize)]
struct ChanInfo<'a> {
    board: (u64, u32),
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    color: Cow<'a, str>,
}

impl<'a> Described<'a> {
    /// Reads it out of what others may know of a client in the channel; nothing where the client is no member, such as
    /// one that only watches.
    pub fn read(info: &'a [u8]) -> Option<Self> {
        let Info { chan_info } = serde_json::from_slice::<Info<'a>>(info).ok()?;
        let ChanInfo { board: (origin, number), user, name, color } = chan_info;
        let colour = Colour::parse(&color)?;
        Some(Self { origin: Origin::from_number(origin), number, user, name, colour })
    }

    /// The `chan_info`; with what a hook says of the member, as one line of JSON.
    pub fn write(&self, hook: Option<&[u8]>) -> Vec<u8> {
        let mut out = format!(r#"{{"board":[{},{}],"user":"#, self.origin.number(), self.number).into_bytes();
        write_string(&self.user, &mut out);
        out.extend_from_slice(br#","name":"#);
        write_string(&self.name, &mut out);
        out.extend_from_slice(format!(r#","color":"{}""#, self.colour).as_bytes());
        if let Some(info) = hook {
            out.extend_from_slice(br#","info":"#);
            out.extend_from_slice(info);
        }
        out.push(b'}');
        out
    }

    /// The member as boards know it when it has just come.
    pub fn member(&self) -> Member<'_> {
        Member {
            number: self.number,
            user: &self.user,
            name: &self.name,
            colour: self.colour,
            cursor: None,
            selection: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_reads_back_and_what_is_none_is_no_member() {
        let described = Described {
            origin: Origin::of("b-0/1"),
            number: 7,
            user: "".into(),
            name: "Ann \"the\" first\u{e9}".into(),
            colour: Colour([1, 2, 255]),
        };
        for hook in [None, Some(&b"{\"a\":[1]}"[..])] {
            let chan_info = described.write(hook);
            let info = [br#"{"user":"u","client":"x","chan_info":"#, &chan_info[..], b"}"].concat();
            assert_eq!(Described::read(&info), Some(described.clone()));
        }
        for other in [
            r#"{"user":"u"}"#,
            r#"{"chan_info":"text"}"#,
            r#"{"chan_info":{"board":[1,2],"user":"","name":"n","color":"red"}}"#,
            "",
        ] {
            assert_eq!(Described::read(other.as_bytes()), None, "{other}");
        }
    }
}
