//! What browsers ask for before they let a page see anything.

use tokio::net::TcpStream;

use super::ON;
use crate::support::{
    Broker, OPEN,
    sse::{Listener, PATH},
};

const PAGE: &str = "Origin: https://app.example\r\n";

async fn ask(broker: &Broker, method: &str, headers: &str) -> Listener {
    let stream = TcpStream::connect(broker.client_address).await.unwrap();
    Listener::open_on(stream, method, PATH, headers, b"").await
}

#[tokio::test]
async fn an_allowed_page_may_see_the_stream_and_no_other_page_connects() {
    let yaml = format!("{OPEN}{ON}client: {{allowed_origins: [\"https://app.example\"]}}\n");
    let broker = Broker::start(&yaml).await;
    let mut listener = ask(&broker, "GET", PAGE).await;
    assert_eq!(listener.status, 200);
    assert_eq!(listener.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(listener.header("vary"), Some("origin, accept-encoding"));
    assert!(listener.event().await.data["connect"].is_object());

    let mut refused = ask(&broker, "GET", "Origin: https://evil.example\r\n").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("access-control-allow-origin"), None);
    assert!(refused.body().await.contains("client.allowed_origins"));
    assert_eq!(broker.rejected("origin").await, 1);

    // Who is no browser is not asked where it comes from.
    let other = ask(&broker, "GET", "").await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn a_refusal_can_be_read_by_the_page_too() {
    let broker = Broker::start(&format!("{ON}client: {{allowed_origins: [\"*\"]}}\n")).await;
    let mut listener = ask(&broker, "GET", PAGE).await;
    assert_eq!(listener.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(listener.end().await.0, 3507);
}

#[tokio::test]
async fn a_page_may_ask_whether_it_may_post() {
    let yaml = format!("{OPEN}{ON}client: {{allowed_origins: [\"https://*.example\"]}}\n");
    let broker = Broker::start(&yaml).await;
    let wishes = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n";
    let answer = ask(&broker, "OPTIONS", &format!("{PAGE}{wishes}")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("get, post"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("content-type"));
    let refused = ask(&broker, "OPTIONS", &format!("Origin: https://evil.test\r\n{wishes}")).await;
    assert_eq!(refused.status, 403);
}
