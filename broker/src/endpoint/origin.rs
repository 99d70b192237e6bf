//! Which pages a browser may connect from.

use axum::http::{HeaderMap, header};

/// Whether a request's origin is allowed. Only browsers send an origin; nobody else is asked for one.
/// Without configured origins the page must come from the host that it connects to.
pub fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.is_empty() {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        return authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host));
    }
    allowed.iter().any(|pattern| crate::pattern::matches(&pattern.to_lowercase(), &origin.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: Option<&str>, allowed: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "chat.example.org:8000".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_allowed(&headers, &allowed.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn by_default_only_pages_of_the_same_host() {
        assert!(allowed(None, &[]), "not a browser");
        assert!(allowed(Some("http://chat.example.org:8000"), &[]));
        assert!(!allowed(Some("http://chat.example.org"), &[]));
        assert!(!allowed(Some("null"), &[]));
    }

    #[test]
    fn configured_origins_may_have_stars() {
        assert!(allowed(Some("https://anything.test"), &["*"]));
        assert!(allowed(Some("https://App.example.org"), &["https://*.example.org"]));
        assert!(!allowed(Some("https://example.com"), &["https://*.example.org"]));
    }
}
