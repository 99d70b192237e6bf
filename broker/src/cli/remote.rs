//! A running broker's server API, as commands call it.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{address::Address, answer::Answer};
use crate::config::Secret;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// More than the longest page of clients.
const LONGEST_ANSWER: u64 = 64 << 20;

/// Which broker is spoken to.
#[derive(clap::Args)]
pub(super) struct Where {
    /// The broker's client address, or what stands in front of it.
    #[arg(
        long,
        value_name = "URL",
        env = "SWITCHBOARD_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8000"
    )]
    url: String,
}

impl Where {
    /// The URL, read.
    pub(super) fn address(&self) -> anyhow::Result<Address> {
        Address::parse(&self.url).context("--url or SWITCHBOARD_URL")
    }
}

/// Which broker's server API is called, and with which key.
#[derive(clap::Args)]
pub(super) struct Remote {
    #[command(flatten)]
    place: Where,
    /// One of the broker's auth.api_keys. Others on this machine can see arguments: prefer the variable, or
    /// --api-key-file.
    #[arg(long, value_name = "KEY", env = "SWITCHBOARD_API_KEY", hide_env_values = true)]
    api_key: Option<Secret>,
    /// A file with the key; it wins over the other two.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// The path of the server API: the broker's endpoints.http.path.
    #[arg(long, value_name = "PATH", default_value = "/api")]
    api_path: String,
}

/// A server API to call.
pub(super) struct Api {
    address: Address,
    path: String,
    key: Option<Secret>,
}

/// The body of an answer with status 200.
#[derive(Deserialize)]
struct Reply {
    result: Option<Value>,
    error: Option<Refusal>,
}

/// An error of the protocol.
#[derive(Deserialize)]
pub(super) struct Refusal {
    code: u32,
    message: String,
}

impl Remote {
    /// The key, read, and the address.
    pub(super) fn api(self) -> anyhow::Result<Api> {
        let key = match &self.api_key_file {
            Some(file) => Some(
                Secret::read(file)
                    .map_err(|error| anyhow!("--api-key-file: cannot read {}: {error}", file.display()))?,
            ),
            None => self.api_key.filter(|key| !key.expose().is_empty()),
        };
        if let Some(key) = &key {
            let plain = key.expose().chars().all(|c| c.is_ascii_graphic());
            ensure!(
                plain,
                "the API key has spaces or characters that no header can carry; give one of auth.api_keys"
            );
        }
        Ok(Api { address: self.place.address()?, path: self.api_path, key })
    }
}

impl Api {
    /// Calls a method and gives back its result.
    pub(super) async fn call(&self, method: &str, body: &impl Serialize) -> anyhow::Result<Value> {
        let path = format!("{}/{method}", self.path.trim_matches('/'));
        let asked = || self.address.url(&path);
        let body = serde_json::to_vec(body).context("the request cannot be written")?;
        let mut connection = self.address.connect().await.with_context(asked)?;
        let key = self.key.as_ref().map(|key| format!("X-API-Key: {}\r\n", key.expose()));
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{}\r\n",
            self.address.path(&path),
            self.address.authority(),
            body.len(),
            key.unwrap_or_default(),
        );
        let mut bytes = Vec::new();
        let exchange = async {
            // A server that refuses a large body answers before it has read all of it.
            let sent = connection.write_all(&[head.as_bytes(), &body].concat()).await;
            let read = (&mut connection).take(LONGEST_ANSWER).read_to_end(&mut bytes).await;
            // TLS of some servers ends without saying so; whether all is there is in the head.
            if bytes.is_empty() {
                sent.and(read.map(drop))?;
            }
            std::io::Result::Ok(())
        };
        let exchanged = timeout(ANSWER, exchange).await;
        let exchanged = exchanged.map_err(|_| anyhow!("no answer within {ANSWER:?}")).with_context(asked)?;
        exchanged.context("waiting for the answer failed").with_context(asked)?;
        self.read(&bytes).with_context(asked)
    }

    fn read(&self, bytes: &[u8]) -> anyhow::Result<Value> {
        let Some(answer) = Answer::parse(bytes) else {
            bail!("it closed the connection without an answer of HTTP\nis it a broker's client port?");
        };
        let said = answer.text();
        let said = said.lines().next().unwrap_or_default().trim();
        match answer.status {
            200 => {}
            401 => {
                let key =
                    if self.key.is_some() { "the API key is not known" } else { "an API key is needed" };
                bail!(
                    "it answered 401: {key}\ngive one of auth.api_keys with --api-key-file or SWITCHBOARD_API_KEY"
                );
            }
            404 => bail!(
                "it answered 404\nis the server API there? See --api-path, and endpoints.http of the broker's configuration"
            ),
            status => bail!("it answered {status} {said}"),
        }
        ensure!(answer.whole, "the connection ended in the middle of the answer");
        let reply: Reply = serde_json::from_slice(answer.body()).map_err(|_| {
            anyhow!("the answer is not a broker's\nis it a broker's client port? See --api-path")
        })?;
        match reply {
            Reply { error: Some(error), .. } => bail!("{}", error.explain()),
            Reply { result: Some(result), .. } => Ok(result),
            _ => bail!("the answer has neither a result nor an error\nis it a broker's client port?"),
        }
    }
}

impl Refusal {
    /// What the broker says, and what to do.
    pub(super) fn explain(&self) -> String {
        let hint = match self.code {
            100 => "\ntry again: not all of the cluster was within reach",
            102 => "\nconfigure the namespace under channels.namespaces, or mend the channel's name",
            103 => "\nthe rules of the channel's namespace (channels.namespaces) do not allow it",
            109 => "\nbring a new token with --token-file",
            _ => "",
        };
        format!("it refused with error {}: {}{hint}", self.code, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: &str, body: &str) -> Result<String, String> {
        let api = Api { address: Address::parse("http://a").unwrap(), path: "/api".into(), key: None };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        api.read(answer.as_bytes()).map(|value| value.to_string()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn an_answer_is_a_result_or_says_what_to_do() {
        assert_eq!(read("200 OK", r#"{"result":{"a":1}}"#), Ok(r#"{"a":1}"#.into()));
        for (status, body, says) in [
            (
                "200 OK",
                r#"{"error":{"code":102,"message":"unknown channel"}}"#,
                "it refused with error 102: unknown channel\nconfigure",
            ),
            ("200 OK", "<html>", "the answer is not a broker's\n"),
            ("200 OK", "{}", "neither a result nor an error\n"),
            ("401 Unauthorized", "", "an API key is needed\ngive one of auth.api_keys with --api-key-file"),
            ("404 Not Found", "", "is the server API there?"),
            ("502 Bad Gateway", "upstream\nx", "it answered 502 upstream"),
        ] {
            let error = read(status, body).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
