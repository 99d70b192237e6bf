//! A receiver of webhooks and hooks in the test's process, which answers as the test says.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    serve::{Listener, ListenerExt},
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    sync::Semaphore,
    task::JoinHandle,
};

use super::within;

/// One request as it came.
#[derive(Clone)]
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }
}

/// What a request is answered with.
#[derive(Clone)]
pub(crate) enum Answer {
    Json(Value),
    Status(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Each message with its own data.
    Echo,
    /// Nothing, until [`Receiver::let_go`]; then as an echo.
    Wait,
    /// The same with this.
    Later(Value),
    /// Bytes without end.
    Endless,
}

/// A running receiver.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    server: JoinHandle<()>,
}

struct Inner {
    /// For the next requests; when none is left, [`Inner::then`].
    answers: Mutex<VecDeque<Answer>>,
    then: Mutex<Answer>,
    got: Mutex<Vec<Got>>,
    gate: Semaphore,
    connections: AtomicUsize,
}

impl Receiver {
    pub(crate) async fn start(then: Answer) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), then)
    }

    /// On any kind of listener.
    pub(crate) fn on<L>(listener: L, then: Answer) -> Self
    where
        L: Listener<Addr = SocketAddr>,
    {
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            answers: Mutex::default(),
            then: Mutex::new(then),
            got: Mutex::default(),
            gate: Semaphore::new(0),
            connections: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer).with_state(inner.clone());
        let counting = inner.clone();
        let listener = listener.tap_io(move |_| {
            counting.connections.fetch_add(1, Ordering::SeqCst);
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, server }
    }

    pub(crate) fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.inner.answers.lock().extend(answers);
    }

    pub(crate) fn always(&self, answer: Answer) {
        *self.inner.then.lock() = answer;
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.inner.got.lock().clone()
    }

    pub(crate) fn let_go(&self, requests: usize) {
        self.inner.gate.add_permits(requests);
    }

    pub(crate) fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let got = Got { headers, body };
    inner.got.lock().push(got.clone());
    let next = inner.answers.lock().pop_front();
    let echo = || {
        let messages = got.json()["messages"].as_array().unwrap().clone();
        let replies: Vec<Value> =
            messages.iter().map(|message| serde_json::json!({"data": message["data"]})).collect();
        axum::Json(serde_json::json!({"replies": replies})).into_response()
    };
    match next.unwrap_or_else(|| inner.then.lock().clone()) {
        Answer::Json(json) => axum::Json(json).into_response(),
        Answer::Status(status, headers, body) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
        Answer::Echo => echo(),
        Answer::Wait => {
            inner.gate.acquire().await.unwrap().forget();
            echo()
        }
        Answer::Later(json) => {
            inner.gate.acquire().await.unwrap().forget();
            axum::Json(json).into_response()
        }
        Answer::Endless => {
            let part = Bytes::from_static(&[b' '; 4096]);
            let parts = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(part.clone()));
            Response::new(Body::from_stream(parts))
        }
    }
}

/// The example receiver in Node.js under way, which ends with the test; and where it listens.
pub(crate) async fn example_receiver(secret: &str) -> (Child, SocketAddr) {
    let (child, address, _) = talking_receiver(secret).await;
    (child, address)
}

/// The same, with what it prints from then on.
pub(crate) async fn talking_receiver(secret: &str) -> (Child, SocketAddr, Lines<BufReader<ChildStdout>>) {
    let mut node = Command::new("node");
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/webhook/receiver.mjs"));
    node.envs([("PORT", "0"), ("WEBHOOK_SECRET", secret)]).kill_on_drop(true);
    node.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = node.spawn().unwrap_or_else(|error| {
        panic!("cannot run node: {error}; install it: apt-get install nodejs (version 20 or later)")
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = within("the receiver listens", lines.next_line()).await.unwrap().unwrap();
    let port: u16 = line.strip_prefix("listening on ").unwrap().parse().unwrap();
    (child, ([127, 0, 0, 1], port).into(), lines)
}
