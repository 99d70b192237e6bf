//! Who leads: one Lease, held by one operator at a time.
//!
//! A holder that cannot renew must stop before another may start, also when it hears nothing from the API server at
//! all. So both sides go by their own monotonic clocks: a candidate counts from when *it* saw the Lease change last,
//! and the holder gives up by its own deadline, which is shorter.

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// How a Lease is held.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who asks: the pod's name.
    pub identity: String,
    /// After how long without renewal another may take it.
    pub duration: Duration,
    /// After how long without renewal the holder gives up; shorter than `duration`.
    pub deadline: Duration,
    /// The pause between two attempts.
    pub retry: Duration,
}

/// Why leading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, and gave the Lease back.
    Resigned,
    /// It could not renew in time, or another took over.
    Lost,
}

/// Takes part in the election until it resigns or the Lease is lost; `leading` is true while it is held.
pub async fn hold(
    client: Client,
    settings: LeaseSettings,
    leading: watch::Sender<bool>,
    resign: CancellationToken,
) -> Ended {
    let mut election = Election::new(client, settings);
    tokio::select! {
        () = election.acquire() => {}
        () = resign.cancelled() => return Ended::Resigned,
    }
    tracing::info!(identity = election.settings.identity, lease = election.settings.name, "leading");
    leading.send_replace(true);
    let lost = tokio::select! {
        () = election.renew_until_lost() => true,
        () = resign.cancelled() => false,
    };
    leading.send_replace(false);
    if lost {
        tracing::error!(lease = election.settings.name, "the lease is lost: no renewal within the deadline");
        return Ended::Lost;
    }
    election.release().await;
    Ended::Resigned
}

struct Election {
    api: Api<Lease>,
    settings: LeaseSettings,
    /// The last Lease seen that differed from the one before, and when.
    seen: Option<(LeaseSpec, Instant)>,
    /// When the last successful renewal was sent.
    renewed: Instant,
}

impl Election {
    fn new(client: Client, settings: LeaseSettings) -> Self {
        let api = Api::namespaced(client, &settings.namespace);
        Self { api, settings, seen: None, renewed: Instant::now() }
    }

    async fn acquire(&mut self) {
        loop {
            match self.attempt(Instant::now() + self.settings.deadline).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(lease = self.settings.name, "cannot ask for the lease: {error}"),
            }
            sleep(self.settings.retry).await;
        }
    }

    async fn renew_until_lost(&mut self) {
        loop {
            sleep(self.settings.retry).await;
            let deadline = self.renewed + self.settings.deadline;
            match self.attempt(deadline).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(lease = self.settings.name, "cannot renew the lease: {error}"),
            }
            if Instant::now() >= deadline {
                return;
            }
        }
    }

    /// One attempt to take or renew the Lease; false when another holds it.
    async fn attempt(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        let sent = Instant::now();
        let held = timeout_at(deadline, self.exchange())
            .await
            .map_err(|_| anyhow::anyhow!("no answer in time"))??;
        if held {
            self.renewed = sent;
        }
        Ok(held)
    }

    async fn exchange(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.settings.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.settings.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.claim(&LeaseSpec::default())),
            };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let now = Instant::now();
        let since = match &self.seen {
            Some((seen, since)) if *seen == spec => *since,
            _ => now,
        };
        self.seen = Some((spec.clone(), since));
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let lasts = Duration::from_secs(spec.lease_duration_seconds.unwrap_or_default().max(0) as u64);
        if !holder.is_empty() && holder != self.settings.identity && now < since + lasts {
            return Ok(false);
        }
        // The resource version goes along, so of two that try at once one is refused.
        let lease = Lease { metadata: lease.metadata, spec: Some(self.claim(&spec)) };
        won(self.api.replace(&self.settings.name, &PostParams::default(), &lease).await)
    }

    fn claim(&self, old: &LeaseSpec) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let is_mine = old.holder_identity.as_deref() == Some(&self.settings.identity);
        LeaseSpec {
            holder_identity: Some(self.settings.identity.clone()),
            lease_duration_seconds: Some(self.settings.duration.as_secs().max(1) as i32),
            acquire_time: if is_mine { old.acquire_time.clone() } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(old.lease_transitions.unwrap_or_default() + i32::from(!is_mine)),
            ..LeaseSpec::default()
        }
    }

    /// Gives the Lease back, so that the next leader need not wait; if that fails it runs out by itself.
    async fn release(&mut self) {
        let released = async {
            let lease = self.api.get(&self.settings.name).await?;
            let mut spec = lease.spec.unwrap_or_default();
            if spec.holder_identity.as_deref() != Some(&self.settings.identity) {
                return Ok(());
            }
            spec.holder_identity = None;
            let lease = Lease { metadata: lease.metadata, spec: Some(spec) };
            self.api.replace(&self.settings.name, &PostParams::default(), &lease).await.map(drop)
        };
        match timeout_at(Instant::now() + self.settings.retry, released).await {
            Ok(Ok(())) => tracing::info!(lease = self.settings.name, "gave the lease back"),
            Ok(Err::<_, kube::Error>(error)) => tracing::warn!("cannot give the lease back: {error}"),
            Err(_) => tracing::warn!("cannot give the lease back in time"),
        }
    }
}

/// A conflict means that another was faster, which is an answer and not an error.
fn won(answer: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}
