//! From what an observer plans to what is executed: the same for live runs, dry runs and simulation.

use std::collections::BTreeSet;

use crate::write::{Operation, Patch};
use crate::{BoxError, Key, Observer, ObserverSpec, Plan, Step, View, Write, applied, finalizer};

/// What is to be done about a key: what the observer plans, with what its finalizer asks for, without applies of what is
/// applied already.
pub(crate) fn plan(
    observer: &dyn Observer,
    spec: &ObserverSpec,
    key: &Key,
    view: &View,
) -> Result<Plan, BoxError> {
    let mut plan = finalizer::plan(observer, spec, key, view)?;
    spec.check_counted(&plan)?;
    let mut written = BTreeSet::new();
    plan.retain_steps(|step| match step {
        Step::Write(write) => {
            let needed = written.contains(&write.target) || !is_applied(write, spec, view);
            if needed {
                written.insert(write.target.clone());
            }
            needed
        }
        Step::Emit(_) | Step::Record(_) => true,
    });
    Ok(plan)
}

/// Whether a write is an apply that would change nothing of the object as the view shows it.
pub(crate) fn is_applied(write: &Write, spec: &ObserverSpec, view: &View) -> bool {
    let Operation::Patch(Patch::Apply { fields, .. }) = &write.operation else { return false };
    if write.check().is_err() {
        return false; // to be refused
    }
    let manager = write.field_manager.as_deref().unwrap_or(spec.component());
    let known = view.find(&write.target);
    known.is_some_and(|object| applied::is_applied(object, fields, manager, write.subresource))
}
