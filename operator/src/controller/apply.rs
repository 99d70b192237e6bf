//! From prepared objects to applied ones: server-side apply under one field manager, nothing written that is already
//! right, and objects that are no longer wanted removed.

use super::{
    Context, Error,
    build::{APPLIED_HASH, FIELD_MANAGER, MANAGED_BY, MANAGED_BY_LABEL},
    drift::{self, Comparison},
    resources::{Applied, Kind, Object, Prepared, Resources},
    secrets::secret_uses,
    stores::{INSTANCE_LABEL, Live},
    validate::Valid,
};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Value, json};

/// What an application changed, for events and logs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Objects that did not exist.
    pub created: Vec<String>,
    /// Objects that were brought up to date.
    pub updated: Vec<String>,
    /// Objects that somebody else had changed.
    pub repaired: Vec<String>,
    /// Objects that are no longer wanted.
    pub removed: Vec<String>,
    /// Whether a StatefulSet is another one now, so that pods are on their way to something new.
    pub pods: bool,
}

/// Makes the API server hold what was prepared.
pub async fn apply(
    cluster: &Valid,
    prepared: Resources<Prepared>,
    live: &Live,
    context: &Context,
) -> Result<(Resources<Applied>, Changes), Error> {
    let mut changes = Changes::default();
    for object in prepared.objects() {
        apply_one(cluster, object, live, context, &mut changes).await?;
    }
    for ((kind, name), body) in live {
        let wanted = prepared.find(*kind, name).is_some() || is_named(cluster, *kind, name);
        if !wanted && controller_uid(body) == Some(&cluster.uid) {
            remove(cluster, *kind, name, body, context).await?;
            changes.removed.push(format!("{kind} {name}"));
        }
    }
    Ok((prepared.into_applied(), changes))
}

/// Whether the spec names a Secret that the operator made, such as the generated API key beside a new one.
fn is_named(cluster: &Valid, kind: Kind, name: &str) -> bool {
    kind == Kind::Secret && secret_uses(&cluster.spec).iter().any(|used| used.reference.name == name)
}

fn api(cluster: &Valid, kind: Kind, context: &Context) -> Api<DynamicObject> {
    Api::namespaced_with(context.client.clone(), &cluster.namespace, &kind.api_resource())
}

async fn apply_one(
    cluster: &Valid,
    object: &Object,
    live: &Live,
    context: &Context,
    changes: &mut Changes,
) -> Result<(), Error> {
    let key = (object.kind, cluster.namespace.clone(), object.name.clone());
    let hash = drift::hash(&object.body);
    let kind = match live.get(&(object.kind, object.name.clone())) {
        Some(body) => {
            check_owner(cluster, object, &metadata(body))?;
            match context.memory.compare(&key, &object.body, &hash, body) {
                Comparison::Same => return Ok(()),
                Comparison::Outdated => &mut changes.updated,
                Comparison::Drifted => &mut changes.repaired,
            }
        }
        None => {
            // The caches hold what carries the operator's labels; an object of this name may exist without them.
            let found = api(cluster, object.kind, context).get_metadata_opt(&object.name).await;
            match found.map_err(Error::api(format!("look for {object}")))? {
                Some(found) => {
                    check_owner(cluster, object, &found.metadata)?;
                    &mut changes.repaired
                }
                None => &mut changes.created,
            }
        }
    };
    let answer = write(cluster, object, &hash, context).await?;
    context.memory.note(key, &object.body, &hash, &answer);
    kind.push(object.to_string());
    // An apply that says nothing new leaves the generation as it was.
    let generation = |body: Option<&Value>| body.map(|body| body["metadata"]["generation"].clone());
    let is_new = generation(live.get(&(object.kind, object.name.clone()))) != generation(Some(&answer));
    changes.pods |= object.kind == Kind::StatefulSet && is_new;
    Ok(())
}

async fn write(cluster: &Valid, object: &Object, hash: &str, context: &Context) -> Result<Value, Error> {
    let mut body = object.body.clone();
    body["metadata"]["annotations"][APPLIED_HASH] = json!(hash);
    let api = api(cluster, object.kind, context);
    let answer = if object.create_only {
        context.metrics.write(object.kind.as_str(), "create");
        let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        let body: DynamicObject = serde_json::from_value(body).expect("an object has metadata");
        api.create(&params, &body).await.map_err(Error::api(format!("create {object}")))?
    } else {
        context.metrics.write(object.kind.as_str(), "apply");
        let params = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        match api.patch(&object.name, &params, &Patch::Apply(&body)).await {
            Err(error) if is_immutable(object, &error) => {
                return Err(replace(&api, cluster, object, context).await);
            }
            answer => answer.map_err(Error::api(format!("apply {object}")))?,
        }
    };
    tracing::info!(namespace = cluster.namespace, cluster = cluster.name, "applied {object}");
    Ok(serde_json::to_value(answer).expect("an object is JSON"))
}

/// Whether the change touches what a StatefulSet can never change, as a new release's may.
fn is_immutable(object: &Object, error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    object.kind == Kind::StatefulSet
        && status.is_invalid()
        && status.message.contains("updates to statefulset spec for fields other than")
}

/// Takes the StatefulSet away from under its pods, which run on; the next reconcile makes it anew, and it takes them
/// up again.
async fn replace(api: &Api<DynamicObject>, cluster: &Valid, object: &Object, context: &Context) -> Error {
    tracing::info!(
        namespace = cluster.namespace,
        cluster = cluster.name,
        "{object} is made anew, its pods stay"
    );
    context.metrics.write(object.kind.as_str(), "delete");
    match api.delete(&object.name, &DeleteParams::orphan()).await {
        Ok(_) => Error::Leaving { object: object.to_string() },
        Err(error) => Error::api(format!("replace {object}"))(error),
    }
}

async fn remove(
    cluster: &Valid,
    kind: Kind,
    name: &str,
    body: &Value,
    context: &Context,
) -> Result<(), Error> {
    let uid = body["metadata"]["uid"].as_str().map(str::to_owned);
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: None }),
        ..DeleteParams::background()
    };
    context.metrics.write(kind.as_str(), "delete");
    match api(cluster, kind, context).delete(name, &params).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        outcome => drop(outcome.map_err(Error::api(format!("remove {kind} {name}")))?),
    }
    tracing::info!(namespace = cluster.namespace, cluster = cluster.name, "removed {kind} {name}");
    Ok(())
}

fn metadata(body: &Value) -> ObjectMeta {
    serde_json::from_value(body["metadata"].clone()).unwrap_or_default()
}

fn controller_uid(body: &Value) -> Option<&str> {
    let owners = body["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}

/// Refuses to touch an object that is not this cluster's: two clusters, or a cluster and a user, may want one name.
fn check_owner(cluster: &Valid, object: &Object, metadata: &ObjectMeta) -> Result<(), Error> {
    let object = format!("{object} in the namespace {}", cluster.namespace);
    if metadata.deletion_timestamp.is_some() {
        return Err(Error::Leaving { object });
    }
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    match owner {
        Some(owner) if owner.uid == cluster.uid => Ok(()),
        // Left by a deleted cluster of the same name; the garbage collector is on its way.
        Some(owner) if owner.kind == "BrokerCluster" && owner.name == cluster.name => {
            Err(Error::Leaving { object })
        }
        Some(owner) => {
            Err(Error::Taken { object, owner: format!("it belongs to {} {}", owner.kind, owner.name) })
        }
        None => {
            let label =
                |key: &str| metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
            let labelled =
                label(MANAGED_BY_LABEL) == Some(MANAGED_BY) && label(INSTANCE_LABEL) == Some(&cluster.name);
            // Somebody may have taken its labels and its owner away; the record of the application is still there.
            let recorded =
                metadata.annotations.as_ref().is_some_and(|notes| notes.contains_key(APPLIED_HASH));
            if labelled || recorded {
                Ok(())
            } else {
                Err(Error::Taken { object, owner: "it has no owner".into() })
            }
        }
    }
}
