//! The `Table` of `meta.k8s.io`: what a server answers when it is asked to print.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{MetaVersion, Printer, Source, descriptions, partial_object_metadata};
use crate::{
    machinery::{go_quoted, object},
    status::ApiError,
};

/// What each row carries of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter `includeObject`; empty is the default.
    ///
    /// # Errors
    /// 400 for another word.
    pub fn parse(word: &str) -> Result<Self, ApiError> {
        match word {
            "None" => Ok(Self::None),
            "Metadata" | "" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            other => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', \
                 'Object', 'None', or empty",
                go_quoted(other)
            ))),
        }
    }
}

/// How a table is wanted.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions {
    /// Of which version it is.
    pub version: MetaVersion,
    /// What rows carry.
    pub include: IncludeObject,
    /// Whether it says its columns; a watch says them once.
    pub headers: bool,
    /// When ages are counted from.
    pub now: Timestamp,
}

/// The table of a list, with the list's metadata. Objects are in the version that the resource serves.
pub fn table_of_list<'a>(
    printer: &Printer<'_>,
    objects: impl IntoIterator<Item = &'a Value>,
    list_metadata: &Value,
    options: &TableOptions,
) -> Value {
    let mut objects: Vec<&Value> = objects.into_iter().collect();
    if let Some(order) = printer.order() {
        objects.sort_by(|a, b| order(a).cmp(&order(b)));
    }
    let rows: Vec<Value> = objects.into_iter().map(|object| row(printer, object, options)).collect();
    let rows = match printer.source {
        // The default way to print starts from no list at all.
        Source::Default if rows.is_empty() => Value::Null,
        _ => Value::Array(rows),
    };
    table(printer, rows, list_metadata.clone(), options)
}

/// The table of one object: an answer, or the object of a watch event.
pub fn table_of_object(printer: &Printer<'_>, object: &Value, options: &TableOptions) -> Value {
    let mut metadata = Map::new();
    let version = object::resource_version(object);
    if !version.is_empty() {
        metadata.insert("resourceVersion".to_owned(), version.into());
    }
    table(printer, Value::Array(vec![row(printer, object, options)]), Value::Object(metadata), options)
}

fn table(printer: &Printer<'_>, rows: Value, metadata: Value, options: &TableOptions) -> Value {
    let columns = if options.headers { column_definitions(printer) } else { Value::Null };
    json!({
        "kind": "Table", "apiVersion": options.version.api_version(), "metadata": metadata,
        "columnDefinitions": columns, "rows": rows,
    })
}

fn column_definitions(printer: &Printer<'_>) -> Value {
    let definition = |column: &super::Column| {
        let description = match &column.description {
            Some(description) => description,
            None => descriptions::of(printer.group, printer.kind, &column.name),
        };
        json!({
            "name": column.name, "type": column.type_, "format": column.format,
            "description": description, "priority": column.priority,
        })
    };
    printer.columns.iter().map(definition).collect()
}

fn row(printer: &Printer<'_>, object: &Value, options: &TableOptions) -> Value {
    let mut row = Map::new();
    row.insert("cells".to_owned(), Value::Array(printer.cells(object, options.now)));
    if let Some(conditions) = printer.conditions(object) {
        row.insert("conditions".to_owned(), conditions);
    }
    let included = match options.include {
        IncludeObject::Object => object.clone(),
        // Clients of watches must see the mark, whatever else they want to see.
        IncludeObject::None if !ends_initial_events(object) => Value::Null,
        IncludeObject::None | IncludeObject::Metadata => partial_object_metadata(object, options.version),
    };
    row.insert("object".to_owned(), included);
    Value::Object(row)
}

fn ends_initial_events(object: &Value) -> bool {
    object::annotations(object)
        .is_some_and(|annotations| annotations.get("k8s.io/initial-events-end").is_some_and(|v| v == "true"))
}
