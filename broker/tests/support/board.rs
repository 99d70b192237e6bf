//! A client of the presence endpoint that keeps what it is told of its board, and can misbehave.

use std::{collections::BTreeMap, io::Cursor, net::SocketAddr};

use switchboard::codec::presence::{
    Colour, FromClient, Join, Member, Origin, Point, Roster, ToClient, What, unpack,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::{Broker, Response, eventually, frame, within};

/// A member as a client sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) cursor: Option<(i32, i32)>,
    pub(crate) selection: String,
}

/// Something that a client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Welcome,
    /// So many events.
    News(usize),
    /// Who is there has changed.
    People,
    Announcement(String, String),
    Error(u32, String),
    Left(u32, String),
    Ping,
    Alone(bool),
    Close(u16),
}

/// One connection.
pub(crate) struct Player<S = TcpStream> {
    pub(crate) stream: S,
    received: Vec<u8>,
    pub(crate) members: BTreeMap<(Origin, u32), Seen>,
    pub(crate) me: Option<(Origin, u32)>,
    /// Each movement of others that it was told.
    pub(crate) moves: Vec<((Origin, u32), (i32, i32))>,
    /// Messages of news.
    pub(crate) news: usize,
    /// Messages that were packed.
    pub(crate) packed: usize,
    pub(crate) answers_pings: bool,
}

/// Asks for a WebSocket on this path. `headers` are lines that end with `\r\n`.
pub(crate) async fn board_handshake(
    address: SocketAddr,
    path: &str,
    headers: &str,
) -> Result<(Player, String), Response> {
    let mut stream = within("connecting", TcpStream::connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    within("a handshake", async move {
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        loop {
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                if received.starts_with(b"HTTP/1.1 101 ") {
                    let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
                    return Ok((Player::on(stream, received.split_off(end + 4)), head));
                }
                if Response::is_whole(&received) {
                    return Err(Response::parse(&received));
                }
            }
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "closed within the handshake");
        }
    })
    .await
}

impl Player {
    /// A connection that has said nothing.
    pub(crate) async fn open(broker: &Broker) -> Self {
        let opened = board_handshake(broker.client_address, "/presence", "").await;
        opened.unwrap_or_else(|refusal| panic!("refused: {refusal:?}")).0
    }

    /// A member of a board.
    pub(crate) async fn on_board(broker: &Broker, board: &str, name: &str) -> Self {
        let mut player = Self::open(broker).await;
        player.join(board, name).await;
        player
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Player<S> {
    /// On a connection whose handshake is done.
    pub(crate) fn on(stream: S, received: Vec<u8>) -> Self {
        Self {
            stream,
            received,
            members: BTreeMap::new(),
            me: None,
            moves: Vec::new(),
            news: 0,
            packed: 0,
            answers_pings: true,
        }
    }

    /// Joins, which must go well.
    pub(crate) async fn join(&mut self, board: &str, name: &str) {
        self.say(&join(board, name)).await;
        while self.next().await != Told::Welcome {}
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, message: &FromClient<'_>) {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        self.say_bytes(&bytes).await;
    }

    /// Sends bytes as a binary message.
    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) {
        let frame = frame(OpCode::Data(Data::Binary), true, bytes);
        within("sending", self.stream.write_all(&frame)).await.expect("the connection is open");
    }

    /// Moves its cursor.
    pub(crate) async fn moves_to(&mut self, x: i32, y: i32) {
        self.say(&FromClient::Cursor(Some(Point { x, y }))).await;
    }

    /// What it is told next; it keeps it too.
    pub(crate) async fn next(&mut self) -> Told {
        within("a message", async {
            loop {
                if let Some((opcode, payload)) = self.take() {
                    return match opcode {
                        OpCode::Control(Control::Close) => {
                            Told::Close(u16::from_be_bytes([payload[0], payload[1]]))
                        }
                        OpCode::Data(Data::Binary) => {
                            let told = self.heed(&payload);
                            if told == Told::Ping && self.answers_pings {
                                self.say(&FromClient::Heartbeat).await;
                                continue;
                            }
                            told
                        }
                        other => panic!("the server never sends {other:?}"),
                    };
                }
                let read = self.stream.read_buf(&mut self.received).await.expect("the connection is open");
                assert_ne!(read, 0, "the connection ended without a closing frame");
            }
        })
        .await
    }

    fn take(&mut self) -> Option<(OpCode, Vec<u8>)> {
        let mut cursor = Cursor::new(self.received.as_slice());
        let (header, length) = FrameHeader::parse(&mut cursor).expect("the server's frames are valid")?;
        let start = cursor.position() as usize;
        let end = start + length as usize;
        if self.received.len() < end {
            return None;
        }
        assert!(header.is_final && header.mask.is_none(), "{header:?}");
        let payload = self.received[start..end].to_vec();
        self.received.drain(..end);
        Some((header.opcode, payload))
    }

    fn heed(&mut self, bytes: &[u8]) -> Told {
        let message = unpack(bytes, 1 << 24).expect("the server packs well");
        self.packed += usize::from(bytes != &*message);
        match ToClient::read(&message).expect("the server speaks the protocol") {
            ToClient::Welcome(welcome) => {
                self.me = Some((welcome.origin, welcome.number));
                self.members.clear();
                welcome.rosters.iter().for_each(|roster| self.keep_all(roster));
                Told::Welcome
            }
            ToClient::News(origin, events) => {
                self.news += 1;
                for event in &events {
                    let key = (origin, event.number);
                    let Some(seen) = self.members.get_mut(&key) else { continue };
                    match event.what {
                        What::Moved(place) => {
                            seen.cursor = Some((place.x, place.y));
                            if self.me != Some(key) {
                                self.moves.push((key, (place.x, place.y)));
                            }
                        }
                        What::Away => seen.cursor = None,
                        What::Selected(text) => seen.selection = text.to_owned(),
                        What::Gone => drop(self.members.remove(&key)),
                    }
                }
                Told::News(events.len())
            }
            ToClient::Roster(roster) => {
                self.members.retain(|(origin, _), _| *origin != roster.origin);
                self.keep_all(&roster);
                Told::People
            }
            ToClient::Joined(origin, member) => {
                self.keep(origin, &member);
                Told::People
            }
            ToClient::Gone(origin, number) => {
                self.members.remove(&(origin, number));
                Told::People
            }
            ToClient::Announcement { channel, data } => Told::Announcement(channel.into(), data.into()),
            ToClient::Error(code, text) => Told::Error(code, text.into()),
            ToClient::Left(code, text) => {
                self.me = None;
                Told::Left(code, text.into())
            }
            ToClient::Ping => Told::Ping,
            ToClient::Alone(is_alone) => Told::Alone(is_alone),
        }
    }

    fn keep_all(&mut self, roster: &Roster<'_>) {
        roster.members.iter().for_each(|member| self.keep(roster.origin, member));
    }

    fn keep(&mut self, origin: Origin, member: &Member<'_>) {
        let seen = self.members.entry((origin, member.number)).or_default();
        (seen.user, seen.name) = (member.user.to_owned(), member.name.to_owned());
        seen.cursor = member.cursor.map(|place| (place.x, place.y)).or(seen.cursor);
        if !member.selection.is_empty() {
            seen.selection = member.selection.to_owned();
        }
    }

    /// Those that it sees, by name.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.members.values().map(|seen| &*seen.name).collect();
        names.sort_unstable();
        names
    }

    /// Reads until it sees these, in the order of their names.
    pub(crate) async fn sees(&mut self, names: &[&str]) {
        self.until(&format!("seeing {names:?}"), |player| player.names() == names).await;
    }

    /// Reads until somebody of this name is as `is_so` says.
    pub(crate) async fn sees_that(&mut self, name: &str, is_so: impl Fn(&Seen) -> bool) {
        self.until(&format!("seeing {name}"), |player| {
            player.members.values().any(|seen| seen.name == name && is_so(seen))
        })
        .await;
    }

    /// Reads until it is so.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        within(what, async {
            while !is_so(self) {
                let told = self.next().await;
                assert!(!matches!(told, Told::Close(_) | Told::Error(..)), "{what}: {told:?}");
            }
        })
        .await;
    }

    /// Reads until it is told this.
    pub(crate) async fn is_told(&mut self, expected: &Told) {
        let what = format!("{expected:?}");
        within(&what, async { while self.next().await != *expected {} }).await;
    }

    /// Reads until it is told of an error; its code and words.
    pub(crate) async fn error(&mut self) -> (u32, String) {
        loop {
            match self.next().await {
                Told::Error(code, text) => return (code, text),
                Told::Close(code) => panic!("ended with {code}"),
                _ => {}
            }
        }
    }

    /// Reads until the server ends the connection; the code.
    pub(crate) async fn end(&mut self) -> u16 {
        loop {
            if let Told::Close(code) = self.next().await {
                return code;
            }
        }
    }
}

/// Waits until the broker has this many boards.
pub(crate) async fn boards(broker: &Broker, count: u64) {
    eventually("boards", async || broker.metric("boards", &[]).await == count).await;
}

/// A join without tokens.
pub(crate) fn join<'a>(board: &'a str, name: &'a str) -> FromClient<'a> {
    FromClient::Join(Join { board, user: "", name, colour: Colour([1, 2, 3]), token: "", pass: "" })
}
