//! `broker drain`: asks a broker on its admin port to drain, and waits for the answer.
//!
//! One request on one connection needs no HTTP library, and the command must work when little else does.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::answer::Answer;

/// How long a broker on this machine may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Answers are short; what follows is not read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Drains the broker at `admin`, says how it went, and ends no sooner than `linger` after the start.
#[allow(clippy::print_stdout, reason = "this is the command's output")]
pub(super) fn main(admin: &str, linger: Duration) -> ExitCode {
    let begun = Instant::now();
    match drain(admin) {
        Ok(()) => {
            println!("drained");
            std::thread::sleep(linger.saturating_sub(begun.elapsed()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot drain the broker at {admin}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn drain(admin: &str) -> anyhow::Result<()> {
    let authority = authority(admin)?;
    let mut connection = connect(authority)?;
    let request = format!(
        "POST /drain HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).context("sending the request failed")?;
    // No time limit: the answer comes when the drain is done, and how long that may take is the broker's to say.
    let answer = read_answer(&mut connection).context("waiting for the answer failed")?;
    let Some(answer) = Answer::parse(&answer) else {
        bail!("it closed the connection before it said that the drain was done");
    };
    ensure!((200..300).contains(&answer.status), "it answered {} {}", answer.status, answer.text().trim());
    Ok(())
}

/// `host:port` of an `http://` URL.
fn authority(url: &str) -> anyhow::Result<&str> {
    let example = "write it like http://127.0.0.1:9000";
    let Some(rest) = url.strip_prefix("http://") else {
        bail!("{url:?} is not a URL that starts with http://; {example}");
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let port = authority.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
    ensure!(
        matches!(port, Some((false, Ok(1..)))) && !authority.contains(['/', '?', '#', '@', ' ', '\r', '\n']),
        "{url:?} is not a host and a port; {example}"
    );
    Ok(authority)
}

fn connect(authority: &str) -> anyhow::Result<TcpStream> {
    let addresses = authority.to_socket_addrs().context("its name is not known")?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(connection) => return Ok(connection),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error).context("is a broker running there? connecting failed"),
        None => bail!("its name has no address"),
    }
}

/// Reads until the answer is whole. A broker that ends right after it may cut the connection off.
fn read_answer(connection: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while answer.len() < LONGEST_ANSWER && !Answer::parse(&answer).is_some_and(|answer| answer.whole) {
        match connection.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) if Answer::parse(&answer).is_some() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::TcpListener;
    use std::thread;

    /// Drains a broker that gives this answer.
    fn drain_with(answer: &'static str) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let broker = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 512];
            while !request.ends_with(b"\r\n\r\n") {
                let n = connection.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..n]);
            }
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let result = drain(&url);
        let request = broker.join().unwrap();
        assert!(request.starts_with("POST /drain HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        result
    }

    #[test]
    fn succeeds_when_the_broker_has_drained() {
        drain_with("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        drain_with("HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    }

    #[test]
    fn fails_with_what_the_broker_answers() {
        let error = drain_with("HTTP/1.1 404 Not Found\r\ncontent-length: 8\r\n\r\nno such\n").unwrap_err();
        assert_eq!(error.to_string(), "it answered 404 no such");
    }

    #[test]
    fn fails_when_the_broker_goes_without_an_answer() {
        for answer in ["", "HTTP/1.1 200 OK\r\n"] {
            let error = drain_with(answer).unwrap_err();
            assert!(error.to_string().starts_with("it closed the connection"), "{error}");
        }
    }

    #[test]
    fn fails_when_nobody_is_there() {
        // Bound and dropped again: the port is free.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = drain(&format!("http://{address}")).unwrap_err();
        assert!(format!("{error:#}").contains("is a broker running there?"), "{error:#}");
    }

    #[test]
    fn only_plain_http_urls() {
        assert_eq!(authority("http://127.0.0.1:9000").unwrap(), "127.0.0.1:9000");
        assert_eq!(authority("http://[::1]:9000/").unwrap(), "[::1]:9000");
        for bad in [
            "",
            "127.0.0.1:9000",
            "https://a:1",
            "http://",
            "http://a",
            "http://a:0",
            "http://:1",
            "http://a:1/b",
        ] {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_url_panics(url: String) {
            let _ = authority(&url);
        }
    }
}
