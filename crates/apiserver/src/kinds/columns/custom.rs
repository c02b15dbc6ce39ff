//! Columns and cells of custom resources, from `additionalPrinterColumns` of their definition.

use jiff::Timestamp;
use serde_json::{Number, Value};

use super::{
    super::Column,
    descriptions, format,
    json_path::JsonPath,
    read::{number, text},
};

/// The columns of a version of a custom resource, from that version's entry in its definition. A path that cannot
/// be read ends the columns, as in Kubernetes.
pub fn columns(version: &Value) -> Vec<Column> {
    let mut columns = vec![Column::new("Name", "string", "name", 0)];
    let additional = super::read::items(version, "additionalPrinterColumns");
    if additional.is_empty() {
        columns.push(Column {
            json_path: Some(".metadata.creationTimestamp".into()),
            description: Some(descriptions::of("", "", "Age").into()),
            ..Column::new("Age", "date", "", 0)
        });
    }
    for column in additional {
        let path = text(column, "jsonPath");
        if JsonPath::parse(path).is_err() {
            break;
        }
        let description = match text(column, "description") {
            "" => format!("Custom resource definition column (in JSONPath format): {path}"),
            description => description.to_owned(),
        };
        columns.push(Column {
            name: text(column, "name").to_owned().into(),
            type_: text(column, "type").to_owned().into(),
            format: text(column, "format").to_owned().into(),
            priority: i32::try_from(number(column, "priority")).unwrap_or_default(),
            json_path: Some(path.to_owned().into()),
            description: Some(description.into()),
        });
    }
    columns
}

/// The cell of a column of that type.
pub fn cell(path: &JsonPath, type_: &str, object: &Value, now: Timestamp) -> Value {
    let Ok(found) = path.find(object) else { return Value::Null };
    // Paths of columns are simple: what else they find is not shown.
    let Some(value) = found.first() else { return Value::Null };
    match (type_, value.as_ref()) {
        ("string", value) => printed(value).into(),
        ("integer", Value::Number(number)) => whole(number),
        ("number", Value::Number(number)) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => (float as i64).into(),
            _ => number.clone().into(),
        },
        ("boolean", Value::Bool(flag)) => (*flag).into(),
        ("date", Value::String(text)) if text.is_empty() => "<unknown>".into(),
        ("date", Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(_) => format::age(value, now).into(),
            Err(_) => "<invalid>".into(),
        },
        _ => Value::Null,
    }
}

fn whole(number: &Number) -> Value {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole.into(),
        (None, Some(float)) => (float as i64).into(),
        (None, None) => Value::Null,
    }
}

/// A value as Go prints it: texts as they are, lists and maps as JSON.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(float)) => go_float(float),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => {
            // Go's encoder escapes what HTML would take for markup.
            value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
        }
    }
}

/// A number as `%v` writes it: with an exponent from a million on and below 1/10000.
fn go_float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => float.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cell_of(path: &str, type_: &str) -> Value {
        let object = json!({
            "n": 4, "f": 1.5, "w": 2.0, "t": "x", "b": true, "z": null, "l": [1, "<a>"], "m": {"b": 1, "a": 2},
            "when": "2026-01-01T00:00:00Z", "huge": 1e30, "large": 1_234_567.5,
        });
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        cell(&JsonPath::parse(path).unwrap(), type_, &object, now)
    }

    #[test]
    fn a_cell_is_of_its_columns_type_or_null() {
        for (path, type_, found) in [
            (".n", "integer", json!(4)),
            (".f", "integer", json!(1)),
            (".t", "integer", json!(null)),
            (".f", "number", json!(1.5)),
            (".w", "number", json!(2)),
            (".n", "number", json!(4)),
            (".b", "boolean", json!(true)),
            (".t", "boolean", json!(null)),
            (".t", "string", json!("x")),
            (".n", "string", json!("4")),
            (".f", "string", json!("1.5")),
            (".w", "string", json!("2")),
            (".huge", "string", json!("1e+30")),
            (".large", "string", json!("1.2345675e+06")),
            (".b", "string", json!("true")),
            (".z", "string", json!("<no value>")),
            (".z", "integer", json!(null)),
            (".l", "string", json!("[1,\"\\u003ca\\u003e\"]")),
            (".l[*]", "integer", json!(1)),
            (".l[7]", "integer", json!(null)),
            (".missing", "string", json!(null)),
            (".when", "date", json!("5m")),
            (".t", "date", json!("<invalid>")),
            (".n", "date", json!(null)),
        ] {
            assert_eq!(cell_of(path, type_), found, "{path} {type_}");
        }
    }

    #[test]
    fn a_definition_without_columns_shows_the_age() {
        let columns = columns(&json!({"name": "v1"}));
        assert_eq!(columns.iter().map(|column| &*column.name).collect::<Vec<_>>(), ["Name", "Age"]);
        assert_eq!(columns[1].json_path.as_deref(), Some(".metadata.creationTimestamp"));
        assert!(columns[1].description.as_deref().unwrap().starts_with("CreationTimestamp is"));
    }

    #[test]
    fn a_path_that_cannot_be_read_ends_the_columns() {
        let columns = super::columns(&json!({"additionalPrinterColumns": [
            {"name": "A", "type": "string", "jsonPath": ".a", "priority": 1},
            {"name": "B", "type": "string", "jsonPath": ".b["},
            {"name": "C", "type": "string", "jsonPath": ".c"},
        ]}));
        assert_eq!(columns.iter().map(|column| &*column.name).collect::<Vec<_>>(), ["Name", "A"]);
        assert_eq!(columns[1].priority, 1);
        assert_eq!(
            columns[1].description.as_deref(),
            Some("Custom resource definition column (in JSONPath format): .a")
        );
    }
}
