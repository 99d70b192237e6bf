//! The pages for people: where they are, what browsers may do with them, and what they refer to.

use std::collections::BTreeSet;

use crate::support::{Broker, OPEN, Response, request};

mod demo;

const ADMIN: &str = "pages: {admin: true}\n";

/// Every page.
const ALL: &str =
    "pages: {admin: true, demo: true}\nendpoints: {socketio: {enabled: true}, presence: {enabled: true}}\n";
const PAGES: [&str; 3] = ["/admin", "/demo/chat", "/demo/board"];

async fn get(broker: &Broker, path: &str, headers: &str) -> Response {
    request(broker.client_address, "GET", path, headers, b"").await
}

/// What a file refers to: what stands in `src` and `href`, and what is imported.
fn references(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (before, after) in [
        ("src=\"", '"'),
        ("href=\"", '"'),
        ("from '", '\''),
        ("import('", '\''),
        ("import '", '\''),
        ("url(", ')'),
    ] {
        for rest in text.split(before).skip(1) {
            found.insert(rest.split(after).next().unwrap().to_owned());
        }
    }
    found
}

/// Where a reference in the file at this path leads.
fn target(at: &str, reference: &str) -> String {
    match reference.strip_prefix("./") {
        Some(beside) => format!("{}/{beside}", at.rsplit_once('/').unwrap().0),
        None => reference.to_owned(),
    }
}

/// All files of these pages: themselves, and whatever one of them refers to.
async fn files(broker: &Broker, pages: &[&str]) -> Vec<(String, Response)> {
    let mut left: Vec<_> = pages.iter().map(|page| (*page).to_owned()).collect();
    let mut seen: BTreeSet<_> = left.iter().cloned().collect();
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        let answer = get(broker, &path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        // A file of others is known by its digest; it is one whole.
        let ours = if path.contains("/vendor/") { "" } else { &*answer.body };
        for reference in references(ours) {
            let path = target(&path, &reference);
            if seen.insert(path.clone()) {
                left.push(path);
            }
        }
        found.push((path, answer));
    }
    found
}

#[tokio::test]
async fn no_page_is_there_unless_it_is_switched_on() {
    let broker = Broker::start(OPEN).await;
    for path in ["/admin", "/pages/style.css", "/pages/admin/page.js", "/demo/chat", "/demo/board"] {
        assert_eq!(get(&broker, path, "").await.status, 404, "{path}");
    }
    let broker = Broker::start(&format!("{OPEN}{ADMIN}")).await;
    assert_eq!(get(&broker, "/admin", "").await.status, 200);
    assert_eq!(
        request(broker.admin_address, "GET", "/admin", "", b"").await.status,
        404,
        "for the clients' port"
    );
    assert_eq!(request(broker.client_address, "POST", "/admin", "", b"").await.status, 405);
}

#[tokio::test]
async fn a_page_is_made_of_files_of_the_broker_and_of_nothing_else() {
    let broker = Broker::start(&format!("{OPEN}{ALL}")).await;
    let files = files(&broker, &PAGES).await;
    assert!(files.len() >= 12, "{} files", files.len());
    for (path, answer) in files.iter().filter(|(path, _)| !path.contains("/vendor/")) {
        for elsewhere in ["https:", "http:", "//cdn", "\"//", "'//", "url("] {
            // The name of SVG is no address.
            let text = answer.body.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(elsewhere), "{path} names something elsewhere: {elsewhere}");
        }
        for inline in ["<style", " style=\"", " onclick", "javascript:", "eval("] {
            assert!(!answer.body.contains(inline), "{path} has what its policy forbids: {inline}");
        }
    }
}

#[tokio::test]
async fn browsers_are_told_what_a_page_may_do() {
    let broker = Broker::start(&format!("{OPEN}{ALL}")).await;
    for (path, answer) in files(&broker, &PAGES).await {
        let policy = answer.header("content-security-policy").unwrap();
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        let kind = match path.rsplit_once('.') {
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
}

#[tokio::test]
async fn a_file_that_a_browser_has_is_not_sent_again() {
    let broker = Broker::start(&format!("{OPEN}{ADMIN}")).await;
    let whole = get(&broker, "/pages/style.css", "").await;
    let tag = whole.header("etag").unwrap();
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let answer = get(&broker, "/pages/style.css", &format!("If-None-Match: {known}\r\n")).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), Some(tag));
    }
    let other = get(&broker, "/pages/style.css", "If-None-Match: \"other\"\r\n").await;
    assert_eq!((other.status, other.body), (200, whole.body.clone()));
    assert_ne!(get(&broker, "/pages/dom.js", "").await.header("etag"), Some(tag));
}

#[tokio::test]
async fn a_page_tells_nothing_of_the_installation_but_the_path_of_the_api() {
    let yaml =
        format!("{OPEN}{ADMIN}instance: {{id: chat-7}}\nendpoints: {{http: {{path: \"/a<'\\\"&b\"}}}}\n");
    let broker = Broker::start(&yaml).await;
    for (path, answer) in files(&broker, &["/admin"]).await {
        assert!(!answer.body.contains("chat-7") && !answer.body.contains("key-of-the-tests"), "{path}");
    }
    let settings = get(&broker, "/pages/admin/settings.js", "").await.body;
    assert_eq!(settings, "export const api = \"/a<'\\\"&b\";\n", "a text, whatever is in it");
}
