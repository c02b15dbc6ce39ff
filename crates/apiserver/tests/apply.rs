//! Server-side apply and `managedFields`, compared with what a kube-apiserver answered (`recordings/core/ssa.json`).
//! The steps of each scenario are carried out by the pure functions alone; what defaults and storage do to an object
//! is taken from the recorded answer, so that the next step starts from what it started from there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xebec_apiserver::{
    machinery::{
        Schema,
        apply::{FieldManager, Filter, ScaleFields, Version, keep_times_if_unchanged},
        builtin,
        conform::conform,
        patch::{Patch, PatchType},
    },
    status::ApiError,
};

static RECORDING: &str = include_str!("recordings/core/ssa.json");

/// A request of a scenario, and the kind it is for.
struct Step<'s> {
    method: &'s str,
    object_path: String,
    kind: Kind,
    subresource: &'s str,
    manager: String,
    force: bool,
    dry_run: bool,
    content_type: &'s str,
    body: Value,
}

#[derive(Clone, Copy)]
struct Kind {
    api_version: &'static str,
    name: &'static str,
    schema: &'static Schema,
}

fn kind(api_version: &'static str, name: &'static str, openapi: &str) -> Kind {
    Kind { api_version, name, schema: builtin::schema(openapi).unwrap() }
}

fn kind_of(resource: &str) -> Kind {
    match resource {
        "configmaps" => kind("v1", "ConfigMap", "io.k8s.api.core.v1.ConfigMap"),
        "services" => kind("v1", "Service", "io.k8s.api.core.v1.Service"),
        "nodes" => kind("v1", "Node", "io.k8s.api.core.v1.Node"),
        "endpoints" => kind("v1", "Endpoints", "io.k8s.api.core.v1.Endpoints"),
        "resourcequotas" => kind("v1", "ResourceQuota", "io.k8s.api.core.v1.ResourceQuota"),
        "deployments" => kind("apps/v1", "Deployment", "io.k8s.api.apps.v1.Deployment"),
        "networkpolicies" => {
            kind("networking.k8s.io/v1", "NetworkPolicy", "io.k8s.api.networking.v1.NetworkPolicy")
        }
        "poddisruptionbudgets" => {
            kind("policy/v1", "PodDisruptionBudget", "io.k8s.api.policy.v1.PodDisruptionBudget")
        }
        other => panic!("no kind for {other}"),
    }
}

impl<'s> Step<'s> {
    fn read(step: &'s Value) -> Self {
        let (path, query) =
            step["path"].as_str().unwrap().split_once('?').unwrap_or((step["path"].as_str().unwrap(), ""));
        let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let mut parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        parts.drain(..if parts[0] == "api" { 2 } else { 3 });
        if parts[0] == "namespaces" && parts.len() > 2 {
            parts.drain(..2);
        }
        let name = parts.get(1).copied().or(step["body"]["metadata"]["name"].as_str()).unwrap_or_default();
        let agent = step["headers"]["User-Agent"].as_str().unwrap_or("unknown");
        let agent = agent.split('/').next().unwrap_or_default();
        Self {
            method: step["method"].as_str().unwrap(),
            object_path: format!("{}/{name}", parts[0]),
            kind: kind_of(parts[0]),
            subresource: parts.get(2).copied().unwrap_or_default(),
            manager: query.get("fieldManager").map_or(agent, |name| name).to_owned(),
            force: query.get("force") == Some(&"true"),
            dry_run: query.contains_key("dryRun"),
            content_type: step["headers"]["Content-Type"].as_str().unwrap_or_default(),
            body: step["body"].clone(),
        }
    }

    fn field_manager(&self) -> FieldManager {
        let filter = match self.subresource {
            "status" => Filter::except(&[&["spec"], &["metadata", "labels"]]),
            _ if self.kind.schema.field("status").is_some() => Filter::except(&[&["status"]]),
            _ => Filter::All,
        };
        let version = Version { schema: self.kind.schema.clone(), filter };
        FieldManager::new(version, self.kind.api_version, self.kind.name, self.subresource)
    }

    /// What the step makes of `live`, before defaults.
    fn carry_out(&self, live: Option<&Value>, recorded: &Value, now: &str) -> Result<Value, ApiError> {
        let fields = self.field_manager();
        match (self.method, self.content_type) {
            ("PATCH", "application/apply-patch+yaml") => {
                Ok(fields.apply(live, &self.body, &self.manager, self.force, now)?)
            }
            ("PATCH", "application/merge-patch+json") => {
                let body = self.body.to_string();
                let patch = Patch::decode(PatchType::Merge, body.as_bytes(), true)?;
                let mut new = patch.apply(self.kind.schema, live.unwrap().clone())?;
                conform(self.kind.schema, &mut new).unwrap();
                fields.update(live, &mut new, &self.manager, now);
                Ok(new)
            }
            _ => {
                let mut new = recorded.clone();
                new["metadata"]["managedFields"] = self.body["metadata"]["managedFields"].clone();
                // What storage gives a service is nobody's.
                for given in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                    if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) {
                        spec.remove(given);
                    }
                }
                fields.update(live, &mut new, &self.manager, now);
                Ok(new)
            }
        }
    }

    /// The entries of the object after a write to its scale.
    fn scale(&self, live: &Value, now: &str) -> Result<Option<Value>, ApiError> {
        let replicas = ScaleFields::new(self.kind.api_version, &["spec", "replicas"]);
        let entries = &live["metadata"]["managedFields"];
        let schema = builtin::schema("io.k8s.api.autoscaling.v1.Scale").unwrap().clone();
        let version = Version { schema, filter: Filter::All };
        let fields = FieldManager::new(version, "autoscaling/v1", "Scale", "scale");
        let mut scale = json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": {"name": live["metadata"]["name"], "uid": live["metadata"]["uid"]},
            "spec": {"replicas": live["spec"]["replicas"]}, "status": {"replicas": 0},
        });
        if let Some(entries) = replicas.to_scale(Some(entries)).unwrap() {
            scale["metadata"]["managedFields"] = entries;
        }
        let scaled = fields.apply(Some(&scale), &self.body, &self.manager, self.force, now)?;
        Ok(replicas.to_object(Some(entries), scaled["metadata"].get("managedFields")).unwrap())
    }
}

/// The entries without the values of their times, which recordings do not have.
fn entries(object: &Value) -> Vec<Value> {
    let mut entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    for entry in &mut entries {
        if let Some(time) = entry.get_mut("time") {
            *time = "<time>".into();
        }
    }
    entries
}

/// Whether `object` has everything that `part` has.
fn has(object: &Value, part: &Value) -> bool {
    match (object, part) {
        (Value::Object(object), Value::Object(part)) => part.iter().all(|(name, part)| {
            part.is_null()
                || *part == json!({})
                || matches!(name.as_str(), "managedFields" | "generation")
                || object.get(name).is_some_and(|object| has(object, part))
        }),
        (Value::Array(object), Value::Array(part)) => {
            object.len() >= part.len() && object.iter().zip(part).all(|(object, part)| has(object, part))
        }
        _ => object == part || object.as_str().is_some_and(|text| text.starts_with('<')),
    }
}

#[test]
fn who_owns_what_is_as_recorded() {
    let text = RECORDING.replace("\"<time>\"", "\"2026-01-01T00:00:00Z\"");
    let scenarios: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    for scenario in &scenarios {
        let scenario_name = scenario["name"].as_str().unwrap();
        let mut objects: BTreeMap<String, Value> = BTreeMap::new();
        let mut seconds = 0;
        for (number, recorded) in scenario["steps"].as_array().unwrap().iter().enumerate() {
            let place = format!("{scenario_name}, step {number}");
            if recorded.get("sleep").is_some() {
                seconds += 1;
            }
            let status = recorded["answer"]["status"].as_u64().unwrap_or_default();
            if !matches!(recorded["method"].as_str(), Some("POST" | "PUT" | "PATCH"))
                || !decides(status, recorded)
            {
                continue;
            }
            let now = format!("2026-01-01T00:00:{seconds:02}Z");
            let step = Step::read(recorded);
            let answer = &recorded["answer"]["body"];
            let live = objects.get(&step.object_path);
            if step.subresource == "scale" {
                let mut object = live.unwrap().clone();
                match step.scale(&object, &now) {
                    Ok(entries) => {
                        object["metadata"]["managedFields"] = entries.unwrap_or_default();
                        object["spec"]["replicas"] = answer["spec"]["replicas"].clone();
                        objects.insert(step.object_path, object);
                    }
                    Err(error) => check_refusal(&place, &error, answer),
                }
                compared += 1;
                continue;
            }
            match step.carry_out(live, answer, &now) {
                Err(error) => check_refusal(&place, &error, recorded),
                Ok(new) => {
                    assert!(status < 400, "{place}: is refused there: {answer}");
                    assert_eq!(entries(&new), entries(answer), "{place}");
                    // Admission taints nodes, and a status write is made of the status alone.
                    let written = match step.subresource {
                        "status" => json!({"status": new["status"]}),
                        _ => new.clone(),
                    };
                    assert!(step.kind.name == "Node" || has(answer, &written), "{place}: {new}");
                    let mut stored = answer.clone();
                    stored["metadata"]["managedFields"] = new["metadata"]["managedFields"].clone();
                    if let Some(live) = live {
                        keep_times_if_unchanged(live, &mut stored);
                    }
                    if !step.dry_run {
                        objects.insert(step.object_path, stored);
                    }
                }
            }
            compared += 1;
        }
    }
    assert!(compared > 80, "{compared}");
}

/// Whether the answer is one that the functions give: what was written, or their own refusals.
fn decides(status: u64, recorded: &Value) -> bool {
    let message = recorded["answer"]["body"]["message"].as_str().unwrap_or_default();
    status < 300
        || status == 500
        || (status == 409 && message.starts_with("Apply failed"))
        || (status == 400 && message.contains("managedFields"))
}

fn check_refusal(place: &str, error: &ApiError, recorded: &Value) {
    let answer = recorded.pointer("/answer/body").unwrap_or(recorded);
    let ours = error.to_status();
    assert_eq!((&ours["code"], &ours["reason"]), (&answer["code"], &answer["reason"]), "{place}: {ours}");
    // The recordings leave out what differs from run to run: here, the order of managers.
    if answer.get("message").is_some() {
        assert_eq!(ours["message"], answer["message"], "{place}");
    }
    if answer["details"].get("causes").is_some() {
        assert_eq!(ours["details"], answer["details"], "{place}");
    }
}
