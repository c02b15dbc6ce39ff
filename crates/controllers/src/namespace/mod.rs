//! Empties namespaces that are being deleted, Pods first, and then lets them go.

mod conditions;

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Namespace, NamespaceSpec, Pod};
use kube::api::{Api, DeleteParams, ListParams};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::{Client, ResourceExt};
use xebec_coordinator::{
    Action, BoxError, Context, Event, Key, ObserverSpec, Reconciler, Right, View, Watch, Write,
};

use self::conditions::Remains;
use crate::controller::MANAGER;
use crate::discovery::{Resource, resources};

/// The finalizer of a namespace that is ours to take away.
const FINALIZER: &str = "kubernetes";
/// When to look again whether what is left is gone.
const AGAIN: Duration = Duration::from_secs(2);
/// How many objects are looked at in one list.
const PAGE: u32 = 500;

/// Empties namespaces that are being deleted.
#[derive(Debug, Default)]
pub struct NamespaceController;

/// Something is left, and that was not expected.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot delete {resource} of namespace {namespace}: {message}")]
    Content { resource: String, namespace: String, message: String },
    #[error("cannot find out which kinds there are: {0}")]
    Discovery(String),
}

#[async_trait]
impl Reconciler for NamespaceController {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("namespace", "empties namespaces that are being deleted")
            .reports_as("namespace-controller")
            .watch(Watch::of::<Namespace>())
            .watch(Watch::of::<Pod>().metadata_only())
            .right(Right::of("*", "*", &["list", "delete", "deletecollection"]))
            .right(Right::to_subresource::<Namespace>("status", &["update"]))
            .right(Right::to_subresource::<Namespace>("finalize", &["update"]))
            .concurrency(10)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let namespace = match event.key().namespace() {
            // The last Pod is gone: the rest may go.
            Some(namespace) if event.is_deleted() => Key::new::<Namespace>(None, namespace),
            Some(_) => return Vec::new(),
            None => event.key().clone(),
        };
        let terminating = view.object(&namespace).is_some_and(xebec_coordinator::Object::is_terminating);
        if terminating { vec![namespace] } else { Vec::new() }
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        let Some(mut namespace) = cx.view().get_key::<Namespace>(key)? else { return Ok(Action::done()) };
        if namespace.metadata.deletion_timestamp.is_none() || !has_finalizer(&namespace) {
            return Ok(Action::done());
        }
        let remains = empty(cx.client(), key.name()).await;
        let status = namespace.status.get_or_insert_default();
        let mut changed = remains.tell(status, cx.now());
        changed |= status.phase.replace("Terminating".to_owned()).as_deref() != Some("Terminating");
        if changed {
            let write = Write::update_status(&namespace)?.managed_by(MANAGER);
            if let Some(written) = cx.write(write).await? {
                namespace = written.decode()?;
            }
        }
        if let Some(failure) = remains.discovery_failure {
            return Err(Failure::Discovery(failure).into());
        }
        if let Some(failure) = remains.content_failures.into_iter().next() {
            return Err(failure.into());
        }
        if !remains.resources.is_empty() {
            return Ok(Action::after(AGAIN));
        }
        if let Some(NamespaceSpec { finalizers: Some(finalizers) }) = &mut namespace.spec {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        cx.write(Write::update(&namespace)?.on("finalize").managed_by(MANAGER)).await?;
        Ok(Action::done())
    }
}

fn has_finalizer(namespace: &Namespace) -> bool {
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == FINALIZER))
}

/// Asks for the deletion of all that is in a namespace: of anything else only when there are no Pods. Tells what is left.
async fn empty(client: &Client, namespace: &str) -> Remains {
    let mut remains = Remains::default();
    let found = match resources(client).await {
        Ok(found) => found,
        Err(error) => {
            remains.discovery_failure = Some(error.to_string());
            return remains;
        }
    };
    let is_pod = |resource: &Resource| resource.kind.group().is_empty() && resource.kind.plural() == "pods";
    let content = |resource: &&Resource| resource.namespaced && resource.supports(&["delete", "list"]);
    let (pods, others): (Vec<&Resource>, Vec<&Resource>) =
        found.iter().filter(content).partition(|resource| is_pod(resource));
    for stage in [pods, others] {
        for resource in stage {
            if let Err(error) = empty_of(client, namespace, resource, &mut remains).await {
                let failure = Failure::Content {
                    resource: resource_name(resource),
                    namespace: namespace.to_owned(),
                    message: error.to_string(),
                };
                remains.content_failures.push(failure.to_string());
            }
        }
        if !remains.is_empty() {
            break;
        }
    }
    remains
}

fn resource_name(resource: &Resource) -> String {
    format!("{}.{}", resource.kind.plural(), resource.kind.group())
}

/// Asks for the deletion of all objects of a kind, and notes which are left.
async fn empty_of(
    client: &Client,
    namespace: &str,
    resource: &Resource,
    remains: &mut Remains,
) -> Result<(), kube::Error> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, resource.kind.resource());
    let before = list(&api).await?;
    if before.is_empty() {
        return Ok(());
    }
    if before.iter().any(|object| object.metadata.deletion_timestamp.is_none()) {
        let params = DeleteParams::background();
        if resource.supports(&["deletecollection"]) {
            api.delete_collection(&params, &ListParams::default()).await?;
        } else {
            for object in &before {
                match api.delete(&object.name_any(), &params).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    answer => drop(answer?),
                }
            }
        }
    }
    let left = list(&api).await?;
    if !left.is_empty() {
        remains.resources.insert(resource_name(resource), left.len());
    }
    for finalizer in left.iter().flat_map(ResourceExt::finalizers) {
        *remains.finalizers.entry(finalizer.clone()).or_default() += 1;
    }
    Ok(())
}

async fn list(api: &Api<DynamicObject>) -> Result<Vec<PartialObjectMeta<DynamicObject>>, kube::Error> {
    let mut found = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = match api.list_metadata(&params).await {
            // The kind has gone meanwhile, and its objects with it.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(found),
            page => page?,
        };
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}
