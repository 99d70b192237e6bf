//! The running operator: watches, lease, admin port, and an orderly end.

mod admin;
pub mod lease;
mod watches;

use crate::{
    controller::{self, build::Images, drift, events::Events, health::Health, stores::Stores},
    crd::BrokerCluster,
    metrics::Metrics,
};
use anyhow::Context as _;
use futures_util::StreamExt;
use kube::{
    Client, ResourceExt,
    runtime::{
        controller::{Config, Error as ControllerError},
        reflector::ObjectRef,
    },
};
use lease::{Ended, LeaseSettings};
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle, time::interval};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How many clusters are reconciled at once.
const CONCURRENCY: u16 = 8;
/// Changes that come together are answered together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How long reconciles that are under way may take to end, once the operator is asked to.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(15);
/// After how long the first lists are worth a warning.
const FILLING: Duration = Duration::from_secs(15);
/// How often what is remembered of deleted clusters is dropped.
const FORGET: Duration = Duration::from_secs(600);

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Images for clusters that name none.
    pub images: Images,
    /// The only namespace to look at; absent: all.
    pub namespace: Option<String>,
    /// Where the admin port listens.
    pub admin: SocketAddr,
    /// Who leads.
    pub lease: LeaseSettings,
    /// The brokers' admin port.
    pub broker_admin_port: u16,
}

/// Watches are ended by the API server after five minutes at most; a connection that is silent for longer is dead.
const READ_TIMEOUT: Duration = Duration::from_secs(330);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for the API server that the pod, or KUBECONFIG, names.
///
/// # Errors
/// When none is named, or its credentials cannot be read.
pub async fn connect() -> anyhow::Result<Client> {
    let mut config = kube::Config::infer().await.context(
        "cannot find the API server: run inside a cluster, or point KUBECONFIG at a file that names one",
    )?;
    config.read_timeout = Some(READ_TIMEOUT);
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Client::try_from(config).context("cannot make a client for the API server")
}

/// A started operator.
pub struct Operator {
    /// Where its admin port listens.
    pub admin: SocketAddr,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    main: JoinHandle<anyhow::Result<()>>,
    _admin: AbortOnDropHandle<()>,
}

impl Operator {
    /// Waits until it has ended: orderly after it was asked to, or with an error when the lease was lost.
    pub async fn wait(&mut self) -> anyhow::Result<()> {
        (&mut self.main).await.context("the operator panicked")?
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&self) {
        self.main.abort();
    }
}

/// Starts the operator; it runs until `stop` is cancelled.
pub async fn start(client: Client, settings: Settings, stop: CancellationToken) -> anyhow::Result<Operator> {
    let metrics = Arc::new(Metrics::new());
    let ready = Arc::new(AtomicBool::new(false));
    let (admin, server) = admin::serve(settings.admin, metrics.clone(), ready.clone()).await?;
    tracing::info!(%admin, namespace = settings.namespace.as_deref().unwrap_or("(all)"), "the operator has started");
    let running = run(client, settings, metrics.clone(), ready, stop);
    let main = tokio::spawn(async move {
        let ended = running.await;
        if let Err(error) = &ended {
            tracing::error!("the operator ends: {error:#}");
        }
        ended
    });
    Ok(Operator { admin, metrics, main, _admin: server })
}

async fn run(
    client: Client,
    settings: Settings,
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (controller, stores) = watches::controller(&client, settings.namespace.as_deref());
    metrics.watch(stores.clusters.clone());
    let context = Arc::new(controller::Context {
        client: client.clone(),
        stores: stores.clone(),
        images: settings.images,
        health: Health::new(settings.broker_admin_port),
        memory: drift::Memory::default(),
        events: Events::new(client.clone()),
        metrics: metrics.clone(),
        leading: Arc::default(),
        failures: Mutex::default(),
    });
    let (leading, leads) = watch::channel(false);
    let (start_all, started) = tokio::sync::mpsc::channel(1);
    let started =
        futures_util::stream::unfold(
            started,
            |mut started| async move { Some((started.recv().await?, started)) },
        );
    let finish = CancellationToken::new();
    let mut reconciles = std::pin::pin!(
        controller
            .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
            .reconcile_all_on(started)
            .graceful_shutdown_on(finish.clone().cancelled_owned())
            .run(controller::reconcile, controller::error_policy, context.clone())
            .for_each(|result| async move { log(result) })
    );
    tokio::select! {
        filled = filled(&stores) => filled?,
        () = &mut reconciles => anyhow::bail!("the watches have ended"),
        () = stop.cancelled() => return Ok(()),
    }
    ready.store(true, Ordering::Relaxed);
    tracing::info!(clusters = stores.clusters.len(), "the caches are filled");
    let resign = CancellationToken::new();
    let election = lease::hold(client, settings.lease, leading, resign.clone());
    let mut election = AbortOnDropHandle::new(tokio::spawn(election));
    let ended = tokio::select! {
        () = stop.cancelled() => None,
        ended = &mut election => Some(ended.context("the election panicked")?),
        () = &mut reconciles => anyhow::bail!("the watches have ended"),
        () = follow(leads, &context, start_all) => unreachable!("it never ends"),
        () = forget(&context) => unreachable!("it never ends"),
    };
    context.leading.store(false, Ordering::Relaxed);
    metrics.leading(false);
    if ended == Some(Ended::Lost) {
        anyhow::bail!("another operator may lead now; ending, to be started again as a standby");
    }
    // What is under way ends while the lease is still held; only then may another begin.
    finish.cancel();
    if tokio::time::timeout(SHUTDOWN_GRACE, reconciles).await.is_err() {
        tracing::warn!("some reconciles did not end in time; the next leader completes them");
    }
    resign.cancel();
    election.await.context("the election panicked")?;
    tracing::info!("the operator has ended");
    Ok(())
}

/// A standby fills its caches first, so that it can take over at once. To be awaited in the task that polls the
/// watches: a cache wakes only the last task that asked, and the controller asks too.
async fn filled(stores: &Stores) -> anyhow::Result<()> {
    let all = async {
        stores.clusters.wait_until_ready().await?;
        stores.stateful_sets.wait_until_ready().await?;
        stores.services.wait_until_ready().await?;
        stores.config_maps.wait_until_ready().await?;
        stores.service_accounts.wait_until_ready().await?;
        stores.disruption_budgets.wait_until_ready().await?;
        stores.pods.wait_until_ready().await
    };
    let mut all = std::pin::pin!(all);
    loop {
        match tokio::time::timeout(FILLING, &mut all).await {
            Ok(filled) => return filled.context("a watch ended before its cache was filled"),
            Err(_) => tracing::warn!(
                "the caches are still not filled: the CustomResourceDefinition may be missing, or a right to list \
                 and watch"
            ),
        }
    }
}

/// Makes leading known, and looks at every cluster when it begins. Never ends.
async fn follow(
    mut leads: watch::Receiver<bool>,
    context: &controller::Context,
    start_all: tokio::sync::mpsc::Sender<()>,
) {
    while leads.changed().await.is_ok() {
        let leading = *leads.borrow_and_update();
        context.leading.store(leading, Ordering::Relaxed);
        context.metrics.leading(leading);
        if leading {
            // The controller listens as long as it runs; when it has not come to the last asking, that one serves.
            let _ = start_all.try_send(());
        }
    }
    std::future::pending().await
}

async fn forget(context: &controller::Context) {
    let mut ticks = interval(FORGET);
    loop {
        ticks.tick().await;
        let clusters = context.stores.clusters.state();
        let is_known = |namespace: &str, object: &str| {
            clusters.iter().any(|cluster| {
                cluster.namespace().as_deref() == Some(namespace) && object.starts_with(&cluster.name_any())
            })
        };
        context.memory.retain(is_known);
        let known = |cluster: &ObjectRef<BrokerCluster>| context.stores.clusters.get(cluster).is_some();
        context.failures.lock().retain(|cluster, _| known(cluster));
    }
}

type Reconciled = Result<
    (ObjectRef<BrokerCluster>, kube::runtime::controller::Action),
    ControllerError<controller::Error, kube::runtime::watcher::Error>,
>;

/// Failed reconciles are logged where they are retried; what is left are the watches.
fn log(result: Reconciled) {
    match result {
        Ok(_) | Err(ControllerError::ReconcilerFailed(..) | ControllerError::ObjectNotFound(_)) => {}
        Err(error) => tracing::warn!(%error, "a watch failed; it is started again"),
    }
}
