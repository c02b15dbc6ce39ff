//! What is wrong with the status of a Job. A status that broke a rule before may stay as it is: rules are about what a
//! write changes.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{counts, indexes, job_spec, pod_spec::rules};
use crate::machinery::{
    FieldErrors, Path,
    fields::{integer, list, number, present, text, texts},
};

/// What a condition that is true says about a Job.
struct Outcome {
    complete: bool,
    failed: bool,
    failure_target: bool,
    success_criteria_met: bool,
}

impl Outcome {
    fn of(status: &Value) -> Self {
        let is = |name: &str| {
            let mut conditions = list(status, "conditions").iter();
            conditions.any(|own| text(own, "type") == name && text(own, "status") == "True")
        };
        Self {
            complete: is("Complete"),
            failed: is("Failed"),
            failure_target: is("FailureTarget"),
            success_criteria_met: is("SuccessCriteriaMet"),
        }
    }

    fn finished(&self) -> bool {
        self.complete || self.failed
    }
}

/// A write to the status.
struct Change<'a> {
    path: Path<'a>,
    spec: &'a Value,
    new: &'a Value,
    old: &'a Value,
    is: Outcome,
    was: Outcome,
}

/// What is wrong with a write to the status of a Job.
pub fn validate(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let (new_status, old_status) = (&new["status"], &old["status"]);
    let change = Change {
        path: Path::new("status"),
        spec: &new["spec"],
        new: new_status,
        old: old_status,
        is: Outcome::of(new_status),
        was: Outcome::of(old_status),
    };
    change.validate_numbers(errors);
    change.validate_completion(errors);
    change.validate_finished(errors);
    change.validate_indexes(errors);
    change.validate_success(errors);
    change.validate_history(errors);
}

impl Change<'_> {
    fn changed(&self, field: &str) -> bool {
        self.new[field] != self.old[field]
    }

    fn conditions(&self, errors: &mut FieldErrors, wrong: bool, detail: &str) {
        if wrong {
            rules::invalid_as_a_whole(errors, &self.path.child("conditions"), detail);
        }
    }

    fn invalid(&self, errors: &mut FieldErrors, field: &str, wrong: bool, detail: &str) {
        if wrong {
            errors.invalid(&self.path.child(field), self.new[field].clone(), detail);
        }
    }

    fn validate_numbers(&self, errors: &mut FieldErrors) {
        let fields = ["active", "succeeded", "failed", "ready", "terminating"];
        counts::validate_all(errors, &self.path, self.new, &fields);
        let Some(uncounted) = present(self.new, "uncountedTerminatedPods") else { return };
        let path = self.path.child("uncountedTerminatedPods");
        let mut seen = HashSet::new();
        for field in ["succeeded", "failed"] {
            let path = path.child(field);
            for (index, uid) in texts(uncounted, field).enumerate() {
                if uid.is_empty() {
                    errors.invalid(&path.index(index), uid, "must not be empty");
                } else if !seen.insert(uid) {
                    errors.duplicate(&path.index(index), uid);
                }
            }
        }
    }

    fn validate_completion(&self, errors: &mut FieldErrors) {
        let (is, was) = (&self.is, &self.was);
        let complete_changed = is.complete != was.complete;
        self.conditions(
            errors,
            (complete_changed || is.failed != was.failed) && is.complete && is.failed,
            "cannot set Complete=True and Failed=true conditions",
        );
        self.conditions(
            errors,
            (complete_changed || is.failure_target != was.failure_target) && is.complete && is.failure_target,
            "cannot set Complete=True and FailureTarget=true conditions",
        );
        let completed = present(self.new, "completionTime");
        if complete_changed || self.changed("completionTime") {
            self.invalid(
                errors,
                "completionTime",
                completed.is_some() && !is.complete,
                "cannot set completionTime when there is no Complete=True condition",
            );
            if completed.is_none() && is.complete {
                let path = self.path.child("completionTime");
                errors.required(&path, "completionTime is required for Complete jobs");
            }
        }
        let time = |field: &str| self.new[field].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        if (self.changed("startTime") || self.changed("completionTime"))
            && let (Some(started), Some(completed)) = (time("startTime"), time("completionTime"))
        {
            let detail = "completionTime cannot be set before startTime";
            self.invalid(errors, "completionTime", completed < started, detail);
        }
        self.conditions(
            errors,
            (is.failed != was.failed || is.failure_target != was.failure_target)
                && is.failed
                && !is.failure_target,
            "cannot set Failed=True condition without the FailureTarget=true condition",
        );
        self.conditions(
            errors,
            (complete_changed || is.success_criteria_met != was.success_criteria_met)
                && is.complete
                && !is.success_criteria_met,
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        );
    }

    fn validate_finished(&self, errors: &mut FieldErrors) {
        if !self.is.finished() {
            return;
        }
        let just_now = !self.was.finished();
        let checks = |field: &str| just_now || self.changed(field);
        let active = checks("active") && number(self.new, "active") > 0;
        self.invalid(errors, "active", active, "active>0 is invalid for finished job");
        if checks("startTime") && present(self.new, "startTime").is_none() {
            errors.required(&self.path.child("startTime"), "startTime is required for finished job");
        }
        let uncounted = &self.new["uncountedTerminatedPods"];
        let some = !list(uncounted, "failed").is_empty() || !list(uncounted, "succeeded").is_empty();
        self.invalid(
            errors,
            "uncountedTerminatedPods",
            checks("uncountedTerminatedPods") && some,
            "uncountedTerminatedPods needs to be empty for finished job",
        );
    }

    fn validate_indexes(&self, errors: &mut FieldErrors) {
        let completions = integer(self.spec, "completions");
        let limited = present(self.spec, "backoffLimitPerIndex").is_some();
        let completed = text(self.new, "completedIndexes");
        let failed = present(self.new, "failedIndexes").and_then(Value::as_str);
        let (completed_changed, failed_changed) =
            (self.changed("completedIndexes"), self.changed("failedIndexes"));
        if let Some(completions) = completions {
            let parse = |errors: &mut FieldErrors, field: &str, text: &str| {
                if let Err(error) = indexes::count(text, completions) {
                    self.invalid(errors, field, true, &format!("error parsing {field}: {error}"));
                }
            };
            if completed_changed {
                parse(errors, "completedIndexes", completed);
            }
            if let Some(failed) = failed.filter(|_| failed_changed && limited) {
                parse(errors, "failedIndexes", failed);
            }
        }
        self.invalid(
            errors,
            "completedIndexes",
            completed_changed && !completed.is_empty() && !job_spec::is_indexed(self.spec),
            "cannot set non-empty completedIndexes when non-indexed completion mode",
        );
        self.invalid(
            errors,
            "failedIndexes",
            failed_changed && failed.is_some() && !limited,
            "cannot set non-null failedIndexes when backoffLimitPerIndex is null",
        );
        if let (Some(completions), Some(failed)) = (completions, failed)
            && (completed_changed || failed_changed)
            && let Some(index) = indexes::overlap(completed, failed, completions)
        {
            let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
            self.invalid(errors, "failedIndexes", true, &detail);
        }
        let (terminating, ready) = (number(self.new, "terminating"), integer(self.new, "ready"));
        let finished = self.is.finished();
        let terminating_changed = finished != self.was.finished() || self.changed("terminating");
        self.invalid(
            errors,
            "terminating",
            finished && terminating_changed && terminating > 0,
            "terminating>0 is invalid for finished job",
        );
        self.invalid(
            errors,
            "ready",
            (self.changed("ready") || self.changed("active"))
                && ready.is_some_and(|ready| ready > number(self.new, "active")),
            "cannot set more ready pods than active",
        );
    }

    fn validate_success(&self, errors: &mut FieldErrors) {
        let is = &self.is;
        let met = is.success_criteria_met;
        self.conditions(
            errors,
            met && is.failed,
            "cannot set SuccessCriteriaMet=True and Failed=true conditions",
        );
        self.conditions(
            errors,
            met && is.failure_target,
            "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        );
        self.conditions(
            errors,
            present(self.spec, "successPolicy").is_some() && !met && is.complete,
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        );
    }

    /// What happened does not become undone.
    fn validate_history(&self, errors: &mut FieldErrors) {
        let (is, was) = (&self.is, &self.was);
        for (name, is, was) in [
            ("Failed", is.failed, was.failed),
            ("Complete", is.complete, was.complete),
            ("FailureTarget", is.failure_target, was.failure_target),
        ] {
            let detail = format!("cannot disable the terminal {name}=True condition");
            self.conditions(errors, was && !is, &detail);
        }
        let decreased = |field: &str| number(self.new, field) < number(self.old, field);
        self.invalid_number(errors, "failed", decreased("failed"));
        // A Job with as many Pods as completions can be made smaller.
        let elastic = job_spec::is_indexed(self.spec) && self.spec["completions"] == self.spec["parallelism"];
        self.invalid_number(errors, "succeeded", decreased("succeeded") && !elastic);
        let completed = present(self.new, "completionTime").zip(present(self.old, "completionTime"));
        self.invalid(
            errors,
            "completionTime",
            completed.is_some_and(|(new, old)| new != old),
            "completionTime cannot be mutated",
        );
        if present(self.old, "startTime").is_some()
            && self.changed("startTime")
            && self.spec["suspend"] != true
        {
            errors.required(&self.path.child("startTime"), "startTime cannot be removed for unsuspended job");
        }
        let (met, was_met) = (is.success_criteria_met, was.success_criteria_met);
        self.conditions(errors, was_met && !met, "cannot disable the SuccessCriteriaMet=True condition");
        self.conditions(
            errors,
            was.complete && !was_met && met,
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        );
    }

    fn invalid_number(&self, errors: &mut FieldErrors, field: &str, wrong: bool) {
        if wrong {
            let detail = format!("cannot decrease the {field} counter");
            errors.invalid(&self.path.child(field), number(self.new, field), &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{
        job::STRATEGY,
        testing::{assert_lines, reported},
    };
    use super::*;

    fn is(conditions: &[&str]) -> Value {
        conditions.iter().map(|name| json!({"type": name, "status": "True"})).collect()
    }

    fn check(spec: &Value, old: &Value, new: &Value, want: &[&str]) {
        let of = |status: &Value| json!({"spec": spec, "status": status});
        assert_lines(&reported(&STRATEGY, &of(new), &of(old)), want, new);
    }

    #[test]
    fn a_job_completes() {
        let started = json!({"startTime": "2024-01-01T00:00:00Z"});
        let done = json!({"startTime": "2024-01-01T00:00:00Z", "completionTime": "2024-01-01T00:01:00Z",
            "conditions": is(&["SuccessCriteriaMet", "Complete"])});
        let spec = json!({"completions": 1});
        check(&spec, &started, &done, &[]);
        check(&spec, &done, &done, &[]);
        for (new, want) in [
            (
                json!({"conditions": is(&["Complete"])}),
                vec![
                    "status.completionTime: Required value: completionTime is required for Complete jobs",
                    "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
                    "status.startTime: Required value: startTime is required for finished job",
                    "status.startTime: Required value: startTime cannot be removed for unsuspended job",
                ],
            ),
            (
                json!({"startTime": "2024-01-01T00:00:00Z", "completionTime": "2023-01-01T00:00:00Z"}),
                vec![
                    "status.completionTime: Invalid value: \"2023-01-01T00:00:00Z\": cannot set completionTime when there is no Complete=True condition",
                    "status.completionTime: Invalid value: \"2023-01-01T00:00:00Z\": completionTime cannot be set before startTime",
                ],
            ),
            (
                json!({"startTime": "2024-01-01T00:00:00Z", "active": 1, "ready": 2, "terminating": 1,
                "uncountedTerminatedPods": {"failed": ["a", "", "a"]}, "conditions": is(&["Failed", "FailureTarget"])}),
                vec![
                    "status.uncountedTerminatedPods.failed[1]: Invalid value: \"\": must not be empty",
                    "status.uncountedTerminatedPods.failed[2]: Duplicate value: \"a\"",
                    "status.active: Invalid value: 1: active>0 is invalid for finished job",
                    "status.uncountedTerminatedPods: Invalid value: {\"failed\":[\"a\",\"\",\"a\"]}: uncountedTerminatedPods needs to be empty for finished job",
                    "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
                    "status.ready: Invalid value: 2: cannot set more ready pods than active",
                ],
            ),
            (
                json!({"startTime": "2024-01-01T00:00:00Z", "conditions": is(&["Failed"])}),
                vec![
                    "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
                ],
            ),
        ] {
            check(&spec, &started, &new, &want);
        }
    }

    #[test]
    fn what_happened_stays() {
        let old = json!({"startTime": "2024-01-01T00:00:00Z", "completionTime": "2024-01-01T00:01:00Z", "succeeded": 3, "failed": 2,
            "conditions": is(&["SuccessCriteriaMet", "Complete"])});
        let new = json!({"startTime": "2024-01-01T00:00:00Z", "succeeded": 1, "failed": 1});
        check(
            &json!({}),
            &old,
            &new,
            &[
                "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
                "status.failed: Invalid value: 1: cannot decrease the failed counter",
                "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
                "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
            ],
        );
        let elastic = json!({"completionMode": "Indexed", "completions": 1, "parallelism": 1});
        check(&elastic, &json!({"succeeded": 2}), &json!({"succeeded": 1}), &[]);
    }

    #[test]
    fn indexes_are_those_of_the_job() {
        let indexed = json!({"completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1});
        for (spec, new, want) in [
            (indexed.clone(), json!({"completedIndexes": "0-2", "failedIndexes": "3"}), vec![]),
            (
                indexed.clone(),
                json!({"completedIndexes": "0-2", "failedIndexes": "2"}),
                vec![
                    "status.failedIndexes: Invalid value: \"2\": failedIndexes and completedIndexes overlap at index: 2",
                ],
            ),
            (
                indexed,
                json!({"completedIndexes": "9"}),
                vec![
                    "status.completedIndexes: Invalid value: \"9\": error parsing completedIndexes: too large index: \"9\"",
                ],
            ),
            (
                json!({"completions": 5}),
                json!({"completedIndexes": "1", "failedIndexes": ""}),
                vec![
                    "status.completedIndexes: Invalid value: \"1\": cannot set non-empty completedIndexes when non-indexed completion mode",
                    "status.failedIndexes: Invalid value: \"\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
                ],
            ),
        ] {
            check(&spec, &json!({}), &new, &want);
        }
    }
}
