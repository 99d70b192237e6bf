//! A client of the WebSocket endpoint, as `tail` and `bench` need one: it connects, subscribes and listens.

use std::{borrow::Cow, collections::BTreeMap, collections::VecDeque, time::Duration};

use anyhow::anyhow;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use tokio::time::timeout;
use tokio_tungstenite::{WebSocketStream, client_async};
use tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame};

use super::{
    address::{Address, Stream},
    remote::Refusal,
};
use crate::config::Secret;

/// How long the handshake and the replies to the first commands may take, each.
const PATIENCE: Duration = Duration::from_secs(15);

/// How much later than announced a ping may come.
const LATE: Duration = Duration::from_secs(10);

/// Who connects, and what is subscribed to.
pub(super) struct Login<'a> {
    pub(super) token: Option<Secret>,
    pub(super) channels: &'a [String],
}

/// A connected client, subscribed to its channels.
pub(super) struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
    /// What came before the last reply to a subscription.
    early: VecDeque<String>,
    /// Silence that is longer than this means that nobody is there any more.
    silence: Duration,
}

/// Why a connection is not there.
pub(super) enum Stopped {
    /// Trying again can help.
    Lost(anyhow::Error),
    /// Trying again cannot help.
    Refused(anyhow::Error),
}

/// A line of the server, as far as connecting looks at it.
#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    id: u64,
    connect: Option<Connected>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Connected {
    #[serde(default)]
    ping: u64,
}

/// What happened in a channel.
#[derive(Serialize)]
pub(super) struct Push<'a> {
    pub(super) channel: Cow<'a, str>,
    /// `publication`, `join` or `leave`.
    pub(super) event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<&'a RawValue>,
    /// Who did it, when it was a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) info: Option<Info<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<BTreeMap<String, String>>,
}

/// A client, as others see it.
#[derive(Serialize, Deserialize)]
pub(super) struct Info<'a> {
    #[serde(borrow, default)]
    pub(super) user: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) client: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    conn_info: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    chan_info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    push: Option<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    channel: Cow<'a, str>,
    #[serde(borrow, rename = "pub")]
    publication: Option<Publication<'a>>,
    #[serde(borrow)]
    join: Option<Member<'a>>,
    #[serde(borrow)]
    leave: Option<Member<'a>>,
}

#[derive(Deserialize)]
struct Publication<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    info: Option<Info<'a>>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow)]
    info: Option<Info<'a>>,
}

impl<'a> Push<'a> {
    /// Reads a line of the server; `None` for what is no event of a channel.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let Event { channel, publication, join, leave } = serde_json::from_str::<Line<'_>>(line).ok()?.push?;
        if let Some(Publication { data, info, tags }) = publication {
            return Some(Self { channel, event: "publication", data: Some(data), info, tags });
        }
        let (event, member) = join.map(|member| ("join", member)).or(leave.map(|member| ("leave", member)))?;
        Some(Self { channel, event, data: None, info: member.info, tags: None })
    }
}

impl Socket {
    /// Connects, says who it is and subscribes; done when it will miss nothing any more.
    pub(super) async fn open(address: &Address, path: &str, login: &Login<'_>) -> Result<Self, Stopped> {
        let stream = address.connect().await.map_err(Stopped::Lost)?;
        let request = address.websocket(path).into_client_request();
        let request = request.map_err(|error| Stopped::Refused(error.into()))?;
        let handshake = timeout(PATIENCE, client_async(request, stream)).await;
        let handshake = handshake.map_err(|_| Stopped::lost("no answer to the handshake in time"))?;
        let (stream, _) = handshake.map_err(Stopped::handshake)?;
        let mut socket = Self { stream, early: VecDeque::new(), silence: PATIENCE };
        socket.log_in(login).await?;
        Ok(socket)
    }

    async fn log_in(&mut self, login: &Login<'_>) -> Result<(), Stopped> {
        let connect = match &login.token {
            Some(token) => json!({"token": token.expose()}),
            None => json!({}),
        };
        self.send(json!({"id": 1, "connect": connect}).to_string()).await?;
        let mut silence = self.silence;
        let mut received = VecDeque::new();
        // The id of what is answered next: 1 is connect, then the channels.
        for id in 1..=login.channels.len() as u64 + 1 {
            let channel = (id as usize).checked_sub(2).and_then(|index| login.channels.get(index));
            if let Some(channel) = channel {
                let subscribe = json!({"id": id, "subscribe": {"channel": channel}});
                self.send(subscribe.to_string()).await?;
            }
            loop {
                let text = self.text().await?;
                let reply = serde_json::from_str::<Reply>(&text).ok().filter(|reply| reply.id == id);
                let Some(reply) = reply else {
                    received.push_back(text);
                    continue;
                };
                if let Some(error) = reply.error {
                    let to = channel.map_or("connect".into(), |channel| format!("subscribe to {channel:?}"));
                    return Err(Stopped::Refused(anyhow!("cannot {to}: {}", error.explain())));
                }
                if let Some(connected) = reply.connect {
                    silence = match connected.ping {
                        // It does not ping.
                        0 => Duration::from_secs(u64::from(u32::MAX)),
                        seconds => Duration::from_secs(seconds) + LATE,
                    };
                }
                break;
            }
        }
        (self.early, self.silence) = (received, silence);
        Ok(())
    }

    /// Sends a command.
    pub(super) async fn send(&mut self, command: String) -> Result<(), Stopped> {
        self.stream.send(Message::text(command)).await.map_err(|error| Stopped::Lost(error.into()))
    }

    /// The next text of the server. Pings are answered on the way.
    pub(super) async fn text(&mut self) -> Result<String, Stopped> {
        if let Some(text) = self.early.pop_front() {
            return Ok(text);
        }
        loop {
            let message = timeout(self.silence, self.stream.next()).await;
            let message = message.map_err(|_| Stopped::lost("the broker has gone silent"))?;
            match message {
                Some(Ok(Message::Text(text))) if text.as_str() == "{}" => self.send("{}".into()).await?,
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => return Err(Stopped::closed(frame)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Stopped::Lost(error.into())),
                None => return Err(Stopped::lost("the connection ended")),
            }
        }
    }

    /// Says goodbye. Whether that is heard does not matter.
    pub(super) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }
}

impl Stopped {
    fn lost(why: &'static str) -> Self {
        Self::Lost(anyhow!(why))
    }

    /// The error, whatever follows from it.
    pub(super) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Lost(error) | Self::Refused(error) => error,
        }
    }

    fn handshake(error: Error) -> Self {
        let Error::Http(answer) = error else {
            return Self::Refused(anyhow!(
                "the WebSocket handshake failed: {error}\nis it a broker's client port?"
            ));
        };
        let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
        let said = body.lines().next().unwrap_or_default().trim();
        let status = answer.status();
        let error = format!("the handshake was answered with {}: {said}", status.as_u16());
        // Too many at present, or draining.
        if status.is_server_error() || status.as_u16() == 429 {
            return Self::Lost(anyhow!(error));
        }
        let hint = "is the WebSocket endpoint there? See --websocket-path, and endpoints.websocket of the broker's configuration";
        Self::Refused(anyhow!("{error}\n{hint}"))
    }

    /// Clients come back after the codes that say so, and stay away otherwise.
    fn closed(frame: Option<CloseFrame>) -> Self {
        let Some(frame) = frame else { return Self::lost("the connection was closed") };
        let (code, reason) = (u16::from(frame.code), frame.reason.as_str());
        let error = format!("the connection was closed with {code}: {reason}");
        let hint = match code {
            3500 => "the token is not valid here: see auth.jwt of the broker's configuration",
            3507 => "anonymous clients are not allowed: give a token with --token-file",
            3501..4000 | 4500..5000 | 1009 => "coming back would not help",
            _ => return Self::Lost(anyhow!(error)),
        };
        Self::Refused(anyhow!("{error}\n{hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_shown_as_they_came() {
        for (line, shown) in [
            (
                r#"{"push":{"channel":"a","pub":{"data":{"b":1, "a":2},"tags":{"t":"1"}}}}"#,
                r#"{"channel":"a","event":"publication","data":{"b":1, "a":2},"tags":{"t":"1"}}"#,
            ),
            (
                r#"{"push":{"channel":"\"","join":{"info":{"user":"ann","client":"7","conn_info":{"x":1}}}}}"#,
                r#"{"channel":"\"","event":"join","info":{"user":"ann","client":"7","conn_info":{"x":1}}}"#,
            ),
            (r#"{"push":{"channel":"a","leave":{}}}"#, r#"{"channel":"a","event":"leave"}"#),
        ] {
            assert_eq!(serde_json::to_string(&Push::read(line).unwrap()).unwrap(), shown);
        }
        for other in ["{}", "", r#"{"id":1}"#, r#"{"push":{"message":{"data":1}}}"#] {
            assert!(Push::read(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_code_says_whether_to_come_back() {
        let closed = |code: u16| Stopped::closed(Some(CloseFrame { code: code.into(), reason: "".into() }));
        for code in [1000, 1001, 3000, 3001, 3499] {
            assert!(matches!(closed(code), Stopped::Lost(_)), "{code}");
        }
        for code in [3500, 3503, 3507, 3999, 4500] {
            assert!(matches!(closed(code), Stopped::Refused(_)), "{code}");
        }
    }
}
