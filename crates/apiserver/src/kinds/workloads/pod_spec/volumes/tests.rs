//! One case for each sort of source.

use serde_json::{Value, json};

use crate::{
    kinds::workloads::{
        pod_spec,
        testing::{assert_lines, lines, spec, spec_errors, with},
    },
    machinery::{FieldErrors, Path},
};

fn check(volume: &Value, want: &[&str]) {
    let spec = json!({"volumes": [with(json!({"name": "v"}), volume)]});
    let got: Vec<String> = spec_errors(&spec)
        .iter()
        .map(|line| line.strip_prefix("spec.volumes[0]").unwrap_or(line).to_owned())
        .collect();
    assert_lines(&got, want, volume);
}

#[test]
fn each_source_needs_something() {
    for (volume, want) in [
        (
            json!({"emptyDir": {"sizeLimit": "-1"}}),
            vec![".emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"],
        ),
        (json!({"hostPath": {"path": ""}}), vec![".hostPath.path: Required value"]),
        (
            json!({"hostPath": {"path": "/a/../b", "type": "x"}}),
            vec![
                ".hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
                ".hostPath.type: Unsupported value: \"x\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            ],
        ),
        (
            json!({"gitRepo": {"repository": "", "directory": "/x"}}),
            vec![
                ".gitRepo.repository: Required value",
                ".gitRepo.directory: Invalid value: \"/x\": must be a relative path",
            ],
        ),
        (
            json!({"gcePersistentDisk": {"pdName": "", "partition": 256}}),
            vec![
                ".persistentDisk.pdName: Required value",
                ".persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive",
            ],
        ),
        (
            json!({"awsElasticBlockStore": {"volumeID": ""}}),
            vec![".awsElasticBlockStore.volumeID: Required value"],
        ),
        (
            json!({"secret": {"secretName": "", "defaultMode": 512, "items": [{"key": "", "path": "..x", "mode": -1}]}}),
            vec![
                ".secret.secretName: Required value",
                ".secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
                ".secret.items[0].key: Required value",
                ".secret.items[0].path: Invalid value: \"..x\": must not start with '..'",
                ".secret.items[0].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive",
            ],
        ),
        (json!({"configMap": {"name": ""}}), vec![".configMap.name: Required value"]),
        (
            json!({"nfs": {"server": "", "path": "x"}}),
            vec![".nfs.server: Required value", ".nfs.path: Invalid value: \"x\": must be an absolute path"],
        ),
        (
            json!({"iscsi": {"targetPortal": "", "iqn": "x", "lun": 256, "chapAuthSession": true}}),
            vec![
                ".iscsi.targetPortal: Required value",
                ".iscsi.iqn: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa",
                ".iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
                ".iscsi.secretRef: Required value",
            ],
        ),
        (json!({"iscsi": {"targetPortal": "t", "iqn": "iqn.2001-04.com.example:a", "lun": 0}}), vec![]),
        (
            json!({"flocker": {}}),
            vec![".flocker: Required value: one of datasetName and datasetUUID is required"],
        ),
        (
            json!({"persistentVolumeClaim": {"claimName": ""}}),
            vec![".persistentVolumeClaim.claimName: Required value"],
        ),
        (
            json!({"rbd": {"monitors": null, "image": ""}}),
            vec![".rbd.monitors: Required value", ".rbd.image: Required value"],
        ),
        (json!({"cephfs": {"monitors": null}}), vec![".cephfs.monitors: Required value"]),
        (
            json!({"quobyte": {"registry": "a,b:1", "volume": "v"}}),
            vec![
                ".quobyte.registry: Invalid value: \"a,b:1\": must be a host:port pair or multiple pairs separated by commas",
            ],
        ),
        (
            json!({"downwardAPI": {"items": [
                {"path": "a", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}},
                {"path": "b", "fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}},
                {"path": "c", "resourceFieldRef": {"resource": "limits.cpu"}},
                {"path": "d"},
            ]}}),
            vec![
                ".downwardAPI.fieldRef.fieldPath: Unsupported value: \"status.podIP\": supported values: \"metadata.annotations\", \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", \"metadata.uid\"",
                ".downwardAPI.resourceFieldRef.containerName: Required value",
                ".downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
            ],
        ),
        (
            json!({"fc": {"targetWWNs": ["a"]}}),
            vec![".fc.lun: Required value: lun is required if targetWWNs is specified"],
        ),
        (
            json!({"flexVolume": {"driver": "d", "options": {"a.k8s.io/x": "y"}}}),
            vec![
                ".flexVolume.options[a.k8s.io/x]: Invalid value: \"a.k8s.io/x\": kubernetes.io and k8s.io namespaces are reserved",
            ],
        ),
        (
            json!({"azureDisk": {"diskName": "d", "diskURI": "x", "kind": "Managed"}}),
            vec![
                ".azureDisk.diskURI: Unsupported value: \"x\": supported values: \"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}\"",
            ],
        ),
        (
            json!({"csi": {"driver": "a_b"}}),
            vec![".csi.driver: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must…"],
        ),
        (json!({"ephemeral": {}}), vec![".ephemeral.volumeClaimTemplate: Required value"]),
        (
            json!({"ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "x"}, "spec": {"resources": {"requests": {"storage": "1"}}}}}}),
            vec![
                ".ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set",
                ".ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required",
            ],
        ),
        (
            json!({"image": {"reference": "", "pullPolicy": "x"}}),
            vec![
                ".image.pullPolicy: Unsupported value: \"x\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            ],
        ),
        (
            json!({"projected": {"sources": [
                {"secret": {"name": ""}, "configMap": {"name": "m", "items": [{"key": "k", "path": "p"}]}},
                {"configMap": {"name": "n", "items": [{"key": "k", "path": "p"}]}},
                {"serviceAccountToken": {"path": "", "expirationSeconds": 10}},
            ]}}),
            vec![
                ".projected.sources[0].secret.name: Required value",
                ".projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
                ".projected: Invalid value: \"n\": conflicting duplicate paths",
                ".projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes",
                ".projected.path: Required value",
            ],
        ),
    ] {
        check(&volume, &want);
    }
}

#[test]
fn a_volume_has_one_source_and_one_name() {
    check(
        &json!({"emptyDir": {}, "secret": {"secretName": "s"}, "cephfs": {}}),
        &[
            ".secret: Forbidden: may not specify more than 1 volume type",
            ".cephFS: Forbidden: may not specify more than 1 volume type",
        ],
    );
    check(&json!({"name": "V_"}), &[".name: Invalid value: \"V_\": a lowercase RFC 1123 label must…"]);
    let twice = json!({"volumes": [{"name": "v"}, {"name": "v"}]});
    assert_lines(&spec_errors(&twice), &["spec.volumes[1].name: Duplicate value: \"v\""], &twice);
}

#[test]
fn a_pod_names_the_claims_that_are_made_for_it() {
    let claim = json!({"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}});
    let volumes = json!([{"name": "v", "ephemeral": claim}, {"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}}, {"name": "i", "image": {"reference": ""}}]);
    let pod = json!({"metadata": {"name": "p"}, "spec": spec(&json!({ "volumes": volumes }))});
    let mut errors = FieldErrors::new();
    pod_spec::validate(&mut errors, &Path::new("spec"), &pod["spec"], Some(&pod));
    assert_lines(
        &lines(&errors),
        &[
            "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"p-v\": must not reference a PVC that gets created for an ephemeral volume",
            "spec.volumes[2].image.reference: Required value",
        ],
        &volumes,
    );
}
