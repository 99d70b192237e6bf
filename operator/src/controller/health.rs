//! What the brokers say of themselves, asked on their admin port within a bounded time.

use futures_util::{StreamExt, stream};
use hyper::{
    Request,
    body::{Body, Bytes},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// How long one broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many are asked at once for one cluster.
const CONCURRENCY: usize = 32;
/// How long all brokers of one cluster may take, however many there are: reconciling waits for it.
const ALL_WITHIN: Duration = Duration::from_secs(4);
/// How long an answer stands, so that a burst of reconciles asks once.
const FRESH: Duration = Duration::from_secs(2);
/// No honest answer is longer: it names the other instances that were heard, of which there are a thousand at most.
const MAX_BODY: usize = 256 * 1024;

/// A broker's `/healthz`, as far as the operator reads it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Its instance ID.
    pub instance: String,
    /// Which start of it, in hexadecimal.
    pub epoch: String,
    /// Clients connected.
    pub connections: i64,
    /// Its Redis.
    pub redis: RedisReport,
}

/// The part about Redis.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RedisReport {
    /// Whether the broker is connected to it.
    pub connected: bool,
    /// The last round trip of a probe that the broker published to itself.
    pub probe_ms: Option<f64>,
    /// The addresses (`INSTANCE/EPOCH`) of the other instances whose hello it heard lately; nothing from a broker that
    /// does not say.
    pub heard: Option<HashSet<String>>,
}

impl Report {
    /// Whether its probe comes back to it.
    pub fn hears_itself(&self) -> bool {
        self.redis.connected && self.redis.probe_ms.is_some()
    }

    /// Its address, if it says whom it hears and so says hello itself.
    pub fn speaker(&self) -> Option<String> {
        self.redis.heard.is_some().then(|| format!("{}/{}", self.instance, self.epoch))
    }

    /// Whether a hello from the address reached it; also when it does not say.
    pub fn hears(&self, speaker: &str) -> bool {
        self.redis.heard.as_ref().is_none_or(|heard| heard.contains(speaker))
    }
}

/// Asks brokers, and remembers their answers for a moment.
pub struct Health {
    port: u16,
    /// By who was asked: when one of them is new, what the others said before it came says nothing of it.
    answers: Mutex<HashMap<Vec<Instance>, (Instant, Reports)>>,
}

/// An instance ID and where it is.
type Instance = (String, IpAddr);

/// What instances said, by instance ID.
type Reports = BTreeMap<String, Report>;

impl Health {
    /// Asks on this port.
    pub fn new(port: u16) -> Self {
        Self { port, answers: Mutex::default() }
    }

    /// The reports of all instances that answered in time.
    pub async fn ask(&self, instances: Vec<Instance>) -> Reports {
        if let Some((when, reports)) = self.answers.lock().get(&instances)
            && when.elapsed() < FRESH
        {
            return reports.clone();
        }
        let mut reports = Reports::new();
        let mut asked = stream::iter(instances.clone())
            .map(|(id, ip)| async move { Some((id, self.one(ip).await?)) })
            .buffer_unordered(CONCURRENCY);
        // Those that answered in time count, also when others do not.
        let _ = tokio::time::timeout(ALL_WITHIN, async {
            while let Some(answer) = asked.next().await {
                reports.extend(answer);
            }
        })
        .await;
        drop(asked);
        let mut answers = self.answers.lock();
        answers.retain(|_, (when, _)| when.elapsed() < FRESH);
        answers.insert(instances, (Instant::now(), reports.clone()));
        reports
    }

    async fn one(&self, ip: IpAddr) -> Option<Report> {
        let answer = tokio::time::timeout(TIMEOUT, fetch(SocketAddr::new(ip, self.port))).await;
        match answer {
            Ok(Ok(report)) => Some(report),
            Ok(Err(error)) => {
                tracing::debug!(%ip, %error, "a broker did not answer on its admin port");
                None
            }
            Err(_) => {
                tracing::debug!(%ip, "a broker did not answer on its admin port in time");
                None
            }
        }
    }
}

async fn fetch(address: SocketAddr) -> anyhow::Result<Report> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/healthz").header(hyper::header::HOST, address.to_string());
    let exchange = async move {
        let mut body = sender.send_request(request.body(Empty)?).await?.into_body();
        let mut bytes = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await
        {
            if let Ok(data) = frame?.into_data() {
                bytes.extend_from_slice(&data);
            }
            anyhow::ensure!(bytes.len() <= MAX_BODY, "the answer is longer than {MAX_BODY} bytes");
        }
        // The status is no matter: a broker that is draining or degraded says so in the body.
        Ok(serde_json::from_slice(&bytes)?)
    };
    // The connection ends by itself once the exchange has dropped its sender; an early end fails the exchange.
    tokio::join!(exchange, connection).0
}

/// A request without a body.
struct Empty;

impl Body for Empty {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Answers one request with these bytes.
    async fn broker(status: &str, body: &str) -> (Health, IpAddr) {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        (Health::new(address.port()), address.ip())
    }

    #[tokio::test]
    async fn a_broker_reports_its_connections_and_redis() {
        let body = r#"{"status":"degraded","connections":7,"redis":{"mode":"standalone","connected":false}}"#;
        let (health, ip) = broker("503 Service Unavailable", body).await;
        let reports = health.ask(vec![("chat-0".into(), ip)]).await;
        assert_eq!(reports["chat-0"].connections, 7);
        assert!(!reports["chat-0"].redis.connected);
        assert_eq!(health.ask(vec![("chat-0".into(), ip)]).await.len(), 1, "the answer stands for a moment");
    }

    #[tokio::test]
    async fn nonsense_and_silence_are_no_reports() {
        let (health, ip) = broker("200 OK", "oops").await;
        assert!(health.ask(vec![("chat-0".into(), ip)]).await.is_empty());
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(Health::new(closed.port()).ask(vec![("chat-0".into(), closed.ip())]).await.is_empty());
    }
}
