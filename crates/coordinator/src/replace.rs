//! Letting observers go on in the place of others while the coordinator runs.

use std::future::Future;
use std::sync::Arc;

use crate::entry::Behaviour;
use crate::{
    AddError, Context, Coordinator, Event, IntoAction, Observer, ObserverSpec, Reconciler, finalizer,
};

impl Coordinator {
    /// Lets an observer go on in the place of the one of its name, whatever that is. No key is lost that waits to be
    /// served, be tried again or be looked at later, and no event either: the new one is told of everything there is, and
    /// of what the old one saw and it does not see any more as [deleted](Event::Deleted). What is being served goes on.
    /// Watches that both want go on as well.
    ///
    /// To change only what a spec says, see [`reconfigure`](Self::reconfigure).
    pub fn replace(&self, observer: impl Observer) -> Result<(), AddError> {
        self.succeed(observer.spec(), Behaviour::Observer(Box::new(observer)))
    }

    /// The same as [`replace`](Self::replace), with a reconciler.
    pub fn replace_reconciler(&self, reconciler: impl Reconciler) -> Result<(), AddError> {
        self.succeed(reconciler.spec(), Behaviour::Reconciler(Box::new(reconciler)))
    }

    /// The same as [`replace`](Self::replace), with a callback; events that were not told yet, are told to it.
    pub fn replace_callback<F, Fut>(&self, spec: ObserverSpec, callback: F) -> Result<(), AddError>
    where
        F: Fn(Event, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAction> + Send + 'static,
    {
        self.succeed(spec, Behaviour::callback(callback))
    }

    /// Changes what an observer wants while it runs: `coordinator.reconfigure("roll", |spec| spec.concurrency(8))`.
    ///
    /// No key and no event is lost, and what is being served goes on. It is told only what its watches show otherwise
    /// than before: nothing, where they are the same; with other options of everything.
    pub fn reconfigure(
        &self,
        name: &str,
        change: impl FnOnce(ObserverSpec) -> ObserverSpec,
    ) -> Result<(), AddError> {
        let entry = self.registry.lock().entries.get(name).map(Arc::clone);
        let entry = entry.ok_or_else(|| AddError::NoSuchObserver(name.to_owned()))?;
        let spec = change(entry.spec.clone());
        if spec.name != name {
            return Err(AddError::Renamed(name.to_owned(), spec.name.into_owned()));
        }
        self.put_in_place(spec, Arc::clone(&entry.behaviour))
    }

    /// Sets options of an observer while it runs: `coordinator.configure("reload", &[("selector", "tier=web")])`. It is
    /// told of everything there is, since with other options it may plan otherwise; the options that are not named stay.
    ///
    /// # Errors
    /// There is no such observer or no such option, or a value is not of its form; then nothing has changed.
    pub fn configure(&self, name: &str, options: &[(&str, &str)]) -> Result<(), AddError> {
        let entry = self.registry.lock().entries.get(name).map(Arc::clone);
        let entry = entry.ok_or_else(|| AddError::NoSuchObserver(name.to_owned()))?;
        let spec = options.iter().try_fold(entry.spec.clone(), |spec, (option, text)| spec.set(option, text));
        self.put_in_place(spec?, Arc::clone(&entry.behaviour))
    }

    fn succeed(&self, spec: ObserverSpec, behaviour: Behaviour) -> Result<(), AddError> {
        self.put_in_place(spec, Arc::new(behaviour))
    }

    /// Lets another go on in the place of the observer of its name.
    fn put_in_place(&self, spec: ObserverSpec, behaviour: Arc<Behaviour>) -> Result<(), AddError> {
        let emitted = |behaviour: &Behaviour| matches!(behaviour, Behaviour::Emitted { .. });
        if !emitted(&behaviour) {
            spec.check()?;
        }
        let mut registry = self.registry.lock();
        let known = registry.entries.get(&*spec.name).map(Arc::clone);
        // Who is told of emitted events cannot be told of objects instead.
        let known = known.filter(|known| emitted(&known.behaviour) == emitted(&behaviour));
        let Some(known) = known else { return Err(AddError::NoSuchObserver(spec.name.into_owned())) };
        let others = registry.entries.values().filter(|other| !Arc::ptr_eq(other, &known));
        finalizer::check(&spec, &behaviour, others.map(|entry| &entry.spec))?;
        finalizer::check_successor(&known.spec, &spec)?;
        let successor = Arc::new(known.successor(spec, behaviour));
        registry.entries.insert(successor.spec.name.clone().into_owned(), Arc::clone(&successor));
        if let Some(waiting) = registry.to_start.iter_mut().find(|entry| Arc::ptr_eq(entry, &known)) {
            *waiting = successor;
        } else if registry.running {
            known.succession.announce(successor);
        }
        Ok(())
    }
}
