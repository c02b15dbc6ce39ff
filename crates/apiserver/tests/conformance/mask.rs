//! What cannot be equal between two servers: uids, times, versions, addresses. The rules are those of the recordings'
//! own `replay.py`.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

const KEYS: [&str; 11] = [
    "resourceVersion",
    "continue",
    "clusterIP",
    "clusterIPs",
    "nodePort",
    "remainingItemCount",
    "healthCheckNodePort",
    "uid",
    "storageVersionHash",
    "hash",
    "token",
];

struct Rule(Regex, &'static str);

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
        (r"10\.96\.\d+\.\d+", "<ip>"),
        (r"gen-[a-z0-9]{5}\b", "gen-<suffix>"),
        (r"(ResourceVersion in the precondition \()\d+", "${1}<n>"),
        (r#"(resource ?[vV]ersion:? "?)\d+"#, "${1}<n>"),
    ]
    .into_iter()
    .map(|(pattern, with)| Rule(Regex::new(pattern).unwrap(), with))
    .collect()
});

fn text(text: &str) -> String {
    RULES.iter().fold(text.to_owned(), |text, rule| rule.0.replace_all(&text, rule.1).into_owned())
}

/// The value with everything masked.
pub fn value(value: &Value) -> Value {
    masked(value, None)
}

fn masked(value: &Value, key: Option<&str>) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(name, value)| (text(name), masked(value, Some(name)))).collect()
        }
        Value::Array(list) => {
            let key = key.filter(|key| *key == "clusterIPs");
            list.iter().map(|value| masked(value, key)).collect()
        }
        Value::Null => Value::Null,
        other => {
            let nothing = matches!(other.as_str(), Some("" | "0" | "None"));
            match key.filter(|key| KEYS.contains(key) && !nothing) {
                Some(key) => format!("<{key}>").into(),
                None => other.as_str().map_or_else(|| other.clone(), |own| text(own).into()),
            }
        }
    }
}
