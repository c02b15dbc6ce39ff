//! The collector for a set of kinds: sees the metadata of all objects, and deletes those whose owners are gone.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::Api;
use kube::core::DynamicObject;
use parking_lot::Mutex;
use xebec_coordinator::{
    Action, BoxError, Context, Event, EventRecord, Key, Object, ObserverSpec, Plan, Reconciler, Right, View,
    Watch,
};

use super::decision::{
    FOREGROUND, ORPHAN, Owner, collect, foreground, has_finalizer, is_waiting, metadata, orphan,
};
use crate::controller::Writes;
use crate::discovery::Resource;

/// How many unique ids of owners that are gone are remembered.
const ABSENT_MAX: usize = 500;
/// When to look again at an owner of a kind that cannot be watched.
const UNWATCHED: Duration = Duration::from_secs(30);

/// Its name.
pub(super) const COLLECTOR: &str = "garbage-collector";

/// Deletes the objects of some kinds when their owners are gone.
pub(super) struct Collector {
    /// Those it collects: they can be deleted, listed and watched.
    watched: Vec<Resource>,
    /// All kinds that owners may be of.
    known: Vec<Resource>,
    absent: Mutex<Absent>,
}

/// Unique ids of owners that were looked for and are gone. They never come back.
#[derive(Default)]
struct Absent {
    uids: HashSet<String>,
    order: VecDeque<String>,
}

/// What is known of an owner.
enum Finding {
    Owner(Owner),
    /// It is there, but nobody will tell when it goes.
    Unwatched,
    /// Its kind is not known: nothing may be done.
    UnknownKind,
    /// An object without namespace cannot be owned by one in a namespace: nothing may be done.
    InvalidNamespace,
}

impl Collector {
    pub(super) fn new(watched: Vec<Resource>, known: Vec<Resource>) -> Self {
        Self { watched, known, absent: Mutex::default() }
    }

    fn dependents(&self, view: &View, uid: &str) -> Vec<Object> {
        self.watched.iter().flat_map(|resource| view.kind(&resource.kind).owned_by(uid)).collect()
    }

    /// The resource and key that an owner reference of an object in `namespace` names.
    fn owner_key<'r>(
        resources: &'r [Resource],
        api_version: &str,
        kind: &str,
        name: &str,
        namespace: Option<&str>,
    ) -> Option<(&'r Resource, Key)> {
        let resource = resources.iter().find(|resource| resource.kind.names(api_version, kind))?;
        let namespace = namespace.filter(|_| resource.namespaced);
        Some((resource, Key::of_kind(resource.kind.clone(), namespace, name)))
    }

    async fn find(&self, object: &Object, owner: &OwnerReference, cx: &Context) -> Result<Finding, BoxError> {
        let (api_version, kind) = (owner.api_version.as_str(), owner.kind.as_str());
        let namespace = object.namespace();
        if let Some((resource, key)) =
            Self::owner_key(&self.watched, api_version, kind, &owner.name, namespace)
        {
            if resource.namespaced && namespace.is_none() {
                return Ok(Finding::InvalidNamespace);
            }
            if let Some(known) = cx.view().object(&key).filter(|known| known.uid() == owner.uid) {
                let state = if is_waiting(known) { Owner::Waiting } else { Owner::Present };
                return Ok(Finding::Owner(state));
            }
        }
        let Some((resource, key)) = Self::owner_key(&self.known, api_version, kind, &owner.name, namespace)
        else {
            return Ok(Finding::UnknownKind);
        };
        if resource.namespaced && namespace.is_none() {
            return Ok(Finding::InvalidNamespace);
        }
        if self.absent.lock().uids.contains(&owner.uid) {
            return Ok(Finding::Owner(Owner::Absent));
        }
        if !resource.supports(&["get"]) {
            return Ok(Finding::UnknownKind);
        }
        // It may be newer than what is seen: only the server's word is final.
        let kind = key.kind().resource();
        let api: Api<DynamicObject> = match key.namespace() {
            Some(namespace) => Api::namespaced_with(cx.client().clone(), namespace, kind),
            None => Api::all_with(cx.client().clone(), kind),
        };
        let live = api.get_metadata_opt(key.name()).await?;
        let Some(live) = live.filter(|live| live.metadata.uid.as_ref() == Some(&owner.uid)) else {
            self.absent.lock().remember(owner.uid.clone());
            return Ok(Finding::Owner(Owner::Absent));
        };
        let waiting = live.metadata.deletion_timestamp.is_some() && has_finalizer(&live.metadata, FOREGROUND);
        match (waiting, self.watched.contains(resource)) {
            (true, _) => Ok(Finding::Owner(Owner::Waiting)),
            (false, true) => Ok(Finding::Owner(Owner::Present)),
            (false, false) => Ok(Finding::Unwatched),
        }
    }

    async fn decide(&self, object: &Object, cx: &Context) -> Result<(Plan, Action), BoxError> {
        let mut plan = Plan::new();
        let meta = metadata(object)?;
        let dependents = self.dependents(cx.view(), object.uid());
        if object.is_terminating() {
            let writes = if has_finalizer(&meta, ORPHAN) {
                orphan(object, &meta, &dependents)?
            } else if has_finalizer(&meta, FOREGROUND) {
                foreground(object, &meta, &dependents)?
            } else {
                Vec::new()
            };
            for write in writes {
                plan.put(write);
            }
            return Ok((plan, Action::done()));
        }
        let mut owners = Vec::new();
        let mut action = Action::done();
        for owner in meta.owner_references.clone().unwrap_or_default() {
            let state = match self.find(object, &owner, cx).await? {
                Finding::Owner(state) => state,
                Finding::Unwatched => {
                    action = Action::after(UNWATCHED);
                    Owner::Present
                }
                Finding::UnknownKind => {
                    tracing::debug!(object = %object.key(), owner = %owner.kind, "no such kind of owner");
                    return Ok((Plan::new(), Action::done()));
                }
                Finding::InvalidNamespace => {
                    let OwnerReference { api_version, kind, name, uid, .. } = owner;
                    let note = format!(
                        "ownerRef [{api_version}/{kind}, namespace: , name: {name}, uid: {uid}] does not exist in namespace \"\""
                    );
                    plan.record(EventRecord::warning(object.reference(), "OwnerRefInvalidNamespace", note));
                    return Ok((plan, Action::done()));
                }
            };
            owners.push((owner, state));
        }
        if !owners.is_empty() {
            for write in collect(object, &meta, &owners, &dependents) {
                plan.put(write);
            }
        }
        Ok((plan, action))
    }
}

#[async_trait]
impl Reconciler for Collector {
    fn spec(&self) -> ObserverSpec {
        let description = "deletes objects whose owners are gone";
        let spec = ObserverSpec::new(COLLECTOR, description).reports_as("garbage-collector-controller");
        let verbs = ["get", "list", "watch", "patch", "delete"];
        let spec = spec.right(Right::of("*", "*", &verbs)).concurrency(20);
        let watches = self.watched.iter().map(|resource| Watch::kind(resource.kind.clone()).metadata_only());
        watches.fold(spec, ObserverSpec::watch)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let object = event.object();
        let old = event.old().filter(|_| !event.is_deleted());
        let mut keys = Vec::new();
        let began_to_end = object.is_terminating() && old.is_none_or(|old| !old.is_terminating());
        let new_owners = old.is_none_or(|old| old.owners() != object.owners());
        if !event.is_deleted() && (object.is_terminating() || (new_owners && !object.owners().is_empty())) {
            keys.push(object.key().clone());
        }
        if event.is_deleted() || began_to_end {
            keys.extend(self.dependents(view, object.uid()).iter().map(|object| object.key().clone()));
        }
        // An owner may wait for this one to be gone, to be no longer its own, or not to block it any more.
        let lets_go = event.is_deleted() || old.is_some();
        for owner in event.states().filter(|_| lets_go).flat_map(Object::owners) {
            let key = Self::owner_key(
                &self.watched,
                owner.api_version(),
                owner.kind(),
                owner.name(),
                object.namespace(),
            );
            if let Some((_, key)) = key
                && !keys.contains(&key)
                && view.object(&key).is_some_and(|known| known.is_terminating() && known.uid() == owner.uid())
            {
                keys.push(key);
            }
        }
        keys
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        let Some(object) = cx.view().object(key).cloned() else { return Ok(Action::done()) };
        let (plan, action) = self.decide(&object, cx).await?;
        cx.execute(plan).await?;
        Ok(action)
    }
}

impl Absent {
    fn remember(&mut self, uid: String) {
        if self.uids.insert(uid.clone()) {
            self.order.push_back(uid);
        }
        if self.order.len() > ABSENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.uids.remove(&oldest);
        }
    }
}
