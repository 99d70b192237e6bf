//! `broker tail`, as a process whose output is read.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
    sync::Arc,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{
    Broker, Client, OPEN, eventually,
    program::{Program, command, run},
    token::{SECRET, token},
};

/// A command that goes on, and what it has said so far; ended with the test.
struct Tail {
    child: Child,
    said: [Arc<Mutex<String>>; 2],
}

fn collect(pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = text.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut kept = kept.lock();
            kept.push_str(&line);
            kept.push('\n');
        }
    });
    text
}

impl Tail {
    /// Follows channels of the broker at this address, and is subscribed when this returns.
    async fn start(address: std::net::SocketAddr, arguments: &[&str]) -> Self {
        let url = format!("http://{address}");
        let mut command = command(&[&["tail", "--url", &url], arguments].concat(), &[]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = [collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap())];
        let tail = Self { child, said };
        tail.notes("following ").await;
        tail
    }

    fn output(&self) -> String {
        self.said[0].lock().clone()
    }

    /// Waits until standard error says this.
    async fn notes(&self, text: &str) {
        eventually(&format!("it notes {text:?}"), async || self.said[1].lock().contains(text)).await;
    }

    /// Waits until standard output is this.
    async fn shows(&self, text: &str) {
        eventually(&format!("it shows {text:?}"), async || self.output() == text).await;
    }

    /// Waits until it has ended, and gives its exit code.
    async fn end(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("it ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // Of no use, and of no harm, when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn publish(broker: &Broker, channel: &str, data: serde_json::Value) {
    broker.api("publish", &json!({"channel": channel, "data": data})).await;
}

#[tokio::test]
async fn it_shows_publications_and_ends_after_as_many_as_wanted() {
    let broker = Broker::start(OPEN).await;
    let mut tail =
        Tail::start(broker.client_address, &["lobby", "news", "--output", "json", "--count", "3"]).await;
    publish(&broker, "lobby", json!({"n": 1})).await;
    publish(&broker, "other", json!("not shown")).await;
    broker.api("publish", &json!({"channel": "news", "data": [2], "tags": {"lang": "de"}})).await;
    let mut client = broker.open().await;
    let id = client.connect("").await["client"].as_str().unwrap().to_owned();
    client.subscribe("lobby").await;
    client.command(json!({"publish": {"channel": "lobby", "data": "3"}})).await;
    assert_eq!(tail.end().await, Some(0));
    let expected = format!(
        "{}\n{}\n{{\"channel\":\"lobby\",\"event\":\"publication\",\"data\":\"3\",\"info\":{{\"user\":\"\",\"client\":{id:?}}}}}\n",
        r#"{"channel":"lobby","event":"publication","data":{"n":1}}"#,
        r#"{"channel":"news","event":"publication","data":[2],"tags":{"lang":"de"}}"#,
    );
    tail.shows(&expected).await;
    assert_eq!(*tail.said[1].lock(), format!("following lobby, news at http://{}\n", broker.client_address));
}

#[tokio::test]
async fn lines_for_people_have_a_time_and_nothing_that_a_terminal_obeys() {
    let broker = Broker::start(OPEN).await;
    let mut tail = Tail::start(broker.client_address, &["lobby", "--count", "1"]).await;
    publish(&broker, "lobby", json!("\u{9b}31m")).await;
    assert_eq!(tail.end().await, Some(0));
    eventually("the line is there", async || tail.output().ends_with('\n')).await;
    let output = tail.output();
    assert_eq!(&output[8..], "  lobby  \"\\u{9b}31m\"\n");
    assert_eq!((&output[2..3], &output[5..6]), (":", ":"), "{output}");
}

#[tokio::test]
async fn it_shows_who_enters_and_leaves_on_request() {
    let yaml = format!("{OPEN}channels: {{namespaces: [{{name: room, join_leave: true}}]}}\n");
    let broker = Broker::start(&yaml).await;
    let tail = Tail::start(broker.client_address, &["room:1", "--joins", "--output", "json"]).await;
    let mut client = broker.open().await;
    let id = client.connect("").await["client"].as_str().unwrap().to_owned();
    client.subscribe("room:1").await;
    drop(client);
    let of = |event: &str| {
        format!(
            "{{\"channel\":\"room:1\",\"event\":\"{event}\",\"info\":{{\"user\":\"\",\"client\":\"{id}\"}}}}\n"
        )
    };
    let both = of("join") + &of("leave");
    eventually("both are shown", async || tail.output().ends_with(&both)).await;
}

#[tokio::test]
async fn ctrl_c_ends_it_well() {
    let broker = Broker::start(OPEN).await;
    let mut tail = Tail::start(broker.client_address, &["lobby"]).await;
    kill_process(Pid::from_child(&tail.child), Signal::INT).unwrap();
    assert_eq!(tail.end().await, Some(0));
    assert_eq!(tail.output(), "");
}

#[tokio::test]
async fn a_refusal_ends_it_with_what_to_do() {
    let broker = Broker::start(OPEN).await;
    let closed = Broker::start(&format!("auth: {{jwt: {{hmac_secret: {SECRET:?}}}}}\n")).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let path = "/connection/websocket";
    for (address, arguments, says) in [
        (
            broker.client_address,
            &["nowhere:x"][..],
            "cannot subscribe to \"nowhere:x\": it refused with error 102: unknown channel\n\
             configure the namespace under channels.namespaces, or mend the channel's name",
        ),
        (
            closed.client_address,
            &["lobby"],
            "the connection was closed with 3507: permission denied\n\
             anonymous clients are not allowed: give a token with --token-file",
        ),
        (
            closed.client_address,
            &["lobby", "--token", "hunter2"],
            "the connection was closed with 3500: invalid token\n\
             the token is not valid here: see auth.jwt of the broker's configuration",
        ),
    ] {
        let url = format!("http://{address}");
        let output = run(&[&["tail", "--url", &url], arguments].concat(), &[]).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!(error, format!("cannot follow the channels: ws://{address}{path}: {says}\n"));
    }
    let url = format!("http://{nobody}");
    let output = run(&["tail", "--url", &url, "lobby"], &[]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains(&format!("Connection refused (os error 111)\nis a broker running at {url}?")),
        "{error}"
    );
    let url = format!("http://{}", broker.client_address);
    let output = run(&["tail", "--url", &url, "--websocket-path", "/other", "lobby"], &[]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("/other: the handshake was answered with 404"), "{error}");
    assert!(error.contains("See --websocket-path"), "{error}");
}

#[tokio::test]
async fn a_token_from_a_file_lets_it_in() {
    let broker =
        Broker::start(&format!("auth: {{jwt: {{hmac_secret: {SECRET:?}}}, api_keys: [key-of-the-tests]}}\n"))
            .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, token(&json!({"sub": "ann"})) + "\n").unwrap();
    let arguments = ["lobby", "--token-file", file.to_str().unwrap(), "--count", "1", "--output", "json"];
    let mut tail = Tail::start(broker.client_address, &arguments).await;
    publish(&broker, "lobby", json!(1)).await;
    assert_eq!(tail.end().await, Some(0));
    tail.shows("{\"channel\":\"lobby\",\"event\":\"publication\",\"data\":1}\n").await;
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_ends_it_without_a_word() {
    let broker = Broker::start(OPEN).await;
    let url = format!("http://{}", broker.client_address);
    let mut command = command(&["tail", "--url", &url, "lobby"], &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let notes = collect(child.stderr.take().unwrap());
    let mut tail = Tail { child, said: [Arc::default(), notes] };
    tail.notes("following lobby").await;
    publish(&broker, "lobby", json!(1)).await;
    assert_eq!(tail.end().await, Some(0));
    assert_eq!(tail.said[1].lock().lines().count(), 1, "{}", tail.said[1].lock());
}

#[tokio::test]
async fn it_comes_back_when_the_broker_does() {
    let open = ("SWITCHBOARD_AUTH__ANONYMOUS", "true");
    let first = Program::start(&[], &[open]);
    let (address, _) = first.addresses().await;
    let mut tail = Tail::start(address, &["lobby", "--count", "1", "--output", "json"]).await;
    first.signal(Signal::TERM);
    first.end().await;
    tail.notes("lost the connection: ").await;
    tail.notes("Connection refused (os error 111); trying again in ").await;
    let same = address.to_string();
    let second = Program::start(&[], &[open, ("SWITCHBOARD_CLIENT__ADDRESS", &same)]);
    second.addresses().await;
    tail.notes("connected again; what was published in between is missing").await;
    let mut client = Client::open(address).await;
    client.connect("").await;
    client.subscribe("lobby").await;
    client.command(json!({"publish": {"channel": "lobby", "data": "back"}})).await;
    assert_eq!(tail.end().await, Some(0));
    eventually("it is shown", async || tail.output().contains("\"data\":\"back\"")).await;
}
