//! The objects that a new Kubernetes cluster has.
//!
//! The program has them as they are stored, so that no process encodes them at its start: what differs between clusters
//! is written between the pieces.

#[rustfmt::skip]
mod objects;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::{Uuid, fmt::Hyphenated};

use crate::{
    machinery::conform,
    storage::{Object, Snapshot, Terms},
};

/// An object as it is stored, but for its uid and the time at which it was created. Its revision is its place in the
/// table, from 1 on.
struct Encoded {
    /// As [`crate::kinds::Resource::storage`] names it.
    resource: &'static str,
    key: &'static str,
    terms: &'static str,
    /// What comes before its metadata.
    head: &'static str,
    /// The rest. The uid stands behind the second piece; behind each other that is not the last, the time.
    pieces: &'static [&'static str],
}

/// The state of a new cluster, which was made at `now`.
pub fn snapshot(now: Timestamp) -> Snapshot {
    let created = conform::seconds(now);
    let length = |object: &Encoded| {
        let pieces: usize = object.pieces.iter().map(|piece| piece.len()).sum();
        object.head.len()
            + pieces
            + Hyphenated::LENGTH
            + object.pieces.len().saturating_sub(2) * created.len()
    };
    let mut bytes = Vec::with_capacity(objects::OBJECTS.iter().map(length).sum());
    for object in objects::OBJECTS {
        bytes.extend_from_slice(object.head.as_bytes());
        let mut uid = Uuid::encode_buffer();
        let uid = Uuid::new_v4().hyphenated().encode_lower(&mut uid);
        for (at, piece) in object.pieces.iter().enumerate() {
            match at {
                0 => {}
                2 => bytes.extend_from_slice(uid.as_bytes()),
                _ => bytes.extend_from_slice(created.as_bytes()),
            }
            bytes.extend_from_slice(piece.as_bytes());
        }
    }
    // All of them are one piece of memory.
    let mut left = Bytes::from(bytes);
    Snapshot::of_created(objects::OBJECTS.iter().zip(1..).map(|(object, revision)| {
        let bytes = left.split_to(length(object));
        let terms = Terms::encoded(object.terms);
        (object.resource, Object::encoded(object.key.into(), revision, terms, bytes, object.head.len()))
    }))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, env, fmt::Write, fs, path::Path};

    use serde_json::Value;

    use super::*;
    use crate::{kinds::table, machinery::object, verbs};

    const UID: &str = "00000000-0000-0000-0000-000000000000";
    const NOW: &str = "1970-01-01T00:00:00Z";

    /// The objects of the facts, in normal form, each with its resource.
    fn facts() -> Vec<(String, Object)> {
        let objects: Vec<Value> =
            serde_json::from_str(include_str!("../../data/fresh-cluster.json")).unwrap();
        let encode = |(mut value, revision): (Value, u64)| {
            let text = |field: &str| value[field].as_str().unwrap().to_owned();
            let (api_version, kind) = (text("apiVersion"), text("kind"));
            let resource = table::of_kind(&api_version, &kind).unwrap();
            let metadata = object::metadata_mut(&mut value);
            metadata.insert("uid".into(), UID.into());
            metadata.insert("creationTimestamp".into(), NOW.into());
            for condition in
                value.pointer_mut("/status/conditions").and_then(Value::as_array_mut).into_iter().flatten()
            {
                condition["lastTransitionTime"] = NOW.into();
            }
            assert_eq!(conform::conform(&resource.schema, &mut value).unwrap().fields, Vec::<String>::new());
            object::map_mut(&mut value).insert("apiVersion".into(), api_version.into());
            object::map_mut(&mut value).insert("kind".into(), kind.into());
            let (namespace, name) = (object::namespace(&value), object::name(&value));
            let key = if resource.namespaced { format!("{namespace}/{name}") } else { name.to_owned() };
            (resource.storage.to_string(), verbs::draft(&resource, value).at(key.into(), revision))
        };
        objects.into_iter().zip(1..).map(encode).collect()
    }

    /// The table that the facts make, as Rust.
    fn written(facts: &[(String, Object)]) -> String {
        let mut text = String::from(
            "//! The objects of a new cluster, as they are stored. Written by `cargo xtask tables` from \
             `data/fresh-cluster.json`.\n\nuse super::Encoded;\n\npub static OBJECTS: &[Encoded] = &[\n",
        );
        for (resource, object) in facts {
            let json = std::str::from_utf8(object.bytes()).unwrap();
            let (before, body) = json.split_at(json.len() - object.body().len());
            let (to_uid, rest) = body.split_once(UID).unwrap();
            assert_eq!((to_uid.matches(NOW).count(), rest.contains(UID)), (1, false), "{json}");
            let literal = |piece: &str| {
                assert!(!piece.contains("\"#"), "{piece} ends a literal");
                format!("r#\"{piece}\"#")
            };
            let pieces: Vec<String> = to_uid.split(NOW).chain(rest.split(NOW)).map(literal).collect();
            let (key, head) = (&object.key, literal(before));
            // `\0` before a digit reads like an octal number.
            let terms = format!("{:?}", object.terms.as_encoded()).replace("\\0", "\\x00");
            let pieces = pieces.join(", ");
            writeln!(
                text,
                "    Encoded {{ resource: {resource:?}, key: {key:?}, terms: {terms}, head: {head}, \
                 pieces: &[{pieces}] }},"
            )
            .unwrap();
        }
        text + "];\n"
    }

    #[test]
    fn the_table_is_what_would_be_stored_of_the_facts() {
        let text = written(&facts());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cluster/fresh/objects.rs");
        if env::var_os("XEBEC_TABLES").is_some_and(|wish| wish == "write") {
            fs::write(&path, &text).unwrap();
        }
        assert!(fs::read_to_string(path).unwrap() == text, "run `cargo xtask tables`");
    }

    #[test]
    fn a_new_cluster_has_what_kubernetes_makes_for_itself() {
        let facts = facts();
        let now: Timestamp = "2026-11-23T21:04:31Z".parse().unwrap();
        let snapshot = snapshot(now);
        assert_eq!(snapshot.revision(), facts.len() as u64);
        let mut uids = HashSet::new();
        for (resource, fact) in &facts {
            let stored = snapshot.get(resource, &fact.key).unwrap();
            assert_eq!(
                (stored.revision, stored.terms.as_encoded()),
                (fact.revision, fact.terms.as_encoded())
            );
            let value = stored.decode();
            let uid = object::uid(&value);
            assert_eq!(Uuid::parse_str(uid).unwrap().get_version_num(), 4);
            assert!(uids.insert(uid.to_owned()));
            let expected = std::str::from_utf8(fact.bytes()).unwrap().replace(NOW, "2026-11-23T21:04:31Z");
            assert_eq!(std::str::from_utf8(stored.bytes()).unwrap(), expected.replace(UID, uid));
            assert_eq!(stored.at(7).decode()["metadata"]["resourceVersion"], "7");
            assert!(stored.body().starts_with(b"\"metadata\":{\"resourceVersion\":\""));
            assert_eq!(
                snapshot.events_after(resource, stored.revision - 1).unwrap().next().unwrap().revision,
                stored.revision
            );
        }
        assert!(snapshot.get("/services", "default/kubernetes").is_some());
    }
}
