//! What of a spec is checked as a whole.

use serde_json::json;

use super::*;
use crate::kinds::workloads::testing::{assert_lines, lines, spec, spec_errors};

#[test]
fn what_is_filled_in_is_valid() {
    assert_lines(&spec_errors(&json!({})), &[], &json!({}));
}

#[test]
fn names_numbers_and_policies_are_validated() {
    for (more, want) in [
        (
            json!({"serviceAccountName": "A", "nodeName": "N", "priorityClassName": "P", "runtimeClassName": "R"}),
            vec![
                "spec.serviceAccountName: Invalid value: \"A\": a lowercase RFC 1123 subdomain must…",
                "spec.nodeName: Invalid value: \"N\": a lowercase RFC 1123 subdomain must…",
                "spec.priorityClassName: Invalid value: \"P\": a lowercase RFC 1123 subdomain must…",
                "spec.runtimeClassName: Invalid value: \"R\": a lowercase RFC 1123 subdomain must…",
            ],
        ),
        (
            json!({"activeDeadlineSeconds": 0}),
            vec!["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
        ),
        (
            json!({"restartPolicy": "x", "preemptionPolicy": "y"}),
            vec![
                "spec.restartPolicy: Unsupported value: \"x\": supported values: \"Always\", \"OnFailure\", \"Never\"",
                "spec.preemptionPolicy: Unsupported value: \"y\": supported values: \"PreemptLowerPriority\", \"Never\"",
            ],
        ),
        (
            json!({"overhead": {"cpu": "-1"}}),
            vec!["spec.overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"],
        ),
    ] {
        assert_lines(&spec_errors(&more), &want, &more);
    }
}

#[test]
fn annotations_are_validated() {
    let spec = spec(&json!({}));
    for (annotations, want) in [
        (
            json!({"kubernetes.io/config.mirror": "x"}),
            vec![
                "a[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation is set",
            ],
        ),
        (
            json!({"controller.kubernetes.io/pod-deletion-cost": "+1"}),
            vec![
                "a[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+1\": must be a 32bit integer",
            ],
        ),
        (json!({"controller.kubernetes.io/pod-deletion-cost": "-10"}), vec![]),
        (
            json!({"seccomp.security.alpha.kubernetes.io/pod": "x"}),
            vec![
                "a.seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"x\": must be a valid seccomp profile",
            ],
        ),
        (
            json!({"container.apparmor.security.beta.kubernetes.io/x": "y"}),
            vec![
                "a[container.apparmor.security.beta.kubernetes.io/x]: Invalid value: \"x\": container not found",
                "a[container.apparmor.security.beta.kubernetes.io/x]: Invalid value: \"y\": invalid AppArmor profile name: \"y\"",
            ],
        ),
        (json!({"container.apparmor.security.beta.kubernetes.io/c": "localhost/p"}), vec![]),
    ] {
        let mut errors = FieldErrors::new();
        annotations::validate(&mut errors, &Path::new("a"), &annotations, &spec);
        assert_lines(&lines(&errors), &want, &annotations);
    }
}

#[test]
fn an_annotation_says_what_its_field_says() {
    let of = |profile| spec(&json!({"securityContext": {"seccompProfile": profile}}));
    for (annotation, profile, want) in [
        ("runtime/default", json!({"type": "RuntimeDefault"}), vec![]),
        (
            "unconfined",
            json!({"type": "RuntimeDefault"}),
            vec![
                "spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match",
            ],
        ),
        (
            "localhost/a",
            json!({"type": "Localhost", "localhostProfile": "b"}),
            vec![
                "spec.securityContext.seccompProfile.localhostProfile: Forbidden: seccomp profile in annotation and field must match",
            ],
        ),
    ] {
        let mut errors = FieldErrors::new();
        let annotations = json!({"seccomp.security.alpha.kubernetes.io/pod": annotation});
        annotations::validate_agreement(&mut errors, &Path::new("spec"), &annotations, &of(profile));
        assert_lines(&lines(&errors), &want, &annotations);
    }
}

#[test]
fn claims_of_storage_are_validated() {
    let valid = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    for (more, want) in [
        (json!({}), vec![]),
        (
            json!({"accessModes": null, "resources": null}),
            vec![
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
            ],
        ),
        (
            json!({"accessModes": ["ReadWriteOncePod", "ReadWriteOnce", "x"], "resources": {"requests": {"storage": "0"}}}),
            vec![
                "spec.accessModes: Unsupported value: \"x\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
                "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
                "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
            ],
        ),
        (
            json!({"storageClassName": "A", "volumeMode": "x", "dataSource": {"kind": "x", "name": ""}}),
            vec![
                "spec.storageClassName: Invalid value: \"A\": a lowercase RFC 1123 subdomain must…",
                "spec.volumeMode: Unsupported value: \"x\": supported values: \"Block\", \"Filesystem\"",
                "spec.dataSource.name: Required value",
                "spec.dataSource: Invalid value: \"x\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            ],
        ),
    ] {
        let mut errors = FieldErrors::new();
        let claim = crate::kinds::workloads::testing::with(valid.clone(), &more);
        claim::validate_spec(&mut errors, &Path::new("spec"), &claim);
        assert_lines(&lines(&errors), &want, &claim);
    }
}

#[test]
fn what_is_behind_a_gate_is_dropped() {
    let mut spec = json!({"schedulingGroup": {}, "volumes": [
        {"projected": {"sources": [{"clusterTrustBundle": {"path": "a"}}, {"podCertificate": {}}, {"secret": {}}]}}]});
    gates::drop_disabled(&mut spec);
    assert_eq!(spec, json!({"volumes": [{"projected": {"sources": [{}, {}, {"secret": {}}]}}]}));
}
