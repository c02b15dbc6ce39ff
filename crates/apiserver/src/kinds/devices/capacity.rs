//! What of a device's capacity a claim may ask for, where many can share the device.

use serde_json::Value;

use super::names::validate_set;
use crate::{
    kinds::workloads::pod_spec::aggregate::quantity,
    machinery::{
        FieldErrors, Path,
        fields::{list, present},
        quantity::Quantity,
    },
};

const VALUES_MAX: usize = 10;

/// What is wrong with a capacity of a device that can be allocated many times, or only once.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, capacity: &Value, many: bool) {
    let Some(policy) = present(capacity, "requestPolicy") else { return };
    let path = path.child("requestPolicy");
    if !many {
        return errors.forbidden(&path, "allowMultipleAllocations must be true");
    }
    let values = list(policy, "validValues");
    let range = present(policy, "validRange");
    let field = match range {
        Some(_) if !values.is_empty() => {
            let detail = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the \
                          same time";
            return errors.forbidden(&path, detail);
        }
        Some(_) => "validRange",
        None if values.is_empty() => return,
        None => "validValues",
    };
    let Some(default) = present(policy, "default").map(quantity) else {
        return errors.required(&path.child("default"), &format!("required when {field} is defined"));
    };
    let most = quantity(&capacity["value"]);
    match range {
        Some(range) => validate_range(errors, &path.child(field), range, default, most),
        None => validate_values(errors, &path.child(field), values, default, most),
    }
}

fn validate_values(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    values: &[Value],
    default: Quantity,
    most: Quantity,
) {
    for (index, pair) in values.windows(2).enumerate() {
        if quantity(&pair[0]) > quantity(&pair[1]) {
            let detail = "values must be sorted in ascending order";
            errors.invalid(&path.index(index + 1), pair[1].clone(), detail);
        }
    }
    let mut is_value = false;
    let validate = |errors: &mut FieldErrors, path: &Path<'_>, value: &Value| {
        let own = quantity(value);
        if own > most {
            let detail = format!("option is larger than capacity value: {most}");
            errors.invalid(path, value.clone(), &detail);
        }
        is_value |= own == default;
    };
    validate_set(errors, path, values, VALUES_MAX, validate, |value| quantity(value).value().to_string());
    if !is_value {
        let detail = "default value is not valid according to the requestPolicy";
        errors.invalid(path, default.to_string(), detail);
    }
}

fn validate_range(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    range: &Value,
    default: Quantity,
    most: Quantity,
) {
    let amount = |field: &str| present(range, field).map(quantity);
    let Some(min) = amount("min") else {
        return errors.required(&path.child("min"), "required when validRange is defined");
    };
    let mut refuse = |wrong: bool, field: &str, quoted: Quantity, detail: String| {
        if wrong {
            errors.invalid(&path.child(field), quoted.to_string(), &detail);
        }
    };
    refuse(min > most, "min", min, format!("min is larger than capacity value: {most}"));
    refuse(default < min, "min", default, format!("default is less than min: {min}"));
    let max = amount("max");
    if let Some(max) = max {
        refuse(min > max, "max", min, format!("min is larger than max: {max}"));
        refuse(max > most, "max", max, format!("max is larger than capacity value: {most}"));
        refuse(default > max, "max", default, format!("default is more than max: {max}"));
    }
    if let Some(step) = amount("step") {
        let first = min.plus(step);
        let detail = format!("one step {first} is larger than capacity value: {most}");
        refuse(first > most, "step", step, detail);
        for value in [Some(default), max].into_iter().flatten() {
            let away = i128::from(value.value()) - i128::from(min.value());
            // A step of nothing leads nowhere.
            let fits = away.checked_rem(step.value().into()).is_some_and(|rest| rest == 0);
            let detail = format!("value is not a multiple of a given step ({step}) from ({min})");
            refuse(!fits, "step", value, detail);
        }
    }
}
