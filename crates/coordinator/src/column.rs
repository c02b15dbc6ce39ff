//! What `NAME list` shows of each object that an observer serves, as data.

use std::fmt;
use std::sync::Arc;

use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{DecodeError, Object, ObserverSpec, Rehearsal, View};

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
        Self { name, description, cell: Arc::new(cell) }
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
        Self { name, description, cell: Arc::new(cell) }
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
    /// Shows a column more of the objects it serves. An object for which all columns are empty is not shown: it does not
    /// concern the observer.
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
            if cells.is_empty() || cells.iter().any(|cell| !cell.is_empty()) {
                let namespace = object.namespace().map(str::to_owned);
                rows.push(Row { namespace, name: object.name().to_owned(), cells });
            }
        }
        Ok(rows)
    }
}

impl Rehearsal {
    /// What the observer's [columns](ObserverSpec::column) show of the cluster.
    ///
    /// # Errors
    /// An object is not of the type that a column is about.
    pub fn rows(&self) -> Result<Vec<Row>, DecodeError> {
        self.spec().rows(self.view())
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
