//! Commands that ask a running broker: lists, messages, the end of connections.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Output, Stdio},
    thread::JoinHandle,
};

use serde_json::{Value, json};

use crate::support::{
    Broker, OPEN,
    program::{command, run},
    within,
};

/// The key of [`OPEN`].
const WITH_KEY: (&str, &str) = ("SWITCHBOARD_API_KEY", "key-of-the-tests");

/// What a command has said: its exit code, standard output and standard error.
fn said(output: Output) -> (i32, String, String) {
    let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), out, error)
}

async fn ask(address: SocketAddr, arguments: &[&str]) -> (i32, String, String) {
    let url = format!("http://{address}");
    said(run(&[arguments, &["--url", &url]].concat(), &[WITH_KEY]).await)
}

/// Runs a command with this standard input.
async fn fed(address: SocketAddr, arguments: &[&str], input: &'static str) -> (i32, String, String) {
    let url = format!("http://{address}");
    let mut command = command(&[arguments, &["--url", &url]].concat(), &[WITH_KEY]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // One that ends early does not read all of it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    });
    said(within("the end of the program", ran).await.unwrap())
}

fn done(out: &str) -> (i32, String, String) {
    (0, out.to_owned(), String::new())
}

#[tokio::test]
async fn a_message_is_published_byte_for_byte() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.subscribe("lobby").await;
    let published = ask(broker.client_address, &["publish", "lobby", r#"{"b":1,"a":[2]}"#]).await;
    assert_eq!(published, done("published 1 message to lobby\n"));
    assert_eq!(client.publication("lobby").await, json!({"b": 1, "a": [2]}));
    let published = ask(broker.client_address, &["publish", "lobby", "-1"]).await;
    assert_eq!(published, done("published 1 message to lobby\n"));
    assert_eq!(client.publication("lobby").await, -1);
    ask(broker.client_address, &["publish", "lobby", "--text", "it's \"me\""]).await;
    assert_eq!(client.publication("lobby").await, "it's \"me\"");
}

#[tokio::test]
async fn each_line_of_standard_input_is_a_message_until_one_is_bad() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.connect().await;
    client.subscribe("lobby").await;
    let published = fed(broker.client_address, &["publish", "lobby", "-"], "1\n\n{\"n\":2}\n").await;
    assert_eq!(published, done("published 2 messages to lobby\n"));
    let published = fed(broker.client_address, &["publish", "lobby", "-"], "3\nhello\n4\n").await;
    assert_eq!(
        published,
        (
            1,
            String::new(),
            "cannot publish: line 2: DATA is not JSON: expected value at line 1 column 1\n\
             a text needs quotes of its own, such as '\"hello\"'; or send it as it is with --text\n"
                .to_owned()
        )
    );
    for expected in [json!(1), json!({"n": 2}), json!(3)] {
        assert_eq!(client.publication("lobby").await, expected);
    }
    assert!(client.unasked().await.is_empty(), "nothing behind the bad line was sent");
    let published = fed(broker.client_address, &["publish", "lobby", "-", "--text"], "a\n\n").await;
    assert_eq!(published, done("published 2 messages to lobby\n"));
}

#[tokio::test]
async fn a_refusal_says_who_was_asked_and_what_to_do() {
    let broker = Broker::start(OPEN).await;
    let address = broker.client_address;
    let url = format!("http://{address}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = format!("http://{nobody}");
    let wrong = ("SWITCHBOARD_API_KEY", "a-wrong-key");
    let key_hint = "give one of auth.api_keys with --api-key-file or SWITCHBOARD_API_KEY";
    for (arguments, environment, says) in [
        (
            &["clients", "--url", &url][..],
            wrong,
            format!("cannot list the clients: {url}/api/clients: it answered 401: the API key is not known\n{key_hint}\n"),
        ),
        (
            &["disconnect", "--user", "ann", "--url", &url],
            ("SWITCHBOARD_API_KEY", ""),
            format!("cannot disconnect: {url}/api/disconnect: it answered 401: an API key is needed\n{key_hint}\n"),
        ),
        (
            &["publish", "lobby", "1", "--url", &nowhere],
            WITH_KEY,
            format!(
                "cannot publish: {nowhere}/api/publish: connecting failed: Connection refused (os error 111)\n\
                 is a broker running at {nowhere}? Name another one with --url or SWITCHBOARD_URL\n"
            ),
        ),
        (
            &["publish", "nowhere:x", "1", "--url", &url],
            WITH_KEY,
            format!(
                "cannot publish: {url}/api/publish: it refused with error 102: unknown channel\n\
                 configure the namespace under channels.namespaces, or mend the channel's name\n"
            ),
        ),
        (
            &["clients", "--api-path", "/other", "--url", &url],
            WITH_KEY,
            format!(
                "cannot list the clients: {url}/other/clients: it answered 404\n\
                 is the server API there? See --api-path, and endpoints.http of the broker's configuration\n"
            ),
        ),
        (
            &["clients", "--api-key-file", "/nowhere/key", "--url", &url],
            WITH_KEY,
            "cannot list the clients: --api-key-file: cannot read /nowhere/key: No such file or directory (os error 2)\n"
                .to_owned(),
        ),
    ] {
        let output = said(run(arguments, &[environment]).await);
        assert_eq!(output, (1, String::new(), says), "{arguments:?}");
    }
}

#[tokio::test]
async fn https_to_what_speaks_none_says_so() {
    let broker = Broker::start(OPEN).await;
    let url = format!("https://{}", broker.client_address);
    for arguments in [["clients", "--url", &url, "--limit", "1"], ["tail", "--url", &url, "--joins", "lobby"]]
    {
        let (code, out, error) = said(run(&arguments, &[WITH_KEY]).await);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(error.contains("TLS"), "{error}");
    }
}

#[tokio::test]
async fn a_key_is_never_shown_and_its_file_wins() {
    let broker = Broker::start(OPEN).await;
    let url = format!("http://{}", broker.client_address);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "key-of-the-tests\n").unwrap();
    let file = file.to_str().unwrap();
    let hunter = ("SWITCHBOARD_API_KEY", "hunter2");
    let listed = said(run(&["clients", "--url", &url, "--api-key-file", file], &[hunter]).await);
    assert_eq!(listed, (0, String::new(), "no clients\n".to_owned()));
    let broken = ("SWITCHBOARD_API_KEY", "hunter2\r\nX: y");
    let url_with_password = ("SWITCHBOARD_URL", "http://ann:hunter2@127.0.0.1");
    for (arguments, environment) in [
        (&["clients", "--url", &url][..], hunter),
        (&["clients", "--url", &url], broken),
        (&["clients", "--url", &url, "--api-key", "hunter2"], WITH_KEY),
        (&["clients", "--help"], hunter),
        (&["clients", "--nothing"], hunter),
        (&["clients"], url_with_password),
        (&["clients", "--help"], url_with_password),
    ] {
        let (_, out, error) = said(run(arguments, &[environment]).await);
        assert!(!out.contains("hunter2") && !error.contains("hunter2"), "{arguments:?}: {out}{error}");
    }
}

#[tokio::test]
async fn clients_are_listed_filtered_and_disconnected() {
    let broker = Broker::start(&format!("{OPEN}instance: {{id: chat-0}}\n")).await;
    let mut connected = Vec::new();
    for _ in 0..3 {
        let mut client = broker.open().await;
        let id = client.connect("").await["client"].as_str().unwrap().to_owned();
        connected.push((id, client));
    }
    // The order of the list, also of those that connected in the same millisecond.
    connected.sort_by(|one, other| one.0.cmp(&other.0));
    let (ids, mut clients): (Vec<_>, Vec<_>) = connected.into_iter().unzip();
    let note = json!({"client": ids[1], "metadata": {"room": "7"}});
    broker.api("note", &note).await;
    let address = broker.client_address;

    let (code, table, error) = ask(address, &["clients"]).await;
    assert_eq!((code, error.as_str()), (0, ""));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("CLIENT  ") && lines[0].ends_with("LAST MESSAGE  METADATA"), "{table}");
    assert_eq!(lines.len(), 4, "{table}");
    for (line, id) in lines[1..].iter().zip(&ids) {
        assert!(line.starts_with(&format!("{id}  -     chat-0    websocket  ")), "{table}");
    }
    assert!(lines[2].ends_with("  room=7"), "{table}");

    let listed = async |arguments: &[&str]| {
        let (code, out, error) = ask(address, &[&["clients", "--output", "json"], arguments].concat()).await;
        assert_eq!(code, 0, "{error}");
        let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].take());
        (lines.map(|id| id.as_str().unwrap().to_owned()).collect::<Vec<_>>(), error)
    };
    assert_eq!(listed(&[]).await, (ids.clone(), String::new()));
    let more = "there are more; list them with --limit\n".to_owned();
    assert_eq!(listed(&["--limit", "2"]).await, (ids[..2].to_vec(), more));
    assert_eq!(listed(&["--limit", "3"]).await.0, ids);
    assert_eq!(listed(&["--metadata", "room=7"]).await.0, ids[1..2]);
    assert_eq!(listed(&["--user", "", "--instance", "chat-0", "--endpoint", "websocket"]).await.0, ids);
    for nobody in [["--user", "ann"], ["--metadata", "room=8"], ["--silent-for", "5m"], ["--endpoint", "tcp"]]
    {
        assert_eq!(listed(&nobody).await, (Vec::new(), String::new()), "{nobody:?}");
    }
    for bad in [["--metadata", "room"], ["--silent-for", "5"], ["--output", "xml"]] {
        assert_eq!(ask(address, &[&["clients"], &bad[..]].concat()).await.0, 2, "{bad:?}");
    }

    assert_eq!(ask(address, &["disconnect", "--client", &ids[0]]).await, done("disconnected 1\n"));
    assert_eq!(clients[0].end().await, 3503);
    let back = ask(address, &["disconnect", "--client", &ids[1], "--reconnect"]).await;
    assert_eq!(back, done("disconnected 1\n"));
    assert_eq!(clients[1].end().await, 3011);
    assert_eq!(ask(address, &["disconnect", "--user", "ann"]).await, done("disconnected 0\n"));
    assert_eq!(ask(address, &["disconnect"]).await.0, 2, "nobody is named");
}

/// A server that gives these answers, a connection each, in chunks; the bodies that it was asked with.
fn answering(results: Vec<Value>) -> (SocketAddr, JoinHandle<Vec<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let answer = |result: Value| {
            let mut request = BufReader::new(listener.accept().unwrap().0);
            let mut length = 0;
            loop {
                let mut line = String::new();
                request.read_line(&mut line).unwrap();
                if line == "\r\n" {
                    break;
                }
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            request.read_exact(&mut body).unwrap();
            let (one, other) = (json!({"result": result}).to_string(), "\r\n0\r\n\r\n");
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let answer = format!("{head}{:x}\r\n{one}{other}", one.len());
            request.get_mut().write_all(answer.as_bytes()).unwrap();
            serde_json::from_slice(&body).unwrap()
        };
        results.into_iter().map(answer).collect()
    });
    (address, server)
}

#[tokio::test]
async fn all_pages_are_followed_and_silent_instances_are_named() {
    let client = |number: u64| {
        json!({
            "id": format!("0190163d-8694-739b-aea5-{number:012}"), "user": "ann\u{1b}[31m", "instance": "chat-0",
            "endpoint": "websocket", "connected": 0, "last_message": 0,
        })
    };
    let (address, server) = answering(vec![
        json!({"clients": [client(1), client(2)], "next": "the-second", "silent": ["chat-2"]}),
        json!({"clients": [], "next": "the-third", "silent": ["chat-1", "chat-2"]}),
        json!({"clients": [client(3)]}),
    ]);
    let (code, table, error) = ask(address, &["clients", "--limit", "1200", "--user", "ann"]).await;
    assert_eq!(code, 0, "{error}");
    assert_eq!(error, "no answer from chat-1, chat-2: clients there are missing\n");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains("  ann\\u{1b}[31m  chat-0"), "{table}");
    let asked = server.join().unwrap();
    let pages: Vec<_> = asked.iter().map(|body| (&body["limit"], &body["after"], &body["user"])).collect();
    assert_eq!(
        pages,
        [
            (&json!(1000), &json!(null), &json!("ann")),
            (&json!(1000), &json!("the-second"), &json!("ann")),
            (&json!(1000), &json!("the-third"), &json!("ann")),
        ]
    );
}

#[tokio::test]
async fn what_was_sent_says_where_it_has_arrived() {
    let broker = Broker::start(OPEN).await;
    let mut client = broker.open().await;
    let id = client.connect("").await["client"].as_str().unwrap().to_owned();
    let address = broker.client_address;
    let sent = ask(address, &["send", "--client", &id, r#""hello""#]).await;
    assert_eq!(sent, done(&format!("{id}  delivered\n")));
    assert_eq!(client.push().await, json!({"message": {"data": "hello"}}));
    let sent = ask(address, &["send", "--everyone", "--text", "all"]).await;
    assert_eq!(sent, done("everyone  sent\n"));
    assert_eq!(client.push().await, json!({"message": {"data": "all"}}));
    let nobody = "0190163d-8694-739b-aea5-966c26f8ad91";
    let (code, out, error) = ask(address, &["send", "--client", nobody, "--logic", "nothing", "1"]).await;
    assert_eq!(code, 1);
    assert_eq!(out, format!("{nobody}  gone\nnothing  failed: no such logic module\n"));
    assert_eq!(error, "cannot send: not all of it has arrived: see the lines above\n");
    assert_eq!(ask(address, &["send", "1"]).await.0, 2, "nobody is named");
}

#[tokio::test]
async fn a_broker_starts_beside_the_variables_of_commands() {
    let output = run(&["check"], &[WITH_KEY, ("SWITCHBOARD_URL", "http://a")]).await;
    let (code, out, error) = said(output);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
}

#[tokio::test]
async fn shells_are_told_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, error) = said(run(&["completions", shell], &[]).await);
        assert_eq!((code, error.as_str()), (0, ""), "{shell}");
        for word in ["publish", "disconnect", "api-key-file", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "cmd"], &[]).await.status.code(), Some(2));
}
