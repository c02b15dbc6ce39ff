//! What an observer wants done about a key: writes and events, as data.

use std::any::{Any, TypeId, type_name};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use serde::Serialize;

use crate::counting::{Kept, Series};
use crate::write::{Operation, Patch};
use crate::{BoxError, Conditions, EventRecord, Key, Object, ObserverSpec, Write};

/// Writes and events, in the order in which they are to be executed, and when to look again.
///
/// An empty plan means that everything is as it should be. Steps are executed one after the other; a write that fails
/// ends the plan, and the key is planned anew after a back-off. An event after a write is thus only emitted or
/// recorded if the write succeeded.
#[derive(Default)]
pub struct Plan {
    steps: Vec<Step>,
    requeue_after: Option<Duration>,
    keep: Keep,
    /// What is left behind of the key until the next plan.
    pub(crate) kept: Kept,
    pub(crate) counts: Vec<Series>,
    error: Option<BoxError>,
}

/// What becomes of the observer's finalizer after a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It goes when an object is finalized, and stays while the object lives.
    #[default]
    WhileNeeded,
    /// It stays.
    Hold,
    /// It goes.
    Release,
}

/// One step of a [`Plan`].
#[derive(Clone, Debug)]
pub enum Step {
    /// Write to the API server.
    Write(Write),
    /// Tell other observers.
    Emit(Emission),
    /// Record a Kubernetes Event.
    Record(Box<EventRecord>),
}

/// A typed event for other observers, with its type erased.
#[derive(Clone)]
pub struct Emission {
    type_id: TypeId,
    type_name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

/// An event that an observer emits for others, for its reference page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmissionSpec {
    /// The name of its type.
    pub type_name: &'static str,
    /// When it is emitted, in a sentence.
    pub description: Cow<'static, str>,
}

impl ObserverSpec {
    /// Says that it emits events of type `T`, and when.
    #[must_use]
    pub fn emits<T: Send + Sync + 'static>(mut self, description: impl Into<Cow<'static, str>>) -> Self {
        self.emits.push(EmissionSpec { type_name: type_name::<T>(), description: description.into() });
        self
    }
}

impl Plan {
    /// Nothing to do.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds any write.
    pub fn write(&mut self, write: Write) -> &mut Self {
        self.steps.push(Step::Write(write));
        self
    }

    /// Creates an object.
    pub fn create<K>(&mut self, object: &K) -> &mut Self
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        self.encoded(Write::create(object))
    }

    /// Replaces an object by a changed copy of what was read.
    pub fn update<K>(&mut self, object: &K) -> &mut Self
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        self.encoded(Write::update(object))
    }

    /// Replaces the status of an object.
    pub fn update_status<K>(&mut self, object: &K) -> &mut Self
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        self.encoded(Write::update_status(object))
    }

    /// Applies an object server-side as the observer's field manager, without force, see [`Write::apply`]. State it in
    /// every plan: it is sent where it changes something, see [`Context::write`](crate::Context::write).
    pub fn apply<K>(&mut self, object: &K) -> &mut Self
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        self.encoded(Write::apply(object))
    }

    /// Applies the status of an object server-side, see [`Write::apply_status`].
    pub fn apply_status<K>(&mut self, object: &K) -> &mut Self
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        self.encoded(Write::apply_status(object))
    }

    /// Applies the conditions that the observer states of an object, and drops those that it states no more, see
    /// [`Conditions::apply`]. Not for an observer that applies more of the status: one manager has to apply all that it
    /// owns at once, see [`apply_conditions_with`](Self::apply_conditions_with).
    pub fn apply_conditions(&mut self, object: &Object, conditions: &Conditions) -> &mut Self {
        self.encoded(conditions.apply(object))
    }

    /// Applies the conditions that the observer states, in one write with the other fields of the status that it owns, see
    /// [`Conditions::apply_with`].
    pub fn apply_conditions_with(
        &mut self,
        object: &Object,
        conditions: &Conditions,
        status: serde_json::Value,
    ) -> &mut Self {
        self.encoded(conditions.apply_with(object, status))
    }

    /// Deletes an object by key. With [`Write::delete_object`] only that very object.
    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.write(Write::delete(key))
    }

    /// Tells the observers that subscribed to events of type `T`.
    pub fn emit<T: Send + Sync + 'static>(&mut self, event: T) -> &mut Self {
        self.steps.push(Step::Emit(Emission::new(event)));
        self
    }

    /// Records a Kubernetes Event.
    pub fn record(&mut self, event: EventRecord) -> &mut Self {
        self.steps.push(Step::Record(Box::new(event)));
        self
    }

    /// Plans the key again after `delay`, whatever happens until then; the sooner of two wishes counts.
    pub fn requeue_after(&mut self, delay: Duration) -> &mut Self {
        self.requeue_after = Some(self.requeue_after.map_or(delay, |sooner| sooner.min(delay)));
        self
    }

    /// Keeps the observer's finalizer though all steps have succeeded: what [`finalize`](crate::Observer::finalize) began
    /// has not ended yet. It is called again when something wakes the key.
    pub fn keep_finalizer(&mut self) -> &mut Self {
        self.keep = Keep::Hold;
        self
    }

    /// Takes the observer's finalizer off an object that lives on, after the steps: there is nothing to clean up any
    /// more, because the object no longer concerns the observer, and the steps undo what it had done for it.
    pub fn release_finalizer(&mut self) -> &mut Self {
        self.keep = Keep::Release;
        self
    }

    /// The steps in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The writes in order.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.steps.iter().filter_map(|step| if let Step::Write(write) = step { Some(write) } else { None })
    }

    /// The Kubernetes Events to be recorded, in order.
    pub fn records(&self) -> impl Iterator<Item = &EventRecord> {
        self.steps
            .iter()
            .filter_map(|step| if let Step::Record(record) = step { Some(&**record) } else { None })
    }

    /// The emitted events of type `T`, in order.
    pub fn emitted<T: Send + Sync + 'static>(&self) -> impl Iterator<Item = Arc<T>> {
        self.steps.iter().filter_map(|step| if let Step::Emit(event) = step { event.get() } else { None })
    }

    /// When to plan again whatever happens.
    pub fn requeues_after(&self) -> Option<Duration> {
        self.requeue_after
    }

    /// Whether there is nothing to do but, perhaps, to wait.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.error.is_none()
    }

    /// The steps, unless one of them could not be encoded or is a misuse: then nothing is to be executed.
    pub(crate) fn into_steps(self) -> Result<Vec<Step>, BoxError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        for step in &self.steps {
            if let Step::Write(write) = step {
                write.check()?;
            }
        }
        Ok(self.steps)
    }

    pub(crate) fn retain_steps(&mut self, wanted: impl FnMut(&Step) -> bool) {
        self.steps.retain(wanted);
    }

    pub(crate) fn keep(&self) -> Keep {
        self.keep
    }

    fn encoded(&mut self, write: Result<Write, impl Into<BoxError>>) -> &mut Self {
        match write {
            Ok(write) => self.steps.push(Step::Write(write)),
            Err(error) => self.fail(error.into()),
        }
        self
    }

    /// It is not to be executed, because of this.
    pub(crate) fn fail(&mut self, error: BoxError) {
        self.error.get_or_insert(error);
    }
}

impl Emission {
    /// Erases the type of an event.
    pub fn new<T: Send + Sync + 'static>(event: T) -> Self {
        Self { type_id: TypeId::of::<T>(), type_name: type_name::<T>(), value: Arc::new(event) }
    }

    /// The event, if it is of type `T`.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.value).downcast().ok()
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    pub(crate) fn type_id(&self) -> TypeId {
        self.type_id
    }
}

/// In a line for people: nothing that is in objects, which may be secret.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(write) => match &write.operation {
                Operation::Patch(patch) => write!(f, "{write} ({})", patch.form()),
                _ => write.fmt(f),
            },
            Self::Record(record) => {
                write!(f, "record the Event {} {}: {}", record.severity.as_str(), record.reason, record.note)
            }
            Self::Emit(event) => {
                let name = event.type_name().rsplit("::").next().unwrap_or_default();
                write!(f, "tell other observers: {name}")
            }
        }
    }
}

impl Patch {
    /// What sort of patch it is, in a word.
    pub fn form(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Merge(_) => "merge",
            Self::Strategic(_) => "strategic",
            Self::Apply { .. } => "apply",
        }
    }
}

impl fmt::Debug for Emission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plan = f.debug_struct("Plan");
        plan.field("steps", &self.steps);
        if let Some(delay) = self.requeue_after {
            plan.field("requeue_after", &delay);
        }
        if self.keep != Keep::default() {
            plan.field("keep", &self.keep);
        }
        if !self.kept.is_empty() {
            plan.field("kept", &self.kept);
        }
        if !self.counts.is_empty() {
            plan.field("counts", &self.counts);
        }
        if let Some(error) = &self.error {
            plan.field("error", error);
        }
        plan.finish()
    }
}
