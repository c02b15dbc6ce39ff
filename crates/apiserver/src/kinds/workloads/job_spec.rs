//! What is wrong with the spec of a Job, also in the template of a CronJob.

use std::collections::HashSet;

use serde_json::Value;

use super::{counts, indexes, pod_spec::rules, pod_template, pod_warnings};
use crate::machinery::{
    FieldErrors, Path,
    fields::{integer, list, number, present, text},
    format, go_quoted, metadata,
    selector::{self, LabelSelector, Leniency},
};

/// How many Pods of an indexed Job may run, and how many of its indexes may fail.
const INDEXED_MAX: i64 = 100_000;
/// Above so many completions less is allowed.
const COMPLETIONS_HIGH: i64 = 100_000;
/// How many may run, and fail, above that.
const WITH_HIGH_COMPLETIONS_MAX: i64 = 10_000;
const RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const CONDITIONS_MAX: usize = 20;
const MANAGED_BY_LENGTH_MAX: usize = 63;
const INDEXES_LENGTH_MAX: usize = 64 * 1024;

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// What is wrong with the spec of a Job.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    validate_unselected(errors, path, spec);
    match present(spec, "selector") {
        None => errors.required(&path.child("selector"), ""),
        Some(own) => selector::validate(errors, &path.child("selector"), own, Leniency::default()),
    }
    if let Ok(selector) = LabelSelector::of(&spec["selector"]) {
        let template = &spec["template"];
        pod_template::validate_selected(errors, &path.child("template"), template, &selector);
    }
}

/// The same without the selector, which the Jobs of a CronJob get later.
pub fn validate_unselected(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    const NUMBERS: [&str; 6] = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
    ];
    counts::validate_all(errors, path, spec, &NUMBERS);
    if let Some(failed) = integer(spec, "maxFailedIndexes") {
        metadata::non_negative(errors, &path.child("maxFailedIndexes"), failed);
        if present(spec, "backoffLimitPerIndex").is_none() {
            errors.required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
        }
    }
    if let Some(manager) = present(spec, "managedBy").and_then(Value::as_str) {
        let path = path.child("managedBy");
        format::domain_prefixed_path(errors, &path, manager);
        if manager.len() > MANAGED_BY_LENGTH_MAX {
            errors.too_long(&path, MANAGED_BY_LENGTH_MAX);
        }
    }
    validate_completion_mode(errors, path, spec);
    if let Some(policy) = present(spec, "podFailurePolicy") {
        validate_failure_policy(errors, &path.child("podFailurePolicy"), policy, spec);
    }
    if let Some(policy) = present(spec, "successPolicy") {
        let path = path.child("successPolicy");
        if is_indexed(spec) {
            validate_success_policy(errors, &path, policy, integer(spec, "completions"));
        } else {
            errors.invalid(&path, policy.clone(), "requires indexed completion mode");
        }
    }
    if let Some(policy) = present(spec, "podReplacementPolicy").and_then(Value::as_str) {
        let with_failure_policy = present(spec, "podFailurePolicy").is_some();
        let supported: &[&str] =
            if with_failure_policy { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
        rules::one_of(errors, &path.child("podReplacementPolicy"), policy, supported);
    }
    let template = path.child("template");
    pod_template::validate(errors, &template, &spec["template"]);
    validate_restart_policy(errors, &template, spec);
}

fn validate_restart_policy(errors: &mut FieldErrors, template: &Path<'_>, spec: &Value) {
    let path = template.child("spec");
    let path = path.child("restartPolicy");
    match text(&spec["template"]["spec"], "restartPolicy") {
        "" | "Always" => errors.required(&path, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" if present(spec, "podFailurePolicy").is_none() => {}
        "OnFailure" => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.invalid(&path, "OnFailure", detail);
        }
        other => errors.not_supported(&path, other, &["OnFailure", "Never"]),
    }
}

/// Whether each Pod of a Job has an index of its own.
pub fn is_indexed(spec: &Value) -> bool {
    spec["completionMode"] == "Indexed"
}

fn validate_completion_mode(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let mode = present(spec, "completionMode").and_then(Value::as_str);
    let failed = integer(spec, "maxFailedIndexes");
    let failed_path = path.child("maxFailedIndexes");
    match mode {
        Some("Indexed") => validate_indexed(errors, path, spec),
        None | Some("NonIndexed") => {
            const DETAIL: &str = "requires indexed completion mode";
            if let Some(limit) = integer(spec, "backoffLimitPerIndex") {
                errors.invalid(&path.child("backoffLimitPerIndex"), limit, DETAIL);
            }
            if let Some(failed) = failed {
                errors.invalid(&failed_path, failed, DETAIL);
            }
        }
        Some(other) => {
            errors.not_supported(&path.child("completionMode"), other, &["NonIndexed", "Indexed"]);
        }
    }
}

fn validate_indexed(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value) {
    let completions = integer(spec, "completions");
    let parallelism = number(spec, "parallelism");
    let failed = integer(spec, "maxFailedIndexes");
    let (parallelism_path, failed_path) = (path.child("parallelism"), path.child("maxFailedIndexes"));
    if completions.is_none() {
        errors.required(&path.child("completions"), "when completion mode is Indexed");
    }
    if parallelism > INDEXED_MAX {
        let detail = format!("must be less than or equal to {INDEXED_MAX} when completion mode is Indexed");
        errors.invalid(&parallelism_path, parallelism, &detail);
    }
    if let (Some(completions), Some(failed)) = (completions, failed)
        && failed > completions
    {
        errors.invalid(&failed_path, failed, "must be less than or equal to completions");
    }
    if let Some(failed) = failed.filter(|failed| *failed > INDEXED_MAX) {
        errors.invalid(&failed_path, failed, &format!("must be less than or equal to {INDEXED_MAX}"));
    }
    let high = completions.is_some_and(|completions| completions > COMPLETIONS_HIGH);
    if !high || present(spec, "backoffLimitPerIndex").is_none() {
        return;
    }
    if failed.is_none() {
        let detail = format!("must be specified when completions is above {COMPLETIONS_HIGH}");
        errors.required(&failed_path, &detail);
    }
    let detail = format!(
        "must be less than or equal to {WITH_HIGH_COMPLETIONS_MAX} when completions are above {COMPLETIONS_HIGH} and \
         used with backoff limit per index"
    );
    if parallelism > WITH_HIGH_COMPLETIONS_MAX {
        errors.invalid(&parallelism_path, parallelism, &detail);
    }
    if let Some(failed) = failed.filter(|failed| *failed > WITH_HIGH_COMPLETIONS_MAX) {
        errors.invalid(&failed_path, failed, &detail);
    }
}

fn validate_failure_policy(errors: &mut FieldErrors, path: &Path<'_>, policy: &Value, spec: &Value) {
    let pod = &spec["template"]["spec"];
    let containers = list(pod, "containers").iter().chain(list(pod, "initContainers"));
    let containers: HashSet<&str> = containers.map(|container| text(container, "name")).collect();
    let path = path.child("rules");
    let rules = list(policy, "rules");
    if rules.len() > RULES_MAX {
        errors.too_many(&path, rules.len(), RULES_MAX);
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = path.index(index);
        let action_path = path.child("action");
        match text(rule, "action") {
            "FailIndex" => {
                if present(spec, "backoffLimitPerIndex").is_none() {
                    errors.invalid(&action_path, "FailIndex", "requires the backoffLimitPerIndex to be set");
                }
            }
            action => named_one_of(errors, &action_path, action, &ACTIONS),
        }
        let (codes, conditions) = (present(rule, "onExitCodes"), list(rule, "onPodConditions"));
        if let Some(codes) = codes {
            validate_exit_codes(errors, &path.child("onExitCodes"), codes, &containers);
        }
        validate_conditions(errors, &path.child("onPodConditions"), conditions);
        match (codes.is_some(), !conditions.is_empty()) {
            (true, true) => {
                let detail = "specifying both OnExitCodes and OnPodConditions is not supported";
                rules::invalid_as_a_whole(errors, &path, detail);
            }
            (false, false) => {
                let detail = "specifying one of OnExitCodes and OnPodConditions is required";
                rules::invalid_as_a_whole(errors, &path, detail);
            }
            _ => {}
        }
    }
}

/// The value must be there and be one of those supported, which are named where it is not there.
fn named_one_of(errors: &mut FieldErrors, path: &Path<'_>, value: &str, supported: &[&str]) {
    if value.is_empty() {
        let all: Vec<String> = supported.iter().map(|value| go_quoted(value)).collect();
        errors.required(path, &format!("valid values: [{}]", all.join(" ")));
    } else {
        rules::one_of(errors, path, value, supported);
    }
}

fn validate_conditions(errors: &mut FieldErrors, path: &Path<'_>, conditions: &[Value]) {
    if conditions.len() > CONDITIONS_MAX {
        errors.too_many(path, conditions.len(), CONDITIONS_MAX);
    }
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        rules::qualified_name(errors, &path.child("type"), text(condition, "type"));
        named_one_of(errors, &path.child("status"), text(condition, "status"), &STATUSES);
    }
}

fn validate_exit_codes(errors: &mut FieldErrors, path: &Path<'_>, codes: &Value, containers: &HashSet<&str>) {
    let operator = text(codes, "operator");
    named_one_of(errors, &path.child("operator"), operator, &OPERATORS);
    if let Some(name) = present(codes, "containerName").and_then(Value::as_str)
        && !containers.contains(name)
    {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.invalid(&path.child("containerName"), name, detail);
    }
    let path = path.child("values");
    let values = list(codes, "values");
    if values.is_empty() {
        errors.invalid(&path, codes["values"].clone(), "at least one value is required");
    } else if values.len() > EXIT_CODES_MAX {
        errors.too_many(&path, values.len(), EXIT_CODES_MAX);
    }
    let numbers: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
    let mut seen = HashSet::new();
    for (index, code) in numbers.iter().enumerate() {
        let path = path.index(index);
        if operator == "In" && *code == 0 {
            errors.invalid(&path, 0, "must not be 0 for the In operator");
        }
        if !seen.insert(code) {
            errors.duplicate(&path, *code);
        }
    }
    if !numbers.is_sorted() {
        errors.invalid(&path, codes["values"].clone(), "must be ordered");
    }
}

fn validate_success_policy(
    errors: &mut FieldErrors,
    path: &Path<'_>,
    policy: &Value,
    completions: Option<i64>,
) {
    let path = path.child("rules");
    let rules = list(policy, "rules");
    if rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        errors.required(&path, detail);
    }
    if rules.len() > RULES_MAX {
        errors.too_many(&path, rules.len(), RULES_MAX);
    }
    // Without completions there is another error already.
    let completions = completions.unwrap_or(i64::MAX);
    for (index, rule) in rules.iter().enumerate() {
        let path = path.index(index);
        let indexes = present(rule, "succeededIndexes").and_then(Value::as_str);
        let count = integer(rule, "succeededCount");
        if indexes.is_none() && count.is_none() {
            errors.required(&path, "at least one of succeededCount or succeededIndexes must be specified");
        }
        let mut total = 0;
        if let Some(indexes) = indexes {
            let path = path.child("succeededIndexes");
            if indexes.len() > INDEXES_LENGTH_MAX {
                errors.too_long(&path, INDEXES_LENGTH_MAX);
            }
            match indexes::count(indexes, completions) {
                Ok(count) => total = count,
                Err(error) => {
                    errors.invalid(&path, indexes, &format!("error parsing succeededIndexes: {error}"));
                }
            }
        }
        let Some(count) = count else { continue };
        let path = path.child("succeededCount");
        metadata::non_negative(errors, &path, count);
        if count > completions {
            let detail =
                format!("must be less than or equal to {completions} (the number of specified completions)");
            errors.invalid(&path, count, &detail);
        }
        if indexes.is_some() && count > total {
            let detail = format!(
                "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            );
            errors.invalid(&path, count, &detail);
        }
    }
}

/// Warnings about the spec of a Job.
pub fn warn(warnings: &mut Vec<String>, path: &Path<'_>, spec: &Value) {
    let (completions, parallelism) = (number(spec, "completions"), number(spec, "parallelism"));
    if is_indexed(spec) && completions > COMPLETIONS_HIGH && parallelism > WITH_HIGH_COMPLETIONS_MAX {
        warnings.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than \
             10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    warnings.extend(pod_warnings::of_template(&path.child("template"), &spec["template"]));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, lines, template, with},
        *,
    };

    fn check(more: &Value, want: &[&str]) {
        let spec = json!({"template": template(&json!({"restartPolicy": "Never"})), "completions": 3, "parallelism": 1});
        let mut errors = FieldErrors::new();
        validate_unselected(&mut errors, &Path::new("spec"), &with(spec, more));
        assert_lines(&lines(&errors), want, more);
    }

    #[test]
    fn numbers_and_modes_are_validated() {
        const NOT_INDEXED: &str = "requires indexed completion mode";
        for (more, want) in [
            (json!({}), vec![]),
            (json!({"parallelism": -1, "completions": -1, "activeDeadlineSeconds": -1, "backoffLimit": -1, "ttlSecondsAfterFinished": -1}), vec![
                "spec.parallelism: Invalid value: -1: must be greater than or equal to 0".to_owned(),
                "spec.completions: Invalid value: -1: must be greater than or equal to 0".to_owned(),
                "spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0".to_owned(),
                "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0".to_owned(),
                "spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0".to_owned(),
            ]),
            (json!({"completionMode": "x"}), vec![
                "spec.completionMode: Unsupported value: \"x\": supported values: \"NonIndexed\", \"Indexed\"".to_owned(),
            ]),
            (json!({"maxFailedIndexes": 1, "successPolicy": {}}), vec![
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified".to_owned(),
                format!("spec.maxFailedIndexes: Invalid value: 1: {NOT_INDEXED}"),
                format!("spec.successPolicy: Invalid value: {{}}: {NOT_INDEXED}"),
            ]),
            (json!({"completionMode": "Indexed", "completions": null, "parallelism": 100_001}), vec![
                "spec.completions: Required value: when completion mode is Indexed".to_owned(),
                "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed".to_owned(),
            ]),
            (json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1}), vec![
                "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000".to_owned(),
                "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index".to_owned(),
            ]),
            (json!({"managedBy": "x"}), vec![
                "spec.managedBy: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned(),
            ]),
            (json!({"podReplacementPolicy": "x"}), vec![
                "spec.podReplacementPolicy: Unsupported value: \"x\": supported values: \"Failed\", \"TerminatingOrFailed\"".to_owned(),
            ]),
        ] {
            let want: Vec<&str> = want.iter().map(String::as_str).collect();
            check(&more, &want);
        }
    }

    #[test]
    fn pods_of_a_job_end() {
        const PATH: &str = "spec.template.spec.restartPolicy";
        for (policy, want) in
            [("OnFailure", None), ("Always", Some("Required value: valid values: \"OnFailure\", \"Never\""))]
        {
            let want: Vec<String> = want.iter().map(|want| format!("{PATH}: {want}")).collect();
            let want: Vec<&str> = want.iter().map(String::as_str).collect();
            check(&json!({"template": template(&json!({"restartPolicy": policy}))}), &want);
        }
        check(
            &json!({"podFailurePolicy": {"rules": []}, "template": template(&json!({"restartPolicy": "OnFailure"}))}),
            &[
                "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified",
            ],
        );
    }

    #[test]
    fn rules_for_failures_are_validated() {
        const RULE: &str = "spec.podFailurePolicy.rules[0]";
        for (rule, want) in [
            (
                json!({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2], "containerName": "c"}}),
                vec![],
            ),
            (
                json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}),
                vec![],
            ),
            (
                json!({"action": "", "onPodConditions": [{"type": "a b", "status": ""}]}),
                vec![
                    ".action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
                    ".onPodConditions[0].type: Invalid value: \"a b\": name part must…",
                    ".onPodConditions[0].status: Required value: valid values: [\"False\" \"True\" \"Unknown\"]",
                ],
            ),
            (
                json!({"action": "FailIndex"}),
                vec![
                    ".action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
                    ": Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
                ],
            ),
            (
                json!({"action": "x", "onExitCodes": {"operator": "In", "values": [2, 0, 2], "containerName": "d"}, "onPodConditions": [{"type": "a", "status": "x"}]}),
                vec![
                    ".action: Unsupported value: \"x\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"",
                    ".onExitCodes.containerName: Invalid value: \"d\": must be one of the container or initContainer names in the pod template",
                    ".onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                    ".onExitCodes.values[2]: Duplicate value: 2",
                    ".onExitCodes.values: Invalid value: [2,0,2]: must be ordered",
                    ".onPodConditions[0].status: Unsupported value: \"x\": supported values: \"False\", \"True\", \"Unknown\"",
                    ": Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
                ],
            ),
            (
                json!({"action": "Count", "onExitCodes": {"operator": "", "values": null}}),
                vec![
                    ".onExitCodes.operator: Required value: valid values: [\"In\" \"NotIn\"]",
                    ".onExitCodes.values: Invalid value: null: at least one value is required",
                ],
            ),
        ] {
            let want: Vec<String> = want.iter().map(|want| format!("{RULE}{want}")).collect();
            let want: Vec<&str> = want.iter().map(String::as_str).collect();
            check(&json!({"podFailurePolicy": {"rules": [rule]}}), &want);
        }
    }

    #[test]
    fn rules_for_success_are_validated() {
        for (rules, want) in [
            (json!([{"succeededIndexes": "0-1", "succeededCount": 1}]), vec![]),
            (
                json!([]),
                vec![
                    "spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified",
                ],
            ),
            (
                json!([{}, {"succeededIndexes": "5"}, {"succeededCount": 4}, {"succeededIndexes": "0", "succeededCount": 2}]),
                vec![
                    "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
                    "spec.successPolicy.rules[1].succeededIndexes: Invalid value: \"5\": error parsing succeededIndexes: too large index: \"5\"",
                    "spec.successPolicy.rules[2].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)",
                    "spec.successPolicy.rules[3].succeededCount: Invalid value: 2: must be less than or equal to 1 (the number of indexes in the specified succeededIndexes field)",
                ],
            ),
        ] {
            check(&json!({"completionMode": "Indexed", "successPolicy": {"rules": rules}}), &want);
        }
    }

    #[test]
    fn very_large_jobs_are_warned_of() {
        let large = json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001});
        let mut warnings = Vec::new();
        warn(&mut warnings, &Path::new("spec"), &large);
        assert!(
            warnings[0].starts_with("spec: In Indexed Jobs with a number of completions higher than 10^5"),
            "{warnings:?}"
        );
    }
}
