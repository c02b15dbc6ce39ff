//! Strategic merge patches, by rule.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::machinery::builtin;

fn patched(kind: &str, object: Value, sent: Value) -> Result<Value, PatchError> {
    patch(builtin::schema(&format!("io.k8s.api.{kind}")).unwrap(), object, sent)
}

#[test]
fn lists_are_merged_by_their_key() {
    let containers = json!([
        {"name": "a", "image": "x:1", "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}],
            "command": ["run"]},
        {"name": "b", "image": "y:1"},
    ]);
    for (sent, want) in [
        (
            json!([{"name": "a", "image": "x:2", "env": [{"name": "F", "value": "3"}, {"name": "G"}]}]),
            json!([
                {"name": "a", "image": "x:2", "command": ["run"],
                    "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "3"}, {"name": "G"}]},
                {"name": "b", "image": "y:1"},
            ]),
        ),
        (json!([{"name": "c"}]), json!([{"name": "c"}, containers[0], containers[1]])),
        (
            json!([{"name": "b", "$patch": "delete"}, {"name": "z", "$patch": "delete"}]),
            json!([containers[0]]),
        ),
        (json!([{"$patch": "replace"}, {"name": "only"}]), json!([{"name": "only"}])),
        (json!([{"$patch": "replace"}]), json!([])),
        (
            json!([{"name": "a", "command": ["stop", "it"], "env": null, "image": null}]),
            json!([{"name": "a", "command": ["stop", "it"]}, containers[1]]),
        ),
        (
            json!([{"name": "b", "args": ["x"]}, {"name": "a", "env": [{"name": "E", "$patch": "delete"}]}]),
            json!([
                {"name": "b", "image": "y:1", "args": ["x"]},
                {"name": "a", "image": "x:1", "env": [{"name": "F", "value": "2"}], "command": ["run"]},
            ]),
        ),
    ] {
        let result =
            patched("core.v1.PodSpec", json!({"containers": containers}), json!({"containers": sent}));
        assert_eq!(result.unwrap()["containers"], want, "{sent}");
    }
}

#[test]
fn objects_are_merged_replaced_or_emptied() {
    for (kind, object, sent, want) in [
        (
            "core.v1.PodSpec",
            json!({"nodeSelector": {"a": "b"}}),
            json!({"nodeSelector": {"c": "d", "x": null}}),
            json!({"nodeSelector": {"a": "b", "c": "d"}}),
        ),
        (
            "core.v1.PodSpec",
            json!({"nodeSelector": {"a": "b"}}),
            json!({"nodeSelector": {"$patch": "replace", "c": "d"}}),
            json!({"nodeSelector": {"c": "d"}}),
        ),
        (
            "core.v1.PodSpec",
            json!({"nodeSelector": {"a": "b"}}),
            json!({"nodeSelector": {"$patch": "delete"}}),
            json!({"nodeSelector": {}}),
        ),
        (
            "core.v1.PodSpec",
            json!({}),
            json!({"nodeSelector": {"$patch": "merge", "c": "d"}, "hostNetwork": null}),
            json!({}),
        ),
        (
            "core.v1.PodSpec",
            json!({"tolerations": [{"key": "a"}], "imagePullSecrets": [{"name": "p"}]}),
            json!({"tolerations": [{"key": "b"}], "imagePullSecrets": [{"name": "q"}]}),
            json!({"tolerations": [{"key": "b"}], "imagePullSecrets": [{"name": "q"}, {"name": "p"}]}),
        ),
        (
            "apps.v1.DeploymentSpec",
            json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
            json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
            json!({"strategy": {"type": "Recreate"}}),
        ),
        (
            "policy.v1.PodDisruptionBudgetSpec",
            json!({"selector": {"matchLabels": {"a": "b"}}}),
            json!({"selector": {"matchLabels": {"c": "d"}}}),
            json!({"selector": {"matchLabels": {"c": "d"}}}),
        ),
        (
            "core.v1.ConfigMap",
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"finalizers": ["c", "b"]}}),
            json!({"metadata": {"finalizers": ["c", "a", "b"]}}),
        ),
        (
            "core.v1.ConfigMap",
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "z"], "finalizers": ["c"]}}),
            json!({"metadata": {"finalizers": ["c", "b"]}}),
        ),
        (
            "core.v1.ConfigMap",
            json!({"metadata": {}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
            json!({"metadata": {}}),
        ),
        ("core.v1.ConfigMap", json!({"data": {"a": "1"}}), json!(null), json!({"data": {"a": "1"}})),
        ("core.v1.ConfigMap", json!({"data": {"a": "1"}}), json!({"data": "x"}), json!({"data": "x"})),
    ] {
        assert_eq!(patched(kind, object, sent.clone()), Ok(want), "{sent}");
    }
}

#[test]
fn a_list_takes_the_order_that_is_set() {
    let names = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    for (live, order, sent, want) in [
        (&["a", "b", "c"][..], &["c", "a", "b"][..], &["b"][..], &["c", "a", "b"][..]),
        (&["c", "a", "b"], &["b", "n"], &["n"], &["c", "a", "b", "n"]),
        (&["a", "b", "c"], &["c", "b"], &[], &["a", "c", "b"]),
        (&[], &["y", "x"], &["y", "x"], &["y", "x"]),
    ] {
        let object = json!({"containers": names(live)});
        let sent = json!({"$setElementOrder/containers": names(order), "containers": names(sent)});
        let result = patched("core.v1.PodSpec", object, sent.clone());
        assert_eq!(result, Ok(json!({"containers": names(want)})), "{sent}");
    }
    let finalizers = patched(
        "core.v1.ConfigMap",
        json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        json!({"metadata": {"$setElementOrder/finalizers": ["c", "a"]}}),
    );
    assert_eq!(finalizers.unwrap()["metadata"]["finalizers"], json!(["b", "c", "a"]));
}

#[test]
fn patches_that_make_no_sense_are_refused_in_kubernetes_words() {
    let failed = |message: &str| PatchError::Failed(message.to_owned());
    let malformed = |message: &str| PatchError::Malformed(message.to_owned());
    let object = json!({"containers": [{"name": "b"}], "nodeSelector": {"a": "b"}, "securityContext": {}});
    for (sent, want) in [
        (
            json!({"containers": [{"image": "nameless"}]}),
            failed("map: map[image:nameless] does not contain declared merge key: name"),
        ),
        (
            json!({"containers": [{"$patch": "delete"}]}),
            failed("map: map[$patch:delete] does not contain declared merge key: name"),
        ),
        (
            json!({"containers": [{"name": "a", "$patch": "merge"}]}),
            failed("merging lists cannot yet be specified in the patch"),
        ),
        (
            json!({"securityContext": {"$patch": "unknown"}}),
            failed("unknown patch type: unknown in map: map[$patch:unknown]"),
        ),
        (json!({"containers": ["b"]}), failed("list element types are not identical: [[map[name:b]] [b]]")),
        (
            json!({"$setElementOrder/containers": [{"name": "zz"}], "containers": [{"name": "b"}]}),
            failed(
                "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:zz]]\n",
            ),
        ),
        (
            json!({"$setElementOrder/containers": "x"}),
            failed("expected a []interface {}, but received a string"),
        ),
        (
            json!({"$setElementOrder/nonsense": []}),
            failed("unable to find api field in struct PodSpec for the json field \"nonsense\""),
        ),
        (json!({"$setElementOrder": []}), malformed("invalid patch format of setElementOrder list")),
        (json!({"$deleteFromPrimitiveList": []}), malformed("invalid patch format of primitive list")),
        (json!({"$retainKeys": "x"}), malformed("invalid patch format of retainKeys")),
        (json!({"$retainKeys": ["a"], "hostNetwork": true}), malformed("invalid patch format of retainKeys")),
        (json!({"containers": [[1]]}), failed("list element types are not identical: [[map[name:b]] [[1]]]")),
        (json!([1]), malformed("json: cannot unmarshal array into Go value of type map[string]interface {}")),
    ] {
        assert_eq!(patched("core.v1.PodSpec", object.clone(), sent.clone()), Err(want), "{sent}");
    }
    let custom = patch(&Schema::default(), json!({}), json!({}));
    assert_eq!(custom, Err(malformed("strategic merge patch format is not supported")));
}

/// Pod specs, or patches of them without directives.
fn pod_specs() -> impl Strategy<Value = Value> {
    let text = || prop_oneof![Just(json!(null)), "[a-c]".prop_map(Value::from)];
    let env = proptest::collection::btree_map("[A-C]", text(), 0..3).prop_map(|env| {
        env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>()
    });
    let containers = proptest::collection::btree_map("[a-d]", (text(), env), 0..4).prop_map(|containers| {
        let item = |(name, (image, env))| json!({"name": name, "image": image, "env": env});
        containers.into_iter().map(item).collect::<Vec<Value>>()
    });
    let selector = proptest::collection::btree_map("[a-c]", text(), 0..3);
    (containers.prop_shuffle(), selector, text()).prop_map(|(containers, selector, host)| {
        json!({"containers": containers, "nodeSelector": selector, "hostname": host})
    })
}

proptest! {
    #[test]
    fn a_patch_applied_twice_changes_nothing_more(object in pod_specs(), sent in pod_specs()) {
        let object = without_nulls(object);
        // Items that are new come with their nulls, which conforming takes out.
        let once = without_nulls(patched("core.v1.PodSpec", object, sent.clone()).unwrap());
        prop_assert_eq!(patched("core.v1.PodSpec", once.clone(), sent).map(without_nulls), Ok(once));
    }

    #[test]
    fn nothing_that_is_sent_is_beyond_it(object in pod_specs(), sent in r#"[{}\[\]",:a-c$]{0,20}"#) {
        if let Ok(sent) = serde_json::from_str::<Value>(&sent) {
            let _ = patched("core.v1.PodSpec", object, sent);
        }
    }
}
