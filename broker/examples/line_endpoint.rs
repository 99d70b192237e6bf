//! An endpoint of one's own: a protocol of words over TCP, one command a line.
//!
//! ```text
//! cargo run -p switchboard-broker --example line_endpoint
//! nc 127.0.0.1 7000
//! HELLO                  first, with a token behind it where the configuration wants one
//! SUB room               OK, or ERR and why
//! PUB room hello         OK, or ERR and why
//! MSG room "hello"       from the broker: what anybody published in the room, as JSON
//! BYE shutdown           from the broker: the end, and why
//! ```

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
};
use switchboard::{
    Broker,
    codec::{Encoder, Push},
    config::Config,
    endpoint::{Credentials, Disconnect, Endpoint, ErrorCode, Farewell, Guest, Host, Outgoing},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
};
use tokio_util::codec::{FramedRead, LinesCodec};

type Lines = FramedRead<OwnedReadHalf, LinesCodec>;

// The endpoint begins here.
pub(crate) struct LineEndpoint(pub(crate) TcpListener);

impl Endpoint for LineEndpoint {
    fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::new(Words)
    }

    fn run<'a>(&'a self, host: Host) -> BoxFuture<'a, ()> {
        async move {
            loop {
                match self.0.accept().await {
                    Ok((socket, from)) => drop(tokio::spawn(serve(host.clone(), socket, from.ip()))),
                    // Out of file descriptors, most likely.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }
        .boxed()
    }
}

struct Words;

impl Encoder for Words {
    fn encode(&self, push: &Push<'_>, out: &mut Vec<u8>) {
        if let Push::Publication(channel, publication, _) = push {
            out.extend_from_slice(format!("MSG {channel} ").as_bytes());
            out.extend_from_slice(publication.data);
            out.push(b'\n');
        }
    }
}

async fn serve(host: Host, socket: TcpStream, from: IpAddr) {
    let (read, mut write) = socket.into_split();
    let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(host.message_size()));
    match enter(&host, from, &mut lines).await {
        Ok((guest, outgoing)) => drop(outgoing.serve(write, obey(&guest, lines), bye).await),
        Err(end) => drop(write.write_all(&bye(end)).await),
    }
}

async fn enter(host: &Host, from: IpAddr, lines: &mut Lines) -> Result<(Guest, Outgoing), Farewell> {
    let newcomer = host.admit(from)?;
    let Some(Ok(line)) = newcomer.first(lines.next()).await? else {
        return Err(Disconnect::BadRequest.into());
    };
    let token = line.strip_prefix("HELLO").ok_or(Disconnect::BadRequest)?;
    newcomer.connect(Credentials::Token(token.trim())).await
}

async fn obey(guest: &Guest, mut lines: Lines) -> Disconnect {
    while let Some(line) = lines.next().await {
        let Ok(line) = line else { return Disconnect::BadRequest };
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let (room, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let outcome = match word {
            "SUB" => guest.subscribe(room, "").await,
            "PUB" => guest.publish(room, text).await,
            _ => Err(ErrorCode::MethodNotFound.into()),
        };
        guest.reply(outcome.map_or_else(|why| format!("ERR {why}\n"), |()| "OK\n".into()).as_bytes());
    }
    Disconnect::Gone
}

fn bye(end: impl Into<Farewell>) -> Vec<u8> {
    format!("BYE {}\n", end.into().reason).into_bytes()
}
// The endpoint ends here.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Config::parse("settings", "auth: {anonymous: true}", std::env::vars())?;
    let listener = TcpListener::bind("127.0.0.1:7000").await?;
    let lines = Arc::new(LineEndpoint(listener));
    let broker = Broker::builder().settings(settings).endpoint("lines", lines).start().await?;
    eprintln!("nc 127.0.0.1 7000, and ws://{}/connection/websocket", broker.client_address);
    tokio::signal::ctrl_c().await?;
    broker.drain().await;
    Ok(())
}
