//! Pages in a real Chromium, whose `EventSource`, `WebSocket` and `DecompressionStream` are the browser's own.

use std::{net::SocketAddr, process::Stdio};

use axum::{Router, extract::State, response::Html, routing::get};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    process::{Child, Command},
    sync::mpsc,
};

use crate::support::within;

/// What the page hears it tells the server that it came from: one request after the other, so that their order is
/// that of the events.
const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>listening</title>
<script>
  let told = Promise.resolve();
  const tell = (line) => { told = told.then(() => fetch("/", { method: "POST", body: line })); };
  const source = new EventSource(STREAM);
  source.onmessage = ({ data }) => tell(data);
  source.onerror = () => tell(JSON.stringify({ readyState: source.readyState }));
</script>
"#;

/// A page on which somebody is on a board, with the client of the examples. It tells whom it sees, and moves when it is
/// told to.
const BOARD: &str = r##"<!doctype html>
<meta charset="utf-8">
<title>on a board</title>
<script type="module">
  import { Board } from "/board.js";
  let told = Promise.resolve();
  const tell = (what) => { told = told.then(() => fetch("/", { method: "POST", body: JSON.stringify(what) })); };
  const board = new Board(ENDPOINT, { board: "plan", name: "Page", color: "#112233" });
  const seen = ({ name, cursor, selection }) => ({ name, cursor, selection });
  board.on("members", (members) => tell([...members.values()].map(seen)));
  board.on("error", tell);
  board.on("announcement", ({ data }) => { board.move(data.x, data.y); board.select("the page's"); });
</script>
"##;

/// A server of one page, on a port of its own.
pub(super) struct Page {
    pub(super) origin: String,
    router: Router<mpsc::UnboundedSender<String>>,
    listener: TcpListener,
}

impl Page {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let heard = async |State(heard): State<mpsc::UnboundedSender<String>>, line: String| {
            // Once nobody listens any more the test is over.
            let _ = heard.send(line);
        };
        Self { origin, router: Router::new().route("/", get(()).post(heard)), listener }
    }

    /// Opens the page in a browser, where it listens to a stream of this broker.
    pub(super) fn open(self, broker: SocketAddr, query: &str) -> Browser {
        let stream = json!(format!("http://{broker}/connection/uni_sse?{query}"));
        self.show(PAGE.replace("STREAM", &stream.to_string()))
    }

    /// Opens a page in a browser on which somebody is on a board of this broker.
    pub(super) fn open_board(self, broker: SocketAddr) -> Browser {
        let endpoint = json!(format!("ws://{broker}/presence"));
        self.show(BOARD.replace("ENDPOINT", &endpoint.to_string()))
    }

    fn show(self, page: String) -> Browser {
        let script =
            ([("content-type", "text/javascript")], include_str!("../../../examples/board/board.js"));
        let (tells, heard) = mpsc::unbounded_channel();
        let page = Router::new().route("/page", get(async || Html(page)));
        let page = page.route("/board.js", get(async move || script));
        let router = page.merge(self.router.with_state(tells));
        tokio::spawn(async move { axum::serve(self.listener, router).await });
        let profile = tempfile::tempdir().unwrap();
        let child = chromium(&profile).arg(format!("{}/page", self.origin)).spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("cannot run chromium: {error}; install it: apt-get install chromium")
        });
        Browser { child, heard, _profile: profile }
    }
}

fn chromium(profile: &TempDir) -> Command {
    let mut chromium = Command::new("chromium");
    chromium.arg("--headless").arg(format!("--user-data-dir={}", profile.path().display()));
    // The sandbox is not for root, nor for containers, and the only page is the test's own.
    chromium.args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    // It speaks to this machine and to nobody else.
    chromium.args(["--no-proxy-server", "--disable-background-networking", "--disable-component-update"]);
    chromium.args(["--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]);
    chromium.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    chromium
}

/// A browser with one page; it ends with the test.
pub(super) struct Browser {
    child: Child,
    heard: mpsc::UnboundedReceiver<String>,
    _profile: TempDir,
}

impl Browser {
    /// What the page heard next: the data of an event, or `readyState` after an error of its `EventSource`.
    pub(super) async fn heard(&mut self) -> Value {
        let line = tokio::select! {
            line = within("the page hears something", self.heard.recv()) => line.expect("the server goes on"),
            ended = self.child.wait() => {
                let mut errors = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
                panic!("chromium has ended: {ended:?}: {errors}");
            }
        };
        serde_json::from_str(&line).unwrap()
    }
}
