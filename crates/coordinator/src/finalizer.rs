//! Finalizers that cannot be forgotten: the coordinator adds and removes them, an observer only says what to clean up.
//!
//! An observer that leaves something behind outside the object it serves (other objects, a record in another system)
//! names a finalizer in its spec and implements [`Observer::finalize`]. The way of an object is then:
//!
//! ```text
//!             plan writes elsewhere               deletion asked for            finalize has nothing left
//!  no finalizer ───────────────────► finalizer set ────────────────► finalize ───────────────────────────► gone
//!             (the finalizer first,                  (plan is no longer       (its steps, then the finalizer
//!              the plan a turn later)                  asked)                   is taken off)
//! ```
//!
//! - The finalizer is in the store of the API server before anything is written elsewhere: a plan that writes to
//!   another object, or emits an event, is preceded by a turn that only adds it. Objects that need nothing never get it.
//! - `finalize` states what is to be done; when all steps have succeeded, the finalizer is taken off in the same turn.
//!   A plan that [waits](Plan::keep_finalizer), or wishes to be made again later, keeps it.
//! - Both writes carry the unique id and the `resourceVersion` that was seen. They are merge patches rather than JSON
//!   patches with `test` operations, because the server answers a lost race to the former with 409, by which the
//!   coordinator waits for the state it lost to; the latter is answered with 422, as any patch that is wrong is.
//! - It is all part of the plan: a dry run shows it.
//! - An observer may say [which objects need it](ObserverSpec::finalizes_only). The others are served without; one that
//!   had it and needs it no more is finalized, and lives on.
//!
//! An observer that goes for good must let go what it holds, or these objects can never be deleted:
//! [`Coordinator::release`](crate::Coordinator::release) takes its finalizer off every object.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::entry::Behaviour;
use crate::names::{is_name, is_subdomain};
use crate::plan::Keep;
use crate::{
    Action, AddError, BoxError, Context, DecodeError, Key, Object, Observer, ObserverSpec, Plan, Reconciler,
    Step, View, Write,
};

/// Which objects need a finalizer: a function of the object alone.
#[derive(Clone)]
pub struct Needs(Arc<dyn Fn(&Object) -> bool + Send + Sync>);

impl Needs {
    pub(crate) fn new(needs: impl Fn(&Object) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(needs))
    }
}

impl fmt::Debug for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("some objects")
    }
}

/// Where an object is on its way.
enum Stage<'v> {
    /// There is no object, it needs no finalizer, or the observer has none for its kind.
    Plain,
    /// It lives, and does not have the finalizer.
    Free(&'v Object),
    /// It lives, and has the finalizer.
    Held(&'v Object),
    /// It has the finalizer, and its deletion was asked for, or it lives and needs it no more.
    Ending(&'v Object),
    /// Its deletion was asked for, and the observer has done its part.
    Over,
}

fn stage<'v>(spec: &ObserverSpec, key: &Key, view: &'v View) -> Result<Stage<'v>, DecodeError> {
    let Some(finalizer) = spec.finalizer.as_deref() else { return Ok(Stage::Plain) };
    let object = spec.primary().filter(|primary| *primary == key.kind()).and_then(|_| view.object(key));
    let Some(object) = object else { return Ok(Stage::Plain) };
    let has_it = object.finalizers()?.iter().any(|name| name == finalizer);
    let needs_it = || spec.finalizes.as_ref().is_none_or(|Needs(needs)| needs(object));
    Ok(match (object.is_terminating(), has_it) {
        (false, true) if needs_it() => Stage::Held(object),
        (_, true) => Stage::Ending(object),
        (true, false) => Stage::Over,
        (false, false) if needs_it() => Stage::Free(object),
        (false, false) => Stage::Plain,
    })
}

/// What an observer would do about a key, with what its finalizer asks for.
pub(crate) fn plan(
    observer: &dyn Observer,
    spec: &ObserverSpec,
    key: &Key,
    view: &View,
) -> Result<Plan, BoxError> {
    match stage(spec, key, view)? {
        Stage::Plain => observer.plan(key, view),
        Stage::Over => Ok(Plan::new()),
        Stage::Free(object) => {
            let plan = observer.plan(key, view)?;
            if !plan.acts_beyond(key) {
                return Ok(plan);
            }
            let mut first = Plan::new();
            first.write(add(spec, object)?).requeue_after(Duration::ZERO);
            first.remember_as_before(view);
            Ok(first)
        }
        Stage::Held(object) => {
            let mut plan = observer.plan(key, view)?;
            if plan.keep() == Keep::Release {
                let write = remove(spec, object, plan.writes_to(key))?;
                plan.write(write);
            }
            Ok(plan)
        }
        Stage::Ending(object) => {
            let mut plan = observer.finalize(key, object, view)?;
            let is_done = plan.keep() != Keep::Hold && plan.requeues_after().is_none();
            if is_done {
                let write = remove(spec, object, plan.writes_to(key))?;
                plan.write(write);
                if !object.is_terminating() {
                    plan.requeue_after(Duration::ZERO); // it lives on, and is served
                }
            }
            Ok(plan)
        }
    }
}

/// Serves a key by a reconciler, with what its finalizer asks for.
pub(crate) async fn reconcile(
    reconciler: &dyn Reconciler,
    spec: &ObserverSpec,
    key: &Key,
    cx: &Context,
) -> Result<Action, BoxError> {
    match stage(spec, key, cx.view())? {
        Stage::Plain | Stage::Held(_) => reconciler.reconcile(key, cx).await,
        Stage::Over => Ok(Action::done()),
        // What it does outside is not known beforehand: so always first.
        Stage::Free(object) => {
            cx.write(add(spec, object)?).await?;
            Ok(Action::after(Duration::ZERO))
        }
        Stage::Ending(object) => {
            let action = reconciler.finalize(key, object, cx).await?;
            if action.requeue_after.is_none() && !action.keeps_finalizer {
                cx.write(remove(spec, object, cx.has_written(key))?).await?;
                if !object.is_terminating() {
                    return Ok(Action::after(Duration::ZERO)); // it lives on, and is served
                }
            }
            Ok(action)
        }
    }
}

fn add(spec: &ObserverSpec, object: &Object) -> Result<Write, DecodeError> {
    let mut finalizers = object.finalizers()?;
    finalizers.extend(spec.finalizer.as_deref().map(str::to_owned));
    Ok(set(object, &finalizers, true))
}

/// `changed`: the object has been written since it was seen, so that its version is not known. Nobody can add a
/// finalizer to a terminating object, and so none is lost; of one that lives, only ours is taken off.
pub(crate) fn remove(spec: &ObserverSpec, object: &Object, changed: bool) -> Result<Write, DecodeError> {
    let mut finalizers = object.finalizers()?;
    if changed && !object.is_terminating() {
        let ours = finalizers.iter().position(|name| Some(&**name) == spec.finalizer.as_deref());
        let path = format!("/metadata/finalizers/{}", ours.unwrap_or_default());
        return Ok(Write::json(
            object.key().clone(),
            json!([
                {"op": "test", "path": "/metadata/uid", "value": object.uid()},
                {"op": "test", "path": path, "value": spec.finalizer},
                {"op": "remove", "path": path},
            ]),
        ));
    }
    finalizers.retain(|name| Some(&**name) != spec.finalizer.as_deref());
    Ok(set(object, &finalizers, !changed))
}

fn set(object: &Object, finalizers: &[String], unchanged: bool) -> Write {
    let mut metadata = json!({"uid": object.uid(), "finalizers": finalizers});
    if unchanged {
        metadata["resourceVersion"] = object.resource_version().into();
    }
    Write::merge(object.key().clone(), json!({ "metadata": metadata }))
}

/// Why an observer of this spec cannot have the finalizer it names, if so.
pub(crate) fn check<'s>(
    spec: &ObserverSpec,
    behaviour: &Behaviour,
    mut others: impl Iterator<Item = &'s ObserverSpec>,
) -> Result<(), AddError> {
    let Some(finalizer) = spec.finalizer.as_deref() else { return Ok(()) };
    let wrong = |why: &str| Err(refusal(spec, finalizer, why));
    if !is_qualified(finalizer) {
        return wrong("its form is not domain/name, such as example.com/cleanup");
    }
    if matches!(behaviour, Behaviour::Callback(_) | Behaviour::Emitted { .. }) {
        return wrong("a callback cannot finalize; use an Observer or a Reconciler");
    }
    let mut primaries = spec.watches.iter().filter(|watch| Some(&watch.kind) == spec.primary());
    let selects =
        |fields: &str| fields.split(',').any(|field| !field.trim_start().starts_with("metadata.name"));
    if primaries
        .any(|watch| watch.scope.labels.is_some() || watch.scope.fields.as_deref().is_some_and(selects))
    {
        return wrong(
            "its primary watch selects by what may change: an object that is no longer selected could never be \
             finalized; watch all, and say by finalizes_only which objects need it",
        );
    }
    let taken = others.find(|other| other.finalizer == spec.finalizer && other.primary() == spec.primary());
    taken.map_or(Ok(()), |other| wrong(&format!("observer {} has it already", other.name)))
}

/// Why an observer cannot take the place of another, if so: it would not see to the objects that the other keeps.
pub(crate) fn check_successor(known: &ObserverSpec, successor: &ObserverSpec) -> Result<(), AddError> {
    let Some(finalizer) = known.finalizer.as_deref() else { return Ok(()) };
    if known.finalizer == successor.finalizer && known.primary() == successor.primary() {
        return Ok(());
    }
    let why = "objects have the finalizer of the observer in whose place it would go on; release that first";
    Err(refusal(successor, finalizer, why))
}

fn refusal(spec: &ObserverSpec, finalizer: &str, why: &str) -> AddError {
    let (observer, finalizer) = (spec.name.clone().into_owned(), finalizer.to_owned());
    AddError::Finalizer { observer, finalizer, why: why.to_owned() }
}

/// Whether a name is `domain/name`, of the characters that Kubernetes allows.
fn is_qualified(finalizer: &str) -> bool {
    finalizer.split_once('/').is_some_and(|(domain, name)| is_subdomain(domain) && is_name(name))
}

impl Object {
    /// The finalizers, in their order. Decoded when asked for.
    pub fn finalizers(&self) -> Result<Vec<String>, DecodeError> {
        #[derive(Deserialize)]
        struct Envelope {
            metadata: Meta,
        }
        #[derive(Deserialize)]
        struct Meta {
            #[serde(default)]
            finalizers: Option<Vec<String>>,
        }
        Ok(self.decode::<Envelope>()?.metadata.finalizers.unwrap_or_default())
    }
}

impl Plan {
    /// Whether it does anything that would outlive the object of this key: writes to others, and events by which other
    /// observers do.
    fn acts_beyond(&self, key: &Key) -> bool {
        self.steps().iter().any(|step| match step {
            Step::Write(write) => write.target != *key,
            Step::Emit(_) => true,
            Step::Record(_) => false,
        })
    }

    fn writes_to(&self, key: &Key) -> bool {
        self.writes().any(|write| write.target == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finalizers_are_qualified_names() {
        for (name, good) in [
            ("example.com/cleanup", true),
            ("widgets.example.com/Clean_up.1", true),
            ("cleanup", false),
            ("example.com/", false),
            ("/cleanup", false),
            ("Example.com/cleanup", false),
            ("example..com/cleanup", false),
            ("example.com/-x", false),
            ("example.com/a/b", false),
        ] {
            assert_eq!(is_qualified(name), good, "{name}");
        }
    }
}
