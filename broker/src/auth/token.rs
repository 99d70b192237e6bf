//! JSON Web Tokens, with the claims that Centrifuge's clients and their backends use.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;

use super::{AuthError, Grant, Identity, KeySet, signed};
use crate::config::Jwt;

/// Verifies tokens: that one of the keys has signed them, and what they say.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) keys: KeySet,
    audience: Option<String>,
    issuer: Option<String>,
}

/// The claims that every token may have; others are passed over.
#[derive(Deserialize)]
struct Claims {
    /// The user; absent for an anonymous one.
    #[serde(default)]
    sub: String,
    #[serde(default)]
    exp: Option<Time>,
    #[serde(default)]
    nbf: Option<Time>,
    #[serde(default)]
    aud: Option<Audience>,
    #[serde(default)]
    iss: Option<String>,
    /// When the connection or subscription ends, if not with the token; 0: never.
    #[serde(default)]
    expire_at: Option<Time>,
    #[serde(default)]
    info: Option<Box<RawValue>>,
    /// Of a subscription token: the channel that it is for.
    #[serde(default)]
    channel: String,
    /// Of a subscription token: the only connection that may use it, if given.
    #[serde(default)]
    client: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Seconds since 1970; the standard allows fractions, and nothing before 1970 matters to us.
#[derive(Clone, Copy)]
struct Time(u64);

impl Verifier {
    pub(super) fn new(jwt: &Jwt, keys: KeySet) -> Self {
        Self { keys, audience: jwt.audience.clone(), issuer: jwt.issuer.clone() }
    }

    pub(super) fn connect(&self, token: &str, now: u64) -> Result<Identity, AuthError> {
        let claims = self.decode(token)?;
        let expires_at = self.check(&claims, now)?;
        Ok(Identity { user: claims.sub, info: one_line(claims.info), expires_at })
    }

    pub(super) fn subscribe(
        &self,
        token: &str,
        channel: &str,
        client: &str,
        user: &str,
        now: u64,
    ) -> Result<Grant, AuthError> {
        let claims = self.decode(token)?;
        if claims.channel.is_empty() || claims.channel != channel {
            return Err(AuthError::Invalid("it is for another channel"));
        }
        if claims.sub != user {
            return Err(AuthError::Invalid("it is for another user"));
        }
        if !claims.client.is_empty() && claims.client != client {
            return Err(AuthError::Invalid("it is for another client"));
        }
        let expires_at = self.check(&claims, now)?;
        Ok(Grant { info: one_line(claims.info), expires_at })
    }

    /// The claims of a token whose signature is ours.
    fn decode(&self, token: &str) -> Result<Claims, AuthError> {
        let payload = signed::payload(token, &self.keys)?;
        serde_json::from_slice(&payload).map_err(|_| AuthError::Invalid("its claims cannot be read"))
    }

    /// Audience and issuer before the time: a token for somebody else gets no better by being renewed.
    fn check(&self, claims: &Claims, now: u64) -> Result<Option<u64>, AuthError> {
        if let Some(audience) = &self.audience {
            let named = match &claims.aud {
                Some(Audience::One(one)) => one == audience,
                Some(Audience::Many(many)) => many.contains(audience),
                None => false,
            };
            if !named {
                return Err(AuthError::Invalid("it is for another audience"));
            }
        }
        if self.issuer.is_some() && claims.iss != self.issuer {
            return Err(AuthError::Invalid("it is of another issuer"));
        }
        let end = match claims.expire_at {
            Some(Time(0)) => None,
            Some(Time(end)) => Some(end),
            None => claims.exp.map(|exp| exp.0),
        };
        let over = |time: Option<u64>| time.is_some_and(|time| time <= now);
        let early = claims.nbf.is_some_and(|nbf| nbf.0 > now);
        if early || over(claims.exp.map(|exp| exp.0)) || over(end) {
            return Err(AuthError::Expired);
        }
        Ok(end)
    }
}

/// Line ends separate messages on the wire. In valid JSON they stand between tokens only, so they can go.
fn one_line(info: Option<Box<RawValue>>) -> Option<Bytes> {
    let text = Box::<str>::from(info?);
    if text.contains(['\n', '\r']) {
        return Some(Bytes::from(text.replace(['\n', '\r'], "")));
    }
    Some(Bytes::from(text.into_string()))
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds")
            }
            fn visit_u64<E>(self, seconds: u64) -> Result<Time, E> {
                Ok(Time(seconds))
            }
            // A negative time is 1, long over, and not 0, which means "never" in `expire_at`.
            fn visit_i64<E>(self, _: i64) -> Result<Time, E> {
                Ok(Time(1))
            }
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Time, E> {
                // The cast keeps to the bounds of u64 by itself.
                Ok(Time(seconds.max(1.0) as u64))
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

#[cfg(test)]
mod tests;
