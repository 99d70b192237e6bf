//! Requests to one pod or Service, over a connection each.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The JSON that is found at a path.
pub async fn get(address: SocketAddr, path: &str) -> Result<Value> {
    json(&text(address, path).await?).with_context(|| format!("GET http://{address}{path}"))
}

/// The text that is found at a path.
pub async fn text(address: SocketAddr, path: &str) -> Result<String> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(address, head).await.with_context(|| format!("GET http://{address}{path}"))
}

/// The JSON answer to a method of the server API.
pub async fn call(address: SocketAddr, method: &str, key: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let request = format!(
        "POST /api/{method} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-API-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(address, request).await.and_then(|body| json(&body));
    answer.with_context(|| format!("POST http://{address}/api/{method}"))
}

async fn exchange(address: SocketAddr, request: String) -> Result<String> {
    let answer = timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8(answer)?)
    });
    let answer = answer.await.context("no answer in time")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no head")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "the answer is {answer}");
    Ok(body.to_owned())
}

fn json(body: &str) -> Result<Value> {
    serde_json::from_str(body).with_context(|| format!("the answer is no JSON: {body}"))
}
