//! What an observer would do about a cluster as it is now, without running it: for dry runs and their like.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::entry::{Behaviour, Entry};
use crate::parser::Parser;
use crate::reading::fetch;
use crate::runtime::Runtime;
use crate::wire::{Page, Wanted};
use crate::{Coordinator, Event, Key, Object, Plan, PlanError, RehearsalError, Row, View, planning};

/// What one observer sees of a cluster, and what it would do about it, see [`Coordinator::rehearse`].
pub struct Rehearsal {
    entry: Arc<Entry>,
    view: View,
    /// The keys that it would serve, each with the objects that wake it.
    woken: BTreeMap<Key, Vec<Key>>,
}

impl Coordinator {
    /// Reads all that an observer watches, once, and lets its pure parts say which keys it would serve first, and, by
    /// [`Rehearsal::plan`], what it would do about each. Nothing is written, and the coordinator need not run.
    ///
    /// Plans are made as a running coordinator makes them, finalizers included. What an observer remembers of events
    /// is what it remembers after a start.
    ///
    /// # Errors
    /// There is no such observer, it is a reconciler or a callback and makes no plans, or something that it cannot do
    /// without cannot be read.
    pub async fn rehearse(&self, observer: &str) -> Result<Rehearsal, RehearsalError> {
        let entry = self.registry.lock().entries.get(observer).map(Arc::clone);
        let entry = entry.ok_or_else(|| PlanError::NoSuchObserver(observer.to_owned()))?;
        let Behaviour::Observer(pure) = &*entry.behaviour else {
            return Err(PlanError::MakesNoPlans(observer.to_owned()).into());
        };
        let mut objects = Vec::new();
        for wanted in Wanted::all(&entry.spec.watches) {
            objects.extend(self.runtime.read(&wanted).await?);
        }
        let view = View::of(&entry.spec, self.runtime.clock.now(), objects.iter().cloned());
        let mut woken: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
        for object in objects {
            let by = object.key().clone();
            for key in pure.wake(&Event::Added(object), &view) {
                let causes = woken.entry(key).or_default();
                if causes.last() != Some(&by) {
                    causes.push(by.clone());
                }
            }
        }
        Ok(Rehearsal { entry, view, woken })
    }

    /// What an observer's [columns](crate::ObserverSpec::column) show of the cluster: reads all that it watches, once. The
    /// coordinator need not run.
    ///
    /// # Errors
    /// There is no such observer, or something cannot be read.
    pub async fn rows(&self, observer: &str) -> Result<Vec<Row>, RehearsalError> {
        let entry = self.registry.lock().entries.get(observer).map(Arc::clone);
        let entry = entry.ok_or_else(|| PlanError::NoSuchObserver(observer.to_owned()))?;
        let spec = &entry.spec;
        let watches = spec.watches.iter().cloned().map(|watch| {
            if Some(&watch.kind) == spec.primary() { watch.with_managed_fields() } else { watch }
        });
        let mut objects = Vec::new();
        for wanted in Wanted::all(&watches.collect::<Vec<_>>()) {
            objects.extend(self.runtime.read(&wanted).await?);
        }
        let rows = spec.rows(&View::of(spec, self.runtime.clock.now(), objects));
        let what = || spec.primary().map(ToString::to_string).unwrap_or_default();
        rows.map_err(|error| RehearsalError::Unreadable { what: what(), source: error.into() })
    }
}

impl Rehearsal {
    /// The keys that the observer would serve after a start, each with the objects that wake it, in order.
    pub fn keys(&self) -> &BTreeMap<Key, Vec<Key>> {
        &self.woken
    }

    /// What it would do about a key, woken or not. An empty plan: nothing.
    ///
    /// # Errors
    /// The observer itself returned an error.
    pub fn plan(&self, key: &Key) -> Result<Plan, PlanError> {
        let Behaviour::Observer(pure) = &*self.entry.behaviour else {
            return Err(PlanError::MakesNoPlans(self.entry.spec.name.clone().into_owned()));
        };
        planning::plan(&**pure, &self.entry.spec, key, &self.view)
            .map_err(|source| PlanError::Failed { key: key.clone(), source })
    }

    /// What it sees.
    pub fn view(&self) -> &View {
        &self.view
    }
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {:?}: {:?}", self.entry.spec.name, self.view, self.woken)
    }
}

impl Runtime {
    /// All objects of a source; none where its kind is missing or forbidden and that is no hindrance.
    async fn read(&self, wanted: &Wanted) -> Result<Vec<Object>, RehearsalError> {
        let Wanted { source, detail, required } = wanted;
        let unreadable =
            |error: crate::BoxError| RehearsalError::Unreadable { what: source.to_string(), source: error };
        let parser = Parser::new(source.kind.clone(), detail.clone());
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = source.list(detail.is_metadata(), token.as_deref());
            let request = request.map_err(|error| unreadable(error.into()))?;
            let Page { objects: page, continue_token, .. } = match fetch(self, request, &parser).await {
                Ok(page) => page,
                Err(error) if !required && matches!(error.code(), 403 | 404) => return Ok(Vec::new()),
                Err(error) => return Err(unreadable(error.into())),
            };
            objects.extend(page);
            token = continue_token;
            if token.is_none() {
                return Ok(objects);
            }
        }
    }
}
