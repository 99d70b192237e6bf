//! Which instance, and which start of it.

use std::{fmt, sync::Arc};

/// The stable name of one running broker: in Kubernetes the pod's name, such as `chat-0`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// Takes a name as it is; the configuration has checked it.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which start of an instance is meant: ordinals come back after a restart, epochs never do.
/// Microseconds since 1970 at the start, so that the newer of two is the greater.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Where a message can be sent to reach one start of one instance.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    /// The instance's stable name.
    pub instance: InstanceId,
    /// Which start of it.
    pub epoch: Epoch,
}

impl Address {
    /// The address of an instance that starts now.
    pub fn starting_now(instance: InstanceId) -> Self {
        let since_1970 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self { instance, epoch: Epoch(since_1970.as_micros() as u64) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.instance, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_start_has_a_greater_epoch() {
        let first = Address::starting_now(InstanceId::new("chat-0"));
        let mut second = Address::starting_now(InstanceId::new("chat-0"));
        while second.epoch == first.epoch {
            second = Address::starting_now(InstanceId::new("chat-0"));
        }
        assert!(second.epoch > first.epoch);
    }
}
