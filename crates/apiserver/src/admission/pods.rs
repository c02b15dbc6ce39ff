//! What the cluster adds to pods: a priority, tolerations of nodes that fail, what a runtime class asks for.

use serde_json::{Map, Value, json};

use super::Plugin;
use crate::{
    machinery::{object, quantity::Quantity},
    status::{ApiError, ApiResult},
    verbs::Call,
};

/// `Priority`: resolves a priority class to its value.
pub const PRIORITY: Plugin = Plugin {
    name: "Priority",
    mutate_create: set_priority,
    validate_create: check_default_class,
    ..Plugin::NONE
};
/// `DefaultTolerationSeconds`: pods stay on a failing node for five minutes unless they say otherwise.
pub const DEFAULT_TOLERATION_SECONDS: Plugin =
    Plugin { name: "DefaultTolerationSeconds", mutate_create: add_tolerations, ..Plugin::NONE };
/// `RuntimeClass`: takes overhead and scheduling from the pod's runtime class.
pub const RUNTIME_CLASS: Plugin =
    Plugin { name: "RuntimeClass", mutate_create: set_runtime_class, ..Plugin::NONE };
/// `TaintNodesByCondition`: a new node takes no pods until it is ready.
pub const TAINT_NODES: Plugin =
    Plugin { name: "TaintNodesByCondition", mutate_create: taint_node, ..Plugin::NONE };

const PRIORITY_CLASSES: &str = "scheduling.k8s.io/priorityclasses";
const RUNTIME_CLASSES: &str = "node.k8s.io/runtimeclasses";
const FAILING: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const TOLERATION_SECONDS: i64 = 300;

/// Whether the call is about pods themselves.
pub fn is_pod(call: &Call<'_>) -> bool {
    call.resource.group.is_empty() && &*call.resource.plural == "pods"
}

fn set_priority(call: &mut Call<'_>, pod: &mut Value) -> ApiResult<()> {
    if !is_pod(call) {
        return Ok(());
    }
    let name = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let snapshot = call.cluster.storage().snapshot();
    let class = if name.is_empty() {
        let classes = snapshot.range(PRIORITY_CLASSES, "", None).map(|stored| stored.decode());
        // Of several defaults the lowest counts.
        let default = classes
            .filter(|class| class["globalDefault"] == true)
            .min_by_key(|class| class["value"].as_i64());
        match default {
            Some(class) => class,
            None => json!({"metadata": {"name": ""}, "value": 0, "preemptionPolicy": "PreemptLowerPriority"}),
        }
    } else if let Some(stored) = snapshot.get(PRIORITY_CLASSES, &name) {
        stored.decode()
    } else {
        let why = format!("no PriorityClass with name {name} was found");
        return Err(ApiError::forbidden(call.resource.qualified(), object::name(pod), &why));
    };
    let priority = class["value"].as_i64().unwrap_or(0);
    let forbid = |what: &str| {
        let why = format!(
            "the {what} must not be provided in pod spec; priority admission controller computes it from the given PriorityClass name"
        );
        Err(ApiError::forbidden(call.resource.qualified(), object::name(pod), &why))
    };
    let sent = pod["spec"]["priority"].as_i64();
    if let Some(sent) = sent.filter(|sent| *sent != priority) {
        let why = format!(
            "the integer value of priority ({sent}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        );
        return Err(ApiError::forbidden(call.resource.qualified(), object::name(pod), &why));
    }
    let policy = class["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority").to_owned();
    match pod["spec"]["preemptionPolicy"].as_str() {
        Some(own) if own != policy => return forbid("string value of PreemptionPolicy"),
        _ => {}
    }
    let class_name = object::name(&class).to_owned();
    let spec = object::child_mut(pod, "spec");
    if !class_name.is_empty() {
        spec.insert("priorityClassName".into(), class_name.into());
    }
    spec.insert("priority".into(), priority.into());
    spec.insert("preemptionPolicy".into(), policy.into());
    Ok(())
}

/// There may be one default priority class.
fn check_default_class(call: &mut Call<'_>, class: &Value) -> ApiResult<()> {
    if &*call.resource.storage != PRIORITY_CLASSES || class["globalDefault"] != true {
        return Ok(());
    }
    let snapshot = call.cluster.storage().snapshot();
    let other = snapshot
        .range(PRIORITY_CLASSES, "", None)
        .find(|stored| stored.name() != object::name(class) && stored.decode()["globalDefault"] == true);
    match other {
        None => Ok(()),
        Some(other) => {
            let why = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                other.name()
            );
            Err(ApiError::forbidden(call.resource.qualified(), object::name(class), &why))
        }
    }
}

fn add_tolerations(call: &mut Call<'_>, pod: &mut Value) -> ApiResult<()> {
    if !is_pod(call) {
        return Ok(());
    }
    let tolerations = object::child_mut(pod, "spec").entry("tolerations").or_insert_with(|| json!([]));
    let Some(tolerations) = tolerations.as_array_mut() else { return Ok(()) };
    for key in FAILING {
        let tolerated = tolerations.iter().any(|toleration| {
            let own = toleration["key"].as_str().unwrap_or_default();
            let effect = toleration["effect"].as_str().unwrap_or_default();
            (own == key || own.is_empty()) && matches!(effect, "NoExecute" | "")
        });
        if !tolerated {
            tolerations.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS,
            }));
        }
    }
    Ok(())
}

fn set_runtime_class(call: &mut Call<'_>, pod: &mut Value) -> ApiResult<()> {
    if !is_pod(call) {
        return Ok(());
    }
    let reject = |why: String| {
        Err(ApiError::forbidden(
            call.resource.qualified(),
            object::name(pod),
            &format!("pod rejected: {why}"),
        ))
    };
    let name = pod["spec"]["runtimeClassName"].as_str().unwrap_or_default();
    let overhead = pod["spec"]["overhead"].as_object();
    if name.is_empty() {
        if overhead.is_some_and(|overhead| !overhead.is_empty()) {
            return reject("Pod Overhead set without corresponding RuntimeClass defined Overhead".into());
        }
        return Ok(());
    }
    let snapshot = call.cluster.storage().snapshot();
    let Some(class) = snapshot.get(RUNTIME_CLASSES, name).map(|stored| stored.decode()) else {
        return reject(format!("RuntimeClass \"{name}\" not found"));
    };
    let fixed = &class["overhead"]["podFixed"];
    if overhead.is_some_and(|overhead| !same_amounts(overhead, fixed)) {
        return reject("Pod's Overhead doesn't match RuntimeClass's defined Overhead".into());
    }
    let selector = class["scheduling"]["nodeSelector"].as_object().cloned().unwrap_or_default();
    for (label, value) in &selector {
        let own = &pod["spec"]["nodeSelector"][label];
        if !own.is_null() && own != value {
            return reject(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{label}] = {}; pod.spec.nodeSelector[{label}] = {}",
                value.as_str().unwrap_or_default(),
                own.as_str().unwrap_or_default()
            ));
        }
    }
    let tolerations = class["scheduling"]["tolerations"].as_array().cloned().unwrap_or_default();
    let spec = object::child_mut(pod, "spec");
    if fixed.as_object().is_some_and(|fixed| !fixed.is_empty()) {
        spec.insert("overhead".into(), fixed.clone());
    }
    if !selector.is_empty() {
        let own = spec.entry("nodeSelector").or_insert_with(|| json!({}));
        object::map_mut(own).extend(selector);
    }
    if !tolerations.is_empty() {
        let own = spec.entry("tolerations").or_insert_with(|| json!([]));
        if let Some(own) = own.as_array_mut() {
            for toleration in tolerations {
                if !own.contains(&toleration) {
                    own.push(toleration);
                }
            }
        }
    }
    Ok(())
}

fn same_amounts(own: &Map<String, Value>, fixed: &Value) -> bool {
    let amount = |value: &Value| value.as_str().and_then(|text| Quantity::parse(text).ok());
    let fixed = fixed.as_object();
    fixed.map_or(0, Map::len) == own.len()
        && own
            .iter()
            .all(|(name, value)| fixed.and_then(|fixed| fixed.get(name)).map(amount) == Some(amount(value)))
}

fn taint_node(call: &mut Call<'_>, node: &mut Value) -> ApiResult<()> {
    if !call.resource.group.is_empty() || &*call.resource.plural != "nodes" {
        return Ok(());
    }
    let taint = json!({"key": FAILING[0], "effect": "NoSchedule"});
    let taints = object::child_mut(node, "spec").entry("taints").or_insert_with(|| json!([]));
    if let Some(taints) = taints.as_array_mut()
        && !taints.iter().any(|own| own["key"] == taint["key"] && own["effect"] == taint["effect"])
    {
        taints.push(taint);
    }
    Ok(())
}
