//! What a client shows to prove that it receives at its address, so that nobody can have the broker send anything
//! large to somebody else: as the cookies of DTLS (RFC 6347 §4.2.1) and QUIC's Retry (RFC 9000 §8.1.2). Making and
//! checking one takes no memory.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

/// How long a cookie is good at least; at most it is twice that long.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(60);

/// Bytes of the code that a cookie shows, each as two digits.
const BYTES: usize = 8;

/// Makes cookies and knows them again. The key is of this process: it is never shown, and ends with it.
pub(super) struct Cookies {
    key: hmac::Key,
}

impl Cookies {
    /// Cookies of a new key.
    pub(super) fn new() -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()) }
    }

    /// The cookie of an address, `since` the process started.
    pub(super) fn make(&self, address: SocketAddr, since: Duration) -> String {
        self.of_period(address, period(since))
    }

    /// Whether this is a cookie of the address that is not too old.
    pub(super) fn knows(&self, cookie: &str, address: SocketAddr, since: Duration) -> bool {
        let now = period(since);
        [Some(now), now.checked_sub(1)].into_iter().flatten().any(|period| {
            let good = self.of_period(address, period);
            good.as_bytes().ct_eq(cookie.as_bytes()).into()
        })
    }

    fn of_period(&self, address: SocketAddr, period: u64) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        // Each part has its own length, and the first says which lengths these are.
        match address {
            SocketAddr::V4(address) => {
                context.update(b"4");
                context.update(&address.ip().octets());
            }
            SocketAddr::V6(address) => {
                context.update(b"6");
                context.update(&address.ip().octets());
            }
        }
        context.update(&address.port().to_be_bytes());
        context.update(&period.to_be_bytes());
        context.sign().as_ref()[..BYTES].iter().fold(String::new(), |mut cookie, byte| {
            // Writing into memory cannot fail.
            let _ = write!(cookie, "{byte:02x}");
            cookie
        })
    }
}

fn period(since: Duration) -> u64 {
    since.as_secs() / GOOD_FOR.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn a_cookie_is_good_for_its_address_only() {
        let cookies = Cookies::new();
        let ann = address("10.0.0.1:4000");
        let cookie = cookies.make(ann, NOW);
        assert_eq!(cookie.len(), 2 * BYTES);
        assert!(cookies.knows(&cookie, ann, NOW));
        for other in ["10.0.0.1:4001", "10.0.0.2:4000", "[::1]:4000", "[::ffff:10.0.0.1]:4000"] {
            assert!(!cookies.knows(&cookie, address(other), NOW), "{other}");
        }
        assert!(!Cookies::new().knows(&cookie, ann, NOW), "another process has another key");
        let last = if cookie.ends_with('0') { "1" } else { "0" };
        let changed = format!("{}{last}", &cookie[..2 * BYTES - 1]);
        for wrong in ["", "0", &cookie[1..], &format!("{cookie}0"), &changed] {
            assert!(!cookies.knows(wrong, ann, NOW), "{wrong}");
        }
    }

    #[test]
    fn a_cookie_is_good_for_a_minute_and_not_for_much_longer() {
        let (cookies, ann) = (Cookies::new(), address("[2001:db8::1]:4000"));
        for start in [0, 1, 59, 60, 61, 119, 1_000] {
            let made = Duration::from_secs(start);
            let cookie = cookies.make(ann, made);
            assert!(cookies.knows(&cookie, ann, made + GOOD_FOR), "{start}");
            assert!(!cookies.knows(&cookie, ann, made + 2 * GOOD_FOR), "{start}");
        }
    }
}
