//! `LimitRanger`: what a namespace's LimitRanges fill in and refuse.

use serde_json::{Map, Value, json};

use super::{Plugin, pods::is_pod};
use crate::{
    machinery::{object, quantity::Quantity},
    status::{ApiError, ApiResult},
    verbs::Call,
};

/// The plugin.
pub const PLUGIN: Plugin =
    Plugin { name: "LimitRanger", mutate_create: set_defaults, validate_create: check, ..Plugin::NONE };

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

fn limits(call: &Call<'_>) -> Vec<Value> {
    let prefix = format!("{}/", call.target.namespace);
    let snapshot = call.cluster.storage().snapshot();
    let ranges = snapshot.range("/limitranges", &prefix, None).map(|stored| stored.decode());
    ranges.flat_map(|range| range["spec"]["limits"].as_array().cloned().unwrap_or_default()).collect()
}

fn set_defaults(call: &mut Call<'_>, pod: &mut Value) -> ApiResult<()> {
    if !is_pod(call) {
        return Ok(());
    }
    let limits: Vec<Value> = limits(call).into_iter().filter(|limit| limit["type"] == "Container").collect();
    if limits.is_empty() {
        return Ok(());
    }
    let mut requests = Map::new();
    let mut maxima = Map::new();
    for limit in &limits {
        requests.extend(limit["defaultRequest"].as_object().cloned().unwrap_or_default());
        maxima.extend(limit["default"].as_object().cloned().unwrap_or_default());
    }
    let mut said = Vec::new();
    let spec = object::child_mut(pod, "spec");
    for (list, sort) in [("containers", "container"), ("initContainers", "init container")] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            for (field, word, defaults) in [("limits", "limit", &maxima), ("requests", "request", &requests)]
            {
                let set = fill(container, field, defaults);
                if !set.is_empty() {
                    said.push((word, format!("{} {word} for {sort} {name}", set.join(", "))));
                }
            }
        }
    }
    if said.is_empty() {
        return Ok(());
    }
    // Requests are told before limits.
    said.sort_by_key(|(word, _)| *word == "limit");
    let sentences: Vec<String> = said.into_iter().map(|(_, sentence)| sentence).collect();
    let annotations = object::metadata_mut(pod).entry("annotations").or_insert_with(|| json!({}));
    let text = format!("LimitRanger plugin set: {}", sentences.join("; "));
    object::map_mut(annotations).insert(ANNOTATION.into(), text.into());
    Ok(())
}

/// Fills in what a container does not say. Returns the names of the resources.
fn fill(container: &mut Value, field: &str, defaults: &Map<String, Value>) -> Vec<String> {
    let resources = object::child_mut(container, "resources");
    let own = resources.entry(field).or_insert_with(|| json!({}));
    let own = object::map_mut(own);
    let mut set = Vec::new();
    for (name, amount) in defaults {
        if !own.contains_key(name) {
            own.insert(name.clone(), amount.clone());
            set.push(name.clone());
        }
    }
    set
}

fn check(call: &mut Call<'_>, value: &Value) -> ApiResult<()> {
    let claims = &*call.resource.storage == "/persistentvolumeclaims";
    if !is_pod(call) && !claims {
        return Ok(());
    }
    let mut errors = Vec::new();
    for limit in limits(call) {
        match limit["type"].as_str().unwrap_or_default() {
            "Container" if !claims => {
                for list in ["containers", "initContainers"] {
                    for container in value["spec"][list].as_array().into_iter().flatten() {
                        check_amounts(&limit, "Container", &container["resources"], &mut errors);
                    }
                }
            }
            "Pod" if !claims => check_amounts(&limit, "Pod", &sum(value), &mut errors),
            "PersistentVolumeClaim" if claims => {
                let requests = json!({"requests": value["spec"]["resources"]["requests"]});
                check_amounts(&limit, "PersistentVolumeClaim", &requests, &mut errors);
            }
            _ => {}
        }
    }
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(ApiError::forbidden(call.resource.qualified(), object::name(value), one)),
        many => {
            let all = format!("[{}]", many.join(", "));
            Err(ApiError::forbidden(call.resource.qualified(), object::name(value), &all))
        }
    }
}

fn amount(value: &Value) -> Option<Quantity> {
    Quantity::parse(value.as_str()?).ok()
}

fn check_amounts(limit: &Value, sort: &str, resources: &Value, errors: &mut Vec<String>) {
    let claim = sort == "PersistentVolumeClaim";
    for (name, bound) in limit["min"].as_object().into_iter().flatten() {
        let (request, maximum) = (amount(&resources["requests"][name]), amount(&resources["limits"][name]));
        let Some(bound) = amount(bound) else { continue };
        match request {
            None => {
                errors.push(format!("minimum {name} usage per {sort} is {bound}.  No request is specified"));
            }
            Some(request) if request < bound => {
                errors.push(format!("minimum {name} usage per {sort} is {bound}, but request is {request}"));
            }
            Some(_) => {}
        }
        if let Some(maximum) = maximum.filter(|maximum| *maximum < bound) {
            errors.push(format!("minimum {name} usage per {sort} is {bound}, but limit is {maximum}"));
        }
    }
    for (name, bound) in limit["max"].as_object().into_iter().flatten() {
        let (request, maximum) = (amount(&resources["requests"][name]), amount(&resources["limits"][name]));
        let Some(bound) = amount(bound) else { continue };
        if claim {
            if let Some(request) = request.filter(|request| *request > bound) {
                errors.push(format!("maximum {name} usage per {sort} is {bound}, but request is {request}"));
            }
            continue;
        }
        match maximum {
            None => {
                errors.push(format!("maximum {name} usage per {sort} is {bound}.  No limit is specified"));
            }
            Some(maximum) if maximum > bound => {
                errors.push(format!("maximum {name} usage per {sort} is {bound}, but limit is {maximum}"));
            }
            Some(_) => {}
        }
        if let Some(request) = request.filter(|request| *request > bound) {
            errors.push(format!("maximum {name} usage per {sort} is {bound}, but request is {request}"));
        }
    }
    for (name, bound) in limit["maxLimitRequestRatio"].as_object().into_iter().flatten() {
        let (request, maximum) = (amount(&resources["requests"][name]), amount(&resources["limits"][name]));
        let Some(bound) = amount(bound) else { continue };
        let (Some(request), Some(maximum)) = (request, maximum) else {
            errors.push(format!("{name} max limit to request ratio per {sort} is {bound}, but no request is specified or request is 0"));
            continue;
        };
        let ratio = maximum.milli_value() as f64 / (request.milli_value() as f64).max(1.0);
        if ratio * 1000.0 > bound.milli_value() as f64 {
            errors.push(format!(
                "{name} max limit to request ratio per {sort} is {bound}, but provided ratio is {ratio:.6}"
            ));
        }
    }
}

/// What all containers of a pod ask for together; init containers run before, so that the larger counts.
fn sum(pod: &Value) -> Value {
    let mut total = json!({"requests": {}, "limits": {}});
    for field in ["requests", "limits"] {
        let mut amounts: std::collections::BTreeMap<String, Quantity> = std::collections::BTreeMap::new();
        let each = |list: &str| pod["spec"][list].as_array().cloned().unwrap_or_default();
        for container in each("containers") {
            for (name, value) in container["resources"][field].as_object().into_iter().flatten() {
                let entry = amounts.entry(name.clone()).or_insert(Quantity::ZERO);
                *entry = entry.plus(amount(value).unwrap_or(Quantity::ZERO));
            }
        }
        for container in each("initContainers") {
            for (name, value) in container["resources"][field].as_object().into_iter().flatten() {
                let entry = amounts.entry(name.clone()).or_insert(Quantity::ZERO);
                *entry = (*entry).max(amount(value).unwrap_or(Quantity::ZERO));
            }
        }
        for (name, amount) in amounts {
            total[field][name] = amount.to_string().into();
        }
    }
    total
}
