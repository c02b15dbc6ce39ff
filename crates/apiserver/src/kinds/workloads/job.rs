//! Job: Pods that run to their end.

use serde_json::{Map, Value};

use super::{job_spec, job_status, pod_spec::gates, pod_template, pod_warnings};
use crate::{
    kinds::strategy::{Generation, Strategy},
    machinery::{
        FieldErrors, Path,
        fields::{fill, flag, list, number, object_mut, objects_mut, present, text},
        format, metadata, object,
        selector::LabelSelector,
    },
};

/// The labels with the name of the Job.
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// The labels with the uid of the Job.
const UID_LABELS: [&str; 2] = ["controller-uid", UID_LABEL];
const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";

/// The behaviour of Job.
pub static STRATEGY: Strategy = Strategy {
    default: fill_job,
    prepare_create: |new| {
        generate_selector(new);
        gates::drop_disabled_in_template(new);
    },
    prepare_update: |new, _| gates::drop_disabled_in_template(new),
    validate_create: |new, errors| validate(errors, new),
    validate_update,
    validate_status: job_status::validate,
    warnings: |new, old| {
        let mut warnings = Vec::new();
        if old.is_none() {
            warnings.extend(pod_warnings::of_name(object::name(new)));
        }
        if old.is_none_or(|old| old["spec"] != new["spec"]) {
            job_spec::warn(&mut warnings, &Path::new("spec"), &new["spec"]);
        }
        warnings
    },
    generation: Generation::Spec,
    status: true,
    orphan_dependents: true,
    deletion_warning: Some(
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or \
         set propagationPolicy=Orphan to suppress this warning",
    ),
    ..Strategy::PLAIN
};

fn fill_job(object: &mut Value) {
    pod_template::fill_labels(object);
    if let Some(spec) = object_mut(object::map_mut(object), "spec") {
        let is_there = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
        let once = !is_there("completions") && !is_there("parallelism");
        let limit = if is_there("backoffLimitPerIndex") { i32::MAX } else { 6 };
        let replacement = if is_there("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
        if once {
            fill(spec, "completions", 1);
        }
        fill(spec, "parallelism", 1);
        fill(spec, "backoffLimit", limit);
        fill(spec, "podReplacementPolicy", replacement);
        fill(spec, "completionMode", "NonIndexed");
        fill(spec, "suspend", false);
        fill(spec, "manualSelector", false);
        pod_template::fill(spec);
    }
}

/// Labels the template with the Job's name and uid, and selects the Pods with that uid, unless the Job has a selector
/// of its own making. What is already there stays; if it is something else it is refused later.
fn generate_selector(job: &mut Value) {
    if flag(&job["spec"], "manualSelector") {
        return;
    }
    let (name, uid) = (Value::from(object::name(job)), Value::from(object::uid(job)));
    let spec = object::child_mut(job, "spec");
    fill(spec, "template", Map::new());
    fill(spec, "selector", Map::new());
    if let Some(template) = object_mut(spec, "template") {
        fill(template, "metadata", Map::new());
        if let Some(labels) = object_mut(template, "metadata").and_then(|meta| made(meta, "labels")) {
            for (keys, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
                for key in keys {
                    fill(labels, key, value.clone());
                }
            }
        }
    }
    if let Some(labels) = object_mut(spec, "selector").and_then(|selector| made(selector, "matchLabels")) {
        fill(labels, UID_LABEL, uid);
    }
}

fn made<'a>(owner: &'a mut Map<String, Value>, field: &str) -> Option<&'a mut Map<String, Value>> {
    fill(owner, field, Map::new());
    object_mut(owner, field)
}

fn validate(errors: &mut FieldErrors, job: &Value) {
    let spec = &job["spec"];
    let path = Path::new("spec");
    if !flag(spec, "manualSelector") && present(spec, "selector").is_some() {
        validate_generated(errors, &path, job);
    }
    job_spec::validate(errors, &path, spec);
    let completions = number(spec, "completions");
    if job_spec::is_indexed(spec) && completions > 0 {
        // Pods are named after the Job and their index.
        let name = object::name(job);
        let longest = format!("{name}-{}", completions - 1);
        if !format::is_dns1123_label(&longest).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {longest}");
            errors.invalid(&Path::new("metadata").child("name"), name, &detail);
        }
    }
}

/// The labels and the selector must be those that were generated.
fn validate_generated(errors: &mut FieldErrors, path: &Path<'_>, job: &Value) {
    let (name, uid) = (object::name(job), object::uid(job));
    if uid.is_empty() {
        errors.required(&Path::new("metadata").child("uid"), "");
    }
    let expected =
        [(UID_LABELS[0], uid), (NAME_LABELS[0], name), (UID_LABELS[1], uid), (NAME_LABELS[1], name)];
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    let template = path.child("template");
    let template = template.child("metadata");
    let labels_path = template.child("labels");
    for (key, value) in expected {
        let detail = format!("must be '{value}'");
        match labels.get(key) {
            None => errors.required(&labels_path.key(key), &detail),
            Some(own) if own == value => {}
            Some(_) => errors.invalid(&labels_path.key(key), labels.clone(), &detail),
        }
    }
    let selector = &job["spec"]["selector"];
    let value_of = |key: &str| expected.iter().find(|(own, _)| *own == key).map(|(_, value)| *value);
    if LabelSelector::of(selector).is_ok_and(|selector| !selector.matches(value_of)) {
        errors.invalid(&path.child("selector"), selector.clone(), "`selector` not auto-generated");
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let (spec, old_spec) = (&new["spec"], &old["spec"]);
    validate(errors, new);
    job_spec::validate(errors, &path, spec);
    validate_completions(errors, &path.child("completions"), spec, old_spec);
    let immutable = |errors: &mut FieldErrors, field: &str| {
        metadata::immutable(errors, &path.child(field), &spec[field], &old_spec[field]);
    };
    immutable(errors, "selector");
    validate_template_update(errors, &path.child("template"), spec, old);
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        immutable(errors, field);
    }
}

/// An indexed Job may grow or shrink, together with how many Pods of it run.
fn validate_completions(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value) {
    let (completions, old_completions) = (&new["completions"], &old["completions"]);
    if !job_spec::is_indexed(new) {
        metadata::immutable(errors, path, completions, old_completions);
    } else if completions != old_completions && !completions.is_null() && completions != &new["parallelism"] {
        let detail = "can only be modified in tandem with spec.parallelism";
        errors.invalid(path, completions.clone(), detail);
    }
}

/// A template does not change, but where and with what resources its Pods will run may, while a Job is suspended and
/// has no Pods.
fn validate_template_update(errors: &mut FieldErrors, path: &Path<'_>, spec: &Value, old: &Value) {
    let (template, old_template) = (&spec["template"], &old["spec"]["template"]);
    if template == old_template {
        return;
    }
    let status = &old["status"];
    let suspended = list(status, "conditions")
        .iter()
        .any(|condition| text(condition, "type") == "Suspended" && text(condition, "status") == "True");
    let mutable = flag(&old["spec"], "suspend")
        && (suspended || present(status, "startTime").is_none())
        && number(status, "active") == 0;
    if !mutable {
        errors.invalid(path, template.clone(), metadata::IMMUTABLE);
        return;
    }
    let mut allowed = old_template.clone();
    take_over(&mut allowed, template);
    if template["metadata"] != allowed["metadata"] {
        errors.invalid(path, template.clone(), metadata::IMMUTABLE);
    }
    if template["spec"] != allowed["spec"] {
        errors.invalid(&path.child("spec"), template["spec"].clone(), metadata::IMMUTABLE);
    }
}

/// Makes what may change in `old` as it is in `new`.
fn take_over(old: &mut Value, new: &Value) {
    let meta = object::child_mut(old, "metadata");
    for field in ["annotations", "labels"] {
        copy(meta, &new["metadata"], field);
    }
    let new = &new["spec"];
    let spec = object::child_mut(old, "spec");
    for field in ["nodeSelector", "tolerations", "schedulingGates"] {
        copy(spec, new, field);
    }
    let has_affinity = present(new, "affinity").is_some();
    if has_affinity {
        fill(spec, "affinity", Map::new());
    }
    if let Some(affinity) = object_mut(spec, "affinity") {
        copy(affinity, &new["affinity"], "nodeAffinity");
        if affinity.is_empty() && !has_affinity {
            spec.remove("affinity");
        }
    }
    for field in ["containers", "initContainers"] {
        let containers = list(new, field);
        for (old, new) in objects_mut(spec, field).zip(containers) {
            if old.get("name") == new.get("name") {
                copy(old, new, "resources");
            }
        }
    }
}

/// Makes a field what it is in `from`.
fn copy(to: &mut Map<String, Value>, from: &Value, field: &str) {
    match present(from, field) {
        Some(value) => to.insert(field.to_owned(), value.clone()),
        None => to.remove(field),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::testing::{assert_lines, created, pod, template, updated, with},
        *,
    };

    /// A Job as it is made from what a client sends.
    fn job(more: &Value) -> Value {
        let spec = json!({"template": {"metadata": {}, "spec": template(&json!({"restartPolicy": "Never"}))["spec"]}});
        let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": with(spec, more)});
        (STRATEGY.default)(&mut job);
        (STRATEGY.prepare_create)(&mut job);
        (STRATEGY.default)(&mut job);
        job
    }

    #[test]
    fn a_job_is_filled_in() {
        let job = job(&json!({}));
        let labels = json!({"batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "j", "controller-uid": "u", "job-name": "j"});
        assert_eq!(job["metadata"]["labels"], labels);
        assert_eq!(job["spec"]["template"]["metadata"]["labels"], labels);
        let mut spec = job["spec"].clone();
        spec.as_object_mut().unwrap().remove("template");
        assert_eq!(
            spec,
            json!({"completions": 1, "parallelism": 1, "backoffLimit": 6, "podReplacementPolicy": "TerminatingOrFailed",
                "completionMode": "NonIndexed", "suspend": false, "manualSelector": false,
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}})
        );
    }

    #[test]
    fn defaults_depend_on_what_is_there() {
        for (more, field, want) in [
            (json!({"parallelism": 3}), "completions", Value::Null),
            (json!({"completions": 3}), "parallelism", json!(1)),
            (json!({"backoffLimitPerIndex": 1}), "backoffLimit", json!(i32::MAX)),
            (json!({"podFailurePolicy": {"rules": null}}), "podReplacementPolicy", json!("Failed")),
            (json!({"manualSelector": true}), "selector", Value::Null),
        ] {
            assert_eq!(job(&more)["spec"][field], want, "{more}");
        }
    }

    #[test]
    fn labels_and_selector_are_those_that_are_made() {
        assert_lines(&created(&STRATEGY, &job(&json!({}))), &[], &json!({}));
        let mut other = job(&json!({}));
        other["spec"]["template"]["metadata"]["labels"] =
            json!({"job-name": "x", "controller-uid": "u", "batch.kubernetes.io/controller-uid": "u"});
        assert_lines(
            &created(&STRATEGY, &other),
            &[
                "spec.template.metadata.labels[job-name]: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u\",\"controller-uid\":\"u\",\"job-name\":\"x\"}: must be 'j'",
                "spec.template.metadata.labels[batch.kubernetes.io/job-name]: Required value: must be 'j'",
            ],
            &other,
        );
        let chosen = job(&json!({"selector": {"matchLabels": {"a": "b"}}}));
        assert_lines(
            &created(&STRATEGY, &chosen),
            &[
                "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u\"}}: `selector` not auto-generated",
                "spec.template.metadata.labels: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"u\",\"batch.kubernetes.io/job-name\":\"j\",\"controller-uid\":\"u\",\"job-name\":\"j\"}: `selector` does not match template `labels`",
            ],
            &chosen,
        );
        let manual = job(&json!({"manualSelector": true}));
        assert_lines(
            &created(&STRATEGY, &manual),
            &[
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
            ],
            &manual,
        );
    }

    #[test]
    fn pods_of_an_indexed_job_have_names() {
        let mut long = job(&json!({"completionMode": "Indexed", "completions": 100}));
        long["metadata"]["name"] = "a.b".into();
        let got = created(&STRATEGY, &long);
        assert_eq!(
            got.last().unwrap(),
            "metadata.name: Invalid value: \"a.b\": will not able to create pod with invalid DNS label: a.b-99"
        );
    }

    #[test]
    fn little_of_a_job_changes() {
        for (old, new, want) in [
            (
                json!({}),
                json!({"parallelism": 3, "completions": 1, "suspend": true, "activeDeadlineSeconds": 1}),
                vec![],
            ),
            (
                json!({}),
                json!({"completions": 2}),
                vec!["spec.completions: Invalid value: 2: field is immutable"],
            ),
            (
                json!({"completionMode": "Indexed", "completions": 1}),
                json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2}),
                vec![],
            ),
            (
                json!({"completionMode": "Indexed", "completions": 1}),
                json!({"completionMode": "Indexed", "completions": 2}),
                vec![
                    "spec.completions: Invalid value: 2: can only be modified in tandem with spec.parallelism",
                ],
            ),
            (
                json!({}),
                json!({"managedBy": "a.b/c"}),
                vec!["spec.managedBy: Invalid value: \"a.b/c\": field is immutable"],
            ),
        ] {
            assert_lines(&updated(&STRATEGY, &job(&new), &job(&old)), &want, &new);
        }
    }

    #[test]
    fn where_the_pods_of_a_waiting_job_run_may_change() {
        let with_spec = |spec: Value, suspend: bool, status: Value| {
            let mut job = job(&json!({ "suspend": suspend }));
            let own = pod(&with(json!({"restartPolicy": "Never"}), &spec));
            job["spec"]["template"]["spec"] = own["spec"].clone();
            job["status"] = status;
            job
        };
        let cpu = |cpu: &str| json!({"containers": [{"name": "c", "image": "i:1", "resources": {"requests": {"cpu": cpu}}}]});
        let nodes = json!({"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "affinity": {"nodeAffinity": {}}});
        for (new, suspend, status, want) in [
            (nodes.clone(), true, json!({}), vec![]),
            (nodes.clone(), false, json!({}), vec!["spec.template: Invalid value: …"]),
            (
                nodes.clone(),
                true,
                json!({"startTime": "2020-01-01T00:00:00Z"}),
                vec!["spec.template: Invalid value: …"],
            ),
            (
                nodes.clone(),
                true,
                json!({"startTime": "2020-01-01T00:00:00Z", "conditions": [{"type": "Suspended", "status": "True"}]}),
                vec![],
            ),
            (nodes, true, json!({"active": 1}), vec!["spec.template: Invalid value: …"]),
            (cpu("2"), true, json!({}), vec![]),
            (json!({"hostname": "h"}), true, json!({}), vec!["spec.template.spec: Invalid value: …"]),
        ] {
            let old = with_spec(cpu("1"), suspend, status.clone());
            let base = if new.get("containers").is_some() { new.clone() } else { with(cpu("1"), &new) };
            assert_lines(&updated(&STRATEGY, &with_spec(base, suspend, status), &old), &want, &new);
        }
    }
}
