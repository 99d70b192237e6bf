//! Stands between an instance and Redis, and can make the connection that listens fall silent: open, and
//! nothing comes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use switchboard::config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::Server;

pub(super) struct Proxy {
    address: SocketAddr,
    silent: Arc<AtomicBool>,
}

impl Proxy {
    pub(super) async fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = Arc::new(AtomicBool::new(false));
        let (port, quiet) = (server.port, silent.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, port, quiet.clone()));
            }
        });
        Self { address, silent }
    }

    pub(super) fn config(&self) -> config::Redis {
        config::Redis::at(format!("redis://{}", self.address))
    }

    /// From now on nothing comes on connections that listen.
    pub(super) fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// Connections that are made from now on are good.
    pub(super) fn mend(&self) {
        self.silent.store(false, Ordering::SeqCst);
    }
}

async fn serve(mut client: TcpStream, port: u16, silent: Arc<AtomicBool>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut from_client, mut from_server) = (vec![0; 65536], vec![0; 65536]);
    let (mut listens, mut muted) = (false, false);
    loop {
        tokio::select! {
            Ok(length) = client.read(&mut from_client) => {
                let bytes = &from_client[..length];
                listens |= bytes.windows(10).any(|window| window == b":subscribe");
                if length == 0 || server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            Ok(length) = server.read(&mut from_server) => {
                muted |= listens && silent.load(Ordering::SeqCst);
                if length == 0 || (!muted && client.write_all(&from_server[..length]).await.is_err()) {
                    return;
                }
            }
            else => return,
        }
    }
}
