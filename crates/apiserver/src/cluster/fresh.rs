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

/// An object as it is stored, but for the time at which it was created and its uid. Its revision is its place in the
/// table, from 1 on.
#[derive(Debug, PartialEq)]
struct Encoded {
    /// As [`crate::kinds::Resource::storage`] names it.
    resource: &'static str,
    key: &'static str,
    terms: &'static str,
    /// What comes before the metadata; then to the time of creation; to the uid; and what comes after it.
    pieces: [&'static str; 4],
}

/// The state of a new cluster, which was made at `now`.
pub fn snapshot(now: Timestamp) -> Snapshot {
    let created = conform::seconds(now);
    let length = |object: &Encoded| object.pieces.iter().map(|piece| piece.len()).sum::<usize>();
    let stamps = created.len() + Hyphenated::LENGTH;
    let mut bytes = Vec::with_capacity(objects::OBJECTS.iter().map(|object| length(object) + stamps).sum());
    for object in objects::OBJECTS {
        let [before, to_created, to_uid, rest] = object.pieces;
        let mut uid = Uuid::encode_buffer();
        let uid = Uuid::new_v4().hyphenated().encode_lower(&mut uid);
        for piece in [before, to_created, &created, to_uid, uid, rest] {
            bytes.extend_from_slice(piece.as_bytes());
        }
    }
    // All of them are one piece of memory.
    let mut left = Bytes::from(bytes);
    Snapshot::of_created(objects::OBJECTS.iter().zip(1..).map(|(object, revision)| {
        let bytes = left.split_to(length(object) + stamps);
        let terms = Terms::encoded(object.terms);
        (object.resource, Object::encoded(object.key.into(), revision, terms, bytes, object.pieces[0].len()))
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
            let (to_created, rest) = body.split_once(NOW).unwrap();
            let (to_uid, rest) = rest.split_once(UID).unwrap();
            let pieces = [before, to_created, to_uid, rest].map(|piece| {
                assert!(!piece.contains("\"#"), "{piece} ends a literal");
                format!("r#\"{piece}\"#")
            });
            let (key, terms) = (&object.key, object.terms.as_encoded());
            let pieces = pieces.join(", ");
            writeln!(
                text,
                "    Encoded {{ resource: {resource:?}, key: {key:?}, terms: {terms:?}, pieces: [{pieces}] }},"
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
            let (mut value, mut expected) = (stored.decode(), fact.decode());
            let uid = object::metadata_mut(&mut value).remove("uid").unwrap();
            assert_eq!(Uuid::parse_str(uid.as_str().unwrap()).unwrap().get_version_num(), 4);
            assert!(uids.insert(uid.to_string()));
            let metadata = object::metadata_mut(&mut expected);
            metadata.remove("uid");
            metadata.insert("creationTimestamp".into(), "2026-11-23T21:04:31Z".into());
            assert_eq!(value, expected);
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
