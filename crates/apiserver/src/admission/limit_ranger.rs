//! `LimitRanger`: what a namespace's LimitRanges fill in and refuse.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Plugin, pods::is_pod};
use crate::{
    kinds::Part,
    machinery::{
        object::{self, entries, list},
        quantity::Quantity,
    },
    status::{ApiError, ApiResult},
    verbs::Call,
};

/// The plugin.
pub const PLUGIN: Plugin = Plugin {
    name: "LimitRanger",
    mutate_create: set_defaults,
    validate_create: check,
    validate_update: check_update,
    ..Plugin::NONE
};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// What each LimitRange of the namespace says.
fn ranges(call: &Call<'_>) -> Vec<Vec<Value>> {
    let prefix = format!("{}/", call.target.namespace);
    let snapshot = call.cluster.storage().snapshot();
    let ranges = snapshot.range("/limitranges", &prefix, None).map(|stored| stored.decode());
    ranges.map(|range| list(&range["spec"], "limits").to_vec()).collect()
}

fn set_defaults(call: &mut Call<'_>, pod: &mut Value) -> ApiResult<()> {
    if !is_pod(call) {
        return Ok(());
    }
    let limits: Vec<Value> =
        ranges(call).into_iter().flatten().filter(|limit| limit["type"] == "Container").collect();
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

/// What a claim requests can change, and what the containers of a pod do by a resize.
fn check_update(call: &mut Call<'_>, new: &Value, old: &Value, part: Part) -> ApiResult<()> {
    let concerns = match part {
        Part::Main => is_claim(call),
        Part::Resize => is_pod(call),
        _ => false,
    };
    if concerns && object::deletion_timestamp(old).is_none() { check(call, new) } else { Ok(()) }
}

fn is_claim(call: &Call<'_>) -> bool {
    &*call.resource.storage == "/persistentvolumeclaims"
}

fn check(call: &mut Call<'_>, value: &Value) -> ApiResult<()> {
    let claims = is_claim(call);
    if !is_pod(call) && !claims {
        return Ok(());
    }
    // The first range that refuses has the word.
    for limits in ranges(call) {
        let mut errors = Vec::new();
        for limit in &limits {
            match limit["type"].as_str().unwrap_or_default() {
                "Container" if !claims => {
                    for list in ["containers", "initContainers"] {
                        for container in value["spec"][list].as_array().into_iter().flatten() {
                            check_amounts(limit, "Container", &container["resources"], &mut errors);
                        }
                    }
                }
                "Pod" if !claims => check_amounts(limit, "Pod", &sum(value), &mut errors),
                CLAIM if claims => {
                    let requests = json!({"requests": value["spec"]["resources"]["requests"]});
                    check_amounts(limit, CLAIM, &requests, &mut errors);
                }
                _ => {}
            }
        }
        let mut seen = HashSet::new();
        errors.retain(|error| seen.insert(error.clone()));
        let why = match errors.as_slice() {
            [] => continue,
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        return Err(ApiError::forbidden(call.resource.qualified(), object::name(value), &why));
    }
    Ok(())
}

const CLAIM: &str = "PersistentVolumeClaim";

/// Adds what is wrong with what is requested of resources, and the limits set to them: of each bound, what fails first.
fn check_amounts(limit: &Value, sort: &str, resources: &Value, errors: &mut Vec<String>) {
    type Rule = fn(&str, &str, Quantity, Amounts) -> Option<String>;
    let max: Rule = if sort == CLAIM { above_max_request } else { above_max };
    for (field, broken) in [("min", below_min as Rule), ("max", max), ("maxLimitRequestRatio", above_ratio)] {
        for (name, bound) in entries(limit, field) {
            let amount = |value: &Value| Quantity::parse(value.as_str()?).ok();
            let Some(bound) = amount(bound) else { continue };
            let given = |field: &str| amount(&resources[field][name]);
            let amounts = Amounts { request: given("requests"), limit: given("limits") };
            errors.extend(broken(name, sort, bound, amounts));
        }
    }
}

/// What is said of a resource.
#[derive(Clone, Copy)]
struct Amounts {
    request: Option<Quantity>,
    limit: Option<Quantity>,
}

fn below_min(name: &str, sort: &str, min: Quantity, amounts: Amounts) -> Option<String> {
    let said = format!("minimum {name} usage per {sort} is {min}");
    match (amounts.request, amounts.limit) {
        (None, _) => Some(format!("{said}.  No request is specified")),
        (Some(request), _) if request < min => Some(format!("{said}, but request is {request}")),
        (_, Some(limit)) if limit < min => Some(format!("{said}, but limit is {limit}")),
        _ => None,
    }
}

fn above_max(name: &str, sort: &str, max: Quantity, amounts: Amounts) -> Option<String> {
    let said = format!("maximum {name} usage per {sort} is {max}");
    match (amounts.limit, amounts.request) {
        (None, _) => Some(format!("{said}.  No limit is specified")),
        (Some(limit), _) if limit > max => Some(format!("{said}, but limit is {limit}")),
        (_, Some(request)) if request > max => Some(format!("{said}, but request is {request}")),
        _ => None,
    }
}

/// For what has no limits.
fn above_max_request(name: &str, sort: &str, max: Quantity, amounts: Amounts) -> Option<String> {
    let said = format!("maximum {name} usage per {sort} is {max}");
    match amounts.request {
        None => Some(format!("{said}.  No request is specified")),
        Some(request) if request > max => Some(format!("{said}, but request is {request}")),
        Some(_) => None,
    }
}

fn above_ratio(name: &str, sort: &str, max: Quantity, amounts: Amounts) -> Option<String> {
    let said = format!("{name} max limit to request ratio per {sort} is {max}");
    let given = |amount: Option<Quantity>| amount.filter(|amount| amount.signum() != 0);
    let Some(request) = given(amounts.request) else {
        return Some(format!("{said}, but no request is specified or request is 0"));
    };
    let Some(limit) = given(amounts.limit) else {
        return Some(format!("{said}, but no limit is specified or limit is 0"));
    };
    let ratio = limit.milli_value() as f64 / request.milli_value() as f64;
    (ratio * 1000.0 > max.milli_value() as f64).then(|| format!("{said}, but provided ratio is {ratio:.6}"))
}

/// What all containers of a pod ask for together; init containers run before, so that the larger counts.
fn sum(pod: &Value) -> Value {
    let mut total = json!({"requests": {}, "limits": {}});
    let amount =
        |value: &Value| value.as_str().and_then(|text| Quantity::parse(text).ok()).unwrap_or(Quantity::ZERO);
    for field in ["requests", "limits"] {
        let mut amounts: std::collections::BTreeMap<String, Quantity> = std::collections::BTreeMap::new();
        let each = |list: &str| pod["spec"][list].as_array().cloned().unwrap_or_default();
        for container in each("containers") {
            for (name, value) in entries(&container["resources"], field) {
                let entry = amounts.entry(name.to_owned()).or_insert(Quantity::ZERO);
                *entry = entry.plus(amount(value));
            }
        }
        for container in each("initContainers") {
            for (name, value) in entries(&container["resources"], field) {
                let entry = amounts.entry(name.to_owned()).or_insert(Quantity::ZERO);
                *entry = (*entry).max(amount(value));
            }
        }
        for (name, amount) in amounts {
            total[field][name] = amount.to_string().into();
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_told_once() {
        for (limit, resources, want) in [
            (
                json!({"min": {"cpu": "1"}}),
                json!({}),
                "minimum cpu usage per Container is 1.  No request is specified",
            ),
            (
                json!({"min": {"cpu": "1"}}),
                json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "600m"}}),
                "minimum cpu usage per Container is 1, but request is 500m",
            ),
            (
                json!({"min": {"cpu": "1"}}),
                json!({"requests": {"cpu": "1"}, "limits": {"cpu": "600m"}}),
                "minimum cpu usage per Container is 1, but limit is 600m",
            ),
            (
                json!({"max": {"cpu": "1"}}),
                json!({}),
                "maximum cpu usage per Container is 1.  No limit is specified",
            ),
            (
                json!({"max": {"cpu": "1", "memory": "1Gi"}}),
                json!({"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "3", "memory": "1Gi"}}),
                "maximum cpu usage per Container is 1, but limit is 3; \
                 maximum memory usage per Container is 1Gi, but request is 2Gi",
            ),
            (
                json!({"maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2500m"}}),
                "cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000",
            ),
            (
                json!({"maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"requests": {"cpu": "1"}}),
                "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0",
            ),
            (
                json!({"min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}),
                "",
            ),
        ] {
            let mut errors = Vec::new();
            check_amounts(&limit, "Container", &resources, &mut errors);
            assert_eq!(errors.join("; "), want);
        }
        let mut errors = Vec::new();
        check_amounts(&json!({"max": {"storage": "1Gi"}}), CLAIM, &json!({}), &mut errors);
        assert_eq!(
            errors,
            ["maximum storage usage per PersistentVolumeClaim is 1Gi.  No request is specified"]
        );
    }
}
