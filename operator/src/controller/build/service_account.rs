//! The brokers' ServiceAccount: an identity without rights, and without a token in the pods.

use super::{
    Names,
    meta::{Component, metadata},
};
use crate::controller::validate::Valid;
use k8s_openapi::api::core::v1::ServiceAccount;

pub(super) fn build(cluster: &Valid) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(cluster, Names(&cluster.name).broker(), Component::Broker),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
