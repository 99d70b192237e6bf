//! The objects of one cluster, and how far they have come: `Resources<Prepared>` is what should be,
//! `Resources<Applied>` is what the API server holds. Only `apply` turns one into the other, so status cannot speak
//! of objects that nobody applied.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;
use std::{fmt, marker::PhantomData};

/// The kinds of objects that a cluster consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    ServiceAccount,
    Secret,
    ConfigMap,
    Service,
    PodDisruptionBudget,
    StatefulSet,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] = [
        Kind::ServiceAccount,
        Kind::Secret,
        Kind::ConfigMap,
        Kind::Service,
        Kind::PodDisruptionBudget,
        Kind::StatefulSet,
    ];

    /// As the API server calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::ServiceAccount => "ServiceAccount",
            Kind::Secret => "Secret",
            Kind::ConfigMap => "ConfigMap",
            Kind::Service => "Service",
            Kind::PodDisruptionBudget => "PodDisruptionBudget",
            Kind::StatefulSet => "StatefulSet",
        }
    }

    /// Where the API server serves it.
    pub fn api_resource(self) -> ApiResource {
        let (group, plural) = match self {
            Kind::ServiceAccount => ("", "serviceaccounts"),
            Kind::Secret => ("", "secrets"),
            Kind::ConfigMap => ("", "configmaps"),
            Kind::Service => ("", "services"),
            Kind::PodDisruptionBudget => ("policy", "poddisruptionbudgets"),
            Kind::StatefulSet => ("apps", "statefulsets"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", self.as_str()), plural)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object as it should be.
#[derive(Clone)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// All of it, as sent to the API server.
    pub body: Value,
    /// Whether it must not exist yet: a Secret with a value made just now, which must never replace another's.
    pub create_only: bool,
}

/// Names the object, and never shows its body: that of a Secret is secret.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Rendered, not yet with the API server.
#[derive(Debug)]
pub struct Prepared;

/// With the API server.
#[derive(Debug)]
pub struct Applied;

/// The objects of one cluster, in the order in which they are applied: the brokers' StatefulSet last, so that a pod
/// never starts before what it needs.
#[derive(Debug)]
pub struct Resources<State> {
    objects: Vec<Object>,
    state: PhantomData<State>,
}

impl Resources<Prepared> {
    /// The objects in the order of application.
    pub fn new(objects: Vec<Object>) -> Self {
        Self { objects, state: PhantomData }
    }

    /// Says that all of them are with the API server.
    pub(super) fn into_applied(self) -> Resources<Applied> {
        Resources { objects: self.objects, state: PhantomData }
    }
}

impl<State> Resources<State> {
    /// The objects in the order of application.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The object of a kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.kind == kind && object.name == name)
    }
}
