//! What observers would do about a cluster, for `run --dry-run`, `NAME plan` and `NAME why`: read, planned, printed.

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Map, Value, json};
use xebec_coordinator::{
    Column, Coordinator, Key, Operation, Patch, Plan, PlanError, Rehearsal, Step, Write,
};

use crate::{
    chosen::Chosen,
    output::{self, OutputFormat},
};

/// What one observer would do about one key.
pub struct Planned {
    /// The observer's name.
    pub observer: String,
    /// Who writes, where a write does not say.
    manager: String,
    /// The key.
    pub key: Key,
    /// The objects that wake the key.
    pub woken_by: Vec<Key>,
    plan: Result<Plan, PlanError>,
}

/// What an observer would do about every key that it would serve after a start.
///
/// # Errors
/// The cluster cannot be read.
pub async fn all(client: &Client, observer: &Chosen) -> Result<Vec<Planned>> {
    let rehearsal = rehearse(client, observer).await?;
    Ok(rehearsal.keys().keys().map(|key| Planned::of(observer, &rehearsal, key)).collect())
}

/// What it would do about one key, and the version of the object, if it is there.
///
/// # Errors
/// The cluster cannot be read.
pub async fn one(client: &Client, observer: &Chosen, key: &Key) -> Result<(Planned, Option<String>)> {
    let rehearsal = rehearse(client, observer).await?;
    let version = rehearsal.view().object(key).map(|object| object.resource_version().to_owned());
    Ok((Planned::of(observer, &rehearsal, key), version))
}

async fn rehearse(client: &Client, observer: &Chosen) -> Result<Rehearsal> {
    let coordinator = Coordinator::new(client.clone());
    observer.observe(&coordinator)?;
    coordinator.rehearse(observer.name()).await.context("look at the cluster")
}

/// Prints the objects that an observer serves, by its columns.
///
/// # Errors
/// The cluster cannot be read.
pub async fn list(client: &Client, observer: &Chosen, format: OutputFormat) -> Result<String> {
    let coordinator = Coordinator::new(client.clone());
    observer.observe(&coordinator)?;
    let rows = coordinator.rows(observer.name()).await.context("look at the cluster")?;
    let headings: Vec<&str> = observer.spec().columns.iter().map(Column::name).collect();
    let items = rows.iter().map(|row| {
        let cells = headings.iter().zip(&row.cells);
        let cells: Map<String, Value> =
            cells.map(|(name, cell)| ((*name).to_owned(), cell.as_str().into())).collect();
        json!({ "namespace": row.namespace, "name": row.name, "columns": cells })
    });
    let value = json!({ "items": items.collect::<Vec<_>>() });
    output::render(format, &value, || {
        if rows.is_empty() {
            return format!("{} serves nothing here.\n", observer.name());
        }
        let has_namespaces = rows.iter().any(|row| row.namespace.is_some());
        let namespace = |text: &str| has_namespaces.then(|| text.to_owned());
        let heading = namespace("NAMESPACE").into_iter().chain(["NAME".to_owned()]);
        let heading = heading.chain(headings.iter().map(|name| (*name).to_owned())).collect();
        let rows = rows.iter().map(|row| {
            let first = namespace(row.namespace.as_deref().unwrap_or_default()).into_iter();
            first.chain([row.name.clone()]).chain(row.cells.iter().cloned()).collect()
        });
        output::table(&std::iter::once(heading).chain(rows).collect::<Vec<Vec<String>>>())
    })
}

/// Prints plans: as text only those that do something.
///
/// # Errors
/// They cannot be encoded.
pub fn render(planned: &[Planned], format: OutputFormat) -> Result<String> {
    let value = json!({ "plans": planned.iter().map(Planned::value).collect::<Vec<_>>() });
    output::render(format, &value, || {
        let busy: Vec<_> =
            planned.iter().map(|one| (one, one.steps())).filter(|(_, steps)| !steps.is_empty()).collect();
        let mut rows = vec![["OBSERVER", "OBJECT", "WOULD"].map(str::to_owned).to_vec()];
        for (one, steps) in &busy {
            for (place, step) in steps.iter().enumerate() {
                let (observer, key) =
                    if place == 0 { (one.observer.clone(), one.key.to_string()) } else { Default::default() };
                rows.push(vec![observer, key, step.clone()]);
            }
        }
        let table = if busy.is_empty() { String::new() } else { output::table(&rows) };
        let (busy, all) = (busy.len(), planned.len());
        format!("{table}{busy} of {all} objects that were looked at need something. Nothing was written.\n")
    })
}

impl Planned {
    fn of(observer: &Chosen, rehearsal: &Rehearsal, key: &Key) -> Self {
        Self {
            observer: observer.name().to_owned(),
            manager: observer.spec().component().to_owned(),
            key: key.clone(),
            woken_by: rehearsal.keys().get(key).cloned().unwrap_or_default(),
            plan: rehearsal.plan(key),
        }
    }

    /// For people, a line each. Nothing that is in objects, which may be secret.
    pub fn steps(&self) -> Vec<String> {
        match &self.plan {
            Ok(plan) => {
                let again = plan.requeues_after().map(|delay| format!("look again after {delay:?}"));
                plan.steps().iter().map(ToString::to_string).chain(again).collect()
            }
            Err(error) => vec![format!("fail: {error}")],
        }
    }

    /// For programs, with all that would be written.
    pub fn value(&self) -> Value {
        let mut value = json!({
            "observer": self.observer,
            "object": name(&self.key),
            "wokenBy": self.woken_by.iter().map(name).collect::<Vec<_>>(),
            "steps": [],
        });
        match &self.plan {
            Ok(plan) => {
                value["steps"] = plan.steps().iter().map(|step| self.step(step)).collect();
                if let Some(delay) = plan.requeues_after() {
                    value["requeueAfterSeconds"] = json!(delay.as_secs_f64());
                }
            }
            Err(error) => value["error"] = json!(error.to_string()),
        }
        value
    }

    fn step(&self, step: &Step) -> Value {
        match step {
            Step::Write(write) => json!({ "write": self.write(write) }),
            Step::Record(record) => json!({ "record": {
                "type": record.severity.as_str(),
                "reason": record.reason,
                "action": record.action,
                "note": record.note,
                "regarding": record.regarding,
            }}),
            Step::Emit(event) => json!({ "emit": event.type_name() }),
        }
    }

    fn write(&self, write: &Write) -> Value {
        let mut value = json!({
            "verb": write.verb(),
            "object": name(&write.target),
            "fieldManager": write.field_manager.as_deref().unwrap_or(&self.manager),
        });
        if let Some(subresource) = write.subresource {
            value["subresource"] = subresource.into();
        }
        let body = match &write.operation {
            Operation::Create(body) | Operation::Update(body) => body.clone(),
            Operation::Patch(patch) => {
                value["patch"] = patch.form().into();
                match patch {
                    Patch::Json(body) | Patch::Merge(body) | Patch::Strategic(body) => body.clone(),
                    Patch::Apply { fields, force } => {
                        value["force"] = (*force).into();
                        fields.clone()
                    }
                }
            }
            Operation::Delete(params) => serde_json::to_value(params).unwrap_or_default(),
        };
        // What is printed is kept in logs and tickets.
        let is_secret = write.target.kind().name() == "Secret" && write.target.kind().group().is_empty();
        value["body"] = if is_secret { "(not shown: it is a Secret's)".into() } else { body };
        value
    }
}

fn name(key: &Key) -> Value {
    json!({
        "apiVersion": key.kind().api_version(),
        "kind": key.kind().name(),
        "namespace": key.namespace(),
        "name": key.name(),
    })
}
