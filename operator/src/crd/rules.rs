//! The rules that the API server checks, as CEL expressions with the message that a user reads.
//!
//! A rule's message names what to write instead. Rules over strings and lists need bounds (`maxLength`, `maxItems`) on
//! their fields, or the API server refuses the whole definition because it cannot bound a rule's cost.

use kube::core::{Message, Reason, Rule};

pub(super) mod auth;
pub(super) mod endpoints;
pub(super) mod hooks;
pub(super) mod logic;
pub(super) mod middleware;
pub(super) mod pages;
pub(super) mod presence;
pub(super) mod socketio;
pub(super) mod webhook;

/// The longest name of a BrokerCluster. Its Redis' StatefulSet is called `NAME-redis`, and Kubernetes labels that
/// one's pods with `NAME-redis-` and ten more characters, in 63 at most.
pub const MAX_NAME_LENGTH: usize = 45;

fn rule(expression: &str, message: &str) -> Rule {
    Rule::new(expression).message(message)
}

/// A rule whose message begins with the value.
fn rule_on_value(expression: &str, words: &str) -> Rule {
    rule_on("self", expression, words)
}

/// The API server does not show a message that has the end of a line in it, but the bare rule: the end of a line in a value
/// is told as it is written in quotes.
fn rule_on(text: &str, expression: &str, words: &str) -> Rule {
    let message = format!(r#""'" + {text}.replace("\n", "\\n") + "' {words}""#);
    Rule::new(expression).message(Message::Expression(message))
}

/// The schema of the whole object asks for nothing by itself.
pub(super) fn cluster_has_a_spec() -> Rule {
    rule(
        "has(self.spec)",
        "spec is missing: write what the cluster should be, for example \
         spec: {redis: {managed: {storage: {emptyDir: {}}}}}",
    )
    .reason(Reason::FieldValueRequired)
    .field_path(".spec")
}

/// Services are named after the cluster, and Service names are stricter than names of other objects.
pub(super) fn cluster_name() -> Rule {
    rule(
        &format!(
            "self.metadata.name.size() <= {MAX_NAME_LENGTH} && \
             self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
        ),
        "metadata.name must have at most 45 characters, begin with a lower-case letter, end with a letter or digit \
         and hold only lower-case letters, digits and '-', because Services are named after it; for example: chat",
    )
}

pub(super) fn replicas() -> Rule {
    rule("self >= 0", "replicas cannot be negative: write 0 to stop all instances, or how many should run")
}

/// For a field that holds a number of bytes.
pub(super) fn size() -> Rule {
    let is_size = format!("{IS_SIZE} && quantity(string(self)).isGreaterThan(quantity('0'))");
    rule_on("string(self)", &is_size, NOT_A_SIZE)
}

const IS_SIZE: &str = "isQuantity(string(self))";
const NOT_A_SIZE: &str =
    "is not a size: write a number of bytes above 0, or one with a unit such as 64Ki, 1Mi or 2Gi";

const IS_DURATION: &str = "self.matches('^[0-9]{1,6}(ms|s|m|h)$')";

/// For a duration as the broker reads it.
pub(super) fn duration() -> Rule {
    rule_on_value(
        &format!("{IS_DURATION} && !self.matches('^0+(ms|s|m|h)$')"),
        "is not a duration: write a whole number above 0, of six digits at most, and one of ms, s, m, h, for example \
         25s or 500ms",
    )
}

/// For how long history is kept: no longer than brokers can.
pub(super) fn history_ttl() -> Rule {
    rule_on_value(
        &format!("!{IS_DURATION} || duration(self) > duration('0s') && duration(self) <= duration('720h')"),
        "is no time that messages can be kept for: write at least 1ms and at most 720h, for example 10m",
    )
}

/// For a duration that may also be none at all.
pub(super) fn duration_or_none() -> Rule {
    rule_on_value(
        IS_DURATION,
        "is not a duration: write a whole number of six digits at most, and one of ms, s, m, h, for example 25s, or 0s \
         for none",
    )
}

/// Silent where the rules of one of the two fields speak.
pub(super) fn outbox_holds_a_message() -> Rule {
    let size = |field: &str| format!("string(self.{field})");
    let (outbox, message) = (size("outboxSize"), size("messageSize"));
    rule(
        &format!(
            "!isQuantity({outbox}) || !isQuantity({message}) || \
             quantity({outbox}).compareTo(quantity({message})) >= 0"
        ),
        "outboxSize is less than messageSize, so that a message might never be delivered: write at least as much, for \
         example messageSize: 64Ki and outboxSize: 1Mi",
    )
}

pub(super) fn namespace_names() -> Rule {
    rule(
        "self.all(n, self.exists_one(m, m.name == n.name))",
        "two namespaces have the same name: keep one of them (channels without a prefix belong to the namespace \
         with the empty name)",
    )
}

pub(super) fn namespace_name() -> Rule {
    rule_on_value(
        "self.matches('^[A-Za-z0-9_.-]*$')",
        "cannot name a namespace: use letters, digits, '_', '.' and '-'; the channel news:eu belongs to the namespace \
         news, so write news",
    )
}

/// Silent about a rate that is no limit and says nothing of a burst.
pub(super) fn burst_needs_a_rate() -> Rule {
    rule(
        "self.burst == 0 || self.perSecond > 0",
        "rate.burst means nothing without rate.perSecond: write both, for example perSecond: 10 and burst: 50",
    )
}

/// Stands at the spec, because a rule of a field is not asked when the field is absent.
pub(super) fn one_redis() -> Rule {
    rule(
        "has(self.redis) && has(self.redis.managed) != has(self.redis.external)",
        "write exactly one of redis.managed (the operator runs a Redis for this cluster, for example \
         managed: {storage: {emptyDir: {}}}) and redis.external (you run it, for example \
         external: {url: redis://redis.example.com:6379/0})",
    )
    .field_path(".redis")
}

/// Stands at the parent, because a rule of a field is not asked when the field is absent.
pub(super) fn one_storage() -> Rule {
    rule(
        "has(self.storage) && has(self.storage.persistent) != has(self.storage.emptyDir)",
        "write exactly one of storage.persistent (a volume that outlives the pod, for example \
         persistent: {size: 1Gi}) and storage.emptyDir (gone with the pod: emptyDir: {})",
    )
    .field_path(".storage")
}

pub(super) fn storage_kind_is_fixed() -> Rule {
    rule(
        "has(self.persistent) == has(oldSelf.persistent)",
        "storage cannot change between persistent and emptyDir: create a new BrokerCluster, or delete and create \
         this one again",
    )
}

pub(super) fn storage_size_is_fixed() -> Rule {
    rule(
        "!has(self.size) || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) == 0",
        "storage.persistent.size cannot change after creation: write the old size back, or create a new \
         BrokerCluster with the size you want",
    )
}

pub(super) fn storage_class_is_fixed() -> Rule {
    rule(
        "(has(self.storageClassName) ? self.storageClassName : '') == \
         (has(oldSelf.storageClassName) ? oldSelf.storageClassName : '')",
        "storage.persistent.storageClassName cannot change after creation: write the old value back, or create a \
         new BrokerCluster",
    )
}

/// None of the URL's rules repeats the URL in its message: it may hold a password.
pub(super) fn redis_url_without_credentials() -> Rule {
    rule(
        "!self.contains('@')",
        "url must not contain a user name or password: put the password in a Secret and name it in \
         passwordSecretRef, and the user name in username",
    )
}

pub(super) fn redis_url_scheme() -> Rule {
    rule(
        "self.startsWith('redis://') || self.startsWith('rediss://')",
        "url must begin with redis:// or, for TLS, rediss://, for example redis://redis.example.com:6379/0",
    )
}

/// Silent where one of the two rules above speaks.
pub(super) fn redis_url_form() -> Rule {
    rule(
        "!self.matches('^rediss?://') || self.contains('@') || \
         self.matches('^rediss?://([A-Za-z0-9._-]+|\\\\[[0-9A-Fa-f:.]+\\\\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|\
         65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/([0-9]{1,3})?)?$')",
        "url must be scheme://host:port/database, the port from 1 to 65535, both being optional, for example \
         redis://redis.example.com:6379/0",
    )
}

pub(super) fn username_needs_password() -> Rule {
    rule(
        "!has(self.username) || has(self.passwordSecretRef)",
        "username is set without a password: name the Secret that holds the password in passwordSecretRef",
    )
}

pub(super) fn drain_grace() -> Rule {
    rule("self >= 1 && self <= 3600", "gracePeriodSeconds must be between 1 and 3600, for example 25")
}

pub(super) fn max_unavailable() -> Rule {
    rule(
        "string(self).matches('^([1-9][0-9]{0,5}|(100|[1-9][0-9]?)%)$')",
        "maxUnavailable must be a number from 1 or a percentage from 1% to 100%, for example 1 or 25%",
    )
}

pub(super) fn traffic_from_outside() -> Rule {
    rule(
        "self.externalTrafficPolicy == 'Cluster' || self.type != 'ClusterIP'",
        "externalTrafficPolicy is for a Service that is reached from outside: write type: LoadBalancer or type: NodePort, or \
         leave it out",
    )
}

pub(super) fn reserved_containers() -> Rule {
    rule(
        "self.all(c, c.name != 'broker')",
        "a container in podTemplate is named broker, which is the name of the broker's own: give it another name",
    )
}

pub(super) fn reserved_volumes() -> Rule {
    rule(
        "self.all(v, v.name != 'settings')",
        "a volume in podTemplate.volumes is named settings, which is the name of the broker's own: give it another \
         name",
    )
}

pub(super) fn affinity_of_a_time() -> Rule {
    rule(
        "self.sessionAffinity == 'ClientIP' || !has(self.sessionAffinitySeconds)",
        "sessionAffinitySeconds means nothing without affinity: write sessionAffinity: ClientIP too, or leave it out",
    )
}

/// Labels and annotations by which the operator finds its objects.
pub(super) fn reserved_keys() -> Rule {
    rule(
        "self.all(k, !k.startsWith('switchboard.dev/') && !(k in ['app.kubernetes.io/name', \
         'app.kubernetes.io/instance', 'app.kubernetes.io/component', 'app.kubernetes.io/managed-by']))",
        "keys that begin with switchboard.dev/ and the labels app.kubernetes.io/name, instance, component and \
         managed-by belong to the operator: use another key",
    )
}

/// For `resources`. Only the usual names are looked at: a rule over all of them would cost more than the API server
/// allows, because it takes every quantity for as long as a request can be. Others are held to a pattern.
pub(super) fn resources() -> Rule {
    let each = |field: &str| {
        format!(
            "(!has(self.{field}) || ['cpu', 'memory', 'ephemeral-storage'].all(k, !(k in self.{field}) || \
             isQuantity(string(self.{field}[k]))))"
        )
    };
    rule(
        &format!("{} && {}", each("requests"), each("limits")),
        "resources.requests and resources.limits hold quantities such as cpu: 500m, cpu: 2 or memory: 256Mi",
    )
}
