//! PriorityLevelConfiguration: how many requests of a level are served at once, and what becomes of the others.

use serde_json::Value;

use super::flow_schema::validate_conditions;
use crate::{
    kinds::{Strategy, strategy::Generation},
    machinery::{
        FieldErrors, Path,
        fields::{fill, fill_zero, integer, number, object_mut, present, text},
        metadata, object,
    },
};

/// The behaviour of PriorityLevelConfigurations.
pub static STRATEGY: Strategy = Strategy {
    default,
    validate_create: validate,
    validate_update: |new, _, errors| {
        metadata::validate(new, false, STRATEGY.name_rule, errors);
        validate(new, errors);
    },
    validate_status: |new, _, errors| validate_conditions(new, errors),
    generation: Generation::Spec,
    status: true,
    ..Strategy::PLAIN
};

const QUEUES_MAX: i64 = 10_000_000;
const HASH_BITS_MAX: u32 = 60;
const SPEC: Path<'static> = Path::new("spec");

fn default(level: &mut Value) {
    let spec = object::child_mut(level, "spec");
    if let Some(exempt) = object_mut(spec, "exempt") {
        fill(exempt, "nominalConcurrencyShares", 0);
        fill(exempt, "lendablePercent", 0);
    }
    if let Some(limited) = object_mut(spec, "limited") {
        fill(limited, "nominalConcurrencyShares", 30);
        fill(limited, "lendablePercent", 0);
        let response = object_mut(limited, "limitResponse");
        if let Some(queuing) = response.and_then(|response| object_mut(response, "queuing")) {
            for (field, value) in [("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)] {
                fill_zero(queuing, field, value);
            }
        }
    }
}

fn validate(new: &Value, errors: &mut FieldErrors) {
    let (spec, type_) = (&new["spec"], text(&new["spec"], "type"));
    if (object::name(new) == "exempt") != (type_ == "Exempt") {
        let detail = "type must be 'Exempt' if and only if name is 'exempt'";
        errors.invalid(&SPEC.child("type"), type_, detail);
    }
    let (exempt, limited) = (present(spec, "exempt"), present(spec, "limited"));
    let (exempt_path, limited_path) = (SPEC.child("exempt"), SPEC.child("limited"));
    match type_ {
        "Exempt" => {
            if limited.is_some() {
                errors.forbidden(&limited_path, "must be nil if the type is not Limited");
            }
            if let Some(exempt) = exempt {
                validate_shares(errors, &exempt_path, exempt);
                validate_lendable(errors, &exempt_path, exempt);
            }
        }
        "Limited" => {
            if exempt.is_some() {
                errors.forbidden(&exempt_path, "must be nil if the type is Limited");
            }
            match limited {
                None => errors.required(&limited_path, "must not be empty when type is Limited"),
                Some(limited) => validate_limited(errors, &limited_path, limited),
            }
        }
        other => errors.not_supported(&SPEC.child("type"), other, &["Exempt", "Limited"]),
    }
    if object::name(new) == "catch-all" && !is_catch_all(spec) {
        errors.invalid(&SPEC, spec.clone(), "spec of 'catch-all' must equal the fixed value");
    }
    validate_conditions(new, errors);
}

/// The level that always is there, for what no other level takes.
fn is_catch_all(spec: &Value) -> bool {
    *spec
        == serde_json::json!({"type": "Limited", "limited": {
            "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"},
        }})
}

fn validate_shares(errors: &mut FieldErrors, path: &Path<'_>, level: &Value) {
    if let Some(shares) = integer(level, "nominalConcurrencyShares").filter(|shares| *shares < 0) {
        errors.invalid(&path.child("nominalConcurrencyShares"), shares, "must be a non-negative integer");
    }
}

fn validate_lendable(errors: &mut FieldErrors, path: &Path<'_>, level: &Value) {
    if let Some(percent) = integer(level, "lendablePercent").filter(|percent| !(0..=100).contains(percent)) {
        errors.invalid(&path.child("lendablePercent"), percent, "must be between 0 and 100, inclusive");
    }
}

fn validate_limited(errors: &mut FieldErrors, path: &Path<'_>, limited: &Value) {
    validate_shares(errors, path, limited);
    let response = &limited["limitResponse"];
    let at = path.child("limitResponse");
    let queuing = present(response, "queuing");
    match text(response, "type") {
        "Reject" => {
            if queuing.is_some() {
                let detail = "must be nil if limited.limitResponse.type is not Limited";
                errors.forbidden(&at.child("queuing"), detail);
            }
        }
        "Queue" => match queuing {
            None => {
                let detail = "must not be empty if limited.limitResponse.type is Limited";
                errors.required(&at.child("queuing"), detail);
            }
            Some(queuing) => validate_queuing(errors, &at.child("queuing"), queuing),
        },
        other => errors.not_supported(&at.child("type"), other, &["Queue", "Reject"]),
    }
    validate_lendable(errors, path, limited);
    if let Some(percent) = integer(limited, "borrowingLimitPercent").filter(|percent| *percent < 0) {
        let detail = "if specified, must be a non-negative integer";
        errors.invalid(&path.child("borrowingLimitPercent"), percent, detail);
    }
}

fn validate_queuing(errors: &mut FieldErrors, path: &Path<'_>, queuing: &Value) {
    let value = |field: &str| number(queuing, field);
    let (queues, hand) = (value("queues"), value("handSize"));
    if value("queueLengthLimit") <= 0 {
        errors.invalid(&path.child("queueLengthLimit"), value("queueLengthLimit"), "must be positive");
    }
    if queues <= 0 {
        errors.invalid(&path.child("queues"), queues, "must be positive");
    } else if queues > QUEUES_MAX {
        errors.invalid(&path.child("queues"), queues, &format!("must not be greater than {QUEUES_MAX}"));
    }
    let at = path.child("handSize");
    if hand <= 0 {
        errors.invalid(&at, hand, "must be positive");
    } else if hand > queues {
        errors.invalid(&at, hand, &format!("should not be greater than queues ({queues})"));
    } else if ((queues as f64).log2() * hand as f64).ceil() > f64::from(HASH_BITS_MAX) {
        let detail = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS_MAX}"
        );
        errors.invalid(&at, hand, &detail);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::cases;

    fn level() -> Value {
        json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
            "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}})
    }

    #[test]
    fn shares_and_queues_have_defaults() {
        let stored = cases::created(level()).0;
        assert_eq!(
            stored["spec"]["limited"],
            json!({"nominalConcurrencyShares": 30, "limitResponse": {"type": "Reject"}, "lendablePercent": 0})
        );
        let queue = json!({"spec": {"limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}});
        let stored = cases::created(cases::merged(level(), &queue)).0;
        assert_eq!(
            stored["spec"]["limited"]["limitResponse"]["queuing"],
            json!({"queues": 64, "handSize": 8, "queueLengthLimit": 50})
        );
    }

    #[test]
    fn levels_are_validated() {
        let queuing = |queuing: Value| json!({"spec": {"limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}}});
        cases::check_wrong(
            &level(),
            &[
                (json!({}), &[]),
                (
                    json!({"spec": {"type": "Exempt"}}),
                    &[
                        "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
                        "spec.limited: Forbidden: must be nil if the type is not Limited",
                    ],
                ),
                (
                    json!({"spec": {"limited": {"nominalConcurrencyShares": -1, "lendablePercent": 101, "borrowingLimitPercent": -1}}}),
                    &[
                        "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                        "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                        "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
                    ],
                ),
                (
                    queuing(json!({"queues": 64, "handSize": 11})),
                    &[
                        "spec.limited.limitResponse.queuing.handSize: Invalid value: 11: required entropy bits of deckSize 64 and handSize 11 should not be greater than 60",
                    ],
                ),
                (
                    queuing(json!({"queues": 4, "handSize": 5})),
                    &[
                        "spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than queues (4)",
                    ],
                ),
            ],
        );
    }
}
