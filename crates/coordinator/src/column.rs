//! What `NAME list` shows of each object that an observer serves, as data.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{DecodeError, Object, ObserverSpec, View};

type Cell = dyn Fn(&Object, &View) -> Result<String, DecodeError> + Send + Sync;

/// A column of what is shown of an observer's primary objects, a row each, after namespace and name.
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use xebec_coordinator::{Column, ObserverSpec, View, Watch};
///
/// let spec = ObserverSpec::new("pods", "watches Pods")
///     .watch(Watch::of::<Pod>())
///     .column(Column::path("NODE", "Where it runs.", "/spec/nodeName"))
///     .column(Column::new("CONTAINERS", "How many it has.", |pod: &Pod, _view: &View| {
///         pod.spec.as_ref().map(|spec| spec.containers.len().to_string()).unwrap_or_default()
///     }));
/// assert_eq!(spec.columns[0].name(), "NODE");
/// ```
#[derive(Clone)]
pub struct Column {
    name: &'static str,
    description: &'static str,
    cell: Arc<Cell>,
    /// An object that has something to show here concerns the observer.
    tells: bool,
}

/// What is shown of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its namespace, none for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// A text for each column.
    pub cells: Vec<String>,
}

impl Column {
    /// What a function says of the object: empty for nothing.
    pub fn new<K, F>(name: &'static str, description: &'static str, cell: F) -> Self
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
        F: Fn(&K, &View) -> String + Send + Sync + 'static,
    {
        let cell = move |object: &Object, view: &View| Ok(cell(&object.decode::<K>()?, view));
        Self { name, description, cell: Arc::new(cell), tells: true }
    }

    /// What stands in a field, by its JSON pointer; empty if that is not there.
    pub fn path(name: &'static str, description: &'static str, pointer: &'static str) -> Self {
        let cell = move |object: &Object, _: &View| {
            Ok(match object.to_value()?.pointer(pointer) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            })
        };
        Self { name, description, cell: Arc::new(cell), tells: true }
    }

    /// How long ago the object was last written by this field manager, as kubectl shows ages (`3m`, `5d`); empty if never.
    /// It goes by who owns which fields, which [`Coordinator::rows`](crate::Coordinator::rows) reads for it.
    pub fn last_written(name: &'static str, description: &'static str, manager: &'static str) -> Self {
        let cell = move |object: &Object, view: &View| {
            let meta = object.decode::<PartialObjectMeta>()?.metadata;
            let own = meta
                .managed_fields
                .into_iter()
                .flatten()
                .filter(|entry| entry.manager.as_deref() == Some(manager));
            let last = own.filter_map(|entry| entry.time).map(|time| time.0).max();
            Ok(last.map(|last| age(view.now().duration_since(last))).unwrap_or_default())
        };
        Self { name, description, cell: Arc::new(cell), tells: false }
    }

    /// Its heading.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it shows, in a sentence.
    pub fn description(&self) -> &'static str {
        self.description
    }
}

impl ObserverSpec {
    /// Shows a column more of the objects it serves. An object for which all columns are empty, whenever it was last
    /// written, is not shown: it does not concern the observer.
    #[must_use]
    pub fn column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// What its columns show of the primary objects in a view, ordered by namespace and name.
    ///
    /// # Errors
    /// An object is not of the type that a column is about.
    pub fn rows(&self, view: &View) -> Result<Vec<Row>, DecodeError> {
        let Some(primary) = self.primary() else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for object in view.kind(primary).list(None) {
            let cells = self.columns.iter().map(|column| (column.cell)(&object, view));
            let cells: Vec<String> = cells.collect::<Result<_, _>>()?;
            let mut told = self.columns.iter().zip(&cells).filter(|(column, _)| column.tells).peekable();
            if told.peek().is_none() || told.any(|(_, cell)| !cell.is_empty()) {
                let namespace = object.namespace().map(str::to_owned);
                rows.push(Row { namespace, name: object.name().to_owned(), cells });
            }
        }
        Ok(rows)
    }
}

/// The part of any object that says who has written it.
#[derive(Deserialize)]
struct PartialObjectMeta {
    metadata: ObjectMeta,
}

/// A time span as kubectl writes ages: the finer the shorter.
fn age(span: SignedDuration) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let seconds = span.as_secs().max(0);
    let one = |unit: i64, name: char| format!("{}{name}", seconds / unit);
    let two = |unit: i64, name: char, next: i64, next_name: char| match seconds % unit / next {
        0 => one(unit, name),
        rest => format!("{}{rest}{next_name}", one(unit, name)),
    };
    match seconds {
        _ if seconds < 2 * MINUTE => one(1, 's'),
        _ if seconds < 10 * MINUTE => two(MINUTE, 'm', 1, 's'),
        _ if seconds < 3 * HOUR => one(MINUTE, 'm'),
        _ if seconds < 8 * HOUR => two(HOUR, 'h', MINUTE, 'm'),
        _ if seconds < 2 * DAY => one(HOUR, 'h'),
        _ if seconds < 8 * DAY => two(DAY, 'd', HOUR, 'h'),
        _ if seconds < 2 * YEAR => one(DAY, 'd'),
        _ if seconds < 8 * YEAR => two(YEAR, 'y', DAY, 'd'),
        _ => one(YEAR, 'y'),
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_those_of_kubectl() {
        const HOUR: i64 = 3600;
        for (seconds, text) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (600, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR + 60, "3h1m"),
            (8 * HOUR + 60, "8h"),
            (49 * HOUR, "2d1h"),
            (8 * 24 * HOUR + HOUR, "8d"),
            (2 * 365 * 24 * HOUR + 24 * HOUR, "2y1d"),
            (9 * 365 * 24 * HOUR, "9y"),
        ] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), text, "{seconds}");
        }
    }
}
