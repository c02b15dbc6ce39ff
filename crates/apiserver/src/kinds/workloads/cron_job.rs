//! CronJob: makes Jobs by the clock.

use serde_json::Value;

use super::{
    counts, job_spec,
    pod_spec::{gates, rules},
    pod_template, pod_warnings,
    schedule::{self, Schedule},
};
use crate::{
    kinds::strategy::{Generation, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{fill, flag, object_mut, present, text},
        object,
    },
};

/// A Job's name has the time after that of its CronJob; it has 63 characters at most.
const NAME_LENGTH_MAX: usize = 52;

/// The behaviour of CronJob.
pub static STRATEGY: Strategy = Strategy {
    default: fill_cron_job,
    prepare_create: drop_disabled,
    prepare_update: |new, _| drop_disabled(new),
    validate_create: |new, errors| {
        validate(errors, &new["spec"], None);
        let name = object::name(new);
        if name.len() > NAME_LENGTH_MAX {
            let path = Path::new("metadata");
            errors.invalid(&path.child("name"), name, "must be no more than 52 characters");
        }
    },
    validate_update: |new, old, errors| validate(errors, &new["spec"], Some(&old["spec"])),
    warnings,
    generation: Generation::Spec,
    status: true,
    ..Strategy::PLAIN
};

fn fill_cron_job(object: &mut Value) {
    let Some(spec) = object_mut(object::map_mut(object), "spec") else { return };
    fill(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    if let Some(template) = object_mut(spec, "jobTemplate")
        && let Some(spec) = object_mut(template, "spec")
    {
        pod_template::fill(spec);
    }
}

fn drop_disabled(object: &mut Value) {
    if let Some(template) = object_mut(object::child_mut(object, "spec"), "jobTemplate")
        && let Some(spec) = object_mut(template, "spec")
        && let Some(template) = object_mut(spec, "template")
        && let Some(spec) = template.get_mut("spec")
    {
        gates::drop_disabled(spec);
    }
}

fn validate(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>) {
    let path = Path::new("spec");
    validate_schedule(errors, &path.child("schedule"), spec, old);
    counts::validate_all(errors, &path, spec, &["startingDeadlineSeconds"]);
    if old.is_none_or(|old| old["timeZone"] != spec["timeZone"])
        && let Some(zone) = present(spec, "timeZone").and_then(Value::as_str)
    {
        validate_time_zone(errors, &path.child("timeZone"), zone);
    }
    let policy = text(spec, "concurrencyPolicy");
    let policies = ["Allow", "Forbid", "Replace"];
    rules::required_one_of(errors, &path.child("concurrencyPolicy"), policy, &policies);
    let template = path.child("jobTemplate");
    validate_job(errors, &template.child("spec"), &spec["jobTemplate"]["spec"]);
    counts::validate_all(errors, &path, spec, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"]);
}

fn validate_schedule(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value, old: Option<&Value>) {
    let own = text(spec, "schedule");
    if own.is_empty() {
        errors.required(path, "");
        return;
    }
    if let Err(error) = Schedule::parse(own) {
        errors.invalid(path, own, &error.to_string());
    }
    if own.contains("TZ") {
        if old.is_none_or(|old| !text(old, "schedule").contains("TZ")) {
            errors.invalid(path, own, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
        } else if present(spec, "timeZone").is_some() {
            errors.invalid(path, own, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
        }
    }
}

fn validate_time_zone(errors: &mut FieldErrors, path: &Path<'_>, zone: &str) {
    const PART_LENGTH_MAX: usize = 14;
    if zone.is_empty() {
        errors.invalid(path, zone, "timeZone must be nil or non-empty string");
        return;
    }
    let is_part = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
        (1..=PART_LENGTH_MAX).contains(&part.len())
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
            && part.chars().all(known)
    };
    let unknown = format!("unknown time zone {zone}");
    if !zone.split('/').all(is_part) {
        errors.invalid(path, zone, &unknown);
        return;
    }
    if zone.eq_ignore_ascii_case("Local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.invalid(path, zone, detail);
    }
    if !schedule::is_time_zone(zone) {
        errors.invalid(path, zone, &unknown);
    }
}

fn validate_job(errors: &mut FieldErrors, path: &Path<'_>, job: &Value) {
    job_spec::validate_unselected(errors, path, job);
    if let Some(selector) = present(job, "selector") {
        errors.invalid(&path.child("selector"), selector.clone(), "`selector` will be auto-generated");
    }
    if flag(job, "manualSelector") {
        errors.not_supported(&path.child("manualSelector"), true, &["nil", "false"]);
    }
}

fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    if old.is_none() {
        warnings.extend(pod_warnings::of_name(object::name(new)));
    }
    if old.is_none_or(|old| old["spec"] != new["spec"]) {
        let path = Path::new("spec");
        let path = path.child("jobTemplate");
        job_spec::warn(&mut warnings, &path.child("spec"), &new["spec"]["jobTemplate"]["spec"]);
    }
    if old.is_some() && text(&new["spec"], "schedule").contains("TZ") {
        warnings.push(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, created, template, updated, with},
        *,
    };

    fn cron_job(more: &Value) -> Value {
        let job = json!({"template": template(&json!({"restartPolicy": "Never"}))});
        let spec = json!({"schedule": "* * * * *", "jobTemplate": {"metadata": {}, "spec": job}});
        let mut cron_job = json!({"metadata": {"name": "c"}, "spec": with(spec, more)});
        (STRATEGY.default)(&mut cron_job);
        cron_job
    }

    #[test]
    fn a_cron_job_is_filled_in() {
        let mut spec = cron_job(&json!({}))["spec"].take();
        assert!(spec["jobTemplate"]["spec"].get("backoffLimit").is_none());
        spec.as_object_mut().unwrap().remove("jobTemplate");
        assert_eq!(
            spec,
            json!({"schedule": "* * * * *", "concurrencyPolicy": "Allow", "suspend": false,
                "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1})
        );
    }

    #[test]
    fn a_cron_job_is_validated() {
        for (more, want) in [
            (json!({"timeZone": "Europe/Berlin"}), vec![]),
            (json!({"schedule": ""}), vec!["spec.schedule: Required value"]),
            (
                json!({"schedule": "every day", "concurrencyPolicy": "x", "startingDeadlineSeconds": -1, "failedJobsHistoryLimit": -1}),
                vec![
                    "spec.schedule: Invalid value: \"every day\": expected exactly 5 fields, found 2: [every day]",
                    "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
                    "spec.concurrencyPolicy: Unsupported value: \"x\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
                    "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
                ],
            ),
            (
                json!({"schedule": "TZ=UTC * * * * *"}),
                vec![
                    "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
                ],
            ),
            (
                json!({"timeZone": ""}),
                vec!["spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"],
            ),
            (
                json!({"timeZone": "a b"}),
                vec!["spec.timeZone: Invalid value: \"a b\": unknown time zone a b"],
            ),
            (
                json!({"timeZone": "Mars/Base"}),
                vec!["spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base"],
            ),
            (
                json!({"timeZone": "local"}),
                vec![
                    "spec.timeZone: Invalid value: \"local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
                    "spec.timeZone: Invalid value: \"local\": unknown time zone local",
                ],
            ),
            (
                json!({"jobTemplate": {"spec": {"selector": {}, "manualSelector": true, "template": template(&json!({}))}}}),
                vec![
                    "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
                    "spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated",
                    "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
                ],
            ),
        ] {
            assert_lines(&created(&STRATEGY, &cron_job(&more)), &want, &more);
        }
        let mut long = cron_job(&json!({}));
        long["metadata"]["name"] = "a".repeat(53).into();
        assert_lines(&created(&STRATEGY, &long), &["metadata.name: Invalid value: \"aaa…"], &long);
        assert_lines(&updated(&STRATEGY, &long, &long), &[], &long);
    }

    #[test]
    fn what_was_allowed_stays() {
        let old = cron_job(&json!({"schedule": "TZ=UTC * * * * *", "timeZone": "Mars/Base"}));
        let clash = "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use both timeZone field and TZ or CRON_TZ in schedule";
        assert_lines(&updated(&STRATEGY, &old, &old), &[clash], &old);
        let zoned = cron_job(&json!({"schedule": "TZ=UTC 1 * * * *"}));
        assert_lines(&updated(&STRATEGY, &zoned, &old), &[], &zoned);
        assert_eq!(
            warnings(&zoned, Some(&zoned)),
            [
                "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
            ]
        );
    }
}
