//! What a server holds, without what differs from run to run: unique ids, versions, times, generated names, and the
//! addresses and ports that it allocates.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Scenario;

/// What a server holds: objects by kind, namespace and name, in order. Several may have one normal name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State(Vec<(String, Value)>);

/// How many differences are told.
const DIFFERENCES_MAX: usize = 12;
/// How much of a value is told.
const VALUE_MAX: usize = 300;
/// Stands for a port that the server has allocated.
const NODE_PORT: &str = "<node port>";
/// What servers write into metadata that differs from run to run.
const VOLATILE: [&str; 6] =
    ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink"];

/// The names, unique ids and addresses of a run, and what stands for them.
#[derive(Default)]
pub(super) struct Names {
    /// Unique ids and cluster IPs.
    given: BTreeMap<String, String>,
    generated: BTreeMap<String, String>,
}

impl State {
    /// The normal state of these objects.
    pub(super) fn of(objects: Vec<Value>, scenario: &dyn Scenario) -> Self {
        let is_event = |object: &Value| text(object, "/kind") == "Event";
        let objects: Vec<Value> = objects.into_iter().filter(|object| !is_event(object)).collect();
        let mut names = Names::default();
        for object in &objects {
            names.learn(object);
        }
        let mut state: Vec<(String, Value)> = objects
            .into_iter()
            .filter_map(|mut object| {
                names.normalize(&mut object);
                scenario.normalize(&mut object).then(|| (identity(&object), object))
            })
            .collect();
        // Few have one name.
        state.sort_by(|(one, this), (two, that)| {
            one.cmp(two).then_with(|| this.to_string().cmp(&that.to_string()))
        });
        Self(state)
    }

    /// What differs in `other` from this, in words.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut identities: Vec<&String> =
            self.0.iter().chain(&other.0).map(|(identity, _)| identity).collect();
        identities.sort();
        identities.dedup();
        for identity in identities {
            let of = |state: &'_ Self| -> Vec<Value> {
                let own = state.0.iter().filter(|(own, _)| own == identity);
                own.map(|(_, object)| object.clone()).collect()
            };
            let (mut expected, mut found) = (of(self), of(other));
            // What both have is not told.
            expected.retain(|object| match found.iter().position(|own| own == object) {
                Some(position) => {
                    found.remove(position);
                    false
                }
                None => true,
            });
            if let ([expected], [found]) = (&*expected, &*found) {
                compare(expected, found, &mut identity.clone(), &mut differences);
                continue;
            }
            if expected.len() != found.len() {
                differences.push(format!(
                    "{identity}: {} too {}",
                    expected.len().abs_diff(found.len()),
                    if expected.len() > found.len() { "few" } else { "many" }
                ));
            }
            let told = expected.iter().map(|object| ("expected", object));
            for (which, object) in told.chain(found.iter().map(|object| ("found", object))) {
                differences.push(format!("{identity}: {which} {}", short(object)));
            }
        }
        let more = differences.len().saturating_sub(DIFFERENCES_MAX);
        differences.truncate(DIFFERENCES_MAX);
        if more > 0 {
            differences.push(format!("and {more} more"));
        }
        differences
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn identity(object: &Value) -> String {
    let (kind, namespace) = (text(object, "/kind"), text(object, "/metadata/namespace"));
    let name = text(object, "/metadata/name");
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

fn is_service(object: &Value) -> bool {
    (text(object, "/apiVersion"), text(object, "/kind")) == ("v1", "Service")
}

/// Takes the ports out of a Service that the server has allocated.
fn ports(service: &mut Value) {
    let (own_ports, own_health) =
        (is_owned(service, "f:nodePort"), is_owned(service, "f:healthCheckNodePort"));
    let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    let ports = ports.into_iter().flatten().filter_map(|port| port.get_mut("nodePort"));
    ports.filter(|_| !own_ports).for_each(|port| *port = NODE_PORT.into());
    let health = service.pointer_mut("/spec/healthCheckNodePort");
    health.into_iter().filter(|_| !own_health).for_each(|port| *port = NODE_PORT.into());
}

/// Whether somebody has stated a field: what a server allocates has no owner.
fn is_owned(object: &Value, field: &str) -> bool {
    fn has(fields: &Value, name: &str) -> bool {
        let fields = fields.as_object().into_iter().flatten();
        fields.into_iter().any(|(field, below)| field == name || has(below, name))
    }
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers.into_iter().flatten().any(|manager| has(&manager["fieldsV1"], field))
}

pub(super) fn short(value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > VALUE_MAX {
        text.truncate(text.floor_char_boundary(VALUE_MAX));
        text.push('…');
    }
    text
}

fn compare(expected: &Value, found: &Value, path: &mut String, differences: &mut Vec<String>) {
    if expected == found {
        return;
    }
    let length = path.len();
    if let (Value::Array(one), Value::Array(other)) = (expected, found)
        && one.len() == other.len()
    {
        for (number, (one, other)) in one.iter().zip(other).enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(path, "[{number}]");
            compare(one, other, path, differences);
            path.truncate(length);
        }
        return;
    }
    let (Value::Object(one), Value::Object(other)) = (expected, found) else {
        differences.push(format!("{path}: expected {}, found {}", short(expected), short(found)));
        return;
    };
    let mut fields: Vec<&String> = one.keys().chain(other.keys()).collect();
    fields.sort();
    fields.dedup();
    for field in fields {
        let _ = write!(path, " .{field}");
        let none = Value::Null;
        compare(one.get(field).unwrap_or(&none), other.get(field).unwrap_or(&none), path, differences);
        path.truncate(length);
    }
}

impl Names {
    pub(super) fn learn(&mut self, object: &Value) {
        let (name, prefix) = (text(object, "/metadata/name"), text(object, "/metadata/generateName"));
        let mut known = name.to_owned();
        if !prefix.is_empty() && name.starts_with(prefix) && name.len() > prefix.len() {
            known = format!("{prefix}*");
            self.generated.insert(name.to_owned(), known.clone());
        }
        let uid = text(object, "/metadata/uid");
        if !uid.is_empty() {
            self.given.insert(uid.to_owned(), format!("<uid of {} {known}>", text(object, "/kind")));
        }
        if is_service(object) && !is_owned(object, "f:clusterIP") && !is_owned(object, "f:clusterIPs") {
            let several = object.pointer("/spec/clusterIPs").and_then(Value::as_array);
            let addresses = several.into_iter().flatten().chain(object.pointer("/spec/clusterIP"));
            for address in addresses.filter_map(Value::as_str).filter(|address| *address != "None") {
                self.given.insert(address.to_owned(), format!("<cluster IP of {}>", identity(object)));
            }
        }
    }

    fn normalize(&self, object: &mut Value) {
        let generation = object.pointer("/metadata/generation").cloned();
        if is_service(object) {
            ports(object);
        }
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.retain(|field, _| !VOLATILE.contains(&field.as_str()));
        }
        self.walk(object, generation.as_ref());
    }

    fn walk(&self, value: &mut Value, generation: Option<&Value>) {
        match value {
            Value::String(text) => self.replace(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item, generation)),
            Value::Object(fields) => {
                Self::observed(fields, generation);
                // A map by type, in the order in which each was first true.
                if let Some(Value::Array(conditions)) = fields.get_mut("conditions") {
                    conditions.sort_by_cached_key(|condition| text(condition, "/type").to_owned());
                }
                fields.values_mut().for_each(|field| self.walk(field, generation));
            }
            _ => {}
        }
    }

    /// Which generation was observed may differ, but not whether it is the newest.
    fn observed(fields: &mut Map<String, Value>, generation: Option<&Value>) {
        if let Some(observed) = fields.get_mut("observedGeneration")
            && observed.is_number()
            && let Some(generation) = generation
        {
            *observed = if observed == generation { "the newest".into() } else { "an old one".into() };
        }
    }

    pub(super) fn replace(&self, text: &mut String) {
        if let Some(known) = self.given.get(text).or_else(|| self.generated.get(text)) {
            text.clone_from(known);
        } else if text.len() >= 20 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok() {
            "<time>".clone_into(text);
        } else {
            for (name, known) in &self.generated {
                if text.contains(name) {
                    *text = text.replace(name, known);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normal(objects: &[Value]) -> Vec<Value> {
        let mut names = Names::default();
        for object in objects {
            names.learn(object);
        }
        let normal = objects.iter().cloned().map(|mut object| {
            names.normalize(&mut object);
            object
        });
        normal.collect()
    }

    fn service(spec: &Value, owned: &Value) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "town", "name": "web", "managedFields": [{"fieldsV1": {"f:spec": owned}}]},
            "spec": spec,
        })
    }

    #[test]
    fn what_the_server_allocated_is_taken_out_and_what_was_asked_for_stays() {
        let spec = |address: &str, port: u16| {
            json!({
                "clusterIP": address,
                "clusterIPs": [address],
                "healthCheckNodePort": port,
                "ports": [{"port": 80, "nodePort": port}],
            })
        };
        let map =
            |address: &str| json!({"kind": "ConfigMap", "data": {"upstream": address, "other": "10.0.0.9"}});
        let run =
            |address, port, owned: &Value| normal(&[map(address), service(&spec(address, port), owned)]);
        let allocated = run("10.0.0.1", 30_001, &json!({"f:ports": {"k:{}": {"f:port": {}}}}));
        assert_eq!(allocated[0]["data"]["upstream"], "<cluster IP of Service town/web>");
        assert_eq!(allocated[0]["data"]["other"], "10.0.0.9");
        let (here, there, one, other) = ("10.0.0.1", "10.0.0.2", 30_001, 30_002);
        // What somebody has stated, how two runs differ, and whether that counts.
        for (owned, (address, port), counts) in [
            (json!({}), (here, one), false),
            (json!({}), (there, one), false),
            (json!({}), (here, other), false),
            (json!({}), (there, other), false),
            (json!({"f:clusterIP": {}}), (here, one), false),
            (json!({"f:clusterIP": {}}), (there, one), true),
            (json!({"f:clusterIPs": {}}), (there, one), true),
            (json!({"f:clusterIP": {}}), (here, other), false),
            (json!({"f:ports": {"k:{}": {"f:port": {}}}}), (here, other), false),
            (json!({"f:ports": {"k:{}": {"f:nodePort": {}}}}), (here, other), true),
            (json!({"f:ports": {"k:{}": {"f:nodePort": {}}}}), (there, one), false),
            (json!({"f:healthCheckNodePort": {}}), (here, other), true),
        ] {
            let differs = run(here, one, &owned) != run(address, port, &owned);
            assert_eq!(differs, counts, "{owned}: {address}, {port}");
        }
        // A Service without an address is another one.
        assert_ne!(run("None", 30_001, &json!({})), allocated);
    }
}
