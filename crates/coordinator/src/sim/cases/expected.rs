//! Whether an object is as a case says: as far as it says anything.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::normal::short;

/// What is not as expected. Fields that are not mentioned may be anything, and null stands for none; a list is as long as
/// it is expected to be.
pub(super) fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare(expected, found, &mut String::new(), &mut differences);
    differences
}

fn compare(expected: &Value, found: &Value, path: &mut String, differences: &mut Vec<String>) {
    let length = path.len();
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            for (field, expected) in one {
                // Writing to a String cannot fail.
                let _ = if field.contains(['.', '/']) {
                    write!(path, " .[{field}]")
                } else {
                    write!(path, " .{field}")
                };
                compare(expected, other.get(field).unwrap_or(&Value::Null), path, differences);
                path.truncate(length);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (number, (expected, found)) in one.iter().zip(other).enumerate() {
                let _ = write!(path, "[{number}]");
                compare(expected, found, path, differences);
                path.truncate(length);
            }
        }
        (expected, found) if expected == found => {}
        (expected, found) => {
            let told = |value: &Value| if value.is_null() { "nothing".to_owned() } else { short(value) };
            differences.push(format!(
                "{}: expected {}, found {}",
                path.trim_start(),
                told(expected),
                told(found)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_mentioned_counts() {
        let found = json!({"spec": {"replicas": 2, "paused": true, "ports": [{"port": 80, "name": "http"}]}});
        for (expected, differs) in [
            (json!({}), None),
            (json!({"spec": {"replicas": 2}}), None),
            (json!({"spec": {"replicas": 3}}), Some(".spec .replicas: expected 3, found 2")),
            (json!({"spec": {"paused": null}}), Some(".spec .paused: expected nothing, found true")),
            (json!({"status": null}), None),
            (json!({"status": {"ready": null}}), Some(".status: expected {\"ready\":null}, found nothing")),
            (json!({"spec": {"ports": [{"port": 80}]}}), None),
            (
                json!({"spec": {"ports": [{"port": 81}]}}),
                Some(".spec .ports[0] .port: expected 81, found 80"),
            ),
            (
                json!({"spec": {"ports": []}}),
                Some(".spec .ports: expected [], found [{\"name\":\"http\",\"port\":80}]"),
            ),
            (json!({"spec": {"a.b/c": "d"}}), Some(".spec .[a.b/c]: expected \"d\", found nothing")),
        ] {
            let differences = differences(&expected, &found);
            assert_eq!(differences, differs.into_iter().collect::<Vec<_>>(), "{expected}");
        }
    }
}
