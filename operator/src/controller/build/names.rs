//! The names of a cluster's objects, all derived from its own.

/// The names of the objects of one cluster.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a>(pub &'a str);

impl Names<'_> {
    /// Brokers: StatefulSet, client Service, ServiceAccount, PodDisruptionBudget.
    pub fn broker(&self) -> String {
        self.0.to_owned()
    }

    /// The Service that gives each broker's pod a name.
    pub fn headless(&self) -> String {
        format!("{}-headless", self.0)
    }

    /// The brokers' ConfigMap.
    pub fn config(&self) -> String {
        format!("{}-config", self.0)
    }

    /// The generated key of the server API.
    pub fn api_key(&self) -> String {
        format!("{}-api-key", self.0)
    }

    /// Redis' StatefulSet and Service.
    pub fn redis(&self) -> String {
        format!("{}-redis", self.0)
    }

    /// Redis' generated password.
    pub fn redis_auth(&self) -> String {
        format!("{}-redis-auth", self.0)
    }

    /// Redis' ConfigMap.
    pub fn redis_config(&self) -> String {
        format!("{}-redis-config", self.0)
    }
}
