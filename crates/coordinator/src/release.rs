//! Letting go what an observer holds that goes for good: its finalizer is taken off every object.

use std::sync::Arc;

use kube::Client;
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::core::DynamicObject;
use serde_json::json;

use crate::finalizer::remove;
use crate::leadership::Serving;
use crate::runtime::Runtime;
use crate::{BoxError, Coordinator, Kind, Object, ObserverSpec, ReleaseError};

/// How many objects a page has from which finalizers are taken off.
const PAGE_LIMIT: u32 = 500;
/// How often it is looked for such objects, where others go on adding the finalizer.
const LOOKS_MAX: usize = 3;

impl Coordinator {
    /// Removes an observer for good: [removes](Self::remove) it, and takes its [finalizer](ObserverSpec::finalizer) off
    /// every object, without cleaning up, so that they can be deleted. Returns how many objects had it.
    ///
    /// Stop the observer in all other processes before, which would add it again. Without this the objects could not be deleted until an observer with this finalizer runs again; `remove` alone leaves
    /// them so, for an observer that is to come back. After an error it may be called again.
    pub async fn release(&self, name: &str) -> Result<usize, ReleaseError> {
        let entry = self.registry.lock().entries.get(name).map(Arc::clone);
        let entry = entry.ok_or_else(|| ReleaseError::NoSuchObserver(name.to_owned()))?;
        entry.cancel.cancel(); // it would add them again
        let mut released = 0;
        // What was on its way to the server when the observer was stopped, may come after the first look.
        for _ in 0..LOOKS_MAX {
            let found = self.runtime.release(&entry.spec).await;
            let found = found.map_err(|source| ReleaseError::Failed { observer: name.to_owned(), source })?;
            released += found;
            if found == 0 {
                break;
            }
        }
        self.remove(name);
        Ok(released)
    }
}

impl Runtime {
    /// Takes the finalizer of an observer off every object of its primary kind that has it; returns how many had.
    pub(crate) async fn release(&self, spec: &ObserverSpec) -> Result<usize, BoxError> {
        let Some((finalizer, primary)) = spec.finalizer.as_deref().zip(spec.primary()) else { return Ok(0) };
        let mut released = 0;
        let namespaces = spec.watches.iter().filter(|watch| watch.kind == *primary);
        let mut namespaces: Vec<Option<&str>> = namespaces
            .flat_map(|watch| match watch.scope.namespaces.as_slice() {
                [] => vec![None],
                namespaces => namespaces.iter().map(|namespace| Some(&**namespace)).collect(),
            })
            .collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        for namespace in namespaces {
            let api = self.api(primary, namespace);
            let mut params = ListParams::default().limit(PAGE_LIMIT);
            loop {
                let page = api.list_metadata(&params).await?;
                for meta in page.items {
                    released += usize::from(self.let_go(spec, finalizer, meta).await?);
                }
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params.continue_token = Some(token),
                    None => break,
                }
            }
        }
        Ok(released)
    }

    fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(Client::clone(&self.client), namespace, kind.resource()),
            None => Api::all_with(Client::clone(&self.client), kind.resource()),
        }
    }

    /// Takes a finalizer off one object, whoever else writes to it meanwhile.
    async fn let_go(
        &self,
        spec: &ObserverSpec,
        finalizer: &str,
        object: PartialObjectMeta<DynamicObject>,
    ) -> Result<bool, BoxError> {
        let (Some(primary), mut metadata) = (spec.primary(), object.metadata) else { return Ok(false) };
        // Somebody asked for it: no lease decides that.
        let everywhere = Serving::unlimited();
        loop {
            if !metadata.finalizers.iter().flatten().any(|name| name == finalizer) {
                return Ok(false);
            }
            let object = Object::from_value(primary, &json!({ "metadata": metadata }))?;
            let conflict = match self
                .write(&remove(spec, &object, false)?, spec.component(), &everywhere.permit)
                .await
            {
                Ok(_) => return Ok(true),
                Err(error) => match error.status().map(|status| status.code) {
                    Some(404) => return Ok(false),
                    Some(409) => error,
                    _ => return Err(error.into()),
                },
            };
            let api = self.api(primary, object.namespace());
            match api.get_metadata_opt(object.name()).await? {
                None => return Ok(false),
                Some(now) if now.metadata.uid.as_deref() != Some(object.uid()) => return Ok(false),
                // The conflict was with no newer state, so that trying again would not end.
                Some(now) if now.metadata.resource_version.as_deref() == Some(object.resource_version()) => {
                    return Err(conflict.into());
                }
                Some(now) => metadata = now.metadata,
            }
        }
    }
}
