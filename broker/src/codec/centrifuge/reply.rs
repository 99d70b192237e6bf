//! What the server answers.

use std::io::Write;

use super::{write_publication, write_string};
use crate::{
    backplane::{Kept, Member, Past, Position},
    channel::{Arrival, Recovery},
    endpoint::Refusal,
    hooks,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The code of [`Reply::Cookie`]: the first of those that the protocol leaves to servers
/// (<https://centrifugal.dev/docs/server/codes>).
const COOKIE: u32 = 400;

/// What a reply says.
#[derive(Debug)]
pub enum Reply<'a> {
    /// The client is connected.
    Connect {
        /// Its identity.
        client: String,
        /// The instance that it is connected to.
        node: &'a str,
        /// Seconds between the server's pings; `None` when it sends none.
        ping: Option<u64>,
        /// Seconds until the client's token expires.
        ttl: Option<u64>,
    },
    /// The client is subscribed.
    Subscribe {
        /// Seconds until the subscription's token expires.
        ttl: Option<u64>,
        /// Where it stands in the channel's stream, if that has history.
        arrival: Option<&'a Arrival>,
    },
    /// What was published in a channel.
    History(&'a Past),
    /// The subscription has ended.
    Unsubscribe,
    /// The publication was taken.
    Publish,
    /// Who is in the channel.
    Presence(&'a [Member]),
    /// How many are in the channel.
    PresenceStats {
        /// Connections.
        clients: usize,
        /// Distinct users.
        users: usize,
    },
    /// What a logic module answered, as JSON.
    Rpc(&'a [u8]),
    /// The answer to a ping.
    Ping,
    /// The new connection token holds.
    Refresh {
        /// The client's identity.
        client: String,
        /// Seconds until the token expires.
        ttl: Option<u64>,
    },
    /// The new subscription token holds.
    SubRefresh {
        /// Seconds until the token expires.
        ttl: Option<u64>,
    },
    /// The command failed.
    Error(Refusal),
    /// A hook has refused the command.
    Refused(&'a hooks::Refusal),
    /// On datagrams: the client is to connect again with this, which proves that it receives where it says it is.
    Cookie(&'a str),
}

impl Reply<'_> {
    /// Appends the reply to the command of this number, as JSON.
    pub fn write(&self, id: u32, out: &mut Vec<u8>) {
        // Writing into memory cannot fail.
        let _ = self.try_write(id, out);
    }

    fn try_write(&self, id: u32, out: &mut Vec<u8>) -> std::io::Result<()> {
        write!(out, r#"{{"id":{id},"#)?;
        match self {
            Self::Connect { client, node, ping, ttl } => {
                write!(out, r#""connect":{{"client":"{client}","version":"{VERSION}","#)?;
                if let Some(ttl) = ttl {
                    write!(out, r#""expires":true,"ttl":{ttl},"#)?;
                }
                if let Some(ping) = ping {
                    write!(out, r#""ping":{ping},"pong":true,"#)?;
                }
                out.extend_from_slice(br#""node":"#);
                write_string(node, out);
                out.extend_from_slice(b"}}");
            }
            Self::Refresh { client, ttl } => {
                write!(out, r#""refresh":{{"client":"{client}","version":"{VERSION}""#)?;
                if let Some(ttl) = ttl {
                    write!(out, r#","expires":true,"ttl":{ttl}"#)?;
                }
                out.extend_from_slice(b"}}");
            }
            Self::Subscribe { ttl, arrival: None } => write_expiring("subscribe", *ttl, out)?,
            Self::Subscribe { ttl, arrival: Some(arrival) } => {
                out.extend_from_slice(br#""subscribe":"#);
                write_subscribed(*ttl, arrival, out);
                out.push(b'}');
            }
            Self::History(past) => {
                out.extend_from_slice(br#""history":{"publications":"#);
                write_publications(&past.publications, out);
                let Position { offset, epoch } = past.top;
                write!(out, r#","epoch":"{epoch}","offset":{offset}}}}}"#)?;
            }
            Self::SubRefresh { ttl } => write_expiring("sub_refresh", *ttl, out)?,
            Self::Unsubscribe => out.extend_from_slice(br#""unsubscribe":{}}"#),
            Self::Publish => out.extend_from_slice(br#""publish":{}}"#),
            Self::Ping => out.extend_from_slice(br#""ping":{}}"#),
            Self::Rpc(data) => {
                out.extend_from_slice(br#""rpc":{"data":"#);
                out.extend_from_slice(data);
                out.extend_from_slice(b"}}");
            }
            Self::Presence(members) => {
                out.extend_from_slice(br#""presence":{"presence":{"#);
                for (index, member) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(out, r#"{comma}"{}":"#, member.client)?;
                    out.extend_from_slice(&member.info);
                }
                out.extend_from_slice(b"}}}");
            }
            Self::PresenceStats { clients, users } => {
                write!(out, r#""presence_stats":{{"num_clients":{clients},"num_users":{users}}}}}"#)?;
            }
            Self::Error(error) => {
                write!(out, r#""error":{{"code":{},"message":"#, error.code().code())?;
                write_string(error.message(), out);
                if error.code().is_temporary() {
                    out.extend_from_slice(br#","temporary":true"#);
                }
                out.extend_from_slice(b"}}");
            }
            Self::Refused(hooks::Refusal { code, message, temporary }) => {
                write!(out, r#""error":{{"code":{code},"message":"#)?;
                write_string(message, out);
                if *temporary {
                    out.extend_from_slice(br#","temporary":true"#);
                }
                out.extend_from_slice(b"}}");
            }
            Self::Cookie(cookie) => {
                write!(out, r#""error":{{"code":{COOKIE},"message":"cookie","cookie":"{cookie}"}}}}"#)?;
            }
        }
        Ok(())
    }
}

/// Appends what a client is told that is subscribed to a channel with history.
pub fn write_subscribed(ttl: Option<u64>, arrival: &Arrival, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    if let Some(ttl) = ttl {
        // Writing into memory cannot fail, here and below.
        let _ = write!(out, r#","expires":true,"ttl":{ttl}"#);
    }
    if let Arrival::At { position: Position { offset, epoch }, recoverable, recovery } = arrival {
        if *recoverable {
            out.extend_from_slice(br#","recoverable":true"#);
        }
        let _ = write!(out, r#","positioned":true,"epoch":"{epoch}","offset":{offset}"#);
        match recovery {
            Recovery::NotAsked => {}
            Recovery::Lost => out.extend_from_slice(br#","was_recovering":true,"recovered":false"#),
            Recovery::Done(missed) => {
                out.extend_from_slice(br#","was_recovering":true,"recovered":true,"publications":"#);
                write_publications(missed, out);
            }
        }
    }
    if out.len() > start {
        out.remove(start);
    }
    out.push(b'}');
}

fn write_publications(publications: &[Kept], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, kept) in publications.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_publication(&kept.publication(), Some(kept.offset), out);
    }
    out.push(b']');
}

/// A result that says nothing, or when it expires.
fn write_expiring(name: &str, ttl: Option<u64>, out: &mut Vec<u8>) -> std::io::Result<()> {
    match ttl {
        None => write!(out, r#""{name}":{{}}}}"#),
        Some(ttl) => write!(out, r#""{name}":{{"expires":true,"ttl":{ttl}}}}}"#),
    }
}
