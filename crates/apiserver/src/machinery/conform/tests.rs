//! What was sent, and what becomes of it; what is told of it.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::machinery::builtin;

fn conformed(kind: &str, mut value: Value) -> (Value, Vec<String>) {
    let schema = builtin::schema(&format!("io.k8s.api.{kind}")).unwrap();
    let unknown = conform(schema, &mut value).unwrap();
    (value, unknown.fields)
}

#[test]
fn unknown_fields_are_dropped_and_named() {
    let sent = json!({"metadata": {"name": "c", "nmae": "x"}, "bogus": 1, "data": {"a": "b"}});
    let (value, unknown) = conformed("core.v1.ConfigMap", sent);
    assert_eq!(unknown, ["bogus", "metadata.nmae"]);
    assert_eq!(value, json!({"metadata": {"name": "c"}, "data": {"a": "b"}}));
    let sent = json!({"spec": {"containers": [{"name": "c", "Image": "y"}], "Containers": [], "x": 1}});
    let unknown = conformed("core.v1.Pod", sent).1;
    assert_eq!(unknown, ["spec.Containers", "spec.containers[0].Image", "spec.x"]);
}

#[test]
fn unknown_fields_of_a_custom_resource_are_told_metadata_first() {
    let object = |fields: Vec<(&str, Schema)>| Schema {
        shape: Shape::Object(Arc::new(ObjectShape {
            fields: fields
                .into_iter()
                .map(|(name, schema)| (name.into(), Field { schema, ..Field::default() }))
                .collect(),
            ..ObjectShape::default()
        })),
        ..Schema::default()
    };
    let metadata = || builtin::schema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").unwrap().clone();
    let spec = object(vec![("a", object(vec![])), ("inner", object(vec![("metadata", metadata())]))]);
    let root = object(vec![("metadata", metadata()), ("spec", spec)]);
    let mut sent = json!({
        "metadata": {"ownerReferences": [{"zzz": 1}], "nmae": "x"}, "aaa": 1,
        "spec": {"inner": {"metadata": {"bad": 1}}, "a": {"y": 1}, "a-b": 1},
    });
    assert_eq!(
        conform(&root, &mut sent).unwrap().fields,
        [
            "metadata.nmae",
            "metadata.ownerReferences[0].zzz",
            "aaa",
            "spec.a-b",
            "spec.a.y",
            "spec.inner.metadata.bad"
        ],
    );
}

#[test]
fn what_is_told_of_unknown_fields_is_bounded() {
    let many: Map<String, Value> = (0..1000).map(|n| (format!("{n}"), 1.into())).collect();
    let mut value = json!({"openAPIV3Schema": {"properties": {"a".repeat(100_000): many}}});
    let name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceValidation";
    let unknown = conform(builtin::schema(name).unwrap(), &mut value).unwrap().fields;
    assert!(!unknown.is_empty());
    assert!(unknown.iter().map(String::len).sum::<usize>() < 2 * UNKNOWN_BYTES_MAX);
}

#[test]
fn what_is_empty_is_written_as_go_writes_it() {
    for (kind, sent, want) in [
        // Structs are always there, `omitempty` or not; required lists are null when empty.
        (
            "apps.v1.Deployment",
            json!({}),
            json!({
                "metadata": {}, "status": {},
                "spec": {"selector": null, "strategy": {}, "template": {"metadata": {}, "spec": {"containers": null}}},
            }),
        ),
        ("rbac.v1.Role", json!({"rules": []}), json!({"metadata": {}, "rules": null})),
        // A pointer keeps the zero that was sent, a value does not.
        (
            "core.v1.ContainerPort",
            json!({"containerPort": 0, "hostPort": 0, "name": ""}),
            json!({"containerPort": 0}),
        ),
        (
            "core.v1.SecurityContext",
            json!({"runAsUser": 0, "privileged": false}),
            json!({"runAsUser": 0, "privileged": false}),
        ),
        ("core.v1.Volume", json!({"name": "v", "emptyDir": {}}), json!({"name": "v", "emptyDir": {}})),
        ("core.v1.ConfigMap", json!({"data": {}, "immutable": null}), json!({"metadata": {}})),
        (
            "core.v1.ResourceRequirements",
            json!({"limits": {"cpu": 0.5, "memory": "1024Mi"}}),
            json!({"limits": {"cpu": "500m", "memory": "1Gi"}}),
        ),
        (
            "core.v1.PodCondition",
            json!({"type": "Ready", "status": "True"}),
            json!({"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": null}),
        ),
        (
            "coordination.v1.LeaseSpec",
            json!({"renewTime": "2024-01-01T00:00:00.5+01:00"}),
            json!({"renewTime": "2023-12-31T23:00:00.500000Z"}),
        ),
    ] {
        assert_eq!(conformed(kind, sent).0, want, "{kind}");
    }
}

#[test]
fn values_of_the_wrong_type_are_refused_in_gos_words() {
    for (sent, message) in [
        (
            json!({"spec": {"replicas": "3"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"replicas": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"metadata": {"labels": {"a": 1}}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels.a of type map[string]string",
        ),
    ] {
        let mut value = sent;
        let error =
            conform(builtin::schema("io.k8s.api.apps.v1.Deployment").unwrap(), &mut value).unwrap_err();
        assert_eq!(error.message, message);
    }
}
