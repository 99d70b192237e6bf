//! Pages for people, in a browser: files that are in the program.
//!
//! A page holds no secret and says nothing of the installation but the API's path. It runs nothing, shows nothing and
//! asks nobody but what comes from the broker itself: its headers forbid the browser all else.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::config::Config;

mod admin;
mod board;
mod chat;
mod demo;
mod shared;

/// With every file: what the browser may do with it. The last asks each time whether a file has changed, which costs
/// an answer without a body, so that no page is put together from files of two versions.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-cache"),
];

/// A file of a page.
struct File {
    /// Where it is.
    path: &'static str,
    kind: Kind,
    body: Bytes,
}

#[derive(Clone, Copy)]
enum Kind {
    Html,
    Css,
    Script,
    Svg,
}

impl Kind {
    fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Css => "text/css; charset=utf-8",
            Self::Script => "text/javascript; charset=utf-8",
            Self::Svg => "image/svg+xml",
        }
    }
}

impl File {
    const fn embedded(path: &'static str, kind: Kind, text: &'static str) -> Self {
        Self { path, kind, body: Bytes::from_static(text.as_bytes()) }
    }

    /// The headers, and the tag of what is in it.
    fn head(&self) -> (HeaderMap, HeaderValue) {
        let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(&self.body)[..12]);
        let tag = HeaderValue::try_from(format!("\"{digest}\"")).expect("a tag is letters and digits");
        let mut headers: HeaderMap =
            HEADERS.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind.content_type()));
        headers.insert(header::ETAG, tag.clone());
        (headers, tag)
    }
}

/// The pages that are switched on.
pub(crate) fn router(config: &Config) -> Router {
    let mut files = Vec::new();
    if config.pages.admin {
        files.extend(admin::files(&config.endpoints.http.path));
    }
    let endpoints = &config.endpoints;
    if config.pages.demo {
        files.extend(demo::files());
    }
    if config.pages.demo && endpoints.socketio.enabled {
        files.extend(chat::files(&endpoints.socketio));
    }
    if config.pages.demo && endpoints.presence.enabled {
        files.extend(board::files(&endpoints.presence));
    }
    if !files.is_empty() {
        files.extend(shared::files());
    }
    files.into_iter().fold(Router::new(), |router, file| {
        let (headers, tag) = file.head();
        let body = file.body;
        let answer = async move |asked: HeaderMap| answer(&asked, headers, &tag, body);
        router.route(file.path, get(answer))
    })
}

fn answer(asked: &HeaderMap, headers: HeaderMap, tag: &HeaderValue, body: Bytes) -> Response {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|tags| {
        let mut tags = tags.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        tags.any(|known| known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
    });
    match known {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, body).into_response(),
    }
}
