//! Rules of webhooks: those of `spec.logic` and of `spec.hooks`.

use super::{IS_DURATION, NOT_A_SIZE, rule, rule_on_value};
use kube::core::Rule;

/// None of the URL's rules repeats the URL in its message: it may hold a password.
pub(in crate::crd) fn url_scheme() -> Rule {
    rule(
        "self.startsWith('http://') || self.startsWith('https://')",
        "url must begin with http:// or https://, for example http://127.0.0.1:7000/messages",
    )
}

pub(in crate::crd) fn url_without_credentials() -> Rule {
    rule(
        "!self.matches('^[^/]*//[^/?#]*@')",
        "url must not contain a user name or password, which are not sent: name a secret in secretRef, and let the \
         receiver check the signature",
    )
}

/// Silent where one of the two rules above speaks.
pub(in crate::crd) fn url_form() -> Rule {
    rule(
        "!self.matches('^https?://') || self.matches('^[^/]*//[^/?#]*@') || \
         self.matches('^https?://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|\
         65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[A-Za-z0-9._~%!$&()*+,;=:@/-]*)?(\\\\?[A-Za-z0-9._~%!$&()*+,;=:@/?-]*)?$')",
        "url must be http://host:port/path or https://host/path, the port from 1 to 65535, for example \
         http://127.0.0.1:7000/messages",
    )
}

/// Silent where the rule of the field speaks.
pub(in crate::crd) fn batch_wait() -> Rule {
    rule(
        "!has(self.batchWait) || self.batch > 1",
        "batchWait does nothing while batch is 1: write a larger batch, for example batch: 100, or leave batchWait out",
    )
}

/// Stands at the module or hook, which has the time limit. Silent where the rule of one of the two fields speaks.
pub(in crate::crd) fn waits_within_the_limit() -> Rule {
    let is_duration = |field: &str| IS_DURATION.replace("self", field);
    rule(
        &format!(
            "!has(self.webhook) || !has(self.webhook.batchWait) || !({}) || !({}) || \
             duration(self.webhook.batchWait) < duration(self.timeLimit)",
            is_duration("self.webhook.batchWait"),
            is_duration("self.timeLimit")
        ),
        "webhook.batchWait must be less than timeLimit, or nothing is ever sent in time: write for example \
         batchWait: 5ms and timeLimit: 10s",
    )
}

/// Quantities have no bound on their length that the API server knows, and a list of them would cost more than it allows:
/// this one is a short text.
pub(in crate::crd) fn response_size() -> Rule {
    rule_on_value("self.matches('^[1-9][0-9]{0,11}([kMG]|[KMG]i)?$')", NOT_A_SIZE)
}

/// Silent where there is no URL.
pub(in crate::crd) fn ca() -> Rule {
    rule(
        "!has(self.caRef) || !has(self.url) || self.url.startsWith('https://')",
        "caRef is for https:// only: write such a url, or leave caRef out",
    )
}
