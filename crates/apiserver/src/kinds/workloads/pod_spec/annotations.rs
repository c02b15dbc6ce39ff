//! Annotations that mean something to Pods: some were fields once, and must agree with those that replaced them.

use serde_json::{Map, Value};

use super::{rules, scheduling, security, visit_containers};
use crate::machinery::{
    FieldErrors, Path,
    fields::{list, present, text},
    go_quoted,
};

/// Set on Pods that stand for those a kubelet runs by itself.
pub const MIRROR_POD: &str = "kubernetes.io/config.mirror";
/// The prefix of a container's name, for its AppArmor profile.
pub const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
/// The Pod's seccomp profile.
pub const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// The prefix of a container's name, for its seccomp profile.
pub const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// What a profile of the node is called in an annotation, before its name.
const LOCALHOST: &str = "localhost/";

/// What is wrong with the annotations of a Pod or a template. `path` is that of the annotations.
pub fn validate(errors: &mut FieldErrors, path: &Path<'_>, annotations: &Value, spec: &Value) {
    let Some(annotations) = annotations.as_object() else { return };
    let value_of = |key: &str| annotations.get(key).and_then(Value::as_str);
    if let Some(value) = value_of(MIRROR_POD)
        && text(spec, "nodeName").is_empty()
    {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        errors.invalid(&path.key(MIRROR_POD), value, detail);
    }
    if let Some(value) = value_of(TOLERATIONS).filter(|value| !value.is_empty()) {
        match serde_json::from_str::<Vec<Value>>(value) {
            Ok(tolerations) => {
                scheduling::validate_tolerations(errors, &path.child(TOLERATIONS), &tolerations);
            }
            Err(error) => errors.invalid(path, TOLERATIONS, &error.to_string()),
        }
    }
    if let Some(value) = value_of(DELETION_COST)
        && !is_deletion_cost(value)
    {
        errors.invalid(&path.key(DELETION_COST), value, "must be a 32bit integer");
    }
    if let Some(value) = value_of(SECCOMP_POD) {
        validate_seccomp(errors, &path.child(SECCOMP_POD), value);
    }
    for (key, value) in with_prefix(annotations, SECCOMP_CONTAINER) {
        validate_seccomp(errors, &path.child(key), value);
    }
    for (key, value) in with_prefix(annotations, APP_ARMOR) {
        let name = &key[APP_ARMOR.len()..];
        let lists = super::defaults::CONTAINER_LISTS;
        let known = lists.iter().any(|field| list(spec, field).iter().any(|own| text(own, "name") == name));
        if !known {
            errors.invalid(&path.key(key), name, "container not found");
        }
        if !matches!(value, "" | "runtime/default" | "unconfined") && !value.starts_with(LOCALHOST) {
            let detail = format!("invalid AppArmor profile name: {}", go_quoted(value));
            errors.invalid(&path.key(key), value, &detail);
        }
    }
}

fn with_prefix<'a>(
    annotations: &'a Map<String, Value>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let matching = annotations.iter().filter(move |(key, _)| key.starts_with(prefix));
    matching.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// A number as Kubernetes writes it: without plus or leading zeros.
fn is_deletion_cost(value: &str) -> bool {
    let canonical = value == "0" || value.starts_with(|c: char| matches!(c, '-' | '1'..='9'));
    canonical && value.parse::<i32>().is_ok()
}

fn validate_seccomp(errors: &mut FieldErrors, path: &Path<'_>, profile: &str) {
    match profile {
        "runtime/default" | "docker/default" | "unconfined" => {}
        _ => match profile.strip_prefix(LOCALHOST) {
            Some(file) => rules::descending_path(errors, path, file),
            None => errors.invalid(path, profile, "must be a valid seccomp profile"),
        },
    }
}

/// What is wrong where an annotation and the field that replaced it say different things. `path` is that of the spec.
pub fn validate_agreement(errors: &mut FieldErrors, path: &Path<'_>, annotations: &Value, spec: &Value) {
    if !annotations.is_object() {
        return;
    }
    let compare = |errors: &mut FieldErrors, path: &Path<'_>, key: &str, profile: &Value, sort: &Sort| {
        let Some(annotation) = annotations.get(key).and_then(Value::as_str) else { return };
        let path = path.child("securityContext");
        let path = path.child(sort.field);
        if !sort.type_agrees(annotation, text(profile, "type")) {
            let detail = format!("{} type in annotation and field must match", sort.named);
            errors.forbidden(&path.child("type"), &detail);
        } else if text(profile, "type") == "Localhost"
            && annotation.strip_prefix(LOCALHOST) != profile["localhostProfile"].as_str()
        {
            let detail = format!("{} profile in annotation and field must match", sort.named);
            errors.forbidden(&path.child("localhostProfile"), &detail);
        }
    };
    if let Some(profile) = present(&spec["securityContext"], "seccompProfile") {
        compare(errors, path, SECCOMP_POD, profile, &SECCOMP);
    }
    visit_containers(path, spec, |path, container| {
        if let Some(profile) = present(&container["securityContext"], "seccompProfile") {
            let key = format!("{SECCOMP_CONTAINER}{}", text(container, "name"));
            compare(errors, path, &key, profile, &SECCOMP);
        }
    });
    if spec["os"]["name"] == "windows" {
        return;
    }
    let pods = present(&spec["securityContext"], "appArmorProfile");
    visit_containers(path, spec, |path, container| {
        if let Some(profile) = present(&container["securityContext"], "appArmorProfile").or(pods) {
            let key = format!("{APP_ARMOR}{}", text(container, "name"));
            compare(errors, path, &key, profile, &APP_ARMOR_PROFILE);
        }
    });
}

/// A sort of profile that can be in an annotation and in a field.
struct Sort {
    named: &'static str,
    field: &'static str,
    /// What the annotation of the runtime's own profile may be.
    runtime_default: &'static [&'static str],
}

const SECCOMP: Sort = Sort {
    named: "seccomp",
    field: "seccompProfile",
    runtime_default: &["runtime/default", "docker/default"],
};
const APP_ARMOR_PROFILE: Sort =
    Sort { named: "apparmor", field: "appArmorProfile", runtime_default: &["runtime/default"] };

impl Sort {
    fn type_agrees(&self, annotation: &str, profile_type: &str) -> bool {
        match profile_type {
            "Unconfined" => annotation == "unconfined",
            "RuntimeDefault" => self.runtime_default.contains(&annotation),
            "Localhost" => annotation.starts_with(LOCALHOST),
            _ => true,
        }
    }
}

/// What is wrong with changing the annotations of a Pod: some cannot change.
pub fn validate_update(errors: &mut FieldErrors, path: &Path<'_>, new: &Value, old: &Value, spec: &Value) {
    let fixed = |key: &str| {
        if key.starts_with(APP_ARMOR) {
            Some("AppArmor annotations")
        } else if key == MIRROR_POD {
            Some("mirror pod annotation")
        } else {
            None
        }
    };
    for (key, value) in old.as_object().into_iter().flatten() {
        if let Some(what) = fixed(key)
            && new.get(key) != Some(value)
        {
            errors.forbidden(&path.key(key), &format!("may not remove or update {what}"));
        }
    }
    for (key, _) in new.as_object().into_iter().flatten() {
        if let Some(what) = fixed(key)
            && old.get(key).is_none()
        {
            errors.forbidden(&path.key(key), &format!("may not add {what}"));
        }
    }
    validate(errors, path, new, spec);
}

/// The AppArmor field that an annotation means; `None` where it means none that is valid.
pub fn app_armor_field(annotation: &str) -> Option<Value> {
    let field = match annotation {
        "unconfined" => serde_json::json!({"type": "Unconfined"}),
        "runtime/default" => serde_json::json!({"type": "RuntimeDefault"}),
        _ => {
            let name = annotation.strip_prefix(LOCALHOST).filter(|name| !name.is_empty())?;
            serde_json::json!({"type": "Localhost", "localhostProfile": name})
        }
    };
    let mut errors = FieldErrors::new();
    security::validate_app_armor(&mut errors, &Path::ROOT, &field);
    errors.is_empty().then_some(field)
}
