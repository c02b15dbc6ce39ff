//! The behaviour of CustomResourceDefinitions themselves.

use serde_json::{Value, json};

use crate::{
    kinds::{
        Strategy,
        strategies::Row,
        strategy::{Generation, keep_all_but_status},
    },
    machinery::{FieldErrors, Path, fields, format, object},
};

/// The kinds of this subject.
pub static ROWS: &[Row] = &[Row::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition", &DEFINITION)];

static DEFINITION: Strategy = Strategy {
    default,
    prepare_create,
    validate_create: validate,
    validate_update: |new, old, errors| {
        validate(new, errors);
        immutable_once_established(new, old, errors);
    },
    prepare_status: keep_all_but_status,
    generation: Generation::Spec,
    status: true,
    ..Strategy::PLAIN
};

fn default(definition: &mut Value) {
    let spec = object::child_mut(definition, "spec");
    spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    let names = object::map_mut(spec.entry("names").or_insert_with(|| json!({})));
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !kind.is_empty() {
        for (field, value) in [("singular", kind.to_lowercase()), ("listKind", format!("{kind}List"))] {
            if names.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                names.insert(field.into(), value.into());
            }
        }
    }
}

fn prepare_create(definition: &mut Value) {
    let versions = fields::list(&definition["spec"], "versions");
    let stored: Vec<Value> = versions
        .iter()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let status =
        json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored});
    object::map_mut(definition).insert("status".into(), status);
}

fn validate(definition: &Value, errors: &mut FieldErrors) {
    let spec = &definition["spec"];
    let root = Path::new("spec");
    let group = fields::text(spec, "group");
    let names = &spec["names"];
    let wanted = format!("{}.{group}", fields::text(names, "plural"));
    if object::name(definition) != wanted {
        let metadata = Path::new("metadata");
        let why = "must be spec.names.plural+\".\"+spec.group";
        errors.invalid(&metadata.child("name"), object::name(definition), why);
    }
    if group.is_empty() {
        errors.required(&root.child("group"), "");
    } else {
        format::report(errors, &root.child("group"), group, format::is_dns1123_subdomain(group));
        if !group.contains('.') {
            errors.invalid(&root.child("group"), group, "should be a domain with at least one dot");
        }
    }
    if !matches!(fields::text(spec, "scope"), "Cluster" | "Namespaced") {
        errors.not_supported(&root.child("scope"), fields::text(spec, "scope"), &["Cluster", "Namespaced"]);
    }
    let names_path = root.child("names");
    for field in ["plural", "singular"] {
        let name = fields::text(names, field);
        if name.is_empty() {
            errors.required(&names_path.child(field), "");
        } else {
            format::report(errors, &names_path.child(field), name, format::is_dns1035_label(name));
        }
    }
    for field in ["kind", "listKind"] {
        let name = fields::text(names, field);
        if name.is_empty() {
            errors.required(&names_path.child(field), "");
        } else {
            let lower = name.to_lowercase();
            format::report(errors, &names_path.child(field), name, format::is_dns1035_label(&lower));
        }
    }
    if !fields::text(names, "kind").is_empty() && names["kind"] == names["listKind"] {
        errors.invalid(
            &names_path.child("listKind"),
            fields::text(names, "listKind"),
            "kind and listKind may not be the same",
        );
    }
    versions(spec, errors);
    if spec["preserveUnknownFields"] == true {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.invalid(&root.child("preserveUnknownFields"), true, why);
    }
}

fn versions(spec: &Value, errors: &mut FieldErrors) {
    let root = Path::new("spec");
    let path = root.child("versions");
    let versions = fields::list(spec, "versions");
    if versions.is_empty() {
        errors.required(&path, "must have at least one version");
        return;
    }
    let stored = versions.iter().filter(|version| version["storage"] == true).count();
    if stored != 1 {
        errors.invalid(&path, versions, "must have exactly one version marked as storage version");
    }
    let mut seen = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let path = path.index(index);
        let name = fields::text(version, "name");
        format::report(errors, &path.child("name"), name, format::is_dns1035_label(name));
        if seen.contains(&name) {
            errors.invalid(&path.child("name"), name, "must be unique");
        }
        seen.push(name);
        let schema = path.child("schema");
        let own = &version["schema"]["openAPIV3Schema"];
        if !own.is_object() {
            errors.required(&schema.child("openAPIV3Schema"), "schemas are required");
            continue;
        }
        // Where all versions agree, Kubernetes names the one schema that they share.
        let shared = versions.iter().all(|version| version["schema"] == versions[0]["schema"]);
        if shared && index > 0 {
            continue;
        }
        let spec_root = Path::new("spec");
        let validation = spec_root.child("validation");
        let place =
            if shared { validation.child("openAPIV3Schema") } else { schema.child("openAPIV3Schema") };
        if fields::text(own, "type").is_empty() {
            errors.required(&place.child("type"), "must not be empty at the root");
        } else if own["type"] != "object" {
            errors.invalid(&place.child("type"), fields::text(own, "type"), "must be object at the root");
        }
        structural(own, &place, errors, 0);
    }
}

/// Definitions are decoded no deeper than 128.
const DEPTH_MAX: usize = 128;

/// Every value that can be named needs a type.
fn structural(rules: &Value, path: &Path<'_>, errors: &mut FieldErrors, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    let typed = |rules: &Value| {
        !fields::text(rules, "type").is_empty()
            || rules["x-kubernetes-int-or-string"] == true
            || rules["x-kubernetes-preserve-unknown-fields"] == true
    };
    if rules["uniqueItems"] == true {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.forbidden(&path.child("uniqueItems"), why);
    }
    let properties = path.child("properties");
    for (name, rules) in rules["properties"].as_object().into_iter().flatten() {
        let path = properties.key(name);
        structural(rules, &path, errors, depth + 1);
        if !typed(rules) {
            errors.required(&path.child("type"), "must not be empty for specified object fields");
        }
    }
    if rules["items"].is_object() {
        let path = path.child("items");
        structural(&rules["items"], &path, errors, depth + 1);
        if !typed(&rules["items"]) {
            errors.required(&path.child("type"), "must not be empty for specified array items");
        }
    } else if rules["type"] == "array" {
        errors.required(&path.child("items"), "must be specified");
    }
    if rules["additionalProperties"].is_object() {
        let path = path.child("additionalProperties");
        structural(&rules["additionalProperties"], &path, errors, depth + 1);
        if !typed(&rules["additionalProperties"]) {
            errors.required(&path.child("type"), "must not be empty for specified object fields");
        }
    }
    if let Some(pattern) = rules["pattern"].as_str()
        && let Err(error) = regex::Regex::new(pattern)
    {
        errors.invalid(
            &path.child("pattern"),
            pattern,
            &format!("must be a valid regular expression, but isn't: {error}"),
        );
    }
    if let Some(default) = rules.get("default").filter(|default| !default.is_null()) {
        let mut found = FieldErrors::new();
        let wrapped = json!({"type": "object", "properties": {"default": rules}});
        super::validation::validate(&wrapped, &json!({"default": default}), &mut found);
        for error in found {
            let message = error.message.replace("default in body", " in body");
            errors.push(error.reason, &path.child("default"), message);
        }
    }
}

/// What objects are kept and reached by cannot change once there may be some.
fn immutable_once_established(new: &Value, old: &Value, errors: &mut FieldErrors) {
    if !super::status::is_established(old) {
        return;
    }
    let root = Path::new("spec");
    let names = root.child("names");
    for (path, new, old) in [
        (root.child("scope"), &new["spec"]["scope"], &old["spec"]["scope"]),
        (names.child("kind"), &new["spec"]["names"]["kind"], &old["spec"]["names"]["kind"]),
    ] {
        crate::machinery::metadata::immutable(errors, &path, new, old);
    }
    for (field, path) in [("group", root.child("group")), ("plural", names.child("plural"))] {
        let of = |value: &Value| {
            if field == "group" {
                value["spec"]["group"].clone()
            } else {
                value["spec"]["names"]["plural"].clone()
            }
        };
        crate::machinery::metadata::immutable(errors, &path, &of(new), &of(old));
    }
}
