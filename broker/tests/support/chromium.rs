//! A real Chromium that a test sees and types into, over the protocol of its developer tools
//! (<https://chromedevtools.github.io/devtools-protocol/>).

use std::{process::Stdio, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tokio_tungstenite::WebSocketStream;
use tungstenite::Message;

use super::{eventually, within};

/// A page in a window of a browser; it ends with the test.
pub(crate) struct Browser {
    socket: WebSocketStream<TcpStream>,
    session: Value,
    last_id: u64,
    /// What the page's scripts complained of.
    complaints: Vec<String>,
    program: Arc<Program>,
}

/// A browser that runs, until its last page is dropped.
struct Program {
    /// Where its developer tools are: port and path.
    place: (String, String),
    _process: Child,
    _profile: TempDir,
}

impl Browser {
    /// Opens a page in a browser of its own.
    pub(crate) async fn open(url: &str) -> Self {
        let host = url.split('/').nth(2).and_then(|host| host.split(':').next()).unwrap_or_default();
        let profile = tempfile::tempdir().unwrap();
        let mut chromium = Command::new("chromium");
        chromium.arg("--headless").arg(format!("--user-data-dir={}", profile.path().display()));
        // The sandbox is not for root, nor for containers, and the only page is the test's own.
        chromium.args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        // It speaks to this machine and to nobody else.
        chromium.args(["--no-proxy-server", "--disable-background-networking", "--disable-component-update"]);
        chromium.args(["--disable-sync", "--disable-renderer-backgrounding"]);
        chromium.arg(format!("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {host}"));
        chromium.args(["--remote-debugging-port=0", "about:blank"]);
        chromium.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = chromium.spawn();
        let process = process.unwrap_or_else(|error| {
            panic!("cannot run chromium: {error}; install it: apt-get install chromium")
        });
        let place = within("chromium says where it listens", async {
            loop {
                let told =
                    std::fs::read_to_string(profile.path().join("DevToolsActivePort")).unwrap_or_default();
                if let Some((port, path)) = told.split_once('\n').filter(|(_, path)| !path.is_empty()) {
                    break (port.to_owned(), path.trim().to_owned());
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        let program = Program { place, _process: process, _profile: profile };
        Self::in_window_of(Arc::new(program), url).await
    }

    /// Opens another page in a window of the same browser.
    pub(crate) async fn another(&self, url: &str) -> Self {
        Self::in_window_of(self.program.clone(), url).await
    }

    async fn in_window_of(program: Arc<Program>, url: &str) -> Self {
        let (port, path) = &program.place;
        let address = format!("127.0.0.1:{port}");
        let stream = TcpStream::connect(&address).await.unwrap();
        let (socket, _) =
            tokio_tungstenite::client_async(format!("ws://{address}{path}"), stream).await.unwrap();
        let mut browser = Self {
            socket,
            session: Value::Null,
            last_id: 0,
            complaints: Vec::new(),
            program: program.clone(),
        };
        // A window of its own, for what is behind another one is not drawn.
        let wanted = json!({"url": "about:blank", "newWindow": true});
        let target = browser.call("Target.createTarget", wanted).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        browser.session = browser.call("Target.attachToTarget", attach).await["sessionId"].take();
        for domain in ["Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({})).await;
        }
        browser.goes_to(url).await;
        browser
    }

    /// Goes to a page in the same window.
    pub(crate) async fn goes_to(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        self.eventually("document.readyState === 'complete' && location.href !== 'about:blank'").await;
    }

    /// Looks as on a screen of this size, in dark colours or in light ones.
    pub(crate) async fn looks(&mut self, (width, height): (u32, u32), is_dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if is_dark { "dark" } else { "light" };
        // What changes by and by would be seen half changed.
        let still = json!({"name": "prefers-reduced-motion", "value": "reduce"});
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}, still]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Asks the developer tools.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        within(method, async {
            self.socket.send(Message::text(message.to_string())).await.unwrap();
            loop {
                let Message::Text(text) = self.socket.next().await.expect("chromium runs on").unwrap() else {
                    continue;
                };
                let mut answer: Value = serde_json::from_str(&text).unwrap();
                if answer["id"] == self.last_id {
                    assert!(answer.get("error").is_none(), "{method}: {answer}");
                    return answer["result"].take();
                }
                if answer["method"] == "Runtime.exceptionThrown"
                    || answer["method"] == "Log.entryAdded"
                        && answer["params"]["entry"]["source"] == "security"
                {
                    self.complaints.push(answer["params"].to_string());
                }
            }
        })
        .await
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", asked).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression in the page is true.
    pub(crate) async fn eventually(&mut self, expression: &str) {
        eventually(expression, async || self.value(expression).await == true).await;
    }

    /// Waits until the page shows a text.
    pub(crate) async fn sees(&mut self, text: &str) {
        self.eventually(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Types a text into what has the focus.
    pub(crate) async fn types(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Presses and releases a key: a space, `Enter`, `Tab`, `Escape`, and arrows, by their names.
    pub(crate) async fn presses(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            "Escape" => (27, ""),
            " " => (32, " "),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            other => panic!("no such key: {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Goes on with Tab until what has the focus is such an element.
    pub(crate) async fn tabs_to(&mut self, selector: &str) {
        let is_there = format!("document.activeElement.matches({})", json!(selector));
        for _ in 0..60 {
            if self.value(&is_there).await == true {
                return;
            }
            self.presses("Tab").await;
        }
        panic!("Tab does not lead to {selector}");
    }

    /// What the page's scripts threw, and what its policy kept from it.
    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }
}
