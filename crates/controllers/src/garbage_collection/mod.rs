//! Deletes objects whose owners are gone, of whatever kinds there are.
//!
//! Two observers: one finds out which kinds there are, and whenever that changes sets up the other, the collector, which
//! sees the metadata of all of them. The collector decides from owner references alone.

mod collector;
mod decision;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use parking_lot::Mutex;
use xebec_coordinator::{
    Action, BoxError, Context, Event, Key, Kind, ObserverSpec, Reconciler, View, Watch, WeakCoordinator,
};

use self::collector::{COLLECTOR, Collector};
use crate::discovery::{Resource, resources};

/// Kinds whose objects are never collected: they are many and have no owners.
const IGNORED: [(&str, &str); 2] = [("", "Event"), ("events.k8s.io", "Event")];

/// Finds out which kinds there are, and sets up the collector for them.
pub struct GarbageCollection {
    /// Not kept alive: it keeps this one.
    coordinator: WeakCoordinator,
    /// The kinds that the collector at work was set up for.
    present: Mutex<Vec<Resource>>,
}

impl GarbageCollection {
    /// Sets up collectors on this coordinator.
    pub fn new(coordinator: WeakCoordinator) -> Self {
        Self { coordinator, present: Mutex::default() }
    }

    /// Puts a collector for these kinds in the place of the last one.
    fn set_up(&self, resources: Vec<Resource>) -> Result<(), BoxError> {
        let Some(coordinator) = self.coordinator.upgrade() else { return Ok(()) };
        let mut present = self.present.lock();
        if *present == resources {
            return Ok(());
        }
        let collected = |resource: &&Resource| {
            resource.supports(&["delete", "list", "watch"])
                && !IGNORED.contains(&(resource.kind.group(), resource.kind.name()))
        };
        let watched: Vec<Resource> = resources.iter().filter(collected).cloned().collect();
        if watched.is_empty() {
            coordinator.remove(COLLECTOR);
        } else {
            let collector = Collector::new(watched, resources.clone());
            let is_there = coordinator.specs().iter().any(|spec| spec.name == COLLECTOR);
            // What both watch goes on being watched, and what waits to be looked at is not forgotten.
            if is_there {
                coordinator.replace_reconciler(collector)?;
            } else {
                coordinator.reconcile(collector)?;
            }
        }
        *present = resources;
        Ok(())
    }
}

#[async_trait]
impl Reconciler for GarbageCollection {
    fn spec(&self) -> ObserverSpec {
        let definitions = Kind::named(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        );
        let services = Kind::named("apiregistration.k8s.io", "v1", "APIService", "apiservices");
        ObserverSpec::new("garbage-collection", "finds out which kinds of objects there are to collect")
            // Something that is always there, to begin with.
            .watch(Watch::of::<Namespace>().fields("metadata.name=default").metadata_only())
            .watch(Watch::kind(definitions).metadata_only().optional())
            .watch(Watch::kind(services).metadata_only().optional())
    }

    /// All events are one reason: to look which kinds there are.
    fn wake(&self, _event: &Event, _view: &View) -> Vec<Key> {
        vec![Key::new::<Namespace>(None, "default")]
    }

    async fn reconcile(&self, _key: &Key, cx: &Context) -> Result<Action, BoxError> {
        let resources = resources(cx.client()).await?;
        self.set_up(resources)?;
        Ok(Action::done())
    }
}
