//! LimitRange: what containers, Pods and claims of a namespace may ask for, and what they get when they do not ask.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use crate::{
    kinds::{
        Strategy,
        workloads::pod_spec::{aggregate::quantity, defaults::round_amounts, resources},
    },
    machinery::{
        FieldErrors, Path,
        fields::{entries, list, objects_mut, present, text},
        format, metadata, object,
        quantity::Quantity,
    },
};

/// The behaviour of LimitRanges.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: validate,
    validate_update: |new, _, errors| {
        metadata::validate(new, true, STRATEGY.name_rule, errors);
        validate(new, errors);
    },
    create_on_update: true,
    ..Strategy::PLAIN
};

const CONTAINER: &str = "Container";
const POD: &str = "Pod";
const CLAIM: &str = "PersistentVolumeClaim";

fn default(range: &mut Value) {
    for item in objects_mut(object::child_mut(range, "spec"), "limits") {
        for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
            round_amounts(item, field);
        }
        if item.get("type").is_some_and(|name| name == CONTAINER) {
            fill_from(item, "default", "max");
            fill_from(item, "defaultRequest", "default");
            fill_from(item, "defaultRequest", "min");
        }
    }
}

/// Gives `field` the amounts of `source` that it does not have.
fn fill_from(item: &mut Map<String, Value>, field: &str, source: &str) {
    let Some(Value::Object(source)) = item.get(source).cloned() else { return };
    let amounts = item.entry(field).or_insert(Value::Null);
    for (name, amount) in source {
        object::map_mut(amounts).entry(name).or_insert(amount);
    }
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let path = path.child("limits");
    let mut types = HashSet::new();
    for (index, item) in list(&new["spec"], "limits").iter().enumerate() {
        let path = path.index(index);
        let name = text(item, "type");
        validate_type(errors, &path.child("type"), name);
        if !types.insert(name) {
            errors.duplicate(&path.child("type"), name);
        }
        validate_item(errors, &path, item);
    }
}

fn validate_type(errors: &mut FieldErrors, path: &Path<'_>, name: &str) {
    let problems = format::is_qualified_name(name);
    if problems.is_empty() && !name.contains('/') && ![CONTAINER, POD, CLAIM].contains(&name) {
        errors.invalid(path, name, "must be a standard limit type or fully qualified");
    }
    format::report(errors, path, name, problems);
}

fn validate_item(errors: &mut FieldErrors, path: &Path<'_>, item: &Value) {
    let name = text(item, "type");
    let of_pods = name == POD;
    let mut keys = BTreeSet::new();
    let mut validate_names = |errors: &mut FieldErrors, field: &str| {
        let path = path.child(field);
        for (key, _) in entries(item, field) {
            if of_pods || name == CONTAINER {
                resources::validate_container_name(errors, &path.key(key), key);
            } else {
                resources::validate_name(errors, &path.key(key), key);
            }
            keys.insert(key.to_owned());
        }
    };
    validate_names(errors, "max");
    validate_names(errors, "min");
    for field in ["default", "defaultRequest"] {
        if !of_pods {
            validate_names(errors, field);
        } else if entries(item, field).next().is_some() {
            errors.forbidden(&path.child(field), "may not be specified when `type` is 'Pod'");
        }
    }
    if name == CLAIM && ["min", "max"].iter().all(|field| present(&item[*field], "storage").is_none()) {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(&path.child("limits"), detail);
    }
    validate_names(errors, "maxLimitRequestRatio");
    for key in &keys {
        validate_amounts(errors, path, item, key);
    }
}

/// The amounts of one resource must not contradict each other.
fn validate_amounts(errors: &mut FieldErrors, path: &Path<'_>, item: &Value, key: &str) {
    let of_pods = text(item, "type") == POD;
    let amount = |field: &str| present(&item[field], key).map(quantity);
    let own = |field: &str| amount(field).filter(|_| !of_pods);
    let (min, max, ratio) = (amount("min"), amount("max"), amount("maxLimitRequestRatio"));
    let (limit, request) = (own("default"), own("defaultRequest"));
    let mut check =
        |field: &str, quoted: Quantity, low: (&str, Option<Quantity>), high: (&str, Option<Quantity>)| {
            if let ((low_name, Some(low)), (high_name, Some(high))) = (low, high)
                && low > high
            {
                let detail = format!("{low_name} value {low} is greater than {high_name} value {high}");
                errors.invalid(&path.child(field).key(key), quoted.to_string(), &detail);
            }
        };
    let or_zero = |amount: Option<Quantity>| amount.unwrap_or(Quantity::ZERO);
    check("min", or_zero(min), ("min", min), ("max", max));
    check("defaultRequest", or_zero(request), ("min", min), ("default request", request));
    check("defaultRequest", or_zero(request), ("default request", request), ("max", max));
    check("defaultRequest", or_zero(request), ("default request", request), ("default limit", limit));
    // Kubernetes quotes the bound here, not the default.
    check("default", or_zero(min), ("min", min), ("default", limit));
    check("default", or_zero(max), ("default", limit), ("max", max));
    if let Some(ratio) = ratio {
        validate_ratio(errors, &path.child("maxLimitRequestRatio").key(key), ratio, min.zip(max));
    }
    if let (Some(limit), Some(request)) = (limit, request)
        && limit != request
        && !resources::may_overcommit(key)
    {
        let detail = format!("default value {limit} must equal to defaultRequest value {request} in {key}");
        errors.invalid(&path.child("defaultRequest").key(key), request.to_string(), &detail);
    }
}

fn validate_ratio(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    ratio: Quantity,
    range: Option<(Quantity, Quantity)>,
) {
    /// Whole units beyond this have no thousandths that fit.
    const THOUSANDTHS_MAX: i64 = i64::MAX / 1000;
    if ratio.milli_value() < 1000 {
        errors.invalid(path, ratio.to_string(), &format!("ratio {ratio} is less than 1"));
    }
    let Some((min, max)) = range else { return };
    let exact = [ratio, min, max].iter().all(|amount| amount.value() < THOUSANDTHS_MAX);
    #[expect(clippy::cast_precision_loss, reason = "Kubernetes compares them as floats, too")]
    let (own, most) = if exact {
        (ratio.milli_value() as f64 / 1000.0, max.milli_value() as f64 / min.milli_value() as f64)
    } else {
        (ratio.value() as f64, max.value() as f64 / min.value() as f64)
    };
    if own > most {
        errors.invalid(
            path,
            ratio.to_string(),
            &format!("ratio {ratio} is greater than max/min = {most:.6}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::kinds::cases;

    fn range(item: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [item]}})
    }

    #[test]
    fn limits_of_containers_are_filled_in_from_each_other() {
        let filled = |item: Value| cases::created(range(item)).0["spec"]["limits"][0].clone();
        assert_eq!(
            filled(json!({
                "type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"},
                "default": {"memory": "256Mi"}, "defaultRequest": {"cpu": "100m"},
            })),
            json!({
                "type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"},
                "default": {"cpu": "2", "memory": "256Mi"}, "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
            })
        );
        assert_eq!(filled(json!({"type": "Container"})), json!({"type": "Container"}));
        assert_eq!(
            filled(json!({"type": "Pod", "max": {"cpu": "2"}})),
            json!({"type": "Pod", "max": {"cpu": "2"}})
        );
    }

    #[test]
    fn what_is_wrong_with_limits() {
        for (item, want) in [
            (json!({"type": "Pod", "max": {"cpu": "2"}, "min": {"cpu": "1"}}), vec![]),
            (
                json!({"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "1"}}),
                vec![
                    "defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than max value 1",
                    "default[cpu]: Invalid value: \"1\": default value 2 is greater than max value 1",
                ],
            ),
            (
                json!({"type": "Container", "min": {"cpu": "3"}, "default": {"cpu": "2"}, "max": {"cpu": "2"},
                       "defaultRequest": {"cpu": "2500m"}}),
                vec![
                    "min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 2",
                    "defaultRequest[cpu]: Invalid value: \"2500m\": min value 3 is greater than default request value \
                     2500m",
                    "defaultRequest[cpu]: Invalid value: \"2500m\": default request value 2500m is greater than max \
                     value 2",
                    "defaultRequest[cpu]: Invalid value: \"2500m\": default request value 2500m is greater than \
                     default limit value 2",
                    "default[cpu]: Invalid value: \"3\": min value 3 is greater than default value 2",
                ],
            ),
            (
                json!({"type": "Pod", "default": {"cpu": "2"}, "max": {"storage": "1"}}),
                vec![
                    "max[storage]: Invalid value: \"storage\": must be a standard resource for containers",
                    "default: Forbidden: may not be specified when `type` is 'Pod'",
                ],
            ),
            (
                json!({"type": "PersistentVolumeClaim"}),
                vec![
                    "limits: Required value: either minimum or maximum storage value is required, but neither was \
                     provided",
                ],
            ),
            (
                json!({"type": "Node", "max": {"what": "1"}}),
                vec![
                    "type: Invalid value: \"Node\": must be a standard limit type or fully qualified",
                    "max[what]: Invalid value: \"what\": must be a standard resource type or fully qualified",
                ],
            ),
            (
                json!({"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {
                    "cpu": "2500m", "memory": "500m",
                }}),
                vec![
                    "maxLimitRequestRatio[cpu]: Invalid value: \"2500m\": ratio 2500m is greater than max/min = \
                     2.000000",
                    "maxLimitRequestRatio[memory]: Invalid value: \"500m\": ratio 500m is less than 1",
                ],
            ),
            (
                json!({"type": "Container", "default": {"example.com/gpu": "2"}, "defaultRequest": {
                    "example.com/gpu": "1",
                }}),
                vec![
                    "defaultRequest[example.com/gpu]: Invalid value: \"1\": default value 2 must equal to \
                     defaultRequest value 1 in example.com/gpu",
                ],
            ),
        ] {
            let want: Vec<String> = want.iter().map(|line| format!("spec.limits[0].{line}")).collect();
            assert_eq!(cases::wrong(range(item.clone())), want, "{item}");
        }
    }

    #[test]
    fn each_type_comes_once() {
        let item = json!({"type": "Pod", "max": {"cpu": "2"}});
        let twice = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [item, item]}});
        assert_eq!(cases::wrong(twice), ["spec.limits[1].type: Duplicate value: \"Pod\""]);
    }
}
