//! Ports, as containers and Services have them.

use k8s_openapi::{
    api::core::v1::{ContainerPort, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// A port that has one name and number on a pod and on its Services.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    pub(super) name: &'static str,
    pub(super) number: i32,
    pub(super) protocol: &'static str,
}

impl Port {
    pub(super) fn tcp(name: &'static str, number: i32) -> Self {
        Self { name, number, protocol: "TCP" }
    }

    pub(super) fn of_container(&self) -> ContainerPort {
        ContainerPort {
            name: Some(self.name.into()),
            container_port: self.number,
            protocol: Some(self.protocol.into()),
            ..ContainerPort::default()
        }
    }

    pub(super) fn of_service(&self) -> ServicePort {
        ServicePort {
            name: Some(self.name.into()),
            port: self.number,
            protocol: Some(self.protocol.into()),
            target_port: Some(IntOrString::String(self.name.into())),
            ..ServicePort::default()
        }
    }
}
