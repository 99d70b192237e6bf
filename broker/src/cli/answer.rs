//! An HTTP answer, as far as commands look at one: one request on one connection needs no HTTP library.

use std::borrow::Cow;

/// The status and the body.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    body: Cow<'a, [u8]>,
    /// Whether all of the announced body is here.
    pub(super) whole: bool,
}

impl<'a> Answer<'a> {
    /// Reads what has arrived so far; `None` until the head is complete.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let header = |wanted: &str| {
            lines.clone().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(wanted).then(|| value.trim())
            })
        };
        let body = &bytes[end + 4..];
        if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            let (body, whole) = unchunked(body);
            return Some(Self { status, body: Cow::Owned(body), whole });
        }
        let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
        let whole = length.is_some_and(|length| body.len() >= length);
        Some(Self { status, body: Cow::Borrowed(body), whole })
    }

    /// The body's bytes.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as one piece of text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// A body in chunks (RFC 9112, 7.1), put together; whether the last one is there.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok());
        rest = &rest[end + 2..];
        match size {
            Some(0) => return (body, true),
            Some(size) if rest.len() >= 2 && size <= rest.len() - 2 => {
                body.extend_from_slice(&rest[..size]);
                rest = &rest[size + 2..];
            }
            _ => return (body, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<(u16, String, bool)> {
        let answer = Answer::parse(text.as_bytes())?;
        Some((answer.status, answer.text().into_owned(), answer.whole))
    }

    #[test]
    fn a_body_is_whole_when_as_much_is_there_as_the_head_says() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(parsed(&head[..20]), None);
        assert_eq!(parsed(&format!("{head}ab")), Some((200, "ab".into(), false)));
        assert_eq!(parsed(&format!("{head}abc")), Some((200, "abc".into(), true)));
        assert_eq!(parsed("HTTP/1.1 204 No Content\r\n\r\n"), Some((204, String::new(), false)));
    }

    #[test]
    fn chunks_are_put_together() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let whole = format!("{head}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
        assert_eq!(parsed(&whole), Some((200, "abcde".into(), true)));
        let part = format!("{head}3\r\nabc\r\n5\r\nde");
        assert_eq!(parsed(&part), Some((200, "abc".into(), false)));
    }

    proptest! {
        #[test]
        fn no_answer_panics(answer: Vec<u8>, chunks: Vec<u8>) {
            let _ = Answer::parse(&answer);
            let _ = unchunked(&chunks);
        }
    }
}
