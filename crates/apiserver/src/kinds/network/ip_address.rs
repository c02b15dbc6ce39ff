//! IPAddress: one address that a Service holds; its name is the address.

use serde_json::Value;

use crate::{
    kinds::{Strategy, go},
    machinery::{
        FieldErrors, Path, address,
        fields::{present, text},
        format, metadata,
    },
};

/// The behaviour of IPAddresses.
pub static STRATEGY: Strategy = Strategy {
    name_rule: |name, _| {
        let mut errors = FieldErrors::new();
        address::validate(&mut errors, &Path::ROOT, name);
        let quoted = format!("Invalid value: {}: ", crate::machinery::go_quoted(name));
        errors.iter().map(|error| error.message.replacen(&quoted, "", 1)).collect()
    },
    validate_create: validate,
    validate_update,
    ..Strategy::PLAIN
};

fn validate(new: &Value, errors: &mut FieldErrors) {
    let spec = Path::new("spec");
    let path = spec.child("parentRef");
    let Some(parent) = present(&new["spec"], "parentRef") else { return errors.required(&path, "") };
    let group = text(parent, "group");
    if !group.is_empty() {
        format::report(errors, &path.child("group"), group, format::is_dns1123_subdomain(group));
    }
    for (field, required) in [("resource", true), ("name", true), ("namespace", false)] {
        match text(parent, field) {
            "" if required => errors.required(&path.child(field), ""),
            "" => {}
            name => format::report(errors, &path.child(field), name, format::is_path_segment_name(name)),
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut FieldErrors) {
    metadata::validate(new, false, STRATEGY.name_rule, errors);
    validate(new, errors);
    metadata::validate_update(new, old, errors);
    let parent = &new["spec"]["parentRef"];
    if *parent != old["spec"]["parentRef"] {
        let spec = Path::new("spec");
        let fields =
            [("Group", "group"), ("Resource", "resource"), ("Namespace", "namespace"), ("Name", "name")];
        let written = go::structure(&fields.map(|(name, field)| (name, go::text(parent, field))));
        go::invalid(errors, &spec.child("parentRef"), &written, metadata::IMMUTABLE);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::kinds::cases;

    #[test]
    fn the_name_is_an_address_and_the_parent_stays() {
        let base = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "10.96.0.1"},
            "spec": {"parentRef": {"resource": "services", "name": "a", "namespace": "n"}}});
        cases::check_wrong(
            &base,
            &[
                (json!({}), &[]),
                (
                    json!({"metadata": {"name": "10.96.0.01"}}),
                    &["metadata.name: Invalid value: \"10.96.0.01\": must not have leading 0s"],
                ),
                (json!({"spec": {"parentRef": null}}), &["spec.parentRef: Required value"]),
                (
                    json!({"spec": {"parentRef": {"resource": null, "name": "a/b"}}}),
                    &[
                        "spec.parentRef.resource: Required value",
                        "spec.parentRef.name: Invalid value: \"a/b\": may not contain '/'",
                    ],
                ),
            ],
        );
        assert_eq!(
            cases::updated(base, &json!({"spec": {"parentRef": {"name": "b"}}})).1,
            [
                "spec.parentRef: Invalid value: {\"Group\":\"\",\"Resource\":\"services\",\"Namespace\":\"n\",\"Name\":\"b\"}: field is immutable"
            ]
        );
    }
}
