//! One test's place: a namespace, a watch over it, and what a person would look at when the test fails.

use std::{env, panic::AssertUnwindSafe};

use anyhow::{Context, Result, anyhow};
use futures_util::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use tokio::process::Command;

use crate::{brokers, history::History, report::Report, wait};

/// A namespace on the cluster that the kubeconfig names.
pub struct Lab {
    /// The cluster's API.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
    /// What happens is said here.
    pub report: Report,
    /// What became of the namespace's pods and BrokerClusters.
    pub history: History,
}

impl Lab {
    /// Runs a test in a new namespace, which goes when the test is over.
    pub async fn run(name: &str, test: impl AsyncFnOnce(&Lab) -> Result<()>) -> Result<()> {
        let lab = Self::new(name).await?;
        // What is asserted within a test is a failure like others: it is looked into, and leaves nothing behind.
        let result = AssertUnwindSafe(test(&lab)).catch_unwind().await;
        let result = result.unwrap_or_else(|_| Err(anyhow!("the test panicked: see above")));
        if let Err(error) = &result {
            lab.report.say("failed", format!("{error:#}"));
            lab.look_around().await;
        }
        lab.leave().await?;
        result
    }

    async fn new(name: &str) -> Result<Self> {
        // Whether another test has done it already is no matter.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::try_default().await.context("no cluster; run cargo xtask test e2e")?;
        let namespace = Namespace {
            metadata: ObjectMeta { generate_name: Some(format!("{name}-")), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        let api = Api::<Namespace>::all(client.clone());
        let namespace = api.create(&PostParams::default(), &namespace).await.context(
            "the cluster does not answer; run cargo xtask test e2e, which starts one and enters its network",
        )?;
        let namespace = namespace.metadata.name.context("the namespace has no name")?;
        let report = Report::begin(name);
        let history = History::watch(&client, &namespace, report);
        Ok(Self { client, namespace, report, history })
    }

    /// An API within the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// kubectl, in the namespace.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into()));
        command.args(["--namespace", &self.namespace]).kill_on_drop(true);
        command
    }

    /// Says what kubectl answers.
    pub async fn show(&self, question: &[&str]) -> Result<()> {
        let output = self.kubectl().args(question).output().await.context("cannot run kubectl")?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        self.report.say("kubectl", format!("{}\n{}", question.join(" "), text.trim_end()));
        Ok(())
    }

    /// Says what a person would look at next.
    async fn look_around(&self) {
        let looks: [&[&str]; 5] = [
            &["get", "brokerclusters", "-o", "yaml"],
            &["get", "statefulsets,pods,services,endpointslices,pvc", "-o", "wide"],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "--all-containers",
                "--prefix",
                "--tail=40",
                "--selector",
                "app.kubernetes.io/managed-by",
            ],
            &["logs", "--namespace=switchboard-system", "--tail=30", "deployment/switchboard"],
        ];
        for look in looks {
            if let Err(error) = self.show(look).await {
                self.report.say("kubectl", error);
            }
        }
    }

    /// Removes everything. The BrokerClusters go first, so that nothing is restored meanwhile; that the next test has
    /// the machine for itself, the pods are waited for.
    async fn leave(&self) -> Result<()> {
        let all = ListParams::default();
        brokers::api(&self.client, &self.namespace)
            .delete_collection(&DeleteParams::default(), &all)
            .await
            .context("delete the BrokerClusters")?;
        let namespaces = Api::<Namespace>::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.context("delete the namespace")?;
        wait::until("the namespace's pods are gone", wait::LONG, async || {
            let pods = self.api::<k8s_openapi::api::core::v1::Pod>().list_metadata(&all).await?;
            Ok(pods.items.is_empty().then_some(()))
        })
        .await
    }
}
