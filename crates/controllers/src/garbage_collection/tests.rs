//! Rule cases of owners and dependents.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};
use xebec_coordinator::{Object, Operation, Write};

use super::decision::{Owner, collect, foreground, metadata, orphan};
use crate::testing::{body, object, with};

fn owner(name: &str, blocks: bool) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": format!("{name}-uid"), "blockOwnerDeletion": blocks})
}

fn map(name: &str, owners: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": owners}})
}

fn waiting(name: &str) -> Value {
    let terminating = with(map(name, json!([])), "/metadata/deletionTimestamp", "2026-01-01T11:00:00Z");
    with(terminating, "/metadata/finalizers", json!(["keep", "foregroundDeletion"]))
}

fn text(writes: &[Write]) -> Vec<String> {
    let detail = |write: &Write| match &write.operation {
        Operation::Delete(params) => {
            let checked = params.preconditions.as_ref().is_some_and(|only| only.resource_version.is_some());
            format!(
                "{:?}{}",
                params.propagation_policy.as_ref().unwrap(),
                if checked { " unchanged" } else { "" }
            )
        }
        operation => {
            let metadata = &body(operation).unwrap()["metadata"];
            let owners = metadata["ownerReferences"].as_array().map(|owners| {
                owners
                    .iter()
                    .map(|o| format!("{}:{}", o["name"].as_str().unwrap(), o["blockOwnerDeletion"]))
                    .collect::<Vec<_>>()
            });
            match (owners, metadata.get("finalizers")) {
                (_, Some(finalizers)) => format!("finalizers={finalizers}"),
                (owners, None) => format!("owners={}", owners.unwrap_or_default().join(",")),
            }
        }
    };
    writes.iter().map(|write| format!("{} {} {}", write.verb(), write.target.name(), detail(write))).collect()
}

/// What becomes of `x`, whose owners are in these states, and which has these dependents.
#[track_caller]
fn check(states: &[Owner], finalizers: Value, dependents: &[Value], expected: &[&str]) {
    let owners = (0..states.len()).map(|number| owner(&format!("o{number}"), true)).collect::<Vec<_>>();
    let x = object(with(map("x", json!(owners)), "/metadata/finalizers", finalizers));
    let meta = metadata(&x).unwrap();
    let owners: Vec<(OwnerReference, Owner)> =
        meta.owner_references.clone().unwrap().into_iter().zip(states.iter().copied()).collect();
    let dependents: Vec<Object> = dependents.iter().cloned().map(object).collect();
    assert_eq!(text(&collect(&x, &meta, &owners, &dependents)), expected);
}

#[test]
fn an_object_stays_while_an_owner_does() {
    use Owner::{Absent, Present, Waiting};
    let child = [map("child", json!([owner("x", true)]))];
    check(&[Present], json!([]), &[], &[]);
    check(&[Present, Absent], json!([]), &[], &["patch x owners=o0:true"]);
    check(&[Waiting, Present], json!([]), &child, &["patch x owners=o1:true"]);
    check(&[Absent], json!([]), &child, &["delete x Background unchanged"]);
    check(&[Absent, Absent], json!(["orphan"]), &[], &["delete x Orphan unchanged"]);
    check(&[Absent], json!(["foregroundDeletion"]), &[], &["delete x Foreground unchanged"]);
    check(&[Waiting], json!([]), &[], &["delete x Background unchanged"]);
    check(&[Waiting, Absent], json!([]), &child, &["delete x Foreground"]);
}

#[test]
fn a_circle_is_opened() {
    check(
        &[Owner::Waiting],
        json!([]),
        &[waiting("child")],
        &["patch x owners=o0:false", "delete x Foreground"],
    );
}

#[test]
fn dependents_are_orphaned_before_their_owner_goes() {
    let x = object(with(map("x", json!([])), "/metadata/finalizers", json!(["orphan"])));
    let meta = metadata(&x).unwrap();
    let dependents = [
        object(map("one", json!([owner("x", true)]))),
        object(map("two", json!([owner("y", false), owner("x", true)]))),
    ];
    assert_eq!(
        text(&orphan(&x, &meta, &dependents).unwrap()),
        ["patch one owners=", "patch two owners=y:false", "patch x finalizers=null",]
    );
}

#[test]
fn an_owner_waits_for_those_that_block_it() {
    let x = object(waiting("x"));
    let meta = metadata(&x).unwrap();
    let blocking = object(map("one", json!([owner("x", true)])));
    let other = object(map("two", json!([owner("x", false), owner("y", true)])));
    assert!(foreground(&x, &meta, &[other.clone(), blocking]).unwrap().is_empty());
    assert_eq!(text(&foreground(&x, &meta, &[other]).unwrap()), [r#"patch x finalizers=["keep"]"#]);
}
